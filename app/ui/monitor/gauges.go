package monitor

import (
	"fmt"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"kestrel/app/sensors"
	"kestrel/app/ui/look"
)

// gauge shows one reading of a sensor, or why there is none.
type gauge struct {
	card         *card
	title, value *text
	name         string
}

func newGauge(title string) *gauge {
	g := &gauge{name: title, title: newText(look.ColorMuted, theme.SizeNameCaptionText), value: newText(theme.ColorNameForeground, theme.SizeNameSubHeadingText)}
	g.title.set(title)
	g.card = newCard("", nil, g.title.line, g.value.line)
	return g
}

func (g *gauge) set(r sensors.Reading, format func(float64) string) {
	g.title.set(g.name)
	if r.Known {
		g.value.size = theme.SizeNameSubHeadingText
		g.value.set(format(r.Value))
		return
	}
	g.value.size = theme.SizeNameCaptionText
	g.value.show(why(r.Why), theme.Color(look.ColorMuted))
}

// why says in words why a reading is not known.
func why(r sensors.Reason) string {
	switch r {
	case "": // not read yet
		return "…"
	case sensors.Software:
		return look.T("monitor.why_software")
	case sensors.Asleep:
		return look.T("monitor.why_asleep")
	case sensors.NoLibrary:
		return look.T("monitor.why_no_library")
	case sensors.Ambiguous:
		return look.T("monitor.why_ambiguous")
	case sensors.Counting:
		return look.T("monitor.why_counting")
	}
	return look.T("monitor.why_not_available")
}

// gauges are load, temperature, power and clock.
type gauges struct {
	box                             *fyne.Container // the tiles
	noteCard                        *card           // in their place where none is known
	note                            *widget.RichText
	noted                           string
	busy, temperature, power, clock *gauge
}

func newGauges() *gauges {
	g := &gauges{busy: newGauge(look.T("monitor.busy")), temperature: newGauge(look.T("monitor.temperature")),
		power: newGauge(look.T("monitor.power")), clock: newGauge(look.T("monitor.clock")), note: widget.NewRichText()}
	g.box = container.New(&tiles{columns: 4}, g.busy.card.box, g.temperature.card.box, g.power.card.box, g.clock.card.box)
	g.note.Wrapping = fyne.TextWrapWord
	g.noteCard = newCard("", nil, g.note)
	g.noteCard.box.Hide()
	return g
}

// set shows the readings; where all are unknown for the same reason, that once.
// It tells whether the height changed.
func (g *gauges) set(loaded bool, s sensors.Snapshot) (changed bool) {
	r := s.Busy.Why
	none := r != "" && r != sensors.Counting && !s.Busy.Known && !s.Temperature.Known && !s.Power.Known && !s.Clock.Known &&
		s.Temperature.Why == r && s.Power.Why == r && s.Clock.Why == r
	changed = show(g.box, loaded && !none)
	changed = show(g.noteCard.box, loaded && none) || changed
	if none {
		if text := look.T("monitor.no_sensors", why(r)); g.noted != text {
			g.noted = text
			g.note.Segments = []widget.RichTextSegment{&widget.TextSegment{Text: text,
				Style: widget.RichTextStyle{ColorName: look.ColorMuted, SizeName: theme.SizeNameCaptionText}}}
			g.note.Refresh()
			changed = true
		}
		return changed
	}
	g.busy.set(s.Busy, func(v float64) string { return fmt.Sprintf("%.0f %%", v*100) })
	g.temperature.set(s.Temperature, func(v float64) string { return fmt.Sprintf("%.0f °C", v) })
	g.power.set(s.Power, func(v float64) string { return fmt.Sprintf("%.0f W", v) })
	g.clock.set(s.Clock, func(v float64) string { return fmt.Sprintf("%.0f MHz", v/1e6) })
	if s.BusyPartial && s.Busy.Known {
		g.busy.title.set(look.T("monitor.busy_partial"))
	}
	return changed
}

func (g *gauges) cards() []*card {
	return []*card{g.noteCard, g.busy.card, g.temperature.card, g.power.card, g.clock.card}
}
