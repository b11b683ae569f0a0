package store

import (
	"encoding/json"
	"fmt"
)

// Note is something that is told to the user of a message or a document: why it
// failed, or what to know of it. Its kind, and what goes into its words, let it
// be said in the language of the day; the kinds are the caller's. The zero value
// is none.
type Note struct {
	Kind   string   `json:"kind,omitempty"`
	Counts []int    `json:"counts,omitempty"`
	Names  []string `json:"names,omitempty"`
	Text   string   `json:"text,omitempty"` // in English, with all that is known
}

// None says whether there is nothing to tell.
func (n Note) None() bool { return n.Kind == "" && n.Text == "" }

// column is a Note as a column of the database holds it.
type column[T Note | []Note] struct{ v *T }

// Scan implements sql.Scanner. What is no Note, as after damage, is none: all
// else of its message is worth more.
func (c column[T]) Scan(from any) error {
	var none T
	*c.v = none
	text, ok := from.(string)
	if !ok {
		return fmt.Errorf("a note is text and no %T", from)
	}
	if text != "" && json.Unmarshal([]byte(text), c.v) != nil {
		*c.v = none
	}
	return nil
}

// noteText is what a column holds of a Note, or of several.
func noteText[T Note | []Note](v T) string {
	switch n := any(v).(type) {
	case Note:
		if n.None() {
			return ""
		}
	case []Note:
		if len(n) == 0 {
			return ""
		}
	}
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // numbers and texts can always be written
	}
	return string(text)
}

// exported is a Note for a file, or nil.
func (n Note) exported() *Note {
	if n.None() {
		return nil
	}
	return &n
}

// with is what a file says of a Note, with its text where that stands apart.
func (n *Note) with(text string) Note {
	if n == nil {
		return Note{Text: text}
	}
	full := *n
	if text != "" {
		full.Text = text
	}
	return full
}

// kept is a problem for its column: its text stands in another.
func (n Note) kept() Note { n.Text = ""; return n }
