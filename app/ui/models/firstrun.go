package models

import (
	"context"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"

	"kestrel/app/session"
	"kestrel/app/ui/look"
	"kestrel/app/ui/parts"
)

// FirstRun is the card that says how to get a model for real work. get opens
// the chooser, dismiss is told that the user wants it to go.
func FirstRun(o Options, get, dismiss func()) fyne.CanvasObject {
	text := parts.Muted(look.T("models.first.text"))
	card := parts.Column(
		parts.Heading(look.T("models.first.title")),
		text,
		parts.Flow(theme.Padding(), parts.NewButton(look.T("models.first.get"), get).Primary(),
			parts.NewButton(look.T("models.import"), func() { (&Chooser{o: o}).importModel() }),
			parts.NewButton(look.T("models.first.later"), dismiss)),
	)
	o.Loop.Work(func() func() {
		sizes := advice(o.Session)
		return func() {
			if sizes != "" {
				parts.SetMuted(text, look.T("models.first.text")+" "+sizes)
				card.Refresh()
			}
		}
	})
	return parts.Card(card)
}

// advice says which of the published 7B models suits the device, "" where the
// devices cannot be asked.
func advice(s session.Session) string {
	choices, err := s.Choices(context.Background())
	if err != nil {
		return ""
	}
	free, device := int64(-1), ""
	if m := s.Snapshot().Model; m.State == session.Loaded {
		device = DeviceName(m.Device.Name)
	}
	best, least := session.Choice{}, session.Choice{}
	for _, c := range choices {
		if c.Source != session.Published || !c.Chat || c.Known == nil {
			continue
		}
		r, _ := asPublished(c, session.LoadRequest{})
		e, err := s.Estimate(context.Background(), r)
		if err == nil {
			free = e.Budget
			if device == "" {
				device = DeviceName(e.Device)
			}
		}
		if err == nil && e.Fits && c.Bytes > best.Bytes {
			best = c
		}
		if least.Name == "" || c.Bytes < least.Bytes {
			least = c
		}
	}
	switch {
	case free < 0 || least.Name == "":
		return ""
	case best.Name != "":
		return look.T("models.first.fits", device, look.Bytes(free), title(best), look.Bytes(best.Bytes))
	}
	return look.T("models.first.small", device, look.Bytes(free), title(least), look.Bytes(least.Bytes))
}
