package monitor

import (
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"kestrel/app/sensors"
	"kestrel/app/ui/look"
	"kestrel/app/ui/tell"
	"kestrel/engine/vulkan"
)

// mostPrograms is how many other programs are named.
const mostPrograms = 5

// programs is the card of the other programs that use the device's memory.
type programs struct {
	card *card
	list *fyne.Container
	rows []*legendRow
}

func newPrograms() *programs {
	p := &programs{list: container.NewVBox()}
	p.card = newCard(look.T("monitor.programs"), nil, p.list)
	p.card.box.Hide()
	return p
}

// set names the largest; the card is there only with them.
func (p *programs) set(all []sensors.Program) (changed bool) {
	shown := all[:min(len(all), mostPrograms)]
	for len(p.rows) < len(shown) {
		row := newLegendRow()
		p.rows = append(p.rows, row)
		p.list.Add(row.box)
	}
	for i, row := range p.rows {
		if i >= len(shown) {
			changed = changed || row.box.Visible()
			row.box.Hide()
			continue
		}
		changed = changed || !row.box.Visible()
		row.box.Show()
		name := shown[i].Name
		if name == "" {
			name = look.T("monitor.process", shown[i].PID)
		}
		row.set(othersHue.color(), name, look.Bytes(shown[i].Local+shown[i].Shared))
	}
	if visible := len(shown) > 0; visible != p.card.box.Visible() {
		changed = true
		if visible {
			p.card.box.Show()
		} else {
			p.card.box.Hide()
		}
	}
	return changed
}

// devices is the card of every Vulkan device, with the reason where one is unusable.
type devices struct {
	card *card
	list *fyne.Container
}

func newDevices() *devices {
	d := &devices{list: container.NewVBox()}
	d.card = newCard(look.T("monitor.devices"), nil, d.list)
	d.note(look.T("monitor.devices_looking"))
	return d
}

func (d *devices) note(s string) {
	label := widget.NewLabel(s)
	label.Wrapping = fyne.TextWrapWord
	d.list.Objects = []fyne.CanvasObject{label}
	d.list.Refresh()
}

// set lists the devices; err is why they could not be listed.
func (d *devices) set(all []vulkan.DeviceInfo, inUse string, err error) {
	switch {
	case err != nil:
		d.note(look.T("monitor.devices_failed", tell.Error(err)))
		return
	case len(all) == 0:
		d.note(look.T("monitor.devices_none"))
		return
	}
	d.list.Objects = nil
	for _, info := range all {
		d.list.Objects = append(d.list.Objects, deviceRow(info, inUse == deviceKey(info)))
	}
	d.list.Refresh()
}

// deviceKey tells devices apart.
func deviceKey(d vulkan.DeviceInfo) string { return d.Name + "\x00" + d.PCI + string(d.UUID[:]) }

func deviceRow(d vulkan.DeviceInfo, inUse bool) fyne.CanvasObject {
	icon := widget.NewIcon(theme.NewSuccessThemedResource(theme.ConfirmIcon()))
	name := widget.NewLabel(d.Name)
	name.Truncation = fyne.TextTruncateEllipsis
	name.TextStyle.Bold = inUse
	detail := look.T("monitor.device_detail", deviceType(d.Type), strings.TrimSpace(d.Driver+" "+d.DriverVersion), d.API)
	if inUse {
		detail = look.T("monitor.device_in_use", detail)
	}
	if !d.Usable {
		icon.SetResource(theme.NewErrorThemedResource(theme.CancelIcon()))
		detail = look.T("monitor.device_unusable", tell.Lacks(d))
	}
	color := look.ColorMuted
	if !d.Usable {
		color = theme.ColorNameError
	}
	about := widget.NewRichText(&widget.TextSegment{Text: detail, Style: widget.RichTextStyle{ColorName: color, SizeName: theme.SizeNameCaptionText}})
	about.Wrapping = fyne.TextWrapWord
	return container2(icon, container.New(tight{}, name, about))
}

func deviceType(t vulkan.DeviceType) string {
	switch t {
	case vulkan.Discrete:
		return look.T("monitor.type_discrete")
	case vulkan.Integrated:
		return look.T("monitor.type_integrated")
	case vulkan.Virtual:
		return look.T("monitor.type_virtual")
	case vulkan.Software:
		return look.T("monitor.type_software")
	}
	return look.T("monitor.type_other")
}

// tight stacks labels without the space that each keeps around itself.
type tight struct{}

func (tight) overlap() float32 { return theme.InnerPadding() }

func (t tight) MinSize(objects []fyne.CanvasObject) fyne.Size {
	size := fyne.Size{Height: -t.overlap() * float32(len(objects)-1)}
	for _, o := range objects {
		m := o.MinSize()
		size = fyne.NewSize(max(size.Width, m.Width), size.Height+m.Height)
	}
	return size
}

func (t tight) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	y := float32(0)
	for _, o := range objects {
		o.Move(fyne.NewPos(0, y))
		o.Resize(fyne.NewSize(size.Width, o.MinSize().Height))
		y += o.MinSize().Height - t.overlap()
	}
}
