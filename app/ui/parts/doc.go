// Package parts holds the small widgets that the views of the window are built
// of: buttons that tell what they do, dialogs that obey the keyboard, cards.
//
// A focused widget that has no use for a key passes it on to its canvas, so
// that Escape works wherever the focus is; see Pass. All of it is for Fyne's
// goroutine.
package parts
