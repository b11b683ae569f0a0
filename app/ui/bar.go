package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/layout"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"kestrel/app/ui/look"
	"kestrel/app/ui/models"
	"kestrel/app/ui/parts"
	"kestrel/assets"
)

// bar is the row at the top: the model, what the button under the mouse does,
// and the buttons of the views.
type bar struct {
	object fyne.CanvasObject
	row    *fyne.Container // of the model and the hint
	hint   *widget.RichText
}

func newBar(w *window) *bar {
	b := &bar{hint: parts.Muted("")}
	b.hint.Wrapping = fyne.TextWrapOff
	b.hint.Truncation = fyne.TextTruncateEllipsis
	w.model = models.NewButton(w.session, b.tell, func() { w.unlessBusy(w.openChooser) })
	icon := func(r fyne.Resource, hint string, f func()) fyne.CanvasObject {
		return parts.NewIconButton("", r, hint, b.tell, f)
	}
	right := container.NewHBox(
		icon(theme.DocumentIcon(), look.T("ui.hint.open"), func() { w.chat.Attach() }),
		icon(slidersIcon, look.T("ui.hint.answering"), w.openAnswering),
		icon(memoryIcon, look.T("ui.hint.monitor"), w.toggleMonitor),
		icon(theme.SettingsIcon(), look.T("ui.hint.settings"), w.openSettings),
		icon(theme.HelpIcon(), look.T("ui.hint.help"), w.openHelp),
	)
	b.row = parts.First(w.model.Object(), container.NewVBox(layout.NewSpacer(), b.hint, layout.NewSpacer()))
	row := container.NewBorder(nil, nil, icon(theme.MenuIcon(), look.T("ui.hint.sidebar"), w.toggleSidebar), right, b.row)
	b.object = parts.On(look.ColorPanel, 0, container.NewVBox(container.New(layout.NewCustomPaddedLayout(2, 0, 4, 4), row), widget.NewSeparator()))
	return b
}

var slidersIcon, memoryIcon = themed("sliders.svg"), themed("memory.svg")

func themed(name string) fyne.Resource {
	data, err := assets.Icons.ReadFile("icons/" + name)
	if err != nil { // only for a name that is not built in
		panic(err)
	}
	return theme.NewThemedResource(fyne.NewStaticResource(name, data))
}

// tell shows what a button does; "" ends it.
func (b *bar) tell(hint string) { parts.SetMuted(b.hint, hint) }

// refit gives the model the room that its name takes now.
func (b *bar) refit() { b.row.Refresh() }
