package reference

import (
	"slices"
	"testing"

	"kestrel/engine/checkpoint"
	"kestrel/engine/reference/golden"
)

// When assets/demo is replaced, engine/testdata/demo-golden.json and
// engine/testdata/llamacpp are to be made again.
const remake = "if assets/demo was replaced, make the golden text again with build/reference/make_llamacpp.py"

func TestDemoAgainstTransformers(t *testing.T) {
	checkGolden(t, openModel(t, "../../assets/demo"), golden.Prompts(t, "../testdata/demo-golden.json"))
}

// llama.cpp and the reference say the same after every prompt, to the last of 64
// tokens. llama.cpp takes the layer norm's epsilon for the norms of dt, B and C
// too, where this model says 1e-6: the text must not hang on that.
func TestDemoSaysWhatLlamaCppSays(t *testing.T) {
	m := openModel(t, "../../assets/demo")
	if m.Config.Kind != checkpoint.FalconMamba || m.Config.MixerEps == m.Config.NormEps {
		t.Fatalf("not the demo model this test is about: %v", m.Config)
	}
	for _, text := range golden.Texts(t, "../testdata/llamacpp/demo-f32.json") {
		if text.End == "limit" && len(text.IDs) != 64 {
			t.Errorf("%q: %d golden tokens", text.Prompt, len(text.IDs))
		}
		n := len(text.IDs)
		if text.End == "eos" {
			n++ // and then the end
		}
		got, err := m.Greedy(m.NewState(), text.PromptIDs, n)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got[:len(text.IDs)], text.IDs) {
			t.Errorf("%q: %v, llama.cpp says %v; %s", text.Prompt, got, text.IDs, remake)
		}
		if text.End == "eos" && !slices.Contains(m.Config.EOS, got[n-1]) {
			t.Errorf("%q ends with %d, not with one of %v; %s", text.Prompt, got[n-1], m.Config.EOS, remake)
		}
	}
}

// With the epsilon llama.cpp uses, the demo model's logits stay the same to
// float32's last digits: the two cannot differ in text for that reason.
func TestDemoDoesNotHangOnMixerEpsilon(t *testing.T) {
	m := openModel(t, "../../assets/demo")
	for _, text := range golden.Texts(t, "../testdata/llamacpp/demo-f32.json") {
		own, err := m.Forward(m.NewState(), text.PromptIDs)
		if err != nil {
			t.Fatal(err)
		}
		undo := set(&m.Config.MixerEps, m.Config.NormEps)
		theirs, err := m.Forward(m.NewState(), text.PromptIDs)
		undo()
		if err != nil {
			t.Fatal(err)
		}
		if d := golden.Distance(theirs, own); d > 1e-6 || d == 0 {
			t.Errorf("%q: the epsilon moves the logits by %.2g of their RMS", text.Prompt, d)
		}
	}
}
