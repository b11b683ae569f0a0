// Package chatview shows the open conversation of a session: its turns, the
// documents in it, and the place to write.
//
// A View subscribes to its session and shows each snapshot; what the user does
// becomes the session's commands. It keeps no state of the conversation besides
// what is being typed. Only the turns near the viewport exist as widgets.
//
// Views belong to Fyne's goroutine; snapshots reach them through Deps.Do.
package chatview
