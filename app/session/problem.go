package session

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
