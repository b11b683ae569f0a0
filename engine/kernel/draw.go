package kernel

import (
	"fmt"

	"kestrel/engine/sample"
	"kestrel/engine/vulkan"
)

// Draw is where the device keeps what its choices hang on. Each choice moves it on by one token.
type Draw struct {
	Control vulkan.View // ControlWords; the first is the id chosen
	Seen    vulkan.View // [vocabulary] uint32: how often each id is in the window
	Window  vulkan.View // [rule's Window, 1 at least] uint32: the ids that the penalty looks back on
	Result  vulkan.View // [2]uint32 of this choice: { id, 0 }, or { 0, 1 } where nothing can be chosen
}

// controlWords is the number of words of Control, which draw.glsl lists.
const controlWords = 14

// ControlBytes is the size of Draw.Control.
const ControlBytes = 4 * controlWords

// Control is what Draw.Control holds before a sampler's first choice on the device, from few logits or from all: its rule,
// its place, and that so many ids lie in the window, the oldest first.
func Control(r sample.Rule, few bool, place uint64, recent int) []byte {
	topK, scale := r.TopK, r.Scale
	if r.Greedy && few {
		topK, scale = 1, 1 // the largest of few; of all logits, a scale of 0 asks for it
	}
	next := 0
	if r.Window > 0 {
		next = recent % r.Window
	}
	return pack([]any{uint32(0), scale, topK, r.TopP, r.MinP, r.Penalty, r.Relief, uint32(r.Seed), uint32(r.Seed >> 32),
		uint32(place), uint32(place >> 32), r.Window, recent, next})
}

// DrawFew chooses from the count largest logits, top [count][2]uint32 as TopK gives them, as the sampler does whose rule
// Control holds. Nothing can be chosen where the largest is infinite.
func (e *Encoder) DrawFew(top vulkan.View, count int, d Draw) {
	if count < 1 || count > MaxTopK {
		e.fail(fmt.Errorf("choice among %d: the kernel takes 1 to %d", count, MaxTopK))
		return
	}
	e.draw("draw_few", e.set.tune.Top, top, count, d)
}

// DrawAll chooses from all logits [count], as the sampler does whose rule Control holds. Nothing can be chosen where a
// logit is NaN or the largest is infinite.
func (e *Encoder) DrawAll(logits vulkan.View, count int, d Draw) {
	e.draw("draw_all", e.set.tune.draw(), logits, count, d)
}

func (e *Encoder) draw(shader string, local int, from vulkan.View, count int, d Draw) {
	e.run(shader, []uint32{uint32(local), e.multi(local)}, 1, 1, []any{count},
		vulkan.In(from), vulkan.InOut(d.Control), vulkan.InOut(d.Seen), vulkan.InOut(d.Window), vulkan.Out(d.Result))
}

// Few is the number of largest logits to choose from by a sampler's rule, or 0 where it is better, or necessary, to choose
// from all: the penalty's window counts, MaxTopK is the most, and drivers that run on the CPU find a border in all sooner
// than they sort out the largest.
func (s *Set) Few(r sample.Rule, vocab int) int {
	few := min(r.Few, vocab)
	if few > MaxTopK || !s.tune.Few && !(r.Greedy && r.Window == 0) {
		return 0
	}
	return few
}
