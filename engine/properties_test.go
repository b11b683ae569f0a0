package engine_test

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"kestrel/engine"
	"kestrel/engine/reference"
	"kestrel/engine/sample"
)

// TestSplits: however a prompt is cut, and whether it is read chunk by chunk or in one piece, the text stands at the same
// place, but for the rounding of sums in another order.
func TestSplits(t *testing.T) {
	const n = 150
	chunked := demo(t)
	o := options(t)
	o.Prefill, o.Chunk = engine.Parallel, 64
	parallel := openFS(t, demoFloats, ".", o)
	ids := prose(chunked, n)
	ones := slices.Repeat([]int{1}, n)
	want := state(t, read(t, chunked, ids))
	for _, c := range []struct {
		name  string
		m     *engine.Model
		split []int
	}{
		{"one by one", chunked, ones},
		{"two by two", chunked, slices.Repeat([]int{2}, n/2)},
		{"uneven", chunked, []int{1, 63, 64, 2, 20}},
		{"in one piece", parallel, []int{n}},
		{"in two pieces", parallel, []int{70, 80}},
		{"a token, then the rest", parallel, []int{1, n - 1}},
		{"less than a chunk, then the rest", parallel, []int{40, n - 40}},
	} {
		s := newSession(t, c.m)
		at := 0
		for _, k := range c.split {
			feed(t, s, ids[at:at+k])
			at += k
		}
		got := state(t, s)
		if got.Tokens() != n {
			t.Errorf("%s: %d tokens, want %d", c.name, got.Tokens(), n)
		}
		g, w := engine.Carried(got), engine.Carried(want)
		for part, pair := range map[string][2][]float32{"S": {g.S, w.S}, "columns": {g.Columns, w.Columns}, "logits": {g.Logits, w.Logits}} {
			if f := far(pair[0], pair[1]); !(f < 1e-4) {
				t.Errorf("%s: %s differ by %.2g of their RMS", c.name, part, f)
			}
		}
		if g, w := reference.ArgMax(reference.Float64s(g.Logits)), reference.ArgMax(reference.Float64s(w.Logits)); g != w {
			t.Errorf("%s: arg-max %d, want %d", c.name, g, w)
		}
	}
}

// TestChunkSizes: chunks of one token, of a few, and larger than any prompt.
func TestChunkSizes(t *testing.T) {
	ids := []int{3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5}
	var want []float32
	for _, chunk := range []int{0, 1, 2, 5, 1000} {
		o := options(t)
		o.Chunk = chunk
		m := openFS(t, small(t, 1), ".", o)
		if chunk > 0 && m.Chunk() != chunk {
			t.Errorf("chunks of %d, want %d", m.Chunk(), chunk)
		}
		got := logits(t, read(t, m, ids))
		if want == nil {
			want = got
		}
		if f := far(got, want); !(f < 1e-4) {
			t.Errorf("chunks of %d: logits differ by %.2g of their RMS", chunk, f)
		}
		rows := 0
		err := newSession(t, m).FeedAll(context.Background(), ids, func(pos int, all []float32) error {
			if rows++; pos == len(ids)-1 {
				got = all
			}
			return nil
		})
		if f := far(got, want); err != nil || rows != len(ids) || !(f < 1e-4) {
			t.Errorf("chunks of %d: %d rows, the last differs by %.2g of its RMS, %v", chunk, rows, f, err)
		}
	}
}

// TestFeedAll reads on from where the session is, and gives every position's logits as Feed would leave them.
func TestFeedAll(t *testing.T) {
	m := demo(t)
	ids := prose(m, 80) // more than two of its chunks
	one, all := newSession(t, m), newSession(t, m)
	feed(t, one, ids[:5])
	feed(t, all, ids[:5])
	at := 5
	err := all.FeedAll(context.Background(), ids[5:], func(pos int, got []float32) error {
		if pos != at-5 {
			t.Fatalf("position %d after %d", pos, at-6)
		}
		feed(t, one, ids[at:at+1])
		at++
		if f := far(got, logits(t, one)); !(f < 1e-4) {
			t.Errorf("position %d: logits differ by %.2g of their RMS", pos, f)
		}
		return nil
	})
	if err != nil || at != len(ids) || all.Tokens() != len(ids) {
		t.Fatalf("%d of %d positions, %d tokens, %v", at, len(ids), all.Tokens(), err)
	}
	stop := fmt.Errorf("enough")
	if err := all.FeedAll(context.Background(), ids, func(int, []float32) error { return stop }); err != stop {
		t.Errorf("an error of the callback came back as %v", err)
	}
	if n := all.Tokens() - len(ids); n < 1 || n > len(ids) {
		t.Errorf("after an error in the callback %d tokens count as read", n)
	}
}

// TestStateGoesOn: a state that is kept, cloned, written and read, put into another session or another opening of the
// model, goes on to the same text as the session it was taken from, to the bit.
func TestStateGoesOn(t *testing.T) {
	m := demo(t)
	s := read(t, m, prose(m, 90))
	greedy(t, s, 3)
	kept := state(t, s)
	again := state(t, s)
	equal(t, "taken twice", again, kept)
	random := sample.Params{Temperature: 0.9, TopK: 40, Seed: 5}
	const n = 12
	want := next(t, s, newSampler(t, random), n)
	end := state(t, s)
	if kept.Tokens() != 93 || end.Tokens() != 93+n || kept.Bytes() != end.Bytes() {
		t.Fatalf("states of %d and %d tokens, %d and %d bytes", kept.Tokens(), end.Tokens(), kept.Bytes(), end.Bytes())
	}
	equal(t, "after the session went on, the state taken before", kept, again)

	var file bytes.Buffer
	if size, err := kept.WriteTo(&file); err != nil || size != int64(file.Len()) {
		t.Fatalf("WriteTo says %d bytes of %d, %v", size, file.Len(), err)
	}
	written, err := engine.ReadState(&file)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "state")
	if err := kept.Save(path); err != nil {
		t.Fatal(err)
	}
	loaded, err := engine.LoadState(path)
	if err != nil {
		t.Fatal(err)
	}
	clone := kept.Clone()
	other := openFS(t, demoFloats, ".", options(t))
	used := read(t, m, prose(m, 7))
	for _, c := range []struct {
		name  string
		s     *engine.Session
		state *engine.State
	}{
		{"in the same session", s, kept},
		{"in another session", newSession(t, m), kept},
		{"in a session that has read something else", used, kept},
		{"cloned", newSession(t, m), clone},
		{"written and read", newSession(t, m), written},
		{"saved and loaded", newSession(t, m), loaded},
		{"in a model opened again", newSession(t, other), loaded},
	} {
		setState(t, c.s, c.state)
		equal(t, c.name+", put and taken", state(t, c.s), again)
		if got := next(t, c.s, newSampler(t, random), n); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", c.name, got, want)
		}
		equal(t, c.name+", at the end", state(t, c.s), end)
	}

	for _, part := range [][]float32{engine.Carried(clone).S, engine.Carried(clone).Columns, engine.Carried(clone).Logits} {
		clear(part)
	}
	equal(t, "after its clone was overwritten", kept, again)
}

// TestEmptyState: a session that has read nothing has a state too, from which there is nothing to choose.
func TestEmptyState(t *testing.T) {
	m := demo(t)
	empty := state(t, newSession(t, m))
	s := read(t, m, prose(m, 20))
	first := state(t, s)
	setState(t, s, empty)
	if _, err := s.Next(context.Background(), newSampler(t, sample.Params{})); s.Tokens() != 0 || err == nil {
		t.Errorf("%d tokens and %v after an empty state was put", s.Tokens(), err)
	}
	feed(t, s, prose(m, 20))
	equal(t, "read again from an empty state", state(t, s), first)
	if err := s.Reset(); err != nil {
		t.Fatal(err)
	}
	equal(t, "after a reset", state(t, s), empty)
	feed(t, s, prose(m, 20))
	equal(t, "read again after a reset", state(t, s), first)
}

// author is a session with a text of its own to read and to write, in steps.
type author struct {
	s       *engine.Session
	sampler *sample.Sampler
	ids     []int
}

const authorSteps = 18

func newAuthor(t *testing.T, m *engine.Model, i int) *author {
	return &author{newSession(t, m), newSampler(t, sample.Params{Temperature: 1, TopK: 20 + i, Seed: uint64(i)}), prose(m, 40+10*i)[10*i:]}
}

func (a *author) step(k int) error {
	ctx := context.Background()
	switch {
	case k == 0:
		return a.s.Feed(ctx, a.ids[:33], nil)
	case k < 8:
		return a.s.Feed(ctx, a.ids[32+k:33+k], nil)
	}
	_, err := a.s.Next(ctx, a.sampler)
	return err
}

// TestSessionsApart: sessions that take turns, and sessions in goroutines of their own, end where each would alone.
func TestSessionsApart(t *testing.T) {
	m := demo(t)
	const authors = 3
	var alone [authors]*engine.State
	for i := range authors {
		a := newAuthor(t, m, i)
		for k := range authorSteps {
			if err := a.step(k); err != nil {
				t.Fatal(err)
			}
		}
		alone[i] = state(t, a.s)
	}
	for _, c := range []struct {
		name string
		work func(list []*author)
	}{
		{"in turns", func(list []*author) {
			for k := range authorSteps {
				for _, a := range list {
					if err := a.step(k); err != nil {
						t.Fatal(err)
					}
				}
			}
		}},
		{"side by side", func(list []*author) {
			var group sync.WaitGroup
			for _, a := range list {
				group.Go(func() {
					for k := range authorSteps {
						if err := a.step(k); err != nil {
							t.Error(err)
						}
					}
				})
			}
			group.Wait()
		}},
	} {
		var list []*author
		for i := range authors {
			list = append(list, newAuthor(t, m, i))
		}
		c.work(list)
		for i, a := range list {
			equal(t, fmt.Sprintf("session %d, %s", i, c.name), state(t, a.s), alone[i])
		}
	}
}

// TestChoices: what Next chooses, from a few logits that the device picked out or from all, is what the sampler chooses
// from all; and the same seed gives the same text.
func TestChoices(t *testing.T) {
	m := demo(t)
	prompt := prose(m, 30)
	start := state(t, read(t, m, prompt))
	const n = 16
	for _, p := range []sample.Params{
		{},
		{RepeatPenalty: 1.3},
		{RepeatPenalty: 0.8},
		{RepeatPenalty: 1.2, RepeatWindow: 600}, // more than the device picks out
		{Temperature: 0.8, TopK: 1},
		{Temperature: 0.8, TopK: 40, Seed: 1},
		{Temperature: 1.1, TopK: 40, TopP: 0.9, MinP: 0.02, RepeatPenalty: 1.1, RepeatWindow: 20, Seed: 2},
		{Temperature: 1, TopK: 512, Seed: 3},
		{Temperature: 1, TopK: 513, Seed: 3},
		{Temperature: 1, TopK: 100_000, Seed: 3},
		{Temperature: 0.9, TopP: 0.8, Seed: 4},
		{Temperature: 1.5, Seed: 5},
	} {
		name := fmt.Sprintf("%+v", p)
		s := newSession(t, m)
		setState(t, s, start)
		sampler := newSampler(t, p)
		for _, id := range prompt {
			sampler.Accept(id)
		}
		first := sampler.Clone()
		var ids []int
		for i := range n {
			want, err := sampler.Clone().Sample(logits(t, s))
			if err != nil {
				t.Fatal(err)
			}
			id, err := s.Next(context.Background(), sampler)
			if err != nil || id != want {
				t.Fatalf("%s, token %d: %d (%v), from all logits %d", name, i, id, err, want)
			}
			ids = append(ids, id)
		}
		setState(t, s, start)
		if again := next(t, s, first, n); !slices.Equal(again, ids) {
			t.Errorf("%s: with the same seed %v and %v", name, ids, again)
		}
		if p.Seed == 0 {
			continue
		}
		p.Seed += 1000
		setState(t, s, start)
		if other := next(t, s, newSampler(t, p), n); slices.Equal(other, ids) {
			t.Errorf("%s: with another seed the same %v", name, ids)
		}
	}
}
