// Package ui is Kestrel's window. It puts the views together, each of which is a
// package of its own: the sidebar of conversations, the chat, the monitor of
// memory, the chooser of models, the settings.
//
// All widgets belong to Fyne's goroutine. The session calls back on a goroutine
// of its own; the window takes the newest snapshot to Fyne's goroutine and gives
// it to the views, which draw what differs and send commands. The window owns
// the store and the session and closes both when it is closed.
package ui
