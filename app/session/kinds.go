package session

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"path/filepath"
	"syscall"

	"kestrel/app/dialog"
	"kestrel/app/document"
	"kestrel/app/library"
	"kestrel/app/store"
	"kestrel/engine"
	"kestrel/engine/chat"
	"kestrel/engine/sample"
	"kestrel/engine/tokenizer"
	"kestrel/engine/vulkan"
	"kestrel/engine/weights"
)

// kinds says which kind an error is of, the first match counting.
var kinds = []struct {
	err  error
	kind Kind
	way  string // added where the error names none
}{
	{document.ErrMissing, KindMissing, ""},
	{document.ErrFolder, KindFolder, ""},
	{document.ErrEmpty, KindEmpty, ""},
	{document.ErrEncrypted, KindEncrypted, ""},
	{document.ErrBomb, KindBomb, ""},
	{document.ErrNoText, KindNoText, ""},
	{document.ErrChanged, KindChanged, ""},
	{document.ErrFormat, KindFormat, ""},
	{document.ErrEncoding, KindEncoding, ""},
	{document.ErrBroken, KindBroken, ""},
	{document.ErrTooLarge, KindTooLarge, ""},
	{document.ErrTimeout, KindSlow, ""},
	{document.ErrRead, KindUnread, ""},
	{engine.ErrDeviceLost, KindDeviceLost, "load the model again"},
	{engine.ErrOutOfDeviceMemory, KindOutOfMemory, ""},
	{engine.ErrOutOfHostMemory, KindHostMemory, ""},
	{engine.ErrNoLoader, KindNoLoader, ""},
	{engine.ErrNoDevice, KindNoDevice, ""},
	{engine.ErrNotFinite, KindNotFinite, ""},
	{sample.ErrLogits, KindNotFinite, ""},
	{engine.ErrTooLong, KindTooLong, ""},
	{engine.ErrDevice, KindDeviceLimit, ""},
	{weights.ErrMissingTensor, KindNoTensor, ""},
	{engine.ErrBadModel, KindBadModel, ""},
	{engine.ErrUnsupported, KindUnsupported, ""},
	{tokenizer.ErrBadTokenizer, KindBadModel, ""},
	{tokenizer.ErrUnsupported, KindUnsupported, ""},
	{engine.ErrBadToken, KindBadModel, ""},
	{engine.ErrStateMismatch, KindState, "read the text again"},
	{engine.ErrBadState, KindBadState, "read the text again"},
	{dialog.ErrPart, KindNoPart, ""},
	{dialog.ErrLost, KindNoPart, ""},
	{dialog.ErrMoved, KindChanged, ""},
	{chat.ErrTemplate, KindTemplate, ""},
	{dialog.ErrPlace, KindTemplate, ""},
	{sample.ErrParams, KindSampling, ""},
	{library.ErrCorrupt, KindWrongBytes, ""},
	{library.ErrNotFound, KindNoModelFile, ""},
	{library.ErrNotComplete, KindIncomplete, ""},
	{library.ErrExists, KindTaken, ""},
	{library.ErrAmbiguous, KindAmbiguous, ""},
	{library.ErrBadName, KindBadName, ""},
	{library.ErrChoice, KindChoice, ""},
	{library.ErrBusy, KindWriting, ""},
	{library.ErrUnsafe, KindUnsafe, ""},
	{library.ErrBadManifest, KindManifest, ""},
	{library.ErrHub, KindNetwork, ""},
	{library.ErrDenied, KindRefused, ""},
	{library.ErrNoSpace, KindNoSpace, ""},
	{store.ErrNoSpace, KindNoSpace, ""},
	{store.ErrDenied, KindNoRight, ""},
	{store.ErrBusy, KindLocked, ""},
	{store.ErrDamaged, KindDamaged, ""},
	{store.ErrNewer, KindNewer, ""},
	{store.ErrNotFound, KindGone, ""},
	{store.ErrInvalid, KindInvalid, ""},
	{store.ErrClosed, KindStore, ""},
	{engine.ErrClosed, KindNoModel, "load the model again"},
	{context.Canceled, KindCancelled, ""},
	{syscall.ENOSPC, KindNoSpace, ""},
}

// ProblemOf puts an error in words; nil for none.
func ProblemOf(err error) *Problem {
	if err == nil {
		return nil
	}
	if p := (*Problem)(nil); errors.As(err, &p) {
		return p
	}
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			text := err.Error()
			if k.way != "" {
				text += "; " + k.way
			}
			p := &Problem{Kind: k.kind, Text: text, Err: err}
			p.addFacts()
			return p
		}
	}
	kind := KindOther
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		kind = KindFile
	}
	if d := (*document.Error)(nil); errors.As(err, &d) {
		kind = KindDocument
	}
	if s := (*store.Error)(nil); errors.As(err, &s) {
		kind = KindStore
	}
	return &Problem{Kind: kind, Text: err.Error(), Err: err}
}

// addFacts takes what an error knows into the names and counts of its problem,
// and tells the kinds of devices that cannot be used apart:
//
//	KindOutOfMemory  bytes needed and free, then those of each smaller precision; the device ("" if any), then the precisions
//	KindNoSpace      bytes needed and free
//	KindBadModel, KindNoTensor, KindUnsupported, KindWrongBytes, KindIncomplete
//	                 the file ("" if none), then the tensor if any
//	KindNotThere     what was asked for
//	KindUnusable     what the device has of it and needs; the device, vulkan.Refused, and Refusal.Name
//	KindChoice       the files to choose from
func (p *Problem) addFacts() {
	switch p.Kind {
	case KindOutOfMemory:
		if m := (*engine.MemoryError)(nil); errors.As(p.Err, &m) {
			p.Names, p.Counts = []string{m.DeviceName}, []int{int(m.Device), int(m.Budget)}
			for _, s := range m.Smaller {
				p.Names, p.Counts = append(p.Names, s.Quant.String()), append(p.Counts, int(s.Device))
			}
		} else if m := (*vulkan.MemoryError)(nil); errors.As(p.Err, &m) {
			p.Names, p.Counts = []string{""}, []int{int(m.Need), int(m.Free)}
		}
	case KindNoSpace:
		if l := (*library.Error)(nil); errors.As(p.Err, &l) && l.Need > 0 {
			p.Counts = []int{int(l.Need), int(l.Free)}
		}
	case KindNoTensor, KindBadModel, KindUnsupported, KindWrongBytes, KindIncomplete:
		if f := (*weights.FileError)(nil); errors.As(p.Err, &f) && f.File != "" {
			p.Names = []string{filepath.Base(f.File)}
			if f.Tensor != "" {
				p.Names = append(p.Names, f.Tensor)
			}
		} else if l := (*library.Error)(nil); errors.As(p.Err, &l) && l.File != "" {
			p.Names = []string{path.Base(l.File)}
		}
	case KindChoice:
		if c := (*library.ChoiceError)(nil); errors.As(p.Err, &c) {
			for _, f := range c.Files {
				p.Names = append(p.Names, c.Repo+":"+f.Path)
			}
		}
	case KindNoDevice:
		if d := (*vulkan.NoDeviceError)(nil); errors.As(p.Err, &d) {
			p.addDevice(d)
		}
	}
}

func (p *Problem) addDevice(d *vulkan.NoDeviceError) {
	like := d.Like
	if d.Selector == "" {
		like = d.All
	}
	switch {
	case len(d.All) == 0:
		p.Kind = KindNoDriver
	case len(like) == 0:
		p.Kind, p.Names = KindNotThere, []string{d.Selector}
	case like[0].Refusal != vulkan.Refusal{}:
		r := like[0].Refusal
		p.Kind, p.Names, p.Counts = KindUnusable, []string{like[0].Name, string(r.Kind), r.Name}, []int{r.Has, r.Needs}
	}
}
