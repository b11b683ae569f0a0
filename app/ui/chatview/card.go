package chatview

import (
	"strconv"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"kestrel/app/session"
	"kestrel/app/ui/look"
	"kestrel/app/ui/markdown"
	"kestrel/app/ui/parts"
	"kestrel/app/ui/tell"
)

// wordChoices are the lengths of a summary to choose from.
var wordChoices = []int{50, 100, 150, 300, 500, 1000}

// card shows a document: what it is, how far it is read, what is known so far.
type card struct {
	widget.BaseWidget
	chat *View
	doc  *session.Document

	ground   *shade
	icon     *widget.Icon
	name     *markdown.View
	facts    *markdown.View
	notes    *markdown.View
	progress *widget.ProgressBar
	status   *caption
	words    *parts.Select
	wordsOf  *caption
	start    *parts.Button
	pause    *parts.Button
	resume   *parts.Button
	cancel   *parts.Button
	line     *shade
	title    *caption // of the partial summary
	partial  *markdown.View
	fault    *faultBox

	objects []fyne.CanvasObject
	dirty   bool
	width   float32
	height  float32
	partAt  float32
}

func newCard(v *View, d *session.Document) *card {
	c := &card{
		chat: v, ground: newShade(look.ColorCard, 10), icon: widget.NewIcon(theme.DocumentIcon()),
		name: v.newBody(), facts: v.newBody(), notes: v.newBody(), progress: widget.NewProgressBar(),
		status: newCaption(""), wordsOf: newCaption(look.T("chat.wordsOf")), line: newShade(theme.ColorNameSeparator, 0),
		title: newCaption(""), partial: v.newBody(),
	}
	c.ground.border = theme.ColorNameSeparator
	c.ExtendBaseWidget(c)
	c.progress.TextFormatter = func() string { return "" }
	var options []string
	for _, n := range wordChoices {
		options = append(options, strconv.Itoa(n))
	}
	c.words = parts.NewSelect(options, nil)
	c.words.PlaceHolder = "1000" // which decides its width
	c.words.SetSelected(strconv.Itoa(session.DefaultWords))
	c.start = parts.NewButton(look.T("chat.start"), func() {
		words, err := strconv.Atoi(c.words.Selected)
		if err != nil { // the options are numbers
			words = session.DefaultWords
		}
		v.begin()
		v.session.Read(c.doc.ID, words)
		v.thread.toEnd()
	}).Primary()
	c.pause = parts.NewButton(look.T("chat.pause"), func() { v.session.Pause(c.doc.ID) })
	c.pause.SetIcon(theme.MediaPauseIcon())
	c.resume = parts.NewButton(look.T("chat.resume"), func() { v.session.Resume(c.doc.ID) }).Primary()
	c.resume.SetIcon(theme.MediaPlayIcon())
	c.cancel = parts.NewButton("", func() { v.session.Cancel(c.doc.ID) })
	for _, b := range []*parts.Button{c.start, c.pause, c.resume, c.cancel} {
		b.OnFocused = func() { v.thread.show(b) }
	}
	c.words.OnFocused = func() { v.thread.show(c.words) }
	if d.Wanted > 0 {
		n := strconv.Itoa(d.Wanted)
		if c.words.SetSelected(n); c.words.Selected != n {
			c.words.Options = append(c.words.Options, n)
			c.words.SetSelected(n)
		}
	}
	c.show(d)
	return c
}

// show brings the card in line with its document.
func (c *card) show(d *session.Document) {
	if c.doc == d {
		return
	}
	c.doc, c.dirty = d, true
	name := d.Name
	if d.Title != "" && d.Title != d.Name {
		name = d.Title
	}
	c.name.SetPlain(name, markdown.Plain{Bold: true})
	facts := documentFacts(d)
	if d.Stage == session.Inspecting || d.Stage == session.Unreadable {
		facts = ""
	}
	if name != d.Name {
		facts = dotted(d.Name, facts)
	}
	c.facts.SetPlain(facts, markdown.Plain{Muted: true, Small: true})
	c.notes.SetPlain(c.noteText(), markdown.Plain{Muted: true, Small: true})
	c.status.set(c.statusText())
	if p := d.Progress; p.Total > 0 {
		c.progress.SetValue(float64(p.Done) / float64(p.Total))
	} else {
		c.progress.SetValue(0)
	}
	if d.Partial != nil {
		c.partial.SetText(d.Partial.Text, !d.Partial.Fresh)
		fresh := ""
		if !d.Partial.Fresh {
			fresh = look.T("chat.partialRenewed")
		}
		c.title.set(dotted(look.T("chat.partial", share(d.Partial.Share)), fresh))
	}
	problem := d.Problem
	if d.Stage != session.Unreadable && d.Stage != session.Interrupted {
		problem = nil
	}
	if c.fault = reuse(c.fault, problem); c.fault == nil && problem != nil {
		c.fault = c.chat.newFault(problem, nil)
	}
	cancel := look.T("chat.cancel")
	if d.Stage == session.Unreadable || d.Stage == session.Ready {
		cancel = look.T("chat.remove")
	}
	if c.cancel.Text != cancel {
		c.cancel.SetText(cancel)
	}
	c.collect()
}

// reads reports whether a progress bar belongs on the card.
func (c *card) reads() bool {
	switch c.doc.Stage {
	case session.Inspecting, session.ReadingText, session.Paused, session.Interrupted:
		return true
	}
	return false
}

func (c *card) statusText() string {
	d := c.doc
	switch d.Stage {
	case session.Inspecting:
		return look.T("chat.inspecting")
	case session.Ready:
		if d.Estimate >= 0 {
			return look.T("chat.estimate", look.Duration(d.Estimate))
		}
	case session.Queued:
		return look.T("chat.waiting")
	case session.ReadingText:
		return progressText(d.Progress)
	case session.Paused:
		p := d.Progress
		p.Rate, p.ETA = 0, -1
		return dotted(look.T("chat.paused"), progressText(p))
	case session.Summarizing:
		return look.T("chat.summarizing")
	case session.Interrupted:
		p := d.Progress
		p.Rate, p.ETA = 0, -1
		return progressText(p)
	case session.Cancelled:
		return look.T("chat.stoppedAt", look.Count(d.Progress.Done))
	case session.Done:
		return look.T("chat.read")
	}
	return ""
}

// noteText is what a reader should know.
func (c *card) noteText() string {
	d := c.doc
	text := ""
	if d.Beyond > 0 && d.Stage != session.Unreadable {
		text = look.T("chat.beyondDocument", look.Count(d.Trained))
	}
	for _, n := range d.Notes {
		if text != "" {
			text += "\n"
		}
		text += tell.Note(n)
	}
	return text
}

func (c *card) shows(b *parts.Button, stages ...session.Stage) bool {
	for _, s := range stages {
		if c.doc.Stage == s {
			return true
		}
	}
	return false
}

// buttons that the stage offers.
func (c *card) buttons() []*parts.Button {
	var out []*parts.Button
	add := func(b *parts.Button, stages ...session.Stage) {
		if c.shows(b, stages...) {
			out = append(out, b)
		}
	}
	add(c.start, session.Ready)
	add(c.pause, session.ReadingText, session.Queued)
	add(c.resume, session.Paused, session.Interrupted)
	add(c.cancel, session.Inspecting, session.Ready, session.Unreadable, session.Queued, session.ReadingText, session.Paused, session.Interrupted)
	return out
}

func (c *card) collect() {
	c.objects = append(c.objects[:0], c.ground, c.icon, c.name)
	if c.facts.Text() != "" {
		c.objects = append(c.objects, c.facts)
	}
	if c.notes.Text() != "" {
		c.objects = append(c.objects, c.notes)
	}
	if c.fault != nil {
		c.objects = append(c.objects, c.fault)
	}
	if c.reads() {
		c.objects = append(c.objects, c.progress)
	}
	if c.status.whole != "" {
		c.objects = append(c.objects, c.status)
	}
	if c.doc.Stage == session.Ready {
		c.objects = append(c.objects, c.words, c.wordsOf)
	}
	for _, b := range c.buttons() {
		c.objects = append(c.objects, b)
	}
	if c.hasPartial() {
		c.objects = append(c.objects, c.line, c.title, c.partial)
	}
	canvasRefresh(c)
}

// hasPartial reports whether a summary so far is to be seen: until there is one
// of the whole.
func (c *card) hasPartial() bool {
	if c.doc.Partial == nil || c.doc.Partial.Text == "" {
		return false
	}
	return c.doc.Stage != session.Done && c.doc.Stage != session.Summarizing
}
