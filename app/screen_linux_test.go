package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// screen is an X server of its own, whose picture lies in a file.
type screen struct {
	t       *testing.T
	display string
	file    string
	width   int
	height  int
}

// newScreen starts Xvfb; the test skips where it is not installed. It is not reset
// when its last program ends, as it turns away one that comes meanwhile.
func newScreen(t *testing.T, width, height int, args ...string) *screen {
	t.Helper()
	for _, tool := range []string{"Xvfb", "xdotool"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed; build/setup installs it", tool)
		}
	}
	dir := t.TempDir()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	args = append([]string{"-displayfd", "3", "-fbdir", dir, "-screen", "0", fmt.Sprintf("%dx%dx24", width, height), "-nolisten", "tcp", "-noreset"}, args...)
	cmd := exec.Command("Xvfb", args...)
	cmd.ExtraFiles = []*os.File{w}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait() // killed: an error is what it gives
	})
	number, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatalf("Xvfb does not start: %v", err)
	}
	return &screen{t: t, display: ":" + strings.TrimSpace(number), file: filepath.Join(dir, "Xvfb_screen0"), width: width, height: height}
}

// picture is what the screen shows now. The file is an XWD dump.
func (s *screen) picture() *image.RGBA {
	s.t.Helper()
	data, err := os.ReadFile(s.file)
	if err != nil {
		s.t.Fatal(err)
	}
	field := func(i int) int { return int(binary.BigEndian.Uint32(data[4*i:])) }
	width, height, perPixel, perLine := field(4), field(5), field(11), field(12)
	if field(1) != 7 || perPixel != 32 {
		s.t.Fatalf("XWD version %d with %d bits for a pixel; want 7 and 32", field(1), perPixel)
	}
	pixels := data[field(0)+12*field(19):]
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			p := pixels[y*perLine+4*x:]
			m.SetRGBA(x, y, color.RGBA{p[2], p[1], p[0], 255})
		}
	}
	return m
}

// save keeps the picture in the folder that KESTREL_SCREENSHOTS names.
func (s *screen) save(name string) {
	s.t.Helper()
	dir := os.Getenv("KESTREL_SCREENSHOTS")
	if dir == "" {
		return
	}
	f, err := os.Create(filepath.Join(dir, name+".png"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(f, s.picture()); err != nil {
		s.t.Fatal(err)
	}
}

// xdotool types and clicks.
func (s *screen) xdotool(args ...string) string {
	s.t.Helper()
	cmd := exec.Command("xdotool", args...)
	cmd.Env = append(os.Environ(), "DISPLAY="+s.display)
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("xdotool %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (s *screen) write(text string) { s.xdotool("type", "--delay", "15", text) }

func (s *screen) key(keys ...string) { s.xdotool(append([]string{"key", "--delay", "60"}, keys...)...) }

func (s *screen) click(at image.Point) {
	s.xdotool("mousemove", strconv.Itoa(at.X), strconv.Itoa(at.Y), "click", "1")
}

// title is that of the window.
func (s *screen) title() string {
	return s.xdotool("search", "--onlyvisible", "--name", "Kestrel", "getwindowname")
}

// button finds the lowest area of at least 40 by 16 pixels in one colour, as of
// a button, in a part of the screen; it gives a point in it.
func (s *screen) button(c color.RGBA, in image.Rectangle) (at image.Point, ok bool) {
	m := s.picture()
	for y := in.Max.Y - 1; y >= in.Min.Y+16; y-- {
		run := 0
		for x := in.Min.X; x < in.Max.X; x++ {
			if m.RGBAAt(x, y) != c {
				run = 0
				continue
			}
			if run++; run >= 40 && m.RGBAAt(x-20, y-12) == c {
				return image.Pt(x-20, y-4), true
			}
		}
	}
	return at, false
}

// until waits for something to become true.
func (s *screen) until(what string, limit time.Duration, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(limit); !ok(); time.Sleep(30 * time.Millisecond) {
		if time.Now().After(end) {
			s.save("failed")
			s.t.Fatalf("%s: not after %v", what, limit)
		}
	}
}
