package models

import (
	"context"
	"errors"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/dialog"
	"fyne.io/fyne/v2/layout"
	"fyne.io/fyne/v2/widget"

	"kestrel/app/session"
	"kestrel/app/ui/look"
	"kestrel/app/ui/parts"
	"kestrel/app/ui/tell"
	"kestrel/engine/checkpoint"
	"kestrel/engine/vulkan"
)

// Options of the chooser.
type Options struct {
	Session session.Session
	Window  fyne.Window
	Loop    parts.Loop
	// Loaded is told what was asked to be loaded, to be remembered; may be nil.
	Loaded func(session.LoadRequest)
}

// Chooser is the dialog that chooses model, precision and device.
type Chooser struct {
	o      Options
	dialog *dialog.CustomDialog

	list      *modelList
	transfers *Transfers
	device    *parts.Select
	precision *parts.Select
	about     *widget.Label
	note      *widget.RichText
	memory    *fyne.Container // the estimate
	unusable  *fyne.Container // devices, with the reason
	problem   *widget.Label
	act       *parts.Button
	details   *fyne.Container

	choices  []session.Choice
	devices  []vulkan.DeviceInfo
	names    []string // of the usable devices, as listed
	selected int      // of choices
	asked    int      // counts estimates: only the last one is shown
}

// Open shows the chooser. Show must be given the snapshots while it is open.
func Open(o Options) *Chooser {
	c := &Chooser{o: o, selected: -1, transfers: NewTransfers(o.Session), memory: parts.Column(), unusable: parts.Column()}
	c.list = newModelList(c)
	c.about = parts.Heading("")
	c.note = parts.Muted("")
	c.problem = parts.Text("")
	c.problem.Importance = widget.DangerImportance
	c.problem.Hide()
	c.device = parts.NewSelect(nil, func(string) { c.estimate() })
	c.precision = parts.NewSelect(nil, func(string) { c.estimate() })
	var names []string
	for _, p := range checkpoint.Precisions() {
		names = append(names, strings.ToUpper(p.String()))
	}
	c.precision.SetOptions(append([]string{look.T("models.as.stored")}, names...))
	c.act = parts.NewButton(look.T("models.load"), c.doIt).Primary()
	form := container.New(layout.NewFormLayout(),
		widget.NewLabel(look.T("models.device")), c.device,
		widget.NewLabel(look.T("models.precision")), c.precision)
	c.details = parts.Column(c.about, c.note, form, c.problem, c.memory, c.unusable)
	split := container.NewHSplit(container.NewBorder(nil, nil, nil, nil, c.list), container.NewPadded(parts.NewScroll(c.details)))
	split.SetOffset(0.44)
	body := container.NewBorder(nil, c.transfers.box, nil, nil, split)
	c.dialog = parts.Show(o.Window, look.T("models.title"), fyne.NewSize(880, 560), body,
		parts.NewButton(look.T("models.import"), c.importModel), parts.NewButton(look.T("parts.close"), func() { c.dialog.Hide() }), c.act)
	c.precision.SetSelectedIndex(0)
	c.transfers.Show(o.Session.Snapshot().Transfers)
	o.Window.Canvas().Focus(c.list)
	c.reload()
	return c
}

// Show brings the chooser up to date.
func (c *Chooser) Show(s *session.Snapshot) {
	if c.transfers.Show(s.Transfers) {
		c.reload() // a model more
	}
}

// reload asks for the models and devices.
func (c *Chooser) reload() {
	c.o.Loop.Work(func() func() {
		choices, err := c.o.Session.Choices(context.Background())
		devices, deviceErr := c.o.Session.Devices(context.Background())
		if err == nil {
			err = deviceErr
		}
		return func() { c.fill(choices, devices, err) }
	})
}

func (c *Chooser) fill(choices []session.Choice, devices []vulkan.DeviceInfo, err error) {
	selected := ""
	if c.selected >= 0 {
		selected = c.choices[c.selected].Name
	}
	c.choices, c.devices, c.selected = choices, devices, -1
	c.tell(err)
	c.fillDevices()
	for i, choice := range choices {
		if choice.Name == selected || selected == "" && choice.Selected {
			c.selected = i
		}
	}
	if c.selected < 0 && len(choices) > 0 {
		c.selected = 0
	}
	c.list.update()
	c.showChoice()
}

func (c *Chooser) fillDevices() {
	present := c.o.Session.Snapshot().Model
	c.names = nil
	c.unusable.Objects = nil
	index := 0
	for _, d := range c.devices {
		if !d.Usable {
			c.unusable.Add(parts.Muted(look.T("models.unusable", d.Name, tell.Lacks(d))))
			continue
		}
		if present.State == session.Loaded && d.Index == present.Device.Index {
			index = len(c.names)
		}
		c.names = append(c.names, deviceLabel(d))
	}
	if len(c.names) == 0 {
		c.unusable.Add(parts.Text(look.T("models.no.device")))
	}
	keep := c.device.SelectedIndex()
	c.device.SetOptions(c.names)
	if keep >= 0 && keep < len(c.names) {
		index = keep
	}
	if len(c.names) > 0 {
		c.device.SetSelectedIndex(index)
	}
	c.details.Refresh()
}

func deviceLabel(d vulkan.DeviceInfo) string {
	return look.T("models.device.label", d.Index, DeviceName(d.Name), look.T(kindKeys[d.Type]))
}

var kindKeys = map[vulkan.DeviceType]string{
	vulkan.Discrete: look.K("models.discrete"), vulkan.Integrated: look.K("models.integrated"), vulkan.Virtual: look.K("models.virtual"),
	vulkan.Software: look.K("models.software"), vulkan.Other: look.K("models.other"),
}

func (c *Chooser) tell(err error) {
	if err == nil {
		c.problem.Hide()
	} else {
		c.problem.SetText(tell.Error(err))
		c.problem.Show()
	}
	c.details.Refresh()
}

func (c *Chooser) choose(i int) {
	if i != c.selected {
		c.precision.SetSelectedIndex(0) // what was chosen for another model is none's wish for this one
	}
	c.selected = i
	c.tell(nil)
	c.showChoice()
}

// errNotHere is a model of which nothing is known before it is downloaded.
var errNotHere = errors.New("not here yet")

// showChoice shows the chosen model and what can be done with it.
func (c *Chooser) showChoice() {
	if c.selected < 0 {
		c.act.Disable()
		return
	}
	m := c.choices[c.selected]
	c.about.SetText(title(m))
	parts.SetMuted(c.note, about(m))
	switch {
	case m.Source == session.Published:
		c.act.SetText(look.T("models.download", look.Bytes(m.Bytes)))
		c.act.Enable()
	case m.Ready:
		c.act.SetText(look.T("models.load"))
		c.act.Enable()
	case m.Have < m.Bytes && m.Entry != nil && m.Entry.Err == nil:
		c.act.SetText(look.T("models.resume"))
		c.act.Enable()
	default:
		c.act.SetText(look.T("models.load"))
		c.act.Disable()
	}
	c.estimate()
}

// request is what is chosen.
func (c *Chooser) request() session.LoadRequest {
	r := session.LoadRequest{Model: c.choices[c.selected].Name}
	at := c.device.SelectedIndex()
	for _, d := range c.devices {
		if d.Usable {
			if at == 0 {
				r.Device = deviceSelector(d)
			}
			at--
		}
	}
	if i := c.precision.SelectedIndex(); i > 0 {
		r.Quant = strings.ToLower(c.precision.Options[i])
	}
	return r
}

// estimate asks what the choice takes.
func (c *Chooser) estimate() {
	if c.selected < 0 || c.list == nil {
		return
	}
	c.asked++
	asked, m := c.asked, c.choices[c.selected]
	r, known := asPublished(m, c.request())
	if !known {
		c.showEstimate(m, session.Estimate{}, errNotHere)
		return
	}
	c.o.Loop.Work(func() func() {
		e, err := c.o.Session.Estimate(context.Background(), r)
		return func() {
			if asked == c.asked {
				c.showEstimate(m, e, err)
			}
		}
	})
}

func (c *Chooser) showEstimate(m session.Choice, e session.Estimate, err error) {
	c.memory.Objects = nil
	c.act.Importance = widget.HighImportance
	switch {
	case err != nil && m.Source == session.Published:
		c.memory.Add(parts.Muted(look.T("models.estimate.later")))
	case err != nil:
		c.tell(err)
	default:
		c.tell(nil)
		if m.Source == session.Published {
			c.memory.Add(parts.Muted(look.T("models.estimate.published")))
		}
		c.memory.Add(verdict(e))
		c.memory.Add(parts.Card(estimateRows(e)))
		if !e.Fits {
			c.act.Importance = widget.WarningImportance
		}
	}
	c.act.Refresh()
	c.details.Refresh()
}

// doIt loads the choice, or downloads it.
func (c *Chooser) doIt() {
	if c.selected < 0 || c.act.Disabled() {
		return
	}
	m := c.choices[c.selected]
	if m.Source == session.Published || !m.Ready {
		c.o.Session.Pull(m.Name)
		return
	}
	r := c.request()
	load := func() {
		c.dialog.Hide()
		if c.o.Loaded != nil {
			c.o.Loaded(r)
		}
		c.o.Session.Load(r)
	}
	if c.act.Importance == widget.WarningImportance {
		parts.Confirm(c.o.Window, look.T("models.low.title"), look.T("models.low.text"), look.T("models.low.anyway"), load)
		return
	}
	load()
}

func (c *Chooser) importModel() {
	parts.AskPath(c.o.Window, parts.OpenEither, look.T("models.import.title"), "", look.T("models.import.do"), func(paths []string) {
		c.o.Session.Import(paths[0])
	})
}
