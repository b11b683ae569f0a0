package store

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// ID names one thing in the store: a UUID of version 7, as text, so ids sort
// by the time they were made. "" is none.
type ID string

// NewID makes an id no other thing has.
func NewID() ID { return ID(uuid.Must(uuid.NewV7()).String()) } // it fails only without a source of randomness

// Folder groups conversations.
type Folder struct {
	ID   ID
	Name string
}

// Conversation is one chat without its messages; see [Tree] for those.
type Conversation struct {
	ID       ID
	Folder   ID // "" for none
	Title    string
	System   string          // the system prompt
	Sampling json.RawMessage // sampling settings in the caller's form; nil for the model's own
	Model    string          // the model it was last led with
	Created  time.Time
	Updated  time.Time // when a message was last added or finished
	Deleted  time.Time // zero unless it awaits purging
	Leaf     ID        // the last message of the version that is shown; "" while there is none
}

// Role says who wrote a message.
type Role string

const (
	User      Role = "user"
	Assistant Role = "assistant"
	System    Role = "system" // what the program itself says, such as a note on a document
)

// Status says how far a message is.
type Status string

const (
	Pending   Status = "pending"   // an answer not begun
	Streaming Status = "streaming" // an answer that grows
	Done      Status = "done"
	Stopped   Status = "stopped" // by the user, or with the program: what was written by then is kept
	Failed    Status = "failed"  // Problem says why; what was written by then is kept
)

// Message is one turn. Messages form a tree: those of one parent are versions
// of each other, made by editing a question or answering it again.
type Message struct {
	ID           ID
	Conversation ID
	Parent       ID // "" at the root
	Answers      ID // the turn it answers, where that is not its Parent: one of a document, of which more was asked while it was read
	Role         Role
	Content      string
	Status       Status
	Problem      Note
	Note         Note          // what to know of it
	Tokens       int           // written, of an answer; read, of the others
	FirstToken   time.Duration // from the question to the answer's first token
	Duration     time.Duration // from the question to the answer's last
	Model        string        // the model that answered
	Created      time.Time
}

// DocumentStatus says how far the reading of a document is.
type DocumentStatus string

const (
	DocumentWaiting   DocumentStatus = "waiting"
	DocumentReading   DocumentStatus = "reading"
	DocumentPaused    DocumentStatus = "paused"
	DocumentDone      DocumentStatus = "done"
	DocumentFailed    DocumentStatus = "failed" // Problem says why
	DocumentCancelled DocumentStatus = "cancelled"
)

// Document is a file that was given to a conversation. Its text stays where it
// is; the store keeps what was found out about it.
type Document struct {
	ID           ID
	Conversation ID
	Message      ID // the message it came with; "" for the conversation as a whole
	Path         string
	Name         string
	Title        string
	Format       string
	Encoding     string // of a text's characters
	Size         int64  // of the file, in bytes
	Hash         string // of the file's bytes, in the caller's form
	Pages        int
	Words        int
	Tokens       int // in all; 0 while not known
	TokensRead   int
	Status       DocumentStatus
	Summary      string // while reading, the summary of what was read so far
	SummaryWords int    // the length wanted
	Trained      int    // tokens that the model which reads it was trained on; 0 while not known
	Problem      Note
	Notes        []Note // what to know of it, as pages without text
	Created      time.Time
}

// State is a saved state of the engine: what the model remembers of a
// conversation up to a message, or of a document up to the end of a section.
// The bytes themselves lie in a file, which states of forked conversations
// share; see [Store.SaveState].
type State struct {
	ID           ID
	Conversation ID     // that of its owner
	Message      ID     // its owner is either this …
	Document     ID     // … or this
	Section      int    // number of a document's section, from 0; 0 for messages
	Final        bool   // all of the document is in it
	Tokens       int    // read, by the engine's count
	Position     int64  // where in the document's text it stands, in the caller's unit
	TextHash     string // of all the text it stands for, in the caller's form: a state of another text is of no use
	Model        string // hash or name of the model it belongs to
	Bytes        int64  // size of the file
	Created      time.Time
	Used         time.Time // when it was last opened or saved
}

// Preset is a system prompt with sampling settings, under a name. The store
// keeps the user's own.
type Preset struct {
	ID       ID
	Name     string
	System   string
	Sampling json.RawMessage
}

// now is cut to what the store keeps, so that what is given back now equals
// what is read later.
func now() time.Time { return time.UnixMilli(time.Now().UnixMilli()).UTC() }

func timeOf(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// null turns "" into NULL, as foreign keys need it.
func (id ID) null() any {
	if id == "" {
		return nil
	}
	return string(id)
}

func nullJSON(j json.RawMessage) any {
	if len(j) == 0 {
		return nil
	}
	return string(j)
}

func isID(s string) bool { return uuid.Validate(s) == nil && len(s) == 36 }
