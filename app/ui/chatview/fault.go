package chatview

import (
	_ "embed"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"kestrel/app/session"
	"kestrel/app/ui/look"
	"kestrel/app/ui/markdown"
	"kestrel/app/ui/parts"
	"kestrel/app/ui/tell"
)

//go:embed fork.svg
var forkSVG []byte

var forkIcon = theme.NewThemedResource(fyne.NewStaticResource("fork.svg", forkSVG))

// faultBox says what went wrong, where it did, with the ways out.
type faultBox struct {
	widget.BaseWidget
	problem *session.Problem
	ground  *shade
	icon    *widget.Icon
	text    *markdown.View
	buttons []*parts.Button
	height  float32
}

// reuse keeps a box that shows the same problem still.
func reuse(f *faultBox, p *session.Problem) *faultBox {
	if f == nil || p == nil || f.problem.Kind != p.Kind || f.text.Text() != tell.Problem(p) {
		return nil
	}
	return f
}

// newFault makes the box of a problem; again, which may be nil, tries once more.
func (v *View) newFault(p *session.Problem, again func()) *faultBox {
	f := &faultBox{problem: p, ground: newShade(look.ColorCard, 8), icon: widget.NewIcon(theme.NewErrorThemedResource(theme.ErrorIcon()))}
	f.ground.border = theme.ColorNameError
	f.ExtendBaseWidget(f)
	f.text = v.newBody()
	f.text.SetPlain(tell.Problem(p), markdown.Plain{})
	add := func(text string, do func()) *parts.Button {
		b := parts.NewButton(text, do)
		b.OnFocused = func() { v.thread.show(b) }
		f.buttons = append(f.buttons, b)
		return b
	}
	model := v.session.Snapshot().Model
	if p.Kind.Model() {
		if model.State != session.Loaded && model.Request.Model != "" {
			add(look.T("chat.reload"), func() { v.session.Load(v.session.Snapshot().Model.Request) })
		}
		if v.deps.ChooseModel != nil {
			add(look.T("chat.chooseModel"), v.deps.ChooseModel)
		}
	}
	if again != nil {
		add(look.T("chat.tryAgain"), again)
	}
	return f
}

func (f *faultBox) arrange(width float32) float32 {
	const pad = 12
	put(f.icon, pad, pad, 20, 20)
	y := float32(pad)
	y += put(f.text, pad+30, y, width-2*pad-30, f.text.HeightFor(width-2*pad-30))
	x := float32(pad + 30)
	if len(f.buttons) > 0 {
		y += 8
		h := float32(0)
		for _, b := range f.buttons {
			size := b.MinSize()
			if x > pad+30 && x+size.Width > width-pad { // the next line
				x = pad + 30
				y += h + 6
			}
			put(b, x, y, size.Width, size.Height)
			x += size.Width + 8
			h = max(h, size.Height)
		}
		y += h
	}
	f.height = y + pad
	put(f.ground, 0, 0, width, f.height)
	return f.height
}

func (f *faultBox) CreateRenderer() fyne.WidgetRenderer {
	objects := []fyne.CanvasObject{f.ground, f.icon, f.text}
	for _, b := range f.buttons {
		objects = append(objects, b)
	}
	return &fixed{objects: objects, height: &f.height}
}

// fixed renders objects that their owner puts in their places.
type fixed struct {
	objects []fyne.CanvasObject
	height  *float32
}

func (r *fixed) Destroy()                     {}
func (r *fixed) Layout(fyne.Size)             {}
func (r *fixed) MinSize() fyne.Size           { return fyne.NewSize(0, *r.height) }
func (r *fixed) Objects() []fyne.CanvasObject { return r.objects }

func (r *fixed) Refresh() {
	for _, o := range r.objects {
		o.Refresh()
	}
}
