package engine

import (
	"context"
	"errors"
	"strings"
	"time"

	"kestrel/engine/sample"
)

// GenerateOptions says when to stop.
type GenerateOptions struct {
	Max         int      // tokens at most; 0: until the model stops
	StopIDs     []int    // besides the model's own
	StopStrings []string // the text ends before the first of these to be complete
	IgnoreEOS   bool     // the model's own stop ids do not stop
	// Enough, if set, is told each token that goes into the text. The text ends after the first for which it is true.
	// What holds of emit with Together holds of it.
	Enough func(id int) bool
	// Together has the session write side by side with others of the model that generate so at the same time, where one
	// reading of the weights serves a token of all of them. They come and go at tokens. Each has device memory for one more
	// state meanwhile; where there is none, it writes in turns with the others. A text may then differ from that of the
	// session alone where two tokens are almost equally likely, since products are summed in another order.
	//
	// emit is called from another goroutine then, for one session at a time, and all wait for it: it must not wait for
	// what another session writes.
	Together bool
}

// Reasons for which generation ends.
const (
	ReasonStop       = "stop"        // the model ended its text
	ReasonLength     = "length"      // Max tokens
	ReasonStopString = "stop-string" // a stop string came up
	ReasonEnough     = "enough"      // Enough said so
	ReasonCancelled  = "cancelled"   // the context ended
)

// Result of Generate. It is filled in on errors too: what was written so far is kept.
type Result struct {
	Text       string
	Tokens     int
	Reason     string        // "" after an error other than cancellation
	FirstToken time.Duration // from the call to the first token
	Duration   time.Duration
}

// Generate writes text after what the session has read. emit gets the text piece by piece, in whole characters; an
// error of emit ends the generation and is given back. When ctx ends, Generate returns the text so far with
// ReasonCancelled and ctx's error.
//
// Where steps are fast the device runs some ahead of what is read here; those beyond the end are taken back. Neither the
// text nor what the session has read depends on it: both are as with Next, token by token.
//
// The stop id and the tokens of a stop string are part of what the session has then read. A character that the last tokens
// leave unfinished is not in the text, except as U+FFFD where the model itself ends there.
func (s *Session) Generate(ctx context.Context, sampler *sample.Sampler, o GenerateOptions, emit func(string) error) (Result, error) {
	w := s.m.newWriter(ctx, Turn{Session: s, Sampler: sampler, Options: o, Emit: emit})
	var err error
	if o.Together {
		err = s.m.chorus.write(w)
	} else {
		err = w.alone(func() bool { return true })
	}
	r, err := w.out.finish(ctx, err)
	if w.landed != nil {
		r.Reason, err = "", errors.Join(err, w.landed)
	}
	return r, err
}

// stopper passes text on, but holds back what may be the beginning of a stop string.
type stopper struct {
	stops []string
	held  string
	text  strings.Builder // passed on so far
	emit  func(string) error
}

// write takes text and reports whether a stop string came up; what stands before it has then been passed on.
func (w *stopper) write(text string) (bool, error) {
	w.held += text
	// The first to end counts, of those the longest: so it does not matter in what pieces the text comes.
	from, end := 0, -1
	for _, s := range w.stops {
		if i := strings.Index(w.held, s); s != "" && i >= 0 && (end < 0 || i+len(s) < end || i+len(s) == end && i < from) {
			from, end = i, i+len(s)
		}
	}
	if end >= 0 {
		err := w.pass(w.held[:from])
		w.held = ""
		return true, err
	}
	keep := 0
	for _, s := range w.stops {
		for n := min(len(s)-1, len(w.held)); n > keep; n-- {
			if strings.HasPrefix(s, w.held[len(w.held)-n:]) {
				keep = n
			}
		}
	}
	cut := len(w.held) - keep
	pass := w.held[:cut]
	w.held = w.held[cut:]
	return false, w.pass(pass)
}

// flush takes the last text and passes everything on.
func (w *stopper) flush(text string) (bool, error) {
	found, err := w.write(text)
	if found || err != nil {
		return found, err
	}
	rest := w.held
	w.held = ""
	return false, w.pass(rest)
}

func (w *stopper) pass(text string) error {
	if text == "" {
		return nil
	}
	w.text.WriteString(text)
	if w.emit == nil {
		return nil
	}
	return w.emit(text)
}
