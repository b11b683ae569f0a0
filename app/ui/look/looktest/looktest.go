// Package looktest helps to test views: a headless app in Kestrel's look, and
// pictures compared with a tolerance for other versions of the font renderer.
package looktest

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
	"golang.org/x/image/draw"

	"kestrel/app/ui/look"
)

// App starts a headless app with a theme and a language, English for "". It
// ends with the test.
func App(t testing.TB, o look.Options, l look.Language) fyne.App {
	t.Helper()
	a := test.NewTempApp(t)
	tellTime()
	a.Settings().SetTheme(look.New(o))
	look.SetLanguage(l)
	t.Cleanup(func() { look.SetLanguage(look.English) })
	return a
}

// tellTime has Fyne look at the clock, which it does only when it paints:
// widgets that are made a minute after the last picture would else count as
// unused for a minute, and be thrown away by the next.
func tellTime() {
	w := test.NewWindow(nil)
	w.Resize(fyne.NewSize(1, 1))
	w.Canvas().Capture()
	w.Close()
}

// Update, as an environment variable, has Picture write the pictures rather
// than compare.
const Update = "KESTREL_UPDATE_PICTURES"

// Full, as an environment variable, names a folder that Picture writes every
// picture to in its full size, to be looked at.
const Full = "KESTREL_FULL_PICTURES"

// Bounds of Picture: of a cell of 16 by 16 pixels, in steps of a colour's 255.
// Another rasterizer changes edges, by a step or two of a cell's mean; a moved
// or missing widget changes cells by tens.
const (
	cell     = 16
	meanStep = 1.5
	mostStep = 40
)

// Picture compares what a canvas shows with testdata/NAME.png, which holds it at
// half its size.
func Picture(t testing.TB, name string, c fyne.Canvas) {
	t.Helper()
	whole := c.Capture()
	if dir := os.Getenv(Full); dir != "" {
		if err := write(filepath.Join(dir, strings.ReplaceAll(name, "/", "-")+".png"), whole); err != nil {
			t.Error(err)
		}
	}
	got := half(whole)
	path := filepath.Join("testdata", name+".png")
	if os.Getenv(Update) != "" {
		if err := write(path, reduced(got)); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := read(path)
	if err != nil {
		t.Fatalf("%v; %s=1 go test writes it", err, Update)
	}
	if err := Compare(got, want); err != nil {
		kept := filepath.Join(os.TempDir(), "kestrel-"+strings.ReplaceAll(name, "/", "-")+".png")
		if werr := write(kept, got); werr != nil {
			t.Log(werr)
		}
		t.Errorf("%s: %v; it looks like %s now (%s=1 go test takes that over)", path, err, kept, Update)
	}
}

// Compare reports how two pictures differ beyond the tolerance.
func Compare(got, want image.Image) error {
	if got.Bounds().Size() != want.Bounds().Size() {
		return fmt.Errorf("size is %v, want %v", got.Bounds().Size(), want.Bounds().Size())
	}
	a, b := cells(got), cells(want)
	sum, most, where := 0.0, 0.0, 0
	for i := range a {
		d := math.Abs(a[i] - b[i])
		sum += d
		if d > most {
			most, where = d, i/3
		}
	}
	mean := sum / float64(len(a))
	if mean > meanStep || most > mostStep {
		across := (got.Bounds().Dx()*2 + cell - 1) / cell
		return fmt.Errorf("differs by %.1f steps in the mean (at most %.1f) and %.0f at %d,%d (at most %d)",
			mean, meanStep, most, where%across*cell, where/across*cell, mostStep)
	}
	return nil
}

// cells are the mean colours of cells, for pictures of half size.
func cells(m image.Image) []float64 {
	const side = cell / 2
	bounds := m.Bounds()
	var out []float64
	for y := bounds.Min.Y; y < bounds.Max.Y; y += side {
		for x := bounds.Min.X; x < bounds.Max.X; x += side {
			var sum [3]float64
			n := 0.0
			for j := y; j < min(y+side, bounds.Max.Y); j++ {
				for i := x; i < min(x+side, bounds.Max.X); i++ {
					c := color.NRGBAModel.Convert(m.At(i, j)).(color.NRGBA)
					sum[0] += float64(c.R)
					sum[1] += float64(c.G)
					sum[2] += float64(c.B)
					n++
				}
			}
			out = append(out, sum[0]/n, sum[1]/n, sum[2]/n)
		}
	}
	return out
}

func half(m image.Image) image.Image {
	size := m.Bounds().Size()
	out := image.NewNRGBA(image.Rect(0, 0, (size.X+1)/2, (size.Y+1)/2))
	draw.ApproxBiLinear.Scale(out, out.Bounds(), m, m.Bounds(), draw.Src, nil)
	return out
}

func read(path string) (image.Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m, err := png.Decode(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

func write(path string, m image.Image) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	enc := png.Encoder{CompressionLevel: png.BestCompression}
	if err := enc.Encode(f, m); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
