package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"kestrel/engine/vulkan/vulkantest"
	"kestrel/engine/weights"
)

// onPanels is DefaultTuning with panels for few tokens; the test is skipped where the device has none.
func onPanels(t *testing.T) (Tuning, func(d weights.DType) bench) {
	dev := vulkantest.Open(t)
	tune := DefaultTuning(dev.Info())
	if tune.PanelsFrom == 0 {
		t.Skip("this device's weights are not decoded into panels: only Mesa's software Vulkan from 26 on reads through addresses fast")
	}
	tune.PanelsFrom, tune.Fragment = 2, Fragment{}
	return tune, func(d weights.DType) bench { return bench{t, NewSet(dev, tune), true, d == weights.F16} }
}

// TestPanels takes every storage type through panels, some at a time too.
func TestPanels(t *testing.T) {
	_, with := onPanels(t)
	two := func(_ Tuning, _ int, m Shape) int64 { return 2*panelBytes(m.Cols) + 4 }
	for _, d := range storageTypes {
		b, r := with(d), rand.New(rand.NewPCG(3, uint64(d)))
		trials := map[string]projection{
			"two tokens":  randomProjection(r, d, odd(r, 100), odd(r, 290), 2, 0),
			"many tokens": randomProjection(r, d, 17+odd(r, 100), odd(r, 290), 13+odd(r, 40), 0),
		}
		if b.all {
			trials["one row"] = randomProjection(r, d, 1, odd(r, 290), 3, 0)
			trials["one column"] = randomProjection(r, d, odd(r, 100), 1, 9, 0)
			trials["whole panels"] = randomProjection(r, d, 64, 64, 48, 0)
			trials["a span and a half"] = randomProjection(r, d, 24, 192, 12, 0)
			trials["far tokens"] = randomProjection(r, d, 20, 2500, 40, 0)
		}
		for name, p := range trials {
			for what, ep := range epilogues {
				p.epilogue, p.scratch = ep, asked
				b.sub(fmt.Sprint(d, ", ", name, ", ", what), func(b bench) {
					check(b, p)
					if p.w.Shape[0] > 1 {
						checkSpoiled(b, p, p.wrong())
					}
				})
			}
			b.sub(fmt.Sprint(d, ", ", name, ", two panels at a time"), func(b bench) {
				want := p.device(b)[0]
				p.scratch = two
				if got := p.device(b)[0]; !sameBits(got, want) {
					b.Errorf("the results differ from those with all panels at a time")
				}
			})
		}
		b.sub(fmt.Sprint(d, ", slabs"), func(b bench) {
			p := randomProjection(r, d, 87, odd(r, 99), 33, 0)
			p.scratch = asked
			checkSlabs(b, p, func(rows int) trial { p.slabRows = rows; return p })
		})
	}
}
