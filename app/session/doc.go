// Package session stands between the window and the engine: one Session owns
// the model that is loaded, answers in conversations and reads documents.
//
// The window sends commands and is given snapshots. A command returns at once
// and never blocks; what becomes of it shows in the snapshots that follow, and
// where it fails, in a Notice or in the Problem of the message, document or
// model that it was about. Queries, which take a context, answer their caller
// and may take time: call them off the window's goroutine.
//
// A Snapshot and all that it points to is immutable. Parts that did not change
// are the same pointers as in the snapshot before, so that comparing pointers
// tells what to draw again. Subscribers get at most 30 a second; snapshots in
// between are skipped, the last never is.
//
// Every method may be called from any goroutine. Callbacks come from one
// goroutine of the session, one at a time, and must return soon; they may send
// commands. After Close nothing is called back any more.
//
// What is worth keeping is stored before it is worked on: the user's message
// before its answer begins, the answer as it grows, the model's state after
// every turn and every section of a document. A crash loses at most the second
// of text that was not written yet.
//
// It does not provide windows or texts in other languages (app/ui), the lists
// of conversations, folders, presets, settings and search (app/store, which the
// window reads itself; Snapshot.Changes tells when), readings of sensors, or
// more than one loaded model.
package session
