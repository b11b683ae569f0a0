package session

import (
	"context"
	"errors"

	"kestrel/app/document"
	"kestrel/app/library"
	"kestrel/app/store"
	"kestrel/engine"
)

// Kind sorts problems by what the user can do.
type Kind string

// The kinds.
const (
	KindOther       Kind = "other"
	KindNoModel     Kind = "no-model"      // load one
	KindOutOfMemory Kind = "out-of-memory" // another precision, model or device
	KindDeviceLost  Kind = "device-lost"   // load again
	KindBadModel    Kind = "bad-model"     // its files
	KindNoDevice    Kind = "no-device"     // no driver, or not the one asked for
	KindDocument    Kind = "document"      // the file; errors.Is tells more by app/document
	KindStore       Kind = "store"         // the disk: full, or not writable
	KindBusy        Kind = "busy"          // not while something else runs
	KindNetwork     Kind = "network"       // a pull
)

// Problem is an error in words.
type Problem struct {
	Kind Kind
	Text string // what happened and the way out
	Err  error  // the cause
}

func (p *Problem) Error() string { return p.Text }

func (p *Problem) Unwrap() error { return p.Err }

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
	errReading = &Problem{Kind: KindBusy, Text: "a document of this conversation is being read: wait until it is, or cancel it"}
)

// kinds says which kind an error is of, the first match counting.
var kinds = []struct {
	err  error
	kind Kind
	way  string // added where the error names none
}{
	{engine.ErrDeviceLost, KindDeviceLost, "load the model again"},
	{engine.ErrOutOfDeviceMemory, KindOutOfMemory, ""},
	{engine.ErrNoLoader, KindNoDevice, ""},
	{engine.ErrNoDevice, KindNoDevice, ""},
	{engine.ErrBadModel, KindBadModel, ""},
	{engine.ErrUnsupported, KindBadModel, ""},
	{library.ErrNotFound, KindBadModel, ""},
	{library.ErrNotComplete, KindBadModel, ""},
	{library.ErrHub, KindNetwork, ""},
	{library.ErrDenied, KindNetwork, ""},
	{library.ErrNoSpace, KindStore, ""},
	{store.ErrNoSpace, KindStore, ""},
	{store.ErrDenied, KindStore, ""},
	{store.ErrBusy, KindStore, ""},
	{store.ErrDamaged, KindStore, ""},
	{store.ErrClosed, KindStore, ""},
	{engine.ErrClosed, KindNoModel, "load the model again"},
}

// problemOf puts an error in words.
func problemOf(err error) *Problem {
	if err == nil {
		return nil
	}
	if p := (*Problem)(nil); errors.As(err, &p) {
		return p
	}
	if d := (*document.Error)(nil); errors.As(err, &d) {
		return &Problem{Kind: KindDocument, Text: err.Error(), Err: err}
	}
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			text := err.Error()
			if k.way != "" {
				text += "; " + k.way
			}
			return &Problem{Kind: k.kind, Text: text, Err: err}
		}
	}
	if s := (*store.Error)(nil); errors.As(err, &s) {
		return &Problem{Kind: KindStore, Text: err.Error(), Err: err}
	}
	return &Problem{Kind: KindOther, Text: err.Error(), Err: err}
}

// ended says why a context ended.
func ended(ctx context.Context, reason error) bool { return errors.Is(context.Cause(ctx), reason) }
