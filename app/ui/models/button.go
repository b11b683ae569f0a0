package models

import (
	"cmp"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"kestrel/app/session"
	"kestrel/app/ui/look"
	"kestrel/app/ui/parts"
)

// Button is the button at the top of the window: the model and its device, or
// how far its loading is. It opens the chooser.
type Button struct {
	button   *parts.Button
	cancel   *parts.Button
	progress *widget.ProgressBar
	object   *buttonRow
	shown    *session.Model
	text     string // of the button, where there is room
}

// NewButton makes the button.
func NewButton(s session.Session, hint func(string), open func()) *Button {
	b := &Button{progress: widget.NewProgressBar()}
	b.button = parts.NewIconButton("", theme.StorageIcon(), look.T("models.button.hint"), hint, open)
	b.cancel = parts.NewIconButton("", theme.CancelIcon(), look.T("models.cancel.load"), hint, s.CancelLoad)
	b.object = &buttonRow{b: b}
	b.object.ExtendBaseWidget(b.object)
	b.Show(s.Snapshot().Model)
	return b
}

// Object is what to show.
func (b *Button) Object() fyne.CanvasObject { return b.object }

// Show shows the state of the model.
func (b *Button) Show(m *session.Model) {
	if m == b.shown {
		return
	}
	b.shown = m
	text, icon := buttonText(m)
	importance := widget.LowImportance
	if m.State == session.Broken {
		importance = widget.DangerImportance
	}
	b.text = text
	if b.button.Icon != icon || b.button.Importance != importance {
		b.button.Importance, b.button.Icon = importance, icon
		b.button.Refresh()
	}
	loading := m.State == session.Loading
	if loading {
		b.progress.SetValue(fraction(m.Progress))
		b.progress.Show()
		b.cancel.Show()
	} else {
		b.progress.Hide()
		b.cancel.Hide()
	}
	b.object.Refresh()
}

// buttonRow lays the button and, while a model is loaded, its progress in a row.
// The button's text is cut to the room there is.
type buttonRow struct {
	widget.BaseWidget
	b *Button
}

// leastButton is the width of the button's text at least, in sizes of the text.
const leastButton = 6

// beside is what stands beside the button.
func (b *Button) beside() float32 {
	if !b.progress.Visible() {
		return 0
	}
	return b.progressSize().Width + b.cancel.MinSize().Width + 2*theme.Padding()
}

func (b *Button) progressSize() fyne.Size {
	return fyne.NewSize(8*theme.TextSize(), theme.TextSize()*1.6)
}

// WantedWidth implements parts.Wanter.
func (r *buttonRow) WantedWidth() float32 {
	return r.b.button.WidthFor(r.b.text) + 1 + r.b.beside()
}

// CreateRenderer implements fyne.Widget.
func (r *buttonRow) CreateRenderer() fyne.WidgetRenderer {
	return &buttonRowRenderer{r.b, []fyne.CanvasObject{r.b.button, r.b.progress, r.b.cancel}}
}

type buttonRowRenderer struct {
	b       *Button
	objects []fyne.CanvasObject
}

func (r *buttonRowRenderer) Destroy()                     {}
func (r *buttonRowRenderer) Objects() []fyne.CanvasObject { return r.objects }

func (r *buttonRowRenderer) MinSize() fyne.Size {
	return fyne.NewSize(r.b.button.WidthFor("")+leastButton*theme.TextSize()+r.b.beside(), r.b.button.MinSize().Height)
}

func (r *buttonRowRenderer) Layout(size fyne.Size) {
	b := r.b
	room := size.Width - b.beside()
	b.button.Fit(b.text, room)
	b.button.Resize(fyne.NewSize(min(b.button.MinSize().Width, room), size.Height))
	bar := b.progressSize()
	b.progress.Resize(bar)
	b.progress.Move(fyne.NewPos(b.button.Size().Width+theme.Padding(), (size.Height-bar.Height)/2))
	b.cancel.Resize(fyne.NewSize(b.cancel.MinSize().Width, size.Height))
	b.cancel.Move(fyne.NewPos(b.progress.Position().X+bar.Width+theme.Padding(), 0))
}

func (r *buttonRowRenderer) Refresh() {
	r.Layout(r.b.object.Size())
	for _, o := range r.objects {
		o.Refresh()
	}
}

func fraction(p session.Progress) float64 {
	if p.Total <= 0 {
		return 0
	}
	return min(float64(p.Done)/float64(p.Total), 1)
}

// name is what the model is called.
func name(m *session.Model) string { return cmp.Or(m.Name, m.Request.Model) }

func buttonText(m *session.Model) (string, fyne.Resource) {
	switch m.State {
	case session.Loading:
		return look.T("models.loading", name(m)), theme.DownloadIcon()
	case session.Loaded:
		return strings.Join([]string{m.Name, m.Precision, DeviceName(m.Device.Name)}, parts.Apart), theme.StorageIcon()
	case session.Broken:
		return look.T("models.broken"), theme.WarningIcon()
	}
	return look.T("models.none"), theme.StorageIcon()
}

// DeviceName is a device's name without what its driver adds in parentheses.
func DeviceName(name string) string {
	if short, _, ok := strings.Cut(name, " ("); ok && short != "" {
		return short
	}
	return name
}
