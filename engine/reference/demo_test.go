package reference

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"kestrel/engine/checkpoint"
	"kestrel/engine/checkpoint/checkpointtest"
	"kestrel/engine/reference/golden"
	"kestrel/engine/weights"
)

// When assets/demo is replaced, engine/testdata/demo-golden.json and
// engine/testdata/llamacpp are to be made again.
const remake = "if assets/demo was replaced, make the golden data again with build/reference/make_llamacpp.py"

func openDemo(t *testing.T) *checkpoint.Checkpoint {
	t.Helper()
	c, err := checkpoint.Open("../../assets/demo")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestDemoAgainstTransformers(t *testing.T) {
	checkGolden(t, openModel(t, "../../assets/demo"), golden.Prompts(t, "../testdata/demo-golden.json"))
}

var writeDemo = flag.String("write-demo", "", "folder to write the demo model to, as GGUF in every type that llama.cpp is asked about")

// TestWriteDemo makes the files that build/reference/make_llamacpp.py gives to
// llama.cpp.
func TestWriteDemo(t *testing.T) {
	if *writeDemo == "" {
		t.Skip("no -write-demo")
	}
	demo := openDemo(t)
	for _, d := range append(checkpointtest.Quantizations(), weights.F32, weights.F16) {
		file := filepath.Join(*writeDemo, demoFile(d)+".gguf")
		if err := os.WriteFile(file, golden.GGUF(t, demo, d), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func demoFile(d weights.DType) string { return "demo-" + strings.ToLower(d.String()) }

// The same GGUF file in llama.cpp and here, the same tensors to the byte: the
// same greedy text after every prompt, to the last of 64 tokens.
func TestDemoSaysWhatLlamaCppSays(t *testing.T) {
	demo := openDemo(t)
	for _, d := range append(checkpointtest.Quantizations(), weights.F32, weights.F16) {
		t.Run(d.String(), func(t *testing.T) {
			if testing.Short() && d != weights.F32 {
				t.Skip("one precision is enough for a short run, as with -race")
			}
			texts := golden.LlamaCpp(t, "../testdata/llamacpp/"+demoFile(d)+".json")
			file := golden.GGUF(t, demo, d)
			if got := golden.TensorsHash(t, file); got != texts.TensorsSHA256 {
				t.Fatalf("not the tensors llama.cpp was given: %s, %s; %s", got, texts.TensorsSHA256, remake)
			}
			m := openGGUF(t, file)
			if m.Config.Kind != checkpoint.FalconMamba || m.Config.MixerEps != demo.MixerEps {
				t.Errorf("the GGUF file became %v, epsilon %v", m.Config, m.Config.MixerEps)
			}
			for _, text := range texts.Prompts {
				checkText(t, m, text)
			}
		})
	}
}

func openGGUF(t *testing.T, file []byte) *Model {
	t.Helper()
	c, err := checkpoint.OpenFS(fstest.MapFS{"demo.gguf": {Data: bytes.Clone(file)}}, "demo.gguf")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	m, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func checkText(t *testing.T, m *Model, text golden.Text) {
	t.Helper()
	n := len(text.IDs)
	switch text.End {
	case "limit":
		if n != 64 {
			t.Errorf("%q: %d golden tokens", text.Prompt, n)
		}
	case "eos":
		n++ // and then the end
	}
	got, err := m.Greedy(m.NewState(), text.PromptIDs, n)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got[:len(text.IDs)], text.IDs) {
		t.Errorf("%q (lead %v): %v, llama.cpp says %v; %s", text.Prompt, text.Lead, got, text.IDs, remake)
	} else if text.End == "eos" && !slices.Contains(append(m.Config.EOS, 11), got[n-1]) {
		t.Errorf("%q ends with %d; %s", text.Prompt, got[n-1], remake)
	}
}

// llama.cpp takes the layer norm's epsilon for the norms of dt, B and C too,
// where this model says 1e-6. Its logits stay the same to float32's last digits:
// the two cannot differ in text for that reason.
func TestDemoDoesNotHangOnMixerEpsilon(t *testing.T) {
	m := openModel(t, "../../assets/demo")
	if m.Config.MixerEps == m.Config.NormEps {
		t.Skip("the demo model has one epsilon for both")
	}
	for _, text := range golden.LlamaCpp(t, "../testdata/llamacpp/demo-f32.json").Prompts {
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
