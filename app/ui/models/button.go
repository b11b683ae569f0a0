package models

import (
	"fmt"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
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
	object   *fyne.Container
	shown    *session.Model
}

// NewButton makes the button.
func NewButton(s session.Session, hint func(string), open func()) *Button {
	b := &Button{progress: widget.NewProgressBar()}
	b.button = parts.NewIconButton("", theme.StorageIcon(), look.T("models.button.hint"), hint, open)
	b.cancel = parts.NewIconButton("", theme.CancelIcon(), look.T("models.cancel.load"), hint, s.CancelLoad)
	b.object = container.NewHBox(b.button, container.NewCenter(container.NewGridWrap(fyne.NewSize(150, 22), b.progress)), b.cancel)
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
	if b.button.Text != text || b.button.Importance != importance {
		b.button.Importance, b.button.Icon = importance, icon
		b.button.SetText(text)
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

func fraction(p session.Progress) float64 {
	if p.Total <= 0 {
		return 0
	}
	return min(float64(p.Done)/float64(p.Total), 1)
}

func buttonText(m *session.Model) (string, fyne.Resource) {
	switch m.State {
	case session.Loading:
		return look.T("models.loading", m.Request.Model), theme.DownloadIcon()
	case session.Loaded:
		return fmt.Sprintf("%s · %s · %s", m.Name, m.Precision, DeviceName(m.Device.Name)), theme.StorageIcon()
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
