package markdown

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"kestrel/app/ui/look"
)

// renderer keeps canvas objects for the lines in and around the viewport, and
// uses them again as it moves.
type renderer struct {
	view    *View
	objects []fyne.CanvasObject

	shapes  pool[*canvas.Rectangle]
	texts   pool[*canvas.Text]
	buttons pool[*copyButton]

	from, to float32 // what the objects cover
	height   float32 // of the view then
	recolor  bool
	dark     bool
}

// pool hands out objects in the order they were made.
type pool[T any] struct {
	all  []T
	used int
}

func (p *pool[T]) take(make func() T) T {
	if p.used == len(p.all) {
		p.all = append(p.all, make())
	}
	p.used++
	return p.all[p.used-1]
}

// trim forgets objects beyond twice those in use.
func (p *pool[T]) trim() {
	if keep := 2*p.used + 16; len(p.all) > keep {
		clear(p.all[keep:])
		p.all = p.all[:keep]
	}
}

// margin is how much above and below the viewport has objects, in heights of it.
const margin = 0.75

func (r *renderer) covers(from, to float32) bool {
	return from >= r.from && to <= min(r.to, r.height) || from >= r.from && to <= r.to
}

func (r *renderer) sync() {
	v := r.view
	r.dark = dark()
	r.shapes.used, r.texts.used, r.buttons.used = 0, 0, 0
	extra := (v.to - v.from) * margin
	r.from, r.to, r.height = v.from-extra, v.to+extra, v.height
	if len(v.tops) == len(v.leaves) && len(v.leaves) > 0 {
		low, high := v.sel.ordered()
		for i := v.leafAt(r.from); i < len(v.leaves) && v.tops[i] <= r.to; i++ {
			r.leaf(i, low, high)
		}
	}
	if v.focused {
		ring := r.shape()
		ring.FillColor = color.Transparent
		ring.StrokeColor, ring.StrokeWidth = theme.Color(theme.ColorNameFocus), 2
		ring.CornerRadius = 4
		put(ring, -4, -4, v.width+8, v.height+8)
	}
	r.objects = r.objects[:0]
	for _, o := range r.shapes.all[:r.shapes.used] {
		r.objects = append(r.objects, o)
	}
	for _, o := range r.texts.all[:r.texts.used] {
		r.objects = append(r.objects, o)
	}
	for _, o := range r.buttons.all[:r.buttons.used] {
		r.objects = append(r.objects, o)
	}
	r.shapes.trim()
	r.texts.trim()
	r.buttons.trim()
	r.recolor = false
	canvas.Refresh(v)
}

// leaf draws what of a leaf stands near the viewport.
func (r *renderer) leaf(i int, low, high position) {
	v, l := r.view, r.view.leaves[i]
	top := v.tops[i]
	for _, s := range l.box.shapes {
		if top+s.y+s.h < r.from || top+s.y > r.to {
			continue
		}
		o := r.shape()
		o.FillColor = colorOf(s.fill)
		o.CornerRadius = s.radius
		put(o, s.x, top+s.y, s.w, s.h)
	}
	if l.kind == leafCode {
		v.colourSoon(l)
		r.codeHead(l, top)
	}
	for n := range l.box.lines {
		ln := &l.box.lines[n]
		if top+ln.y+ln.h < r.from {
			continue
		}
		if top+ln.y > r.to {
			if l.kind != leafTable { // whose cells are not in the order of their height
				break
			}
			continue
		}
		if n == 0 && l.marker != "" {
			r.marker(l, l.box.markerX, top+ln.y+ln.baseline)
		}
		r.marked(l, ln, top)
		r.selected(i, ln, top, low, high)
		for _, f := range l.box.frags[ln.first:ln.last] {
			r.fragment(l, ln, f, top)
		}
	}
}

// marker draws what stands before a list item.
func (r *renderer) marker(l *leaf, x, base float32) {
	size := l.box.size
	if l.marker != checked && l.marker != unchecked {
		r.text(l.marker, fonts.face(0, size), roleText, x, base, l.box.markerW)
		return
	}
	side := l.box.markerW
	box := r.shape()
	box.CornerRadius = 3
	box.StrokeWidth, box.StrokeColor = 1.5, roleMuted.color(r.dark)
	box.FillColor = color.Transparent
	put(box, x, base-0.82*side, side, side)
	if l.marker == checked {
		box.FillColor = theme.Color(theme.ColorNamePrimary)
		box.StrokeColor = box.FillColor
		f := fonts.face(bold, whole(size*0.9))
		w := f.width("✓")
		t := r.text("✓", f, roleText, x+(side-w)/2, base, w)
		t.Color = theme.Color(theme.ColorNameForegroundOnPrimary)
	}
}

func (r *renderer) fragment(l *leaf, ln *line, f fragment, top float32) {
	text := l.text[f.start:f.end]
	s := l.spans[f.span]
	if !visible(text) && s.style&boxed == 0 {
		return
	}
	face := fonts.face(s.style, fragmentSize(s.style, l.box.size))
	x, base := ln.x+f.x, top+ln.y+ln.baseline
	if s.style&boxed != 0 {
		o := r.shape()
		o.FillColor = theme.Color(look.ColorCode)
		o.CornerRadius = 4
		put(o, x-2, base-face.baseline, f.w+4, face.height)
	}
	r.text(text, face, s.role, x, base, f.w)
	if s.style&(strike|underline) != 0 || s.link != "" {
		y := base + 2
		if s.style&strike != 0 {
			y = base - face.size*0.3
		}
		o := r.shape()
		o.FillColor = s.role.color(r.dark)
		put(o, x, y, f.w, 1)
	}
}

func (r *renderer) text(s string, face *face, role role, x, base, w float32) *canvas.Text {
	t := r.texts.take(func() *canvas.Text { return &canvas.Text{} })
	t.Text, t.TextSize, t.TextStyle = s, face.size, face.style
	t.Color = role.color(r.dark)
	put(t, x, base-face.baseline, w, face.height)
	return t
}

// shape takes a rectangle without a border.
func (r *renderer) shape() *canvas.Rectangle {
	o := r.shapes.take(func() *canvas.Rectangle { return &canvas.Rectangle{} })
	o.StrokeWidth, o.CornerRadius = 0, 0
	return o
}

// put moves and resizes o where that changes anything: Fyne repaints for it.
func put(o fyne.CanvasObject, x, y, w, h float32) {
	if at := fyne.NewPos(x, y); o.Position() != at {
		o.Move(at)
	}
	if size := fyne.NewSize(w, h); o.Size() != size {
		o.Resize(size)
	}
}

func (r *renderer) codeHead(l *leaf, top float32) {
	v := r.view
	side := buttonSize(v.look.size)
	if name := languageName(l.lang); name != "" {
		f := fonts.face(0, whole(v.look.size*small))
		left := l.indent*v.look.size + codePad*v.look.size
		r.text(name, f, roleMuted, left, top+l.box.buttonY+(side-f.height)/2+f.baseline, f.width(name))
	}
	b := r.buttons.take(newCopyButton)
	b.show(l.code)
	put(b, l.box.buttonX, top+l.box.buttonY, side, side)
}

// selected draws the selected part of a line.
func (r *renderer) selected(leaf int, ln *line, top float32, low, high position) {
	if low == high || leaf < low.leaf || leaf > high.leaf {
		return
	}
	l := r.view.leaves[leaf]
	from, to := ln.start, ln.end
	if leaf == low.leaf {
		from = max(from, low.offset)
	}
	if leaf == high.leaf {
		to = min(to, high.offset)
	}
	if from > to || from == to && ln.start != ln.end {
		return
	}
	x0, x1 := l.xOf(ln, from), l.xOf(ln, to)
	if leaf < high.leaf || high.offset > ln.end {
		x1 += 4 // the selection goes on
	}
	o := r.shape()
	o.FillColor = theme.Color(theme.ColorNameSelection)
	put(o, ln.x+x0, top+ln.y, x1-x0, ln.h)
}

// marked draws the ground of what is searched for.
func (r *renderer) marked(l *leaf, ln *line, top float32) {
	n := len(r.view.mark)
	if n == 0 {
		return
	}
	// a match may have begun on the line before
	for at := max(0, ln.start-n+1); ; {
		i := l.find(r.view.mark, at)
		if i < 0 || i >= ln.end {
			return
		}
		if from, to := max(i, ln.start), min(i+n, ln.end); from < to {
			o := r.shape()
			o.FillColor = theme.Color(look.ColorMark)
			o.CornerRadius = 3
			x := l.xOf(ln, from)
			put(o, ln.x+x, top+ln.y+1, l.xOf(ln, to)-x, ln.h-2)
		}
		at = i + n
	}
}

// keyButton is a button that Enter presses too, and that passes other keys on.
type keyButton struct{ widget.Button }

func newKeyButton(text string, tapped func()) *keyButton {
	b := &keyButton{}
	b.Text, b.OnTapped = text, tapped
	b.ExtendBaseWidget(b)
	return b
}

// TypedKey presses the button on Enter as on Space.
func (b *keyButton) TypedKey(e *fyne.KeyEvent) {
	switch e.Name {
	case fyne.KeyReturn, fyne.KeyEnter:
		b.Tapped(nil)
	case fyne.KeySpace:
		b.Button.TypedKey(e)
	default:
		pass(b, e)
	}
}

// copyButton copies a block of code.
type copyButton struct {
	keyButton
	code string
}

func newCopyButton() *copyButton {
	b := &copyButton{}
	b.Icon = theme.ContentCopyIcon()
	b.Importance = widget.LowImportance
	b.OnTapped = func() {
		fyne.CurrentApp().Clipboard().SetContent(b.code)
		b.SetIcon(theme.ConfirmIcon())
	}
	b.ExtendBaseWidget(b)
	return b
}

// show binds the button to a block of code.
func (b *copyButton) show(code string) {
	if b.code == code {
		return
	}
	b.code = code
	b.SetIcon(theme.ContentCopyIcon())
}

func (r *renderer) Destroy() { r.view.rows = nil }

func (r *renderer) Layout(size fyne.Size) {
	if r.view.fit(size.Width); r.view.height != r.height {
		r.sync()
	}
}

func (r *renderer) MinSize() fyne.Size { return r.view.MinSize() }

func (r *renderer) Objects() []fyne.CanvasObject { return r.objects }

func (r *renderer) Refresh() {}
