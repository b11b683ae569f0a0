// Package sidebar is the list of conversations at the left of the window: in
// folders, found by title and by what was said, renamed, moved, deleted and
// taken back, exported and imported.
//
// It reads the store itself, off Fyne's goroutine, and says what is to be
// opened; it never changes the session but through the hooks that it is given.
// All methods are for Fyne's goroutine.
package sidebar
