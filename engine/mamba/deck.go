package mamba

import (
	"encoding/binary"
	"fmt"

	"kestrel/engine/checkpoint"
	"kestrel/engine/kernel"
	"kestrel/engine/sample"
	"kestrel/engine/vulkan"
)

const (
	// maxAhead is the most steps in flight: enough for the device to have work while the host reads behind.
	maxAhead = 4
	// maxWindow is the largest window of the repeat penalty that the device keeps.
	maxWindow = 1 << 16
)

// deck is the memory of decoding ahead. A model has one, which one sequence at a time takes off from: so the memory that a
// model and its sessions take does not depend on what they do. The first kept serves programs of several submissions too.
type deck struct {
	owner *Sequence // nil: free

	kept  [2]*vulkan.Buffer // a sequence's state, logits and result as they were after some step
	draw  *vulkan.Buffer    // control, seen and window of kernel.Draw
	top   [3]*vulkan.Buffer // scratch of the largest logits, and these
	ring  *vulkan.Buffer    // on the host: { id, flag } of each step in flight
	parts deckParts
}

// deckParts is where things lie in the buffers of a deck, and their sizes.
type deckParts struct {
	align          int64
	state, logits  int64 // within kept
	result, kept   int64
	seen, window   int64 // within draw
	draw           int64
	scratch, pairs int64
}

func newDeckParts(c checkpoint.Config, lim vulkan.Limits) deckParts {
	p := deckParts{align: max(lim.StorageAlign, 64)}
	up := func(n int64) int64 { return (n + p.align - 1) / p.align * p.align }
	_, _, p.state = stateLayout(c, lim)
	p.logits = up(p.state)
	p.result = p.logits + up(logitsBytes(c))
	p.kept = p.result + resultBytes
	p.seen = up(kernel.ControlBytes)
	p.window = p.seen + up(int64(c.Vocab)*4)
	p.draw = up(p.window + maxWindow*4)
	k := min(kernel.MaxTopK, c.Vocab)
	p.scratch, p.pairs = kernel.TopKScratch(c.Vocab, k), int64(k)*8
	return p
}

// requests are the deck's buffers in the order in which they are made.
func (p deckParts) requests() []vulkan.Request {
	var list []vulkan.Request
	for _, size := range []int64{p.kept, p.kept, p.draw, p.scratch, p.scratch, p.pairs} {
		list = append(list, vulkan.Request{Purpose: vulkan.Scratch, Size: size})
	}
	return append(list, vulkan.Request{Purpose: vulkan.Scratch, Size: maxAhead * p.align, Host: true})
}

func (m *Model) newDeck() (*deck, error) {
	d := &deck{parts: newDeckParts(m.Config, m.dev.Limits())}
	at := []**vulkan.Buffer{&d.kept[0], &d.kept[1], &d.draw, &d.top[0], &d.top[1], &d.top[2], &d.ring}
	names := []string{"state kept", "state kept", "draw", "top-k ahead 1", "top-k ahead 2", "largest ahead", "ids ahead"}
	for i, r := range d.parts.requests() {
		make := m.dev.NewBuffer
		if r.Host {
			make = m.dev.NewHostBuffer
		}
		var err error
		if *at[i], err = make(names[i], r.Purpose, r.Size); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// result is where step i of the ring leaves what it chose.
func (d *deck) result(i int) vulkan.View { return d.ring.View(int64(i)*d.parts.align, resultBytes) }

// choice is what choosing for step i works on.
func (d *deck) choice(i, vocab int) kernel.Draw { return d.parts.choice(d.draw, 0, d.result(i), vocab) }

// choice is what choosing works on, its memory draw bytes from a place in a buffer on.
func (p deckParts) choice(in *vulkan.Buffer, from int64, result vulkan.View, vocab int) kernel.Draw {
	return kernel.Draw{
		Control: in.View(from, kernel.ControlBytes),
		Seen:    in.View(from+p.seen, int64(vocab)*4),
		Window:  in.View(from+p.window, maxWindow*4),
		Result:  result,
	}
}

// follow is what that memory must begin with, for the device to choose as a sampler does. ErrGrounded where it cannot.
func (p deckParts) follow(s *sample.Sampler, few bool, vocab int) ([]byte, error) {
	rule, recent := s.Rule(), s.Recent()
	if rule.Window > maxWindow {
		return nil, fmt.Errorf("%w: the repeat penalty looks back over %d ids, the device over %d", ErrGrounded, rule.Window, maxWindow)
	}
	control := kernel.Control(rule, few, s.Place(), len(recent))
	if rule.Window == 0 {
		return control, nil
	}
	raw := make([]byte, p.window+int64(len(recent))*4)
	copy(raw, control)
	for i, id := range recent {
		if id < 0 || int(id) >= vocab {
			return nil, fmt.Errorf("%w: the sampler has accepted %d, which is no token", ErrGrounded, id)
		}
		binary.LittleEndian.PutUint32(raw[p.window+int64(i)*4:], uint32(id))
		times := raw[p.seen+int64(id)*4:]
		binary.LittleEndian.PutUint32(times, binary.LittleEndian.Uint32(times)+1)
	}
	return raw, nil
}

// pairs is each part of kept buffer i with what it is a copy of.
func (d *deck) pairs(i int, q *Sequence) [3][2]vulkan.View {
	var list [3][2]vulkan.View
	for k, from := range []int64{0, d.parts.logits, d.parts.result} {
		of := []*vulkan.Buffer{q.state, q.logits, q.result}[k]
		list[k] = [2]vulkan.View{d.kept[i].View(from, of.Size()), of.Whole()}
	}
	return list
}
