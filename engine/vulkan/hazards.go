package vulkan

// Access says what a dispatch does with an argument.
type Access uint8

// The kinds of access.
const (
	Read Access = 1 << iota
	Write
	ReadWrite = Read | Write
)

// Arg is one binding of a dispatch: the bytes it may touch, and how.
type Arg struct {
	View
	Access Access
}

// In declares that the dispatch reads v.
func In(v View) Arg { return Arg{v, Read} }

// Out declares that the dispatch writes v.
func Out(v View) Arg { return Arg{v, Write} }

// InOut declares that the dispatch reads and writes v.
func InOut(v View) Arg { return Arg{v, ReadWrite} }

// hazards keeps the byte ranges read and written since the last barrier. A barrier orders everything before it
// with everything after, so the record starts anew behind each (the scheme of mlx's command encoder).
type hazards struct {
	read, written map[*Buffer][]span
}

func newHazards() hazards {
	return hazards{read: map[*Buffer][]span{}, written: map[*Buffer][]span{}}
}

// conflict says whether the accesses must wait for earlier ones: read after write, write after write or write
// after read of a common byte.
func (h hazards) conflict(args []Arg) bool {
	for _, a := range args {
		if a.Access == 0 {
			continue
		}
		s := span{a.Offset, a.Size}
		if overlaps(h.written[a.Buffer], s) || a.Access&Write != 0 && overlaps(h.read[a.Buffer], s) {
			return true
		}
	}
	return false
}

func (h hazards) add(args []Arg) {
	for _, a := range args {
		s := span{a.Offset, a.Size}
		if a.Access&Read != 0 {
			h.read[a.Buffer] = append(h.read[a.Buffer], s)
		}
		if a.Access&Write != 0 {
			h.written[a.Buffer] = append(h.written[a.Buffer], s)
		}
	}
}

func (h hazards) reset() {
	clear(h.read)
	clear(h.written)
}

func overlaps(list []span, s span) bool {
	for _, t := range list {
		if s.off < t.off+t.size && t.off < s.off+s.size {
			return true
		}
	}
	return false
}
