package main

import (
	"fmt"
	"image"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"kestrel/app/store"
	"kestrel/app/ui/look"
	"kestrel/app/ui/place"
	"kestrel/app/ui/settings"
)

// manager starts a window manager on the screen.
func (s *screen) manager(command ...string) {
	s.t.Helper()
	if _, err := exec.LookPath(command[0]); err != nil {
		s.t.Skipf("%s is not installed", command[0])
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "DISPLAY="+s.display)
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait() // killed: an error is what it gives
	})
}

// window waits for the program's window to stand still and gives its id and where
// its inside is.
func (p *program) window(s *screen) (id string, at image.Rectangle) {
	s.t.Helper()
	still := 0
	s.until("the window stands still", 30*time.Second, func() bool {
		select {
		case err := <-p.done:
			s.t.Fatalf("the program has ended: %v\n%s", err, p.out.String())
		default:
		}
		cmd := exec.Command("xdotool", "search", "--onlyvisible", "--name", "Kestrel")
		cmd.Env = append(os.Environ(), "DISPLAY="+s.display)
		out, err := cmd.Output() // fails where there is none yet
		if id = strings.TrimSpace(string(out)); err != nil || id == "" {
			return false
		}
		last := at
		var number, x, y, width, height, screen int
		found := s.xdotool("getwindowgeometry", "--shell", id)
		if _, err := fmt.Sscanf(found, "WINDOW=%d\nX=%d\nY=%d\nWIDTH=%d\nHEIGHT=%d\nSCREEN=%d", &number, &x, &y, &width, &height, &screen); err != nil {
			s.t.Fatalf("xdotool says %q: %v", found, err)
		}
		if at = image.Rect(x, y, x+width, y+height); at != last {
			still = 0
		}
		still++
		return still > 10
	})
	return id, at
}

// placed makes a home whose window is of 800 by 600 and at a place, if any.
func placed(t *testing.T, p *place.Place) (home string) {
	t.Helper()
	home = t.TempDir()
	s, err := store.Open(t.Context(), home)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	prefs := settings.Preferences{Mode: look.Light, Language: look.English, Welcomed: true, Width: 800, Height: 600, Place: p}
	if err := prefs.Save(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	return home
}

// TestPlaceIsRemembered: the window comes back to where it was left, also inside
// a frame, and does not creep however often the program is started.
func TestPlaceIsRemembered(t *testing.T) {
	for _, c := range []struct {
		name    string
		manager []string
	}{
		{"no window manager", nil},
		{"evilwm, a frame of 12", []string{"evilwm", "-bw", "12"}},
		{"openbox, with a title", []string{"openbox"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			scr := newScreen(t, 1280, 800)
			if c.manager != nil {
				scr.manager(c.manager...)
			}
			home := placed(t, nil)
			p := start(t, scr.display, home)
			id, first := p.window(scr)
			scr.xdotool("windowmove", id, "317", "131")
			_, left := p.window(scr)
			if left.Min == first.Min || left.Min.X < 300 {
				t.Fatalf("the window does not move: from %v to %v", first, left)
			}
			for i := range 4 {
				if i%2 == 0 { // closed by its menu, and by the system
					scr.key("ctrl+q")
				} else if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
					t.Fatal(err)
				}
				if err := p.wait(20 * time.Second); err != nil || p.out.Len() > 0 {
					t.Fatalf("it ended with %v\n%s", err, p.out.String())
				}
				p = start(t, scr.display, home)
				if c.manager == nil { // whose frames are painted as well
					scr.onlyIn(left)
				}
				if _, again := p.window(scr); again != left {
					t.Errorf("start %d: the window is at %v, was left at %v", i+2, again, left)
				}
			}
		})
	}
}

// onlyIn watches until the window is drawn that nothing is drawn elsewhere.
func (s *screen) onlyIn(r image.Rectangle) {
	s.t.Helper()
	s.until("the window is drawn in its place", 30*time.Second, func() bool {
		m := s.picture()
		for y := range s.height {
			for x := range s.width {
				if c := m.RGBAAt(x, y); c.R|c.G|c.B != 0 && !image.Pt(x, y).In(r) {
					s.save("elsewhere")
					s.t.Fatalf("%v is drawn at %d, %d, not in %v", c, x, y, r)
				}
			}
		}
		return m.RGBAAt(r.Min.X+620, r.Min.Y+485) == white
	})
}

// TestPlaceOffTheScreen: a window whose screen is gone is where one sees it.
func TestPlaceOffTheScreen(t *testing.T) {
	scr := newScreen(t, 1024, 768)
	for _, c := range []struct {
		name  string
		place place.Place
		want  image.Point
	}{
		{"on a screen that is gone", place.Place{X: 2500, Y: 300, Width: 800, Height: 600}, image.Pt(0, 0)},
		{"too far right", place.Place{X: 1000, Y: 100, Width: 800, Height: 600}, image.Pt(224, 100)},
		{"title above", place.Place{X: 100, Y: -300, Width: 800, Height: 600}, image.Pt(100, 32)},
		{"as it was left, over the edge", place.Place{X: 600, Y: 50, Width: 800, Height: 600}, image.Pt(600, 50)},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := start(t, scr.display, placed(t, &c.place))
			if _, at := p.window(scr); at.Min != c.want || at.Dx() != 800 {
				t.Errorf("the window of %v is at %v, want %v", c.place, at, c.want)
			}
			p.cmd.Process.Signal(os.Interrupt)
			if err := p.wait(20 * time.Second); err != nil || p.out.Len() > 0 {
				t.Errorf("it ended with %v\n%s", err, p.out.String())
			}
		})
	}
}
