package sidebar

import (
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/layout"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"kestrel/app/ui/look"
	"kestrel/app/ui/parts"
)

// item draws a row. The list makes a few of them and fills them as it scrolls.
type item struct {
	widget.BaseWidget
	view *View
	row  row
	at   int // in the list

	icon    *widget.Icon
	indent  *fyne.Container
	title   *widget.Label
	when    *widget.RichText
	snippet *widget.RichText
	more    *parts.Button
	body    *fyne.Container
}

func newItem(v *View) *item {
	it := &item{view: v, icon: widget.NewIcon(nil), title: widget.NewLabel(""), when: parts.Muted(""), snippet: widget.NewRichText()}
	it.when.Wrapping = fyne.TextWrapOff
	it.snippet.Truncation = fyne.TextTruncateEllipsis
	it.title.Truncation = fyne.TextTruncateEllipsis
	it.more = parts.NewIconButton("", theme.MoreVerticalIcon(), look.T("sidebar.more"), v.o.Hint, func() {
		v.menu(it.row, fyne.CurrentApp().Driver().AbsolutePositionForObject(it.more).AddXY(0, it.more.Size().Height))
	})
	it.indent = container.New(layout.NewCustomPaddedLayout(0, 0, 14, 0))
	left := container.NewHBox(it.indent, it.icon)
	right := container.NewHBox(container.NewCenter(it.when), it.more)
	line := container.NewBorder(nil, nil, left, right, it.title)
	it.body = container.New(&itemLayout{}, line, it.snippet)
	show(it.snippet, v.searching())
	it.ExtendBaseWidget(it)
	return it
}

// CreateRenderer implements fyne.Widget.
func (it *item) CreateRenderer() fyne.WidgetRenderer { return widget.NewSimpleRenderer(it.body) }

// Tapped opens the row. The list's own item behind it is not given the tap, as
// Fyne looks for the front one that takes taps of either button.
func (it *item) Tapped(*fyne.PointEvent) { it.view.list.Select(it.at) }

// TappedSecondary opens the menu of the row.
func (it *item) TappedSecondary(ev *fyne.PointEvent) { it.view.menu(it.row, ev.AbsolutePosition) }

func show(o fyne.CanvasObject, visible bool) {
	if visible {
		o.Show()
	} else {
		o.Hide()
	}
}

// fill shows a row.
func (it *item) fill(r row, open bool, now time.Time) {
	it.row = r
	title := r.title
	if title == "" {
		title = look.T("sidebar.untitled")
	}
	it.title.Importance = widget.MediumImportance
	it.title.TextStyle = fyne.TextStyle{}
	it.title.SizeName = theme.SizeNameText
	when := ""
	switch r.kind {
	case folderRow:
		it.title.TextStyle.Bold = true
		it.title.SizeName = theme.SizeNameCaptionText
		when = look.Count(r.count)
		if r.closed {
			it.icon.SetResource(theme.MenuExpandIcon())
		} else {
			it.icon.SetResource(theme.MenuDropDownIcon())
		}
	case conversationRow:
		if !open {
			when = look.When(r.c.Updated, now)
		}
	case hitRow:
		it.title.TextStyle.Bold = true
		when = look.When(r.hit.Created, now)
		it.snippet.Segments = segments(r)
		it.snippet.Refresh()
	case noteRow:
		it.title.Importance = widget.LowImportance
	}
	show(it.icon, r.kind == folderRow)
	show(it.indent, r.inside)
	show(it.snippet, r.kind == hitRow)
	show(it.more, open && r.kind == conversationRow || r.kind == folderRow && r.id != "")
	if it.title.Text != title {
		it.title.Text = title
	}
	it.title.Refresh()
	parts.SetMuted(it.when, when)
	it.body.Refresh()
}

// segments are the snippet of a hit with its matches in bold.
func segments(r row) []widget.RichTextSegment {
	if r.hit.Message == "" {
		return []widget.RichTextSegment{parts.MutedSegment(look.T("sidebar.in.title"))}
	}
	var out []widget.RichTextSegment
	for i, piece := range snippet(r.hit) {
		if piece == "" {
			continue
		}
		s := parts.MutedSegment(piece)
		if i%2 == 1 {
			s.Style.ColorName = theme.ColorNameForeground
			s.Style.TextStyle.Bold = true
		}
		out = append(out, s)
	}
	return out
}

// itemLayout puts the snippet, where one is shown, below the line, closer than
// labels would by themselves.
type itemLayout struct{}

func (itemLayout) MinSize(o []fyne.CanvasObject) fyne.Size {
	return fyne.NewSize(o[0].MinSize().Width, rowHeight(o[1].Visible()))
}

func (itemLayout) Layout(o []fyne.CanvasObject, size fyne.Size) {
	line := rowHeight(false)
	o[0].Resize(fyne.NewSize(size.Width, line))
	o[0].Move(fyne.NewPos(0, 0))
	o[1].Resize(fyne.NewSize(size.Width-theme.Padding(), size.Height-line+theme.InnerPadding()))
	o[1].Move(fyne.NewPos(theme.Padding(), line-theme.InnerPadding()-2))
}

// rowHeight is the height of a row without or with a snippet.
func rowHeight(withSnippet bool) float32 {
	h := theme.TextSize()*1.4 + 2*theme.InnerPadding()
	if withSnippet {
		h += theme.CaptionTextSize()*1.4 + theme.InnerPadding()/2
	}
	return float32(int(h))
}
