package monitor

import (
	"cmp"
	"fmt"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"

	"kestrel/app/sensors"
	"kestrel/app/ui/look"
	"kestrel/app/ui/parts"
)

// gauge shows one reading of a sensor, or why there is none.
type gauge struct {
	card         *card
	title, value *parts.Note
	name         string
}

func newGauge(title string) *gauge {
	g := &gauge{name: title, title: newNote(title), value: parts.NewNote("", theme.ColorNameForeground, theme.SizeNameSubHeadingText)}
	g.card = newCard("", nil, g.title, g.value)
	return g
}

// set shows a reading under the gauge's name, or under another title where that
// is not "", and tells whether it needs another height.
func (g *gauge) set(r sensors.Reading, title string, format func(float64) string) (changed bool) {
	before := g.card.box.MinSize().Height
	g.title.Set(cmp.Or(title, g.name))
	if r.Known {
		g.value.Restyle(format(r.Value), theme.ColorNameForeground, theme.SizeNameSubHeadingText)
	} else {
		g.value.Restyle(why(r.Why), look.ColorMuted, theme.SizeNameCaptionText)
	}
	return g.card.box.MinSize().Height != before
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
	note                            *parts.Note
	busy, temperature, power, clock *gauge
}

func newGauges() *gauges {
	g := &gauges{busy: newGauge(look.T("monitor.busy")), temperature: newGauge(look.T("monitor.temperature")),
		power: newGauge(look.T("monitor.power")), clock: newGauge(look.T("monitor.clock")), note: newNote("")}
	g.box = newTiles(9, g.busy.card.box, g.temperature.card.box, g.power.card.box, g.clock.card.box)
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
		g.note.Set(look.T("monitor.no_sensors", why(r)))
		return changed
	}
	busy := ""
	if s.BusyPartial && s.Busy.Known {
		busy = look.T("monitor.busy_partial")
	}
	changed = g.busy.set(s.Busy, busy, func(v float64) string { return fmt.Sprintf("%.0f %%", v*100) }) || changed
	changed = g.temperature.set(s.Temperature, "", func(v float64) string { return fmt.Sprintf("%.0f °C", v) }) || changed
	changed = g.power.set(s.Power, "", func(v float64) string { return fmt.Sprintf("%.0f W", v) }) || changed
	return g.clock.set(s.Clock, "", func(v float64) string { return fmt.Sprintf("%.0f MHz", v/1e6) }) || changed
}

func (g *gauges) cards() []*card {
	return []*card{g.noteCard, g.busy.card, g.temperature.card, g.power.card, g.clock.card}
}
