package monitor

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"kestrel/app/sensors"
	"kestrel/app/session"
	"kestrel/app/ui/look"
	"kestrel/app/ui/parts"
)

// Panel shows what a Recorder records, from Show to Hide: whoever hides what the
// panel lies in calls its Hide as well. It is born hidden. Its methods belong to
// Fyne's goroutine.
type Panel struct {
	widget.BaseWidget
	recorder *Recorder
	now      func() time.Time
	loop     parts.Loop
	stop     func() // nil while hidden
	newest   atomic.Pointer[Sample]
	shown    *Sample
	drawn    atomic.Pointer[Sample] // shown, for the recorder's goroutine
	device   string                 // whose list of devices is shown; "?" for none yet

	page    *page
	content *fyne.Container
	scroll  *parts.Scroll

	name, about *parts.Note
	warning     *widget.Label
	warningCard *card
	gauges      *gauges
	breakdown   *breakdown
	heaps       *heaps
	plot        *plot
	plotCard    *card
	memoryRow   *noteRow
	tokensRow   *noteRow
	span        time.Duration // of the plot; 0 is all
	programs    *programs
	devices     *devices
}

// spans are the times that the plot can show.
var spans = []time.Duration{5 * time.Minute, 30 * time.Minute, 0}

// NewPanel returns a hidden panel in the present language.
func NewPanel(r *Recorder, l parts.Loop) *Panel {
	p := &Panel{recorder: r, now: time.Now, loop: l, device: "?", span: spans[0],
		name: parts.NewNote("", theme.ColorNameForeground, theme.SizeNameSubHeadingText).Bold(), about: newNote(""),
		warning: widget.NewLabel(""), gauges: newGauges(), breakdown: newBreakdown(), heaps: newHeaps(), plot: newPlot(),
		memoryRow: newNoteRow(), tokensRow: newNoteRow(), programs: newPrograms(), devices: newDevices()}
	p.warning.Wrapping = fyne.TextWrapWord
	p.warning.Importance = widget.WarningImportance
	p.warningCard = newCard("", nil, container2(widget.NewIcon(theme.NewWarningThemedResource(theme.WarningIcon())), p.warning))
	p.warningCard.box.Hide()
	names := []string{look.T("monitor.span_minutes", 5), look.T("monitor.span_minutes", 30), look.T("monitor.span_all")}
	choice := parts.NewSelect(names, nil)
	choice.PlaceHolder = slices.MaxFunc(names, func(a, b string) int { return len(a) - len(b) }) // which decides its width
	choice.SetSelectedIndex(0)
	choice.OnChanged = func(string) {
		p.span = spans[choice.SelectedIndex()]
		p.drawPlot()
	}
	p.plotCard = newCard(look.T("monitor.history"), choice, newTiles(20, p.memoryRow.box, p.tokensRow.box), p.plot)
	p.page = &page{rows: [][]fyne.CanvasObject{
		{container.NewVBox(p.name, p.about)}, {p.warningCard.box}, {p.gauges.box}, {p.gauges.noteCard.box}, {p.breakdown.card.box, p.heaps.card.box},
		{p.plotCard.box}, {p.devices.card.box, p.programs.card.box},
	}}
	p.content = container.New(p.page, p.page.objects()...)
	p.scroll = parts.NewScroll(p.content)
	p.Hidden = true
	p.ExtendBaseWidget(p)
	return p
}

// CreateRenderer implements fyne.Widget.
func (p *Panel) CreateRenderer() fyne.WidgetRenderer {
	return &panelRenderer{p}
}

type panelRenderer struct{ p *Panel }

func (r *panelRenderer) Destroy()                     {}
func (r *panelRenderer) MinSize() fyne.Size           { return fyne.NewSize(320, 200) }
func (r *panelRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.p.scroll} }

func (r *panelRenderer) Layout(size fyne.Size) {
	r.p.page.width = size.Width
	r.p.scroll.Resize(size)
	r.p.scroll.Refresh() // the cards need another height
}

// Refresh takes over a new theme.
func (r *panelRenderer) Refresh() {
	p := r.p
	for _, c := range append(p.gauges.cards(), p.warningCard, p.breakdown.card, p.heaps.card, p.plotCard, p.programs.card, p.devices.card) {
		c.style()
	}
	for _, n := range []*parts.Note{p.name, p.about} {
		n.Refresh()
	}
	if p.shown != nil {
		p.draw(p.shown)
	}
	p.content.Refresh()
	p.scroll.Refresh()
	canvas.Refresh(p)
}

// Show begins to follow the recorder.
func (p *Panel) Show() {
	if p.stop == nil {
		p.stop = p.recorder.watch(p.receive)
		if s := p.recorder.Last(); s != nil {
			p.draw(s)
		}
		if p.shown == nil {
			p.listDevices()
		}
	}
	p.BaseWidget.Show()
}

// Hide ends it: nothing is drawn and no sensor read for a hidden panel.
func (p *Panel) Hide() {
	if p.stop != nil {
		p.stop()
		p.stop = nil
	}
	p.BaseWidget.Hide()
}

// receive comes from the recorder's goroutine. A window that is slow skips samples.
func (p *Panel) receive(s *Sample) {
	last := p.drawn.Load()
	// what was recorded while the panel was hidden has no readings of the sensors
	complete := last != nil && (!last.Memory.Loaded || last.Sensors.Busy != (sensors.Reading{}))
	if complete && rests(last.Memory, s.Memory) {
		return
	}
	if p.newest.Swap(s) != nil {
		return
	}
	p.loop.Do(func() {
		if s := p.newest.Swap(nil); s != nil && p.stop != nil {
			p.draw(s)
		}
	})
}

// idlePace is how often a panel is drawn while the model rests: the figures of
// the system alone are not worth drawing the window twice a second.
const idlePace = 2 * time.Second

// rests tells whether a moment is so like the last one drawn, and so soon after
// it, that it can be passed over.
func rests(last, m *session.Memory) bool {
	return !m.Working && !last.Working && m.Loaded == last.Loaded && m.Report.Total == last.Report.Total && m.TokensRead == last.TokensRead &&
		deviceKey(m.Device) == deviceKey(last.Device) && m.Time.Sub(last.Time) < idlePace
}

// draw shows a sample; only what differs is drawn anew.
func (p *Panel) draw(s *Sample) {
	p.shown = s
	p.drawn.Store(s)
	m := s.Memory
	if m.Loaded {
		p.name.Set(m.Device.Name)
		about := strings.TrimSpace(m.Device.Driver + " " + m.Device.DriverVersion)
		if s.Sensors.Source != "" {
			about = look.T("monitor.sensors_of", about, s.Sensors.Source)
		}
		if m.Working {
			about = look.T("monitor.working", about)
		}
		p.about.Set(about)
	} else {
		p.name.Set(look.T("monitor.no_model"))
		p.about.Set(look.T("monitor.no_model_about"))
	}
	changed := p.gauges.set(m.Loaded, s.Sensors)
	changed = show(p.heaps.card.box, m.Loaded && len(m.Heaps) > 0) || changed
	changed = p.breakdown.set(m) || changed
	changed = p.heaps.set(m, s.Sensors) || changed
	changed = p.programs.set(s.Sensors.Programs) || changed
	warning := ""
	if m.Loaded {
		warning = shortage(m.Heaps)
	}
	changed = show(p.warningCard.box, warning != "") || changed
	if p.warning.Text != warning {
		p.warning.SetText(warning)
		changed = true
	}
	p.drawPlot()
	// texts that differ may wrap otherwise
	if changed || p.page.place(p.page.width) != p.page.height {
		p.content.Refresh()
		p.scroll.Refresh()
	}
	if key := deviceKey(m.Device); key != p.device {
		p.device = key
		p.listDevices()
	}
}

func (p *Panel) drawPlot() {
	if p.shown == nil {
		return
	}
	m := p.shown.Memory
	p.memoryRow.set(theme.Color(look.ColorPlotOne), look.T("monitor.plot_memory", look.Bytes(m.Report.Total)))
	p.tokensRow.set(theme.Color(look.ColorPlotTwo), look.T("monitor.plot_tokens", look.Count(m.TokensRead)))
	p.plot.set(p.recorder.points(), p.span, p.now())
}

// show shows or hides an object, and tells whether that changed anything.
func show(o fyne.CanvasObject, visible bool) bool {
	if o.Visible() == visible {
		return false
	}
	if visible {
		o.Show()
	} else {
		o.Hide()
	}
	return true
}

// listing bounds the time that drivers take to list their devices.
const listing = 30 * time.Second

// listDevices asks for the devices, which may take a while.
func (p *Panel) listDevices() {
	inUse := ""
	if p.shown != nil && p.shown.Memory.Loaded {
		inUse = deviceKey(p.shown.Memory.Device)
	}
	p.loop.Work(func() func() {
		ctx, cancel := context.WithTimeout(context.Background(), listing)
		defer cancel()
		all, err := p.recorder.source.Devices(ctx)
		return func() {
			p.devices.set(all, inUse, err)
			p.content.Refresh()
		}
	})
}
