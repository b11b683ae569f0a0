package monitor

import (
	"image/color"
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"

	"kestrel/app/sensors"
	"kestrel/app/session"
	"kestrel/app/ui/look"
	"kestrel/app/ui/parts"
	"kestrel/engine/vulkan"
)

// heapRow is one heap: what Kestrel and other programs use of it, and the budget.
type heapRow struct {
	name           *parts.Note
	used           *text
	bar            *bar
	budget, others *parts.Note
	box            *fyne.Container
}

func newHeapRow() *heapRow {
	r := &heapRow{name: parts.NewNote("", theme.ColorNameForeground, theme.SizeNameText), used: newText(theme.ColorNameForeground, theme.SizeNameText),
		bar:    newBar(14),
		budget: newNote(""), others: newNote("")}
	r.box = container.NewVBox(parts.Pair(r.name, r.used.line), r.bar, parts.Pair(r.budget, r.others))
	return r
}

func heapName(h vulkan.Heap) string {
	switch {
	case h.DeviceLocal && h.HostVisible:
		return look.T("monitor.heap_device_visible")
	case h.DeviceLocal:
		return look.T("monitor.heap_device")
	case h.HostVisible:
		return look.T("monitor.heap_host")
	}
	return look.T("monitor.heap_other")
}

// set shows a heap.
func (r *heapRow) set(h vulkan.Heap, own int64, others *sensors.Memory) {
	r.name.Set(heapName(h))
	r.used.set(look.T("monitor.used_of", look.Bytes(h.Used), look.Bytes(h.Size)))
	size := float64(max(h.Size, 1))
	segments := []segment{{float64(own) / size, theme.Color(look.ColorPlotOne)}}
	mark := -1.0
	if h.BudgetKnown {
		// a budget may be more than the heap: the mark stays at the end then
		mark = min(float64(h.Budget)/size, 1)
		r.budget.Set(look.T("monitor.budget", look.Bytes(h.Budget), look.Bytes(h.Free())))
	} else {
		r.budget.Set(look.T("monitor.budget_unknown"))
	}
	switch {
	case others == nil:
		r.others.Set("")
	case !others.Others.Known:
		r.others.Set(look.T("monitor.others_unknown", why(others.Others.Why)))
	default:
		used := int64(others.Others.Value)
		segments = append(segments, segment{min(float64(used)/size, 1-min(segments[0].share, 1)), othersHue.color()})
		if others.Partial {
			r.others.Set(look.T("monitor.others_partial", look.Bytes(used)))
		} else {
			r.others.Set(look.T("monitor.others", look.Bytes(used)))
		}
	}
	r.bar.set(segments, mark)
}

// heaps is the card of all heaps.
type heaps struct {
	card   *card
	list   *fyne.Container
	rows   []*heapRow
	legend []*legendEntry
}

func newHeaps() *heaps {
	h := &heaps{list: container.NewVBox()}
	h.legend = []*legendEntry{newLegendEntry(10, look.T("monitor.legend_own")), newLegendEntry(10, look.T("monitor.legend_others")),
		newLegendEntry(2, look.T("monitor.legend_budget"))}
	line := parts.Flow(16)
	for _, e := range h.legend {
		line.Add(e.box)
	}
	h.card = newCard(look.T("monitor.heaps"), nil, h.list, line)
	return h
}

// set shows the heaps and tells whether the card's height changed.
func (h *heaps) set(m *session.Memory, s sensors.Snapshot) (changed bool) {
	all := m.Heaps
	for i, c := range []color.Color{theme.Color(look.ColorPlotOne), othersHue.color(), theme.Color(theme.ColorNameForeground)} {
		h.legend[i].set(c)
	}
	for len(h.rows) < len(all) {
		row := newHeapRow()
		if len(h.rows) > 0 { // keep the heaps apart
			row.box.Objects = slices.Insert(row.box.Objects, 0, fyne.CanvasObject(spacer(2)))
		}
		h.rows = append(h.rows, row)
		h.list.Add(row.box)
	}
	for i, row := range h.rows {
		if i >= len(all) {
			changed = changed || row.box.Visible()
			row.box.Hide()
			continue
		}
		changed = changed || !row.box.Visible()
		row.box.Show()
		own, others := all[i].Used, othersOf(all, i, s)
		if m.Device.Type == vulkan.Software && all[i].BudgetKnown {
			// Mesa's software driver counts the whole system's use as this program's
			own = min(m.Report.Total, all[i].Used)
			others = &sensors.Memory{Others: sensors.Reading{Value: float64(all[i].Used - own), Known: true}}
		}
		row.set(all[i], own, others)
	}
	return changed
}

// othersOf is what the system tells of other programs in a heap: of the GPU's own
// memory in the largest device-local heap, of main memory in the largest other
// one; on a GPU that shares its memory, of main memory in the largest. nil for
// the rest.
func othersOf(all []vulkan.Heap, i int, s sensors.Snapshot) *sensors.Memory {
	local, host := largest(all, true), largest(all, false)
	switch {
	case i == local && host < 0 && !s.Local.Others.Known && s.Shared.Others.Known:
		return &s.Shared
	case i == local:
		return &s.Local
	case i == host:
		return &s.Shared
	}
	return nil
}

// largest is the index of the largest heap that is device-local or not, -1 for none.
func largest(all []vulkan.Heap, local bool) int {
	best := -1
	for i, h := range all {
		if h.DeviceLocal == local && (best < 0 || h.Size > all[best].Size) {
			best = i
		}
	}
	return best
}

// shortage is a warning where little of the device's memory is left, "" where there is enough.
func shortage(all []vulkan.Heap) string {
	i := largest(all, true)
	if i < 0 || !all[i].BudgetKnown || all[i].Size == 0 {
		return ""
	}
	h := all[i]
	switch {
	case h.Used > h.Budget:
		return look.T("monitor.warn_over", look.Bytes(h.Used), look.Bytes(h.Budget))
	case h.Free() < h.Size/20:
		return look.T("monitor.warn_low", look.Bytes(h.Free()), look.Bytes(h.Size))
	}
	return ""
}
