package session

import (
	"context"
	"errors"
	"strings"

	"kestrel/app/document"
	"kestrel/app/store"
)

// Kind says what went wrong, so that a window can say it in its user's language
// and offer the way out. A kind is stored: its name never changes.
type Kind string

// The kinds.
const (
	KindOther       Kind = "other"
	KindNoModel     Kind = "no-model"      // load one
	KindOutOfMemory Kind = "out-of-memory" // another precision, model or device
	KindHostMemory  Kind = "host-memory"   // the computer's own is full
	KindDeviceLost  Kind = "device-lost"   // load again
	KindDeviceLimit Kind = "device-limit"  // something that the device cannot do
	KindBadModel    Kind = "bad-model"     // its files
	KindNoTensor    Kind = "no-tensor"     // weights that the files do not have
	KindUnsupported Kind = "unsupported"   // a model or precision that is not run
	KindNoDevice    Kind = "no-device"     // none usable, for another reason than these:
	KindNoLoader    Kind = "no-loader"     // Vulkan is not installed
	KindNoDriver    Kind = "no-driver"     // no graphics driver is
	KindNotThere    Kind = "not-there"     // none is called as the one asked for
	KindUnusable    Kind = "unusable"      // it lacks something
	KindNotFinite   Kind = "not-finite"    // the model's numbers are none
	KindTooLong     Kind = "too-long"      // for one piece of the device's work
	KindTemplate    Kind = "template"      // the model's chat template does not take the conversation
	KindSampling    Kind = "sampling"      // settings out of their range
	KindBusy        Kind = "busy"          // not while something else runs
	KindNetwork     Kind = "network"       // a pull
	KindRefused     Kind = "refused"       // by the hub: private, or a wrong token
	KindHome        Kind = "no-home"       // no place for user data
	KindState       Kind = "state"         // of another model
	KindBadState    Kind = "bad-state"     // its file is damaged
	KindNoPart      Kind = "no-part"       // the state of what was read of a document is gone

	KindWrongBytes  Kind = "wrong-bytes"   // a download that is not what it should be
	KindNoModelFile Kind = "no-model-file" // nothing of that name, here or there
	KindIncomplete  Kind = "incomplete"    // a model that is here in part
	KindTaken       Kind = "taken"         // the name of a model
	KindAmbiguous   Kind = "ambiguous"     // a name that several models have
	KindBadName     Kind = "bad-name"      // no name of a model
	KindChoice      Kind = "choice"        // a repository with several models
	KindWriting     Kind = "writing"       // another program writes the model
	KindUnsafe      Kind = "unsafe"        // a repository whose file names lead elsewhere
	KindManifest    Kind = "manifest"      // a model's list of files is damaged, or newer

	KindStore     Kind = "store" // all else of the conversations' data
	KindNoSpace   Kind = "no-space"
	KindNoRight   Kind = "no-right" // the disk may not be written
	KindLocked    Kind = "locked"   // another program holds the data
	KindDamaged   Kind = "damaged"
	KindNewer     Kind = "newer"   // written by a newer Kestrel
	KindGone      Kind = "gone"    // deleted meanwhile
	KindInvalid   Kind = "invalid" // a file to import that makes no sense
	KindCancelled Kind = "cancelled"
	KindFile      Kind = "file" // one that the user chose

	KindDocument  Kind = "document" // all else of a document's file
	KindMissing   Kind = "document.missing"
	KindFolder    Kind = "document.folder"
	KindEmpty     Kind = "document.empty"
	KindFormat    Kind = "document.format"
	KindEncoding  Kind = "document.encoding"
	KindBroken    Kind = "document.broken"
	KindEncrypted Kind = "document.encrypted"
	KindNoText    Kind = "document.no-text"
	KindBomb      Kind = "document.bomb"
	KindTooLarge  Kind = "document.too-large"
	KindSlow      Kind = "document.slow"
	KindChanged   Kind = "document.changed"
	KindUnread    Kind = "document.unread" // the disk or the system refused
)

// Document says whether the problem is a document's.
func (k Kind) Document() bool { return k == KindDocument || strings.HasPrefix(string(k), "document.") }

// Model says whether another model, precision or device is a way out.
func (k Kind) Model() bool {
	switch k {
	case KindOutOfMemory, KindHostMemory, KindDeviceLost, KindDeviceLimit, KindNoModel, KindBadModel, KindNoTensor, KindUnsupported,
		KindNoDevice, KindNoLoader, KindNoDriver, KindNotThere, KindUnusable, KindNotFinite, KindNoModelFile, KindIncomplete, KindManifest:
		return true
	}
	return false
}

// Problem is an error in words.
type Problem struct {
	Kind   Kind
	Names  []string // what goes into its words, as factsOf says for each kind; empty where it is not known
	Counts []int    // the figures
	Text   string   // what happened and the way out, in English, with all that is known
	Err    error    // the cause; nil of one that was stored
}

func (p *Problem) Error() string { return p.Text }

func (p *Problem) Unwrap() error { return p.Err }

// Note is what the store keeps of a problem.
func (p *Problem) Note() Note {
	return Note{Kind: string(p.Kind), Names: p.Names, Counts: p.Counts, Text: p.Text}
}

// storedProblem is one that the store kept; fallback is the kind of such as were
// kept without one.
func storedProblem(n Note, fallback Kind) *Problem {
	p := &Problem{Kind: Kind(n.Kind), Names: n.Names, Counts: n.Counts, Text: n.Text}
	if p.Kind == "" {
		p.Kind = fallback
	}
	return p
}

// Note is something to know of a message or a document, by its kind; the store
// keeps it.
type Note = store.Note

// The kinds of notes, with what goes into their words.
const (
	NotePart       = "part"       // answered from so many percent, and tokens, of a document
	NoteBeginning  = "beginning"  // answered from what was read so far of a document
	NoteUnread     = "unread"     // answered before any of a document was read
	NoteCut        = "cut"        // ended after so many tokens
	NoteCircled    = "circled"    // ended after so many tokens, because it began to repeat itself
	NoteBlank      = "blank"      // so many of all pages hold no text
	NotePages      = "pages"      // so many of all pages are damaged
	NoteCharset    = "charset"    // read in an encoding
	NoteCharacters = "characters" // so many are damaged
	NoteChapters   = "chapters"   // so many of all are missing
)

// noteOf is a document's note.
func noteOf(n document.Note) Note {
	note := Note{Kind: string(n.Kind), Text: n.String()}
	switch n.Kind {
	case document.NoteCharset:
		note.Kind, note.Names = NoteCharset, []string{n.Name}
	case document.NoteCharacters:
		note.Kind, note.Counts = NoteCharacters, []int{n.Count}
	case document.NoteChapters:
		note.Kind, note.Counts = NoteChapters, []int{n.Count, n.Total}
	}
	return note
}

// Reasons for which work ends before its end.
var (
	errStopped = errors.New("stopped")
	errPaused  = errors.New("paused")
	errYield   = errors.New("makes way for an answer")
	errClosing = errors.New("the program is closing")
)

var (
	errNoModel = &Problem{Kind: KindNoModel, Text: "no model is loaded: load one, then answer again"}
	errBusy    = &Problem{Kind: KindBusy, Text: "this conversation is being answered: wait, or stop it first"}
)

// ended says why a context ended.
func ended(ctx context.Context, reason error) bool { return errors.Is(context.Cause(ctx), reason) }
