package document

import "fmt"

// NoteKind sorts notes.
type NoteKind string

// The kinds of notes.
const (
	NoteCharset    NoteKind = "charset"    // the text is no UTF-8, and read as Name
	NoteCharacters NoteKind = "characters" // Count damaged characters
	NoteChapters   NoteKind = "chapters"   // Count of Total chapters are missing
)

// Note is what a reader of a document should know.
type Note struct {
	Kind         NoteKind
	Count, Total int
	Name         string
}

// String is the note in English.
func (n Note) String() string {
	switch n.Kind {
	case NoteCharset:
		return "the text is no UTF-8; it is read as " + n.Name
	case NoteCharacters:
		return fmt.Sprintf("%d damaged characters are read as \ufffd", n.Count)
	case NoteChapters:
		return fmt.Sprintf("%d of %d chapters are missing in the file", n.Count, n.Total)
	}
	return string(n.Kind)
}
