package parts

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/widget"
)

// Tabs shows one of several pages; their buttons can be reached by the keyboard,
// which Fyne's own cannot.
type Tabs struct {
	Object  fyne.CanvasObject
	buttons []*Button
	pages   []fyne.CanvasObject
	body    *fyne.Container
}

// Tab is a page and its name.
type Tab struct {
	Name string
	Page fyne.CanvasObject
}

// NewTabs shows the first page.
func NewTabs(tabs ...Tab) *Tabs {
	t := &Tabs{body: container.NewStack()}
	row := container.NewHBox()
	for i, tab := range tabs {
		b := NewButton(tab.Name, func() { t.Select(i) })
		t.buttons, t.pages = append(t.buttons, b), append(t.pages, tab.Page)
		row.Add(b)
	}
	t.Object = container.NewBorder(container.NewVBox(row, widget.NewSeparator()), nil, nil, nil, t.body)
	t.Select(0)
	return t
}

// Select shows a page.
func (t *Tabs) Select(i int) {
	for j, b := range t.buttons {
		b.Importance = widget.LowImportance
		if j == i {
			b.Importance = widget.MediumImportance
		}
		b.Refresh()
	}
	t.body.Objects = []fyne.CanvasObject{t.pages[i]}
	t.body.Refresh()
}
