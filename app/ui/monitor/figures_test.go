package monitor

import (
	"image"
	"image/color"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2"

	"kestrel/app/ui/look"
	"kestrel/app/ui/look/looktest"
	"kestrel/assets"
	"kestrel/engine"
	"kestrel/engine/vulkan"
)

// tenthsOf reads a text of mib.
func tenthsOf(t *testing.T, s string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(strings.NewReplacer(",", "", ".", "", " MiB", "").Replace(s), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func checkShares(t *testing.T, report vulkan.MemoryReport) {
	t.Helper()
	parts, total := shares(report)
	bytes, tenths := int64(0), int64(0)
	for _, p := range parts {
		bytes += p.bytes
		tenths += tenthsOf(t, p.text)
	}
	if bytes != report.Total {
		t.Errorf("the parts are %d bytes and %d are allocated", bytes, report.Total)
	}
	if tenths != tenthsOf(t, total) {
		t.Errorf("the parts read %d tenths and the total %s", tenths, total)
	}
}

func TestSharesAddUp(t *testing.T) {
	checkShares(t, loaded().Report)
	checkShares(t, vulkan.MemoryReport{})
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var r vulkan.MemoryReport
		for _, p := range []vulkan.Purpose{vulkan.Weights, vulkan.State, vulkan.Scratch, vulkan.Staging, vulkan.Saved} {
			n := rng.Int64N(1 << (10 + rng.IntN(26)))
			r.Purposes = append(r.Purposes, vulkan.PurposeUse{Purpose: p, Host: rng.IntN(2) == 0, Allocated: n})
			r.Total += n
		}
		checkShares(t, r)
	}
	// bytes that no purpose owns are shown, not lost
	parts, _ := shares(vulkan.MemoryReport{Total: 5 * mib1})
	if len(parts) != 1 || parts[0].bytes != 5*mib1 || parts[0].name() != "Not accounted for" {
		t.Errorf("%+v", parts)
	}
}

// TestSharesOfTheEngine holds the breakdown against what the engine has
// allocated for the built-in model, to the byte.
func TestSharesOfTheEngine(t *testing.T) {
	model, err := engine.OpenBytes(t.Context(), "demo", assets.Demo, engine.Options{CacheDir: t.TempDir()})
	if err != nil {
		t.Skipf("no model on a device: %v", err)
	}
	defer model.Close()
	session, err := model.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	report := model.Memory()
	if report.Total == 0 {
		t.Fatal("nothing is allocated")
	}
	checkShares(t, report)
	parts, _ := shares(report)
	seen := map[vulkan.Purpose]bool{}
	for _, p := range parts {
		seen[p.purpose] = true
	}
	if !seen[vulkan.Weights] || !seen[vulkan.State] || !seen[vulkan.Scratch] || seen[""] {
		t.Errorf("purposes %v", seen)
	}
}

func TestHistory(t *testing.T) {
	var h History
	const n = 50_000 // seven hours
	for i := range n {
		p := Point{moment.Add(time.Duration(i) * 500 * time.Millisecond), 100, int64(i)}
		if i == 20_000 {
			p.Bytes = 900
		}
		h.Add(p)
	}
	points := h.Points()
	if len(points) > maxPoints || len(points) < maxPoints/4 {
		t.Fatalf("%d points", len(points))
	}
	last := points[len(points)-1]
	if last.Tokens != n-1 || !points[0].Time.Equal(moment) {
		t.Errorf("the history spans %v to %v", points[0].Time, last.Time)
	}
	most := int64(0)
	for i, p := range points {
		most = max(most, p.Bytes)
		if i > 0 && (!p.Time.After(points[i-1].Time) || p.Tokens < points[i-1].Tokens) {
			t.Fatalf("point %d is not after the one before", i)
		}
	}
	if most != 900 {
		t.Errorf("the peak is %d, want 900", most)
	}
	for i, p := range points[1:] {
		if gap, age := p.Time.Sub(points[i].Time), last.Time.Sub(points[i].Time); gap > max(age/(fineness/2), 500*time.Millisecond) {
			t.Fatalf("points %v old are %v apart", age, gap)
		}
	}
	for i := len(points) - 100; i < len(points)-1; i++ {
		if d := points[i+1].Time.Sub(points[i].Time); d != 500*time.Millisecond {
			t.Fatalf("new points are %v apart", d)
		}
	}
	h.Add(Point{Time: last.Time})
	if got := h.Points(); got[len(got)-1] != last {
		t.Error("a point at the same time was added")
	}
	if cut := since(points, last.Time.Add(-10*time.Second)); len(cut) != 22 {
		t.Errorf("the last ten seconds have %d points, want 21 and the one before", len(cut))
	}
}

func TestSteps(t *testing.T) {
	for most, want := range map[int64]int64{0: 256 << 10, 10 * mib1: 3 * mib1, 12 * mib1: 4 * mib1, 7_600 * mib1: 2 * gib1, 14 * gib1: 4 * gib1, 24 * gib1: 8 * gib1, 20 * gib1: 6 * gib1} {
		if got := byteStep(most); got != want {
			t.Errorf("byteStep(%d) is %s, want %s", most, bytesTick(got), bytesTick(want))
		}
	}
	for most, want := range map[int64]int64{100: 25, 101: 50, 128_403: 50_000, 562_000: 200_000, 5: 2} {
		if got := countStep(most); got != want {
			t.Errorf("countStep(%d) is %d, want %d", most, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 750: "750", 37_500: "37.5k", 1_500_000: "1.5M"} {
		if got := countTick(n); got != want {
			t.Errorf("countTick(%d) is %q", n, got)
		}
	}
	for d, want := range map[time.Duration]string{0: "now", 45 * time.Second: "45 s ago", 75 * time.Second: "1:15 min ago", 30 * time.Minute: "30 min ago", 3*time.Hour + 30*time.Minute: "3.5 h ago"} {
		if got := ago(d); got != want {
			t.Errorf("ago(%v) is %q", d, got)
		}
	}
}

// TestDraw holds the lines to where their values lie.
func TestDraw(t *testing.T) {
	ink := inks{color.NRGBA{0, 0, 255, 255}, color.NRGBA{255, 0, 0, 255}, color.NRGBA{0, 255, 0, 255}}
	c := curve{from: moment, to: moment.Add(100 * time.Second), mostBytes: 400, mostCount: 1000}
	for i := range 101 {
		c.points = append(c.points, Point{moment.Add(time.Duration(i) * time.Second), 300, int64(i) * 10})
	}
	picture := c.draw(400, 200, 2, ink)
	is := func(x, y int, want color.RGBA) bool {
		got := picture.RGBAAt(x, y)
		near := func(a, b uint8) bool { return max(a, b)-min(a, b) < 60 }
		return near(got.R, want.R) && near(got.G, want.G) && near(got.B, want.B) && near(got.A, want.A)
	}
	for _, x := range []int{30, 170, 330, 370} {
		if !is(x, 50, color.RGBA{0, 0, 255, 255}) { // 300 of 400
			t.Errorf("memory at %d: %v", x, picture.RGBAAt(x, 50))
		}
		if y := 200 - x/2; !is(x, y, color.RGBA{255, 0, 0, 255}) {
			t.Errorf("tokens at %d,%d: %v", x, y, picture.RGBAAt(x, y))
		}
		if is(x, 20, color.RGBA{0, 0, 255, 255}) || picture.RGBAAt(x, 20).A != 0 {
			t.Errorf("above the memory at %d: %v", x, picture.RGBAAt(x, 20))
		}
	}
	if below := picture.RGBAAt(30, 120); below.A == 0 || below.A > 100 {
		t.Errorf("the area below the memory is %v", below)
	}
	for _, size := range []image.Point{{0, 0}, {1, 1}, {2, 2}, {3, 500}} {
		c.draw(size.X, size.Y, 2, ink) // no size is too small
	}
	if empty := (curve{from: moment, to: moment}).draw(50, 50, 2, ink); empty.RGBAAt(25, 3).A != 0 {
		t.Error("an empty plot draws a line")
	}
}

// BenchmarkPanel is one update of a panel in a window with a full history, the
// plot's picture included. At two a second, 1% of a core is 5 ms.
func BenchmarkPanel(b *testing.B) {
	looktest.App(b, look.Options{Mode: look.Light}, look.English)
	p, _, _ := shownPanel(b, fyne.NewSize(1100, 900), &Sample{loaded(), allKnown()})
	p.span = 0
	i := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		i++
		m := loaded()
		m.TokensRead += i * 100
		s := allKnown()
		s.Busy.Value, s.Power.Value = float64(i%100)/100, float64(i%200)
		p.draw(&Sample{m, s})
		p.plot.paint(970, 170)
	}
	b.ReportMetric(float64(b.Elapsed())/float64(b.N)*2/float64(time.Second)*100, "%core@2Hz")
}
