// Package markdown shows Markdown that is still being written.
//
// A View holds one message. SetText gives it the text so far, as often as the
// writer likes; blocks that can no longer change are parsed and laid out once,
// only the last is done again. Only the lines near the viewport exist as canvas
// objects, so a message of any length scrolls alike.
//
// Text wraps by the rules of Unicode line breaking: Chinese between any two
// characters, but no line begins with closing punctuation. It is selected with
// the mouse, across blocks, and copied.
//
// Nothing is fetched: images show their description. A link is opened only after
// its address was shown, and only if it is http, https or mailto.
//
// Views belong to Fyne's goroutine, like every widget. Code is coloured on
// another, which hands its result back through fyne.Do.
package markdown
