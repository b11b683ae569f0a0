package session

import (
	"time"

	"kestrel/app/document"
	"kestrel/app/library"
	"kestrel/engine/vulkan"
)

// Snapshot is all that the window shows of the session.
type Snapshot struct {
	Seq          uint64 // grows with each
	Model        *Model // never nil
	Transfers    []*Transfer
	Conversation *Conversation // the open one; nil for none
	Busy         []Activity    // what runs or waits, in any conversation, in order
	Changes      uint64        // counts changes to what the store lists: conversations, titles, times
	Notices      []Notice      // the last few; each is shown once, by its ID
}

// ModelState is whether a model can be used.
type ModelState string

// The states of a model.
const (
	NoModel ModelState = "none"
	Loading ModelState = "loading"
	Loaded  ModelState = "loaded"
	Broken  ModelState = "broken" // device lost or load failed: load again; see Model.Problem
)

// Model is the model that is loaded, or being loaded.
type Model struct {
	State      ModelState
	Request    LoadRequest
	Progress   Progress // bytes, while loading
	Problem    *Problem
	Warnings   []string
	Name       string
	Precision  string // of most of the weights
	Parameters int64
	Bytes      int64 // of the weights
	StateBytes int64 // of one saved state
	MaxTrained int   // tokens; 0 where the files do not say
	Instruct   bool  // has a chat template of its own
	Device     vulkan.DeviceInfo
}

// Progress of something that takes time. Its unit is tokens or bytes.
type Progress struct {
	Done, Total int64
	Rate        float64       // a second; 0 while unknown
	ETA         time.Duration // negative while unknown
}

// Transfer is a pull or an import.
type Transfer struct {
	Name     string
	Progress library.Progress
	Done     bool // ended well: the model is among the Choices
	Problem  *Problem
}

// Activity is a piece of work.
type Activity struct {
	Conversation string
	Document     string // "" for an answer
	Waiting      bool   // for its turn, or for a model
}

// Notice is something to tell the user once.
type Notice struct {
	ID      uint64
	Time    time.Time
	Problem Problem
}

// Phase is what happens in a conversation.
type Phase string

// The phases.
const (
	Idle    Phase = "idle"
	Waiting Phase = "waiting" // for its turn
	Reading Phase = "reading" // text is read before the answer; see Conversation.Reading
	Writing Phase = "writing" // the last message grows
	// ReadingDocuments: documents are read, or wait for their turn, and nothing is
	// answered. Questions can be asked.
	ReadingDocuments Phase = "documents"
)

// Answering says whether the conversation is being answered, or waits for it.
func (p Phase) Answering() bool { return p == Waiting || p == Reading || p == Writing }

// Conversation is the open conversation.
type Conversation struct {
	ID       string // "" until its first message is stored
	Folder   string
	Title    string // "" until the first message gives one
	System   string
	Sampling Sampling
	Messages []*Message // the versions shown, from the first to the last
	Phase    Phase
	Reading  Progress // tokens
	Tokens   int      // read and written up to the last message; 0 where not known
	// Documents of this conversation, also those that are turns already.
	Documents []*Document
}

// Status is what became of a message.
type Status string

// The statuses.
const (
	Complete  Status = "complete"
	Streaming Status = "streaming" // is being read or written
	Stopped   Status = "stopped"   // the text is cut short: by Stop, a crash, or the end of the program
	Failed    Status = "failed"    // cut short, maybe empty; see Problem
	Cut       Status = "cut"       // ended at Sampling.MaxTokens
	Circled   Status = "circled"   // ended because it began to repeat itself; the repetition is left out
)

// Message is one turn.
type Message struct {
	ID       string
	Role     string // of engine/chat
	Text     string // "" for a document's turn
	Created  time.Time
	Status   Status
	Problem  *Problem
	Versions []string // ids of all versions, the oldest first, itself among them
	Version  int      // its index
	Document *Document
	Note     Note // what to know of it, as that it was answered before all of a document was read
	Stats    Stats
	Model    string // that wrote it
}

// Stats of an answer.
type Stats struct {
	Read       int           // tokens that were read before it
	ReadRate   float64       // tokens a second
	Tokens     int           // written
	Rate       float64       // tokens a second
	FirstToken time.Duration // from the command to the first token, reading included
	Length     int           // tokens of the whole conversation after it
}

// Stage is how far a document is.
type Stage string

// The stages.
const (
	Inspecting  Stage = "inspecting"  // pages, words and tokens are counted
	Ready       Stage = "ready"       // can be read
	Unreadable  Stage = "unreadable"  // see Problem
	Queued      Stage = "queued"      // waits for its turn
	Paused      Stage = "paused"      //
	ReadingText Stage = "reading"     //
	Summarizing Stage = "summarizing" // the summary is the message that grows
	Done        Stage = "done"        // questions can be asked
	Interrupted Stage = "interrupted" // see Problem; Resume goes on from the last section
	Cancelled   Stage = "cancelled"   //
)

// Document is a document of a conversation.
type Document struct {
	ID       string
	Path     string
	Name     string // file name
	Title    string
	Format   document.Format
	Encoding string
	Size     int64 // bytes
	Pages    int   // 0 if it has none
	Words    int
	Tokens   int // of the loaded model; 0 while unknown
	Stage    Stage
	Progress Progress      // bytes or pages while Inspecting, tokens while reading
	Estimate time.Duration // to read it, from the speed of this model here; negative while unknown
	Wanted   int           // words of the summary
	Message  string        // its turn; "" before reading
	Beyond   int           // tokens past Trained; 0 if it is not longer
	Trained  int           // tokens that the model was trained on; 0 while not known
	Notes    []Note        // pages without text, characters that could not be read
	Partial  *Partial      // while reading
	Problem  *Problem
}

// Partial is a summary of what was read so far.
type Partial struct {
	Text   string
	Tokens int     // of the document that it covers
	Share  float64 // of the document that it covers, 0 to 1
	Fresh  bool    // false while the next one is being written
}

// Memory is the use of memory at one moment.
type Memory struct {
	Time       time.Time
	Loaded     bool
	Device     vulkan.DeviceInfo
	Report     vulkan.MemoryReport // what this program allocated on the device, by purpose
	Heaps      []vulkan.Heap       // as they are now
	SavedRAM   int64               // bytes of states kept in memory
	SavedDisk  int64               // bytes of state files
	TokensRead int64               // since the program started, written ones included
	Working    bool                // the device is reading or writing for us
}
