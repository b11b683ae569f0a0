package tokenizer

import (
	"slices"
	"unicode/utf8"
)

// addedToken is a token that is found in the text as it stands, before any
// splitting and merging.
type addedToken struct {
	id             int32
	content        string
	special        bool
	singleWord     bool // not beside a letter, digit or mark
	lstrip, rstrip bool // takes the white space on that side with it
	normalized     bool // looked for in the normalized text, in normalized form
}

// addedSet finds added tokens: at each place the longest one, from left to right.
// Finding takes at most the length of the text times that of the longest token.
type addedSet struct {
	tokens []addedToken
	first  [256]bool // bytes that a token starts with
	nodes  []trieNode
}

// trieNode's children are a linked list; index 0 is the root and ends every list.
type trieNode struct {
	child, sibling int32
	token          int32 // index into tokens, -1 if none ends here
	b              byte
}

func newAddedSet() *addedSet { return &addedSet{nodes: []trieNode{{token: -1}}} }

// add makes a token be found where pattern is. The first of two tokens with one
// pattern counts.
func (a *addedSet) add(pattern string, t addedToken) {
	if pattern == "" {
		return
	}
	a.first[pattern[0]] = true
	a.nodes = slices.Grow(a.nodes, len(pattern))
	at := int32(0)
	for i := range len(pattern) {
		to := a.step(at, pattern[i])
		if to == 0 {
			to = int32(len(a.nodes))
			a.nodes = append(a.nodes, trieNode{sibling: a.nodes[at].child, token: -1, b: pattern[i]})
			a.nodes[at].child = to
		}
		at = to
	}
	if a.nodes[at].token < 0 {
		a.nodes[at].token = int32(len(a.tokens))
		a.tokens = append(a.tokens, t)
	}
}

func (a *addedSet) step(at int32, b byte) int32 {
	to := a.nodes[at].child
	for to != 0 && a.nodes[to].b != b {
		to = a.nodes[to].sibling
	}
	return to
}

// longest returns the longest token at s[i].
func (a *addedSet) longest(s string, i int) (token, end int) {
	token = -1
	at := int32(0)
	for i < len(s) {
		if at = a.step(at, s[i]); at == 0 {
			break
		}
		i++
		if t := a.nodes[at].token; t >= 0 {
			token, end = int(t), i
		}
	}
	return token, end
}

// cut hands out text in order: the text between added tokens, and their ids.
// Special tokens count only if special is set. The rules, down to two matches
// that reach for the same white space, are those of the reference.
func (a *addedSet) cut(text string, special bool, between func(string), found func(id int32)) {
	done := 0 // what is before has been handed out
	for i := 0; i < len(text); {
		if !a.first[text[i]] {
			i++
			continue
		}
		index, stop := a.longest(text, i)
		if index < 0 {
			i++
			continue
		}
		start, t := i, &a.tokens[index]
		i = stop // also if the match is refused now
		if t.special && !special {
			continue
		}
		if t.singleWord && (wordBefore(text, start) || wordAfter(text, stop)) {
			continue
		}
		if t.lstrip {
			start = max(spaceStart(text, start), done)
		}
		if t.rstrip {
			stop = runEnd(text, stop, classS, true)
		}
		if done < start {
			between(text[done:start])
		}
		found(t.id)
		done = stop
	}
	if done < len(text) {
		between(text[done:])
	}
}

func wordBefore(s string, i int) bool {
	r, n := utf8.DecodeLastRuneInString(s[:i])
	return n > 0 && classOf[r]&classWord != 0
}

func wordAfter(s string, i int) bool {
	r, n := utf8.DecodeRuneInString(s[i:])
	return n > 0 && classOf[r]&classWord != 0
}

// spaceStart returns the start of the white space that ends at s[i].
func spaceStart(s string, i int) int {
	for i > 0 {
		r, n := utf8.DecodeLastRuneInString(s[:i])
		if classOf[r]&classS == 0 {
			break
		}
		i -= n
	}
	return i
}
