package sidebar

import (
	"slices"
	"strings"

	"kestrel/app/store"
)

type rowKind int

const (
	folderRow rowKind = iota
	conversationRow
	hitRow
	noteRow // a sentence, where there is nothing to list
)

// row is one line of the list.
type row struct {
	kind   rowKind
	id     store.ID // of the conversation, or of the folder, which is "" for those in none
	title  string
	count  int  // of a folder
	closed bool // folder
	inside bool // a conversation in a folder
	c      *store.Conversation
	hit    *store.Hit
}

// content is what the list is made of.
type content struct {
	folders       []store.Folder
	conversations []store.Conversation // the last updated first
	query         string
	hits          []store.Hit
}

// rows lists the content: what a search found, or the folders with theirs and
// then the conversations in none.
func (c *content) rows(closed map[store.ID]bool, notes notes) []row {
	if strings.TrimSpace(c.query) != "" {
		return c.found(notes)
	}
	if len(c.conversations) == 0 && len(c.folders) == 0 {
		return []row{{kind: noteRow, title: notes.empty}}
	}
	in := map[store.ID][]*store.Conversation{}
	for i := range c.conversations {
		conv := &c.conversations[i]
		folder := conv.Folder
		if !slices.ContainsFunc(c.folders, func(f store.Folder) bool { return f.ID == folder }) {
			folder = ""
		}
		in[folder] = append(in[folder], conv)
	}
	var out []row
	list := func(folder store.ID, inside bool) {
		for _, conv := range in[folder] {
			out = append(out, row{kind: conversationRow, id: conv.ID, title: conv.Title, inside: inside, c: conv})
		}
	}
	for _, f := range c.folders {
		out = append(out, row{kind: folderRow, id: f.ID, title: f.Name, count: len(in[f.ID]), closed: closed[f.ID]})
		if !closed[f.ID] {
			list(f.ID, true)
		}
	}
	if len(c.folders) > 0 && len(in[""]) > 0 {
		out = append(out, row{kind: folderRow, title: notes.unfiled, count: len(in[""]), closed: closed[""]})
		if closed[""] {
			return out
		}
	}
	list("", false)
	return out
}

// notes are texts of rows that are none of the user's.
type notes struct{ empty, nothing, unfiled string }

func (c *content) found(notes notes) []row {
	if len(c.hits) == 0 {
		return []row{{kind: noteRow, title: notes.nothing}}
	}
	out := make([]row, len(c.hits))
	for i := range c.hits {
		h := &c.hits[i]
		out[i] = row{kind: hitRow, id: h.Conversation, title: h.Title, hit: h}
	}
	return out
}

// Runes of a snippet before its first match: few, as the sidebar is narrow.
const snippetBefore = 14

// snippet cuts a hit's text to begin shortly before its first match, and gives
// its pieces in turn: not matched, matched, not matched, …
func snippet(h *store.Hit) []string {
	text, matches := h.Text, h.Matches
	if len(matches) == 0 {
		return []string{text}
	}
	from := matches[0][0]
	for n := 0; n < snippetBefore && from > 0; n++ {
		from--
		for from > 0 && text[from]&0xC0 == 0x80 { // within a rune
			from--
		}
	}
	var out []string
	head := ""
	if from > 0 {
		head = "…"
	}
	at := from
	for _, m := range matches {
		out = append(out, head+text[at:m[0]], text[m[0]:m[1]])
		head, at = "", m[1]
	}
	return append(out, text[at:])
}
