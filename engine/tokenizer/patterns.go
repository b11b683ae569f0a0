package tokenizer

import (
	"fmt"
	"strings"
)

// A finder is a pattern of a pre-tokenizer. Go's regexp has no look-ahead, so
// each pattern that tokenizers use is written by hand.
type finder interface {
	// next returns the first match in s at or after from, never an empty one;
	// start < 0 if there is none. s is valid UTF-8 unless the finder was made for
	// text behind ByteLevel.
	next(s string, from int) (start, end int)
	// String names the pattern in a tokenizer's hash.
	String() string
}

// The patterns with look-ahead, as tokenizer.json files spell them.
const (
	patternGPT2     = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	patternTiktoken = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	patternQwen2    = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// findRegex returns the finder of a regular expression. behind says that it will
// run behind ByteLevel, on bytes spelled in the byte alphabet.
func findRegex(pattern string, behind bool) (finder, error) {
	switch pattern {
	case `[0-9][0-9][0-9]`:
		return digits3{}, nil
	case `\p{N}`:
		return classRun{mask: classN, most: 1, behind: behind}, nil
	case `\p{N}{1,3}`:
		return classRun{mask: classN, most: 3, behind: behind}, nil
	case `\p{N}+`:
		return classRun{mask: classN, behind: behind}, nil
	}
	if behind {
		return nil, unsupported("pre_tokenizer: Split on the pattern %q behind ByteLevel", clip(pattern))
	}
	switch pattern {
	case patternGPT2:
		return gpt2{}, nil
	case patternTiktoken:
		return tiktoken{digits: 3}, nil
	case patternQwen2:
		return tiktoken{digits: 1}, nil
	}
	return nil, unsupported("pre_tokenizer: Split on the pattern %q", clip(pattern))
}

// gpt2 matches patternGPT2; it leaves nothing out.
type gpt2 struct{}

func (gpt2) String() string { return "gpt2" }

func (gpt2) next(s string, from int) (int, int) {
	i := from
	c := s[i]
	if c == '\'' {
		if n := contraction(s[i+1:], false); n > 0 {
			return i, i + 1 + n
		}
	}
	j := i
	if c == ' ' {
		j++
	}
	if j < len(s) {
		class, size := classAt(s, j)
		switch {
		case class&classL != 0:
			return i, runEnd(s, j+size, classL, true)
		case class&classN != 0:
			return i, runEnd(s, j+size, classN, true)
		case class&classS == 0:
			return i, runEnd(s, j+size, classL|classN|classS, false)
		}
	}
	return i, spaceEnd(s, i)
}

// tiktoken matches patternTiktoken (digits == 3) or patternQwen2 (digits == 1);
// it leaves nothing out.
type tiktoken struct{ digits int }

func (t tiktoken) String() string { return fmt.Sprintf("tiktoken%d", t.digits) }

func (t tiktoken) next(s string, from int) (int, int) {
	i := from
	c := s[i]
	if c == '\'' {
		if n := contraction(s[i+1:], true); n > 0 {
			return i, i + 1 + n
		}
	}
	class, size := classAt(s, i)
	if class&classL != 0 {
		return i, runEnd(s, i+size, classL, true)
	}
	if class&classN != 0 {
		j := i + size
		for n := 1; n < t.digits && j < len(s); n++ {
			class, size := classAt(s, j)
			if class&classN == 0 {
				break
			}
			j += size
		}
		return i, j
	}
	// Any one character but a line end may lead a run of letters.
	if j := i + size; c != '\r' && c != '\n' && j < len(s) {
		if class, size := classAt(s, j); class&classL != 0 {
			return i, runEnd(s, j+size, classL, true)
		}
	}
	j := i
	if c == ' ' {
		j++
	}
	if j < len(s) {
		if class, size := classAt(s, j); class&(classL|classN|classS) == 0 {
			j = runEnd(s, j+size, classL|classN|classS, false)
			for j < len(s) && (s[j] == '\r' || s[j] == '\n') {
				j++
			}
			return i, j
		}
	}
	// White space up to its last line end, if it holds one.
	if k := strings.LastIndexAny(s[i:runEnd(s, i, classS, true)], "\r\n"); k >= 0 {
		return i, i + k + 1
	}
	return i, spaceEnd(s, i)
}

// spaceEnd matches \s+(?!\S)|\s+ at s[i]: the whole run of white space at the end
// of the text, else all of it but the last character, which leads the next word.
func spaceEnd(s string, i int) int {
	last := i // start of the last character
	for j := i; j < len(s); {
		class, size := classAt(s, j)
		if class&classS == 0 {
			if last > i {
				return last
			}
			return j
		}
		last = j
		j += size
	}
	return len(s)
}

// contraction returns the length of an English contraction's letters at the
// start of s, behind its apostrophe; 0 if there is none.
func contraction(s string, fold bool) int {
	lower := func(i int) byte {
		if i >= len(s) {
			return 0
		}
		if c := s[i]; fold && c >= 'A' && c <= 'Z' {
			return c + 'a' - 'A'
		}
		return s[i]
	}
	switch a, b := lower(0), lower(1); {
	case a == 's' || a == 't' || a == 'm' || a == 'd':
		return 1
	case (a == 'r' || a == 'v') && b == 'e', a == 'l' && b == 'l':
		return 2
	}
	if fold && strings.HasPrefix(s, "ſ") { // U+017F, which folds to s
		return len("ſ")
	}
	return 0
}

// classRun matches up to most characters of a class, any number if most is 0.
type classRun struct {
	mask   uint8
	most   int
	behind bool // s holds bytes, each read as a character of the byte alphabet
}

func (r classRun) String() string { return fmt.Sprintf("class%d,%d,%v", r.mask, r.most, r.behind) }

func (r classRun) next(s string, from int) (int, int) {
	start := -1
	for i, n := from, 0; i < len(s); {
		class, size := alphabetClass[s[i]], 1
		if !r.behind {
			class, size = classAt(s, i)
		}
		switch in := class&r.mask != 0; {
		case in && start < 0:
			start = i
		case !in && start >= 0:
			return start, i
		}
		i += size
		if start >= 0 {
			if n++; n == r.most {
				return start, i
			}
		}
	}
	return start, len(s)
}

// digits3 matches three ASCII digits, in text and in the byte alphabet alike.
type digits3 struct{}

func (digits3) String() string { return "digits3" }

func (digits3) next(s string, from int) (int, int) {
	n := 0
	for i := from; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			n = 0
		} else if n++; n == 3 {
			return i - 2, i + 1
		}
	}
	return -1, -1
}

// literal matches a string that is not empty.
type literal string

func (l literal) String() string { return fmt.Sprintf("literal%q", string(l)) }

func (l literal) next(s string, from int) (int, int) {
	i := strings.Index(s[from:], string(l))
	if i < 0 {
		return -1, -1
	}
	return from + i, from + i + len(l)
}

// nothing never matches: a literal that the byte alphabet cannot spell.
type nothing struct{}

func (nothing) String() string { return "nothing" }

func (nothing) next(string, int) (int, int) { return -1, -1 }
