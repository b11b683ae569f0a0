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
	details bool                          // what is known beside it may be what helps
	exactly func(*session.Problem) string // with its figures and names; "" where they are not known
}

// problems are the kinds of problems.
var problems = map[session.Kind]says{
	session.KindOther:       {look.K("tell.other"), true, nil},
	session.KindNoModel:     {look.K("tell.noModel"), false, nil},
	session.KindOutOfMemory: {look.K("tell.outOfMemory"), true, outOfMemory},
	session.KindDeviceLost:  {look.K("tell.deviceLost"), true, nil},
	session.KindBadModel:    {look.K("tell.badModel"), true, named(look.K("tell.badModel.file"), look.K("tell.badModel.tensor"))},
	session.KindUnsupported: {look.K("tell.unsupported"), true, named(look.K("tell.unsupported.file"))},
	session.KindNoDevice:    {look.K("tell.noDevice"), true, nil},
	session.KindHostMemory:  {look.K("tell.hostMemory"), true, nil},
	session.KindDeviceLimit: {look.K("tell.deviceLimit"), true, nil},
	session.KindNoTensor:    {look.K("tell.noTensor"), true, named(look.K("tell.noTensor.file"), look.K("tell.noTensor.tensor"))},
	session.KindNoLoader:    {look.K("tell.noLoader"), true, nil},
	session.KindNoDriver:    {look.K("tell.noDriver"), true, nil},
	session.KindNotThere:    {look.K("tell.notThere.any"), true, named(look.K("tell.notThere"))},
	session.KindUnusable:    {look.K("tell.unusable"), true, unusable},
	session.KindState:       {look.K("tell.state"), true, nil},
	session.KindBadState:    {look.K("tell.badState"), true, nil},
	session.KindNoPart:      {look.K("tell.noPart"), false, nil},
	session.KindWrongBytes:  {look.K("tell.wrongBytes"), true, named(look.K("tell.wrongBytes.file"))},
	session.KindNoModelFile: {look.K("tell.noModelFile"), true, nil},
	session.KindIncomplete:  {look.K("tell.incomplete"), true, named(look.K("tell.incomplete.file"))},
	session.KindTaken:       {look.K("tell.taken"), true, nil},
	session.KindAmbiguous:   {look.K("tell.ambiguous"), true, nil},
	session.KindBadName:     {look.K("tell.badName"), true, nil},
	session.KindChoice:      {look.K("tell.choice"), false, choice},
	session.KindWriting:     {look.K("tell.writing"), true, nil},
	session.KindUnsafe:      {look.K("tell.unsafe"), true, nil},
	session.KindManifest:    {look.K("tell.manifest"), true, nil},
	session.KindFile:        {look.K("tell.file"), true, nil},
	session.KindNotFinite:   {look.K("tell.notFinite"), true, nil},
	session.KindTooLong:     {look.K("tell.tooLong"), true, nil},
	session.KindTemplate:    {look.K("tell.template"), true, nil},
	session.KindSampling:    {look.K("tell.sampling"), true, nil},
	session.KindBusy:        {look.K("tell.busy"), false, nil},
	session.KindNetwork:     {look.K("tell.network"), true, nil},
	session.KindRefused:     {look.K("tell.refused"), true, nil},
	session.KindHome:        {look.K("tell.noHome"), false, nil},
	session.KindStore:       {look.K("tell.store"), true, nil},
	session.KindNoSpace:     {look.K("tell.noSpace"), true, noSpace},
	session.KindNoRight:     {look.K("tell.noRight"), true, nil},
	session.KindLocked:      {look.K("tell.locked"), true, nil},
	session.KindDamaged:     {look.K("tell.damaged"), true, nil},
	session.KindNewer:       {look.K("tell.newer"), true, nil},
	session.KindGone:        {look.K("tell.gone"), true, nil},
	session.KindInvalid:     {look.K("tell.invalid"), true, nil},
	session.KindCancelled:   {look.K("tell.cancelled"), false, nil},
	session.KindDocument:    {look.K("tell.document"), true, nil},
	session.KindMissing:     {look.K("tell.missing"), false, nil},
	session.KindFolder:      {look.K("tell.folder"), false, nil},
	session.KindEmpty:       {look.K("tell.empty"), false, nil},
	session.KindFormat:      {look.K("tell.format"), false, nil},
	session.KindEncoding:    {look.K("tell.encoding"), false, nil},
	session.KindBroken:      {look.K("tell.broken"), false, nil},
	session.KindEncrypted:   {look.K("tell.encrypted"), false, nil},
	session.KindNoText:      {look.K("tell.noText"), false, nil},
	session.KindBomb:        {look.K("tell.bomb"), false, nil},
	session.KindTooLarge:    {look.K("tell.tooLarge"), true, nil},
	session.KindSlow:        {look.K("tell.slow"), true, nil},
	session.KindChanged:     {look.K("tell.changed"), false, nil},
	session.KindUnread:      {look.K("tell.unreadable"), true, nil},
}

// notes are the kinds of notes; their texts take the counts, then the names.
var notes = map[string]string{
	session.NotePart:       look.K("tell.part"),
	session.NoteBeginning:  look.K("tell.beginning"),
	session.NoteUnread:     look.K("tell.unread"),
	session.NoteCut:        look.K("tell.cut"),
	session.NoteCircled:    look.K("tell.circled"),
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
		if how.exactly != nil {
			if text := how.exactly(p); text != "" {
				return text
			}
		}
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
	return Problem(&session.Problem{Kind: session.Kind(n.Kind), Names: n.Names, Counts: n.Counts, Text: n.Text})
}
