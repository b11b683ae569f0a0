// Package tell says what went wrong, and what to know of answers and documents,
// in the language of the window. All views show problems by it.
//
// It knows problems and notes by their kinds, so that such as were stored long
// ago are said in today's language; what has no kind keeps its own words.
package tell

import (
	"errors"
	"strings"

	"kestrel/app/session"
	"kestrel/app/ui/look"
)

// says is how a kind is said.
type says struct {
	key     string
	details bool // what is known beside it may be what helps
}

// problems are the kinds of problems.
var problems = map[session.Kind]says{
	session.KindOther:       {look.K("tell.other"), true},
	session.KindNoModel:     {look.K("tell.noModel"), false},
	session.KindOutOfMemory: {look.K("tell.outOfMemory"), true},
	session.KindDeviceLost:  {look.K("tell.deviceLost"), true},
	session.KindBadModel:    {look.K("tell.badModel"), true},
	session.KindUnsupported: {look.K("tell.unsupported"), true},
	session.KindNoDevice:    {look.K("tell.noDevice"), true},
	session.KindNotFinite:   {look.K("tell.notFinite"), true},
	session.KindTooLong:     {look.K("tell.tooLong"), true},
	session.KindTemplate:    {look.K("tell.template"), true},
	session.KindSampling:    {look.K("tell.sampling"), true},
	session.KindBusy:        {look.K("tell.busy"), false},
	session.KindNetwork:     {look.K("tell.network"), true},
	session.KindRefused:     {look.K("tell.refused"), true},
	session.KindHome:        {look.K("tell.noHome"), false},
	session.KindStore:       {look.K("tell.store"), true},
	session.KindNoSpace:     {look.K("tell.noSpace"), true},
	session.KindNoRight:     {look.K("tell.noRight"), true},
	session.KindLocked:      {look.K("tell.locked"), true},
	session.KindDamaged:     {look.K("tell.damaged"), true},
	session.KindNewer:       {look.K("tell.newer"), true},
	session.KindGone:        {look.K("tell.gone"), true},
	session.KindInvalid:     {look.K("tell.invalid"), true},
	session.KindCancelled:   {look.K("tell.cancelled"), false},
	session.KindDocument:    {look.K("tell.document"), true},
	session.KindMissing:     {look.K("tell.missing"), false},
	session.KindFolder:      {look.K("tell.folder"), false},
	session.KindEmpty:       {look.K("tell.empty"), false},
	session.KindFormat:      {look.K("tell.format"), false},
	session.KindEncoding:    {look.K("tell.encoding"), false},
	session.KindBroken:      {look.K("tell.broken"), false},
	session.KindEncrypted:   {look.K("tell.encrypted"), false},
	session.KindNoText:      {look.K("tell.noText"), false},
	session.KindBomb:        {look.K("tell.bomb"), false},
	session.KindTooLarge:    {look.K("tell.tooLarge"), true},
	session.KindSlow:        {look.K("tell.slow"), true},
	session.KindChanged:     {look.K("tell.changed"), false},
	session.KindUnread:      {look.K("tell.unreadable"), true},
}

// notes are the kinds of notes; their texts take the counts, then the names.
var notes = map[string]string{
	session.NotePart:       look.K("tell.part"),
	session.NoteBeginning:  look.K("tell.beginning"),
	session.NoteUnread:     look.K("tell.unread"),
	session.NoteCut:        look.K("tell.cut"),
	session.NoteBlank:      look.K("tell.blank"),
	session.NotePages:      look.K("tell.pages"),
	session.NoteCharset:    look.K("tell.charset"),
	session.NoteCharacters: look.K("tell.characters"),
	session.NoteChapters:   look.K("tell.chapters"),
}

// Problem says what went wrong and the way out.
func Problem(p *session.Problem) string {
	text := Brief(p)
	if p != nil && problems[p.Kind].details && p.Text != "" {
		text += "\n" + look.T("tell.details", p.Text)
	}
	return text
}

// Brief is Problem without the details, for where there is little room.
func Brief(p *session.Problem) string {
	if p == nil {
		return ""
	}
	if how, ok := problems[p.Kind]; ok {
		return look.T(how.key)
	}
	return p.Text
}

// Sentence is the first sentence of a text: what happened, without the way out.
func Sentence(text string) string {
	for _, end := range []string{"。", ". ", "\n"} {
		if first, _, found := strings.Cut(text, end); found {
			return first + strings.TrimSpace(end)
		}
	}
	return text
}

// Error is Problem of an error.
func Error(err error) string {
	if d := (*doing)(nil); errors.As(err, &d) {
		return d.what + ": " + Error(d.err)
	}
	if s := said(""); errors.As(err, &s) {
		return string(s)
	}
	return Problem(session.ProblemOf(err))
}

// Doing adds to an error what the user had asked for, in the window's language.
func Doing(what string, err error) error { return &doing{what, err} }

type doing struct {
	what string
	err  error
}

func (d *doing) Error() string { return d.what + ": " + d.err.Error() }
func (d *doing) Unwrap() error { return d.err }

// Said is an error in the window's own words.
func Said(text string) error { return said(text) }

type said string

func (s said) Error() string { return string(s) }

// Note says what there is to know, "" for none.
func Note(n session.Note) string {
	key, ok := notes[n.Kind]
	if !ok {
		return n.Text
	}
	var args []any
	for _, c := range n.Counts {
		args = append(args, c)
	}
	for _, name := range n.Names {
		args = append(args, name)
	}
	return look.T(key, args...)
}

// Stored says a problem that was stored.
func Stored(n session.Note) string {
	return Problem(&session.Problem{Kind: session.Kind(n.Kind), Names: n.Names, Text: n.Text})
}
