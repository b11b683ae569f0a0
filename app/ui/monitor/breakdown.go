package monitor

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"

	"kestrel/app/session"
	"kestrel/app/ui/look"
	"kestrel/app/ui/parts"
)

// breakdown is the card of Kestrel's own memory by purpose.
type breakdown struct {
	card  *card
	total *text
	bar   *bar
	list  *fyne.Container
	rows  []*legendRow
	kept  *parts.Note
}

func newBreakdown() *breakdown {
	b := &breakdown{total: newText(theme.ColorNameForeground, theme.SizeNameText).bold(), bar: newBar(18), list: container.NewVBox(),
		kept: newNote("")}
	b.card = newCard(look.T("monitor.own_memory"), b.total.line, b.bar, b.list, b.kept)
	return b
}

// set shows the memory and tells whether the card's height changed.
func (b *breakdown) set(m *session.Memory) (changed bool) {
	parts, total := shares(m.Report)
	for len(b.rows) < len(parts) {
		row := newLegendRow()
		b.rows = append(b.rows, row)
		b.list.Add(row.box)
	}
	segments := make([]segment, len(parts))
	for i, row := range b.rows {
		if i >= len(parts) {
			changed = changed || row.box.Visible()
			row.box.Hide()
			continue
		}
		changed = changed || !row.box.Visible()
		row.box.Show()
		c := colorOf(parts[i])
		row.set(c, parts[i].name(), parts[i].text)
		segments[i] = segment{float64(parts[i].bytes) / float64(max(m.Report.Total, 1)), c}
	}
	b.total.set(total)
	b.bar.set(segments, -1)
	switch {
	case !m.Loaded:
		b.kept.Set(look.T("monitor.nothing_loaded"))
	default:
		b.kept.Set(look.T("monitor.kept", look.Bytes(m.SavedRAM), look.Bytes(m.SavedDisk)))
	}
	return changed
}
