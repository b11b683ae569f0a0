// Package place remembers where the window lies on the screens.
//
// Fyne takes a position but does not tell one. GLFW, which draws Fyne's windows
// on X11, Windows and macOS, does both, in the same units: pixels of all screens
// together (points on macOS), of the window's inside without its frame. So a
// window comes back to where it was, not further away by its frame each time.
// Under Wayland no program learns where its windows are; nothing is remembered
// there, but Kestrel's window goes through Xwayland, whose compositor decides.
//
// All functions are for Fyne's goroutine, after display.Check.
package place

import (
	"image"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"github.com/go-gl/glfw/v3.4/glfw"
)

// Place is where a window's inside lies, in GLFW's screen coordinates.
type Place struct {
	X      int `json:"x"`
	Y      int `json:"y"`
	Width  int `json:"width"`
	Height int `json:"height"`
}

// Of tells where a window is; false where that is not known: it is not on a
// screen, made small or closed, or the system keeps it to itself.
func Of(w fyne.Window) (p Place, ok bool) {
	// Fyne's own way to the GLFW window is not public; while it draws, its window is
	// the current one.
	context, ok := w.(interface{ RunWithContext(func()) })
	if !ok {
		return Place{}, false
	}
	ok = false
	context.RunWithContext(func() {
		if g := glfw.GetCurrentContext(); g != nil && known(g) {
			p.X, p.Y = g.GetPos()
			p.Width, p.Height = g.GetSize()
			ok = true
		}
	})
	return p, ok
}

func known(g *glfw.Window) bool {
	return glfw.GetPlatform() != glfw.PlatformWayland &&
		g.GetAttrib(glfw.Visible) == glfw.True && g.GetAttrib(glfw.Iconified) == glfw.False // Windows puts it at -32000 then
}

// Restore asks for a place before the window is shown, so that it appears there
// at once. It leaves the place to the system where no screen has it any more.
func Restore(w fyne.Window, p Place) {
	d, ok := w.(desktop.Window)
	if !ok {
		return
	}
	if at, ok := within(p, screens()); ok {
		d.RequestPosition(at.X, at.Y)
	}
}

// screens are the parts of the screens that windows have, without docks and bars.
func screens() (list []image.Rectangle) {
	for _, m := range glfw.GetMonitors() {
		x, y, width, height := m.GetWorkarea()
		list = append(list, image.Rect(x, y, x+width, y+height))
	}
	return list
}

// What one needs of a window to take hold of it: so much of its upper edge, below
// so much of a title bar.
const (
	hold     = 120
	titleBar = 32
)

// within is the place's corner where enough of its upper edge is on a screen to
// move the window by, else a corner nearby with which it is on the screen that had
// most of it. It is false where no screen had any of it.
func within(p Place, screens []image.Rectangle) (at image.Point, ok bool) {
	at = image.Pt(p.X, p.Y)
	window := image.Rect(p.X, p.Y, p.X+p.Width, p.Y+p.Height)
	if window.Empty() {
		return at, false
	}
	most := 0
	var screen image.Rectangle
	for _, s := range screens {
		edge := image.Rect(p.X, p.Y, p.X+p.Width, p.Y+1).Intersect(s)
		if edge.Dx() >= min(hold, p.Width) {
			return unlike(at), true
		}
		if part := window.Intersect(s); part.Dx()*part.Dy() > most {
			most, screen = part.Dx()*part.Dy(), s
		}
	}
	if most == 0 {
		return at, false
	}
	at.X = max(min(at.X, screen.Max.X-p.Width), screen.Min.X)
	at.Y = max(min(at.Y, screen.Max.Y-p.Height), screen.Min.Y+titleBar)
	return unlike(at), true
}

// unlike gives the point, or the one beside it for the origin, by which Fyne means
// no place at all.
func unlike(at image.Point) image.Point {
	if at == (image.Point{}) {
		at.Y = 1
	}
	return at
}
