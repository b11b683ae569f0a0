package looktest

import (
	"image"
	"os"
	"os/exec"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/widget"

	"kestrel/app/ui/look"
)

func picture(t *testing.T, o look.Options, l look.Language, move float32, text string) image.Image {
	App(t, o, l)
	label := widget.NewLabel(text)
	button := widget.NewButton("OK", nil)
	w := test.NewWindow(container.NewWithoutLayout(label, button))
	defer w.Close()
	w.Resize(fyne.NewSize(300, 200))
	label.Move(fyne.NewPos(10, 10))
	button.Resize(fyne.NewSize(80, 40))
	button.Move(fyne.NewPos(10+move, 80))
	return half(w.Canvas().Capture())
}

// TestCompare: what a user would see as another picture is one, and what comes
// of another rasterizer is not.
func TestCompare(t *testing.T) {
	const text = "The quick brown fox 敏捷的棕色狐狸"
	base := picture(t, look.Options{Mode: look.Light}, look.English, 0, text)
	if err := Compare(base, base); err != nil {
		t.Error(err)
	}
	for name, other := range map[string]image.Image{
		"a theme":        picture(t, look.Options{Mode: look.Dark}, look.English, 0, text),
		"a moved button": picture(t, look.Options{Mode: look.Light}, look.English, 60, text),
		"another size":   picture(t, look.Options{Mode: look.Light, Size: 24}, look.English, 0, text),
		"no text":        picture(t, look.Options{Mode: look.Light}, look.English, 0, ""),
	} {
		if err := Compare(other, base); err == nil {
			t.Errorf("%s makes no difference", name)
		}
	}
	near := image.NewNRGBA(base.Bounds()) // every pixel a step or two away
	for y := range near.Rect.Dy() {
		for x := range near.Rect.Dx() {
			r, g, b, _ := base.At(x, y).RGBA()
			i := near.PixOffset(x, y)
			d := uint32((x + y) % 3)
			near.Pix[i], near.Pix[i+1], near.Pix[i+2], near.Pix[i+3] = uint8(max(r>>8, d)-d), uint8(max(g>>8, d)-d), uint8(max(b>>8, d)-d), 255
		}
	}
	if err := Compare(near, base); err != nil {
		t.Errorf("a small difference: %v", err)
	}
}

// TestLongAfterThePicture: a picture that is taken after long work without one is
// as good as the next. It runs with a Fyne that thinks a tenth of a second long.
func TestLongAfterThePicture(t *testing.T) {
	if os.Getenv("FYNE_CACHE") == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestLongAfterThePicture$")
		cmd.Env = append(os.Environ(), "FYNE_CACHE=100ms")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	time.Sleep(300 * time.Millisecond)
	o := look.Options{Mode: look.Light}
	first := picture(t, o, look.English, 0, "text")
	if err := Compare(first, picture(t, o, look.English, 0, "text")); err != nil {
		t.Error(err)
	}
}
