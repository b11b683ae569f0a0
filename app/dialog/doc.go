// Package dialog leads conversations: it turns messages into the text that a
// model was trained on, and feeds an engine session what of that text it has
// not read yet.
//
// A Reader is an engine session that knows what it has read. It keeps marks,
// the states at places of texts it came by; reading a text begins from the
// longest mark that is a beginning of it, so that taking a turn back, answering
// it anew or going on after a restart reads nothing twice.
//
// A document stands in a message as a Source and is never held whole: its text
// is streamed into the model, from any place where an earlier reading stopped.
// What was read of it so far can be asked about, in another session that begins
// from the state there: see Prompt.Parts.
//
// A Reader is for one goroutine at a time. It does not provide storage (marks
// that a caller kept are handed to Read), a choice of model, or words for
// users.
package dialog
