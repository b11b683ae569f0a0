package chart

import (
	"image/png"
	"os"
	"path/filepath"
	"testing"
)

func TestTransformers(t *testing.T) {
	// Llama-3-8B: 2 * 32 layers * 8 heads * 128 * 2 bytes = 131,072 bytes a token
	llama := Transformers[1]
	if got := llama.Bytes(1, 0, 2); got != 131072 {
		t.Errorf("a token of %s takes %v bytes", llama.Name, got)
	}
	if got, want := llama.Longest(24<<30, 2, 2), 74079; got != want {
		t.Errorf("longest text of %s in 24 GiB: %d, want %d", llama.Name, got, want)
	}
	for _, m := range Transformers {
		if m.Longest(10<<30, 4, 4) != 0 {
			t.Errorf("%s in f32 fits 10 GiB", m.Name)
		}
	}
}

func TestCharts(t *testing.T) {
	dir := t.TempDir()
	x := []float64{1024, 1 << 14, 1 << 20}
	if err := PromptMemory(dir, "title", 24, []Line{{Name: "ours", X: x, Y: []float64{14, 14, 14}}, {Name: "theirs", X: x, Y: []float64{16, 20, 60}, Dashed: true}}); err != nil {
		t.Fatal(err)
	}
	line := Line{Name: "kestrel", X: []float64{1, 1000, 130000}, Y: []float64{400, 401, 399}}
	if err := Written(dir, "title", line, line); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"prompt-memory", "written-speed", "written-memory"} {
		f, err := os.Open(filepath.Join(dir, name+".png"))
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(f)
		f.Close()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		// something of the chart's own colour is drawn
		found := false
		for y := img.Bounds().Min.Y; y < img.Bounds().Max.Y && !found; y++ {
			for x := img.Bounds().Min.X; x < img.Bounds().Max.X; x++ {
				r, g, b, _ := img.At(x, y).RGBA()
				if r>>8 == uint32(ours[0].R) && g>>8 == uint32(ours[0].G) && b>>8 == uint32(ours[0].B) {
					found = true
					break
				}
			}
		}
		if !found {
			t.Errorf("%s: no line is drawn", name)
		}
		if info, err := os.Stat(filepath.Join(dir, name+".svg")); err != nil || info.Size() < 1000 {
			t.Errorf("%s.svg: %v", name, err)
		}
	}
	if err := PromptMemory(dir, "", 1, []Line{{Name: "odd", X: x, Y: nil}}); err == nil {
		t.Error("a line without values is drawn")
	}
	if err := PromptMemory(filepath.Join(dir, "none"), "", 1, []Line{{Name: "a", X: x, Y: x}}); err == nil {
		t.Error("a missing folder is no error")
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{1: "1", 1000: "1000", 1024: "1k", 8192: "8k", 1 << 20: "1M", 1<<20 + 1024: "1025k"} {
		if got := Count(n); got != want {
			t.Errorf("Count(%d) = %s, want %s", n, got, want)
		}
	}
}
