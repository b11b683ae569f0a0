package tokenizer

import (
	"fmt"
	"strings"
)

// behavior says what becomes of the matches of a Split, named as in
// tokenizer.json.
type behavior uint8

const (
	removed behavior = iota
	isolated
	mergedWithPrevious
	mergedWithNext
	contiguous
)

var behaviors = map[string]behavior{
	"Removed": removed, "Isolated": isolated, "MergedWithPrevious": mergedWithPrevious,
	"MergedWithNext": mergedWithNext, "Contiguous": contiguous,
}

// A step is one pre-tokenizer: it cuts a piece of text into smaller ones.
type step struct {
	// prefix: put a space before a piece that does not start with one; the other
	// fields are unused.
	prefix   bool
	find     finder
	behavior behavior
	invert   bool // what lies between two matches counts as the match
}

// String is the step's part in the hash: a change of it outdates saved states.
func (s step) String() string {
	if s.prefix {
		return "prefix"
	}
	return fmt.Sprintf("%v/%d/%v", s.find, s.behavior, s.invert)
}

// walk cuts text by the steps and hands each final piece to word.
func walk(steps []step, text string, word func(string)) {
	if text == "" {
		return
	}
	if len(steps) == 0 {
		word(text)
		return
	}
	st, rest := &steps[0], steps[1:]
	switch {
	case st.prefix:
		if !strings.HasPrefix(text, " ") {
			text = " " + text
		}
		walk(rest, text, word)
	case st.behavior == isolated:
		at := 0
		for at < len(text) {
			start, end := st.find.next(text, at)
			if start < 0 {
				break
			}
			walk(rest, text[at:start], word)
			walk(rest, text[start:end], word)
			at = end
		}
		walk(rest, text[at:], word)
	default:
		j := joiner{behavior: st.behavior, emit: func(start, end int) { walk(rest, text[start:end], word) }}
		at := 0
		for at < len(text) {
			start, end := st.find.next(text, at)
			if start < 0 {
				break
			}
			if at < start {
				j.push(at, start, st.invert)
			}
			j.push(start, end, !st.invert)
			at = end
		}
		if at < len(text) {
			j.push(at, len(text), st.invert)
		}
		j.flush()
	}
}

// joiner joins neighbouring pieces as a behavior other than isolated asks.
type joiner struct {
	behavior   behavior
	emit       func(start, end int)
	start, end int
	held       bool // text[start:end] waits for what follows
	match      bool // the last piece pushed was a match
}

func (j *joiner) push(start, end int, match bool) {
	was := j.match
	j.match = match
	switch j.behavior {
	case removed:
		if !match {
			j.emit(start, end)
		}
		return
	case contiguous:
		if j.held && match == was {
			j.end = end
			return
		}
	case mergedWithPrevious:
		if j.held && match && !was {
			j.end = end
			return
		}
	case mergedWithNext:
		if j.held && !match && was {
			j.end = end
			return
		}
	}
	j.flush()
	j.start, j.end, j.held = start, end, true
}

func (j *joiner) flush() {
	if j.held {
		j.emit(j.start, j.end)
		j.held = false
	}
}
