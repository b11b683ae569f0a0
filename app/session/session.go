package session

import (
	"context"

	"kestrel/app/library"
	"kestrel/engine"
	"kestrel/engine/vulkan"
)

// Session is what the window needs; see the package's comment for what holds
// for all methods.
type Session interface {
	// Snapshot is the present one, never nil.
	Snapshot() *Snapshot
	// Subscribe calls f with the present snapshot and then with each new one.
	// After cancel no new call of f begins.
	Subscribe(f func(*Snapshot)) (cancel func())
	// WatchMemory calls f with the use of memory, at most twice a second and
	// for as long as anybody watches. cancel is as Subscribe's.
	WatchMemory(f func(*Memory)) (cancel func())
	// Close stops what is under way, saves it and releases the device, within a
	// few seconds or until ctx ends. It is not called from a callback.
	Close(ctx context.Context) error

	Models
	Chat
	Documents
}

// Models is about models and devices.
type Models interface {
	// Choices lists the models there are: the built-in one, those of the
	// library, and published ones that can be pulled.
	Choices(ctx context.Context) ([]Choice, error)
	// Devices lists every Vulkan device, with the reason where one is unusable.
	Devices(ctx context.Context) ([]vulkan.DeviceInfo, error)
	// Estimate is what loading would take, to the byte, without loading.
	Estimate(ctx context.Context, r LoadRequest) (Estimate, error)

	// Load puts a model in the place of the one that is loaded. What it answers
	// or reads is stopped as by Stop and Pause.
	Load(r LoadRequest)
	// CancelLoad ends a load; no model is loaded then.
	CancelLoad()
	// Unload gives the device's memory back.
	Unload()

	// Pull downloads a published model into the library: "owner/repo" or
	// "owner/repo:file.gguf". One that was cancelled goes on where it was.
	Pull(name string)
	// Import adds a model on this machine to the library, where it lies.
	Import(path string)
	// CancelTransfer ends a pull or import by its Transfer.Name, or takes one
	// that has ended from the snapshot.
	CancelTransfer(name string)
}

// Chat is about conversations. One at a time is open: its messages are in the
// snapshot. Others go on in the background: several are answered side by side.
type Chat interface {
	// New opens a conversation that is stored with its first message.
	New(o NewOptions)
	// Open opens a stored conversation.
	Open(conversation string)
	// Reload reads the open conversation's title and folder again, when the
	// window changed them in the store.
	Reload()
	// Abandon stops whatever runs for a conversation and closes it where it is
	// open: for one that is about to be deleted. "" is the one that is not stored
	// yet, whose files are forgotten.
	Abandon(conversation string)

	// Send puts a user's message at the end of the open conversation and has it
	// answered. Without an open conversation it begins one. While a document of
	// the conversation is being read, or its reading is paused, the answer is
	// from what was read so far, as its Note says; reading goes on afterwards as
	// if nothing had been asked.
	Send(text string)
	// Stop ends the answer of the open conversation, or the reading before it,
	// within one submission to the device. What was written stays. Where nothing
	// is being answered, documents that are being read are paused.
	Stop()
	// Edit puts text in place of a user's message, as a new version of it, and
	// has it answered.
	Edit(message, text string)
	// Regenerate answers anew; message is an answer or the user's before it. The
	// old answer stays as another version.
	Regenerate(message string)
	// Choose shows another version: message is one of Message.Versions. What
	// follows it is what was shown last.
	Choose(message string)
	// Fork begins and opens a conversation with everything up to and including
	// message. It goes on from the saved state: nothing is read again.
	Fork(message string)

	// SetSystem sets the system prompt of the open conversation.
	SetSystem(text string)
	// SetSampling sets how the open conversation is answered.
	SetSampling(s Sampling)
}

// Documents is about documents in the open conversation. One is inspected, then
// read in as a user's turn, which a summary answers; meanwhile and then
// questions are asked as in any conversation. Several wait for each other. A
// summary stands at the conversation's end when it is written, below what was
// asked meanwhile; to the model it follows the document.
type Documents interface {
	// AddFiles inspects files for the open conversation, or for a new one. They
	// show in Conversation.Documents, also those that cannot be read, and are
	// there again whenever the conversation is opened, until they are read or
	// cancelled. Those of a conversation that is not stored yet are the next new
	// one's.
	AddFiles(paths []string)
	// Read queues an inspected document, to be summed up in about that many
	// words; 0 is DefaultWords.
	Read(document string, words int)
	// Pause stops reading; Resume goes on from where it was, also after a
	// restart. Other documents are read meanwhile.
	Pause(document string)
	Resume(document string)
	// Cancel ends a document in whatever stage: one whose reading has not begun
	// goes away, of another the turn stays, marked as stopped.
	Cancel(document string)
}

// DefaultWords is the length of a summary for which none is asked.
const DefaultWords = 150

// LoadRequest names a model and how it is to run.
type LoadRequest struct {
	Model  string // Choice.Name, or a path
	Device string // index or part of a name; "" for the best
	Quant  string // precision to make of the weights while loading; "" as they are
}

// Choice is a model that can be loaded, or pulled first.
type Choice struct {
	Name     string // for LoadRequest.Model and Pull
	Source   Source
	Ready    bool           // can be loaded
	Bytes    int64          // of the files; of a published one about
	Have     int64          // bytes on the disk
	Problem  *Problem       // why one of the library cannot be loaded
	Note     string         // what a published one is good for
	Chat     bool           // follows instructions; known of published and built-in ones
	Known    *library.Known // of published ones
	Entry    *library.Entry // of those in the library
	Selected bool           // loaded now
}

// Source is where a model comes from.
type Source string

// The sources.
const (
	Builtin   Source = "builtin"
	Library   Source = "library"
	Published Source = "published" // not here yet
)

// Estimate is what a model takes on a device, in bytes. The length of the text
// does not enter.
type Estimate struct {
	Weights, State, Scratch, Staging int64
	Total                            int64 // of these
	OnDevice                         int64 // the part of it in the heap of device memory
	Reader                           int64 // what reading documents takes on top
	Budget                           int64 // of that heap, free now
	Fits                             bool
	Device                           string
	Smaller                          []engine.Alternative // precisions in which it would fit, where it does not
}

// NewOptions of a new conversation.
type NewOptions struct {
	Folder   string // of the store; "" for none
	System   string
	Sampling *Sampling // nil for DefaultSampling
}

// Sampling is how an answer's tokens are chosen.
type Sampling struct {
	Temperature   float32 `json:"temperature"`
	TopK          int     `json:"top_k,omitempty"`
	TopP          float32 `json:"top_p,omitempty"`
	MinP          float32 `json:"min_p,omitempty"`
	RepeatPenalty float32 `json:"repeat_penalty,omitempty"`
	RepeatWindow  int     `json:"repeat_window,omitempty"`
	Seed          *uint64 `json:"seed,omitempty"`       // nil: another each time
	MaxTokens     int     `json:"max_tokens,omitempty"` // of an answer; 0: until the model ends it
	Circles       bool    `json:"circles,omitempty"`    // an answer that says the same again and again goes on
}

// DefaultSampling is that of the terminal's chat.
func DefaultSampling() Sampling {
	return Sampling{Temperature: 0.7, TopP: 0.9, MaxTokens: 1024}
}
