package engine_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kestrel/engine"
	"kestrel/engine/checkpoint"
	"kestrel/engine/checkpoint/checkpointtest"
	"kestrel/engine/reference"
	"kestrel/engine/reference/golden"
	"kestrel/engine/sample"
	"kestrel/engine/weights"
)

const remake = "if assets/demo was replaced, make the golden data again; see testdata/README.md"

// far is the largest difference as a share of want's RMS; infinite where got holds something else than numbers.
func far[F float32 | float64](got []float32, want []F) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	most := 0.0
	for i, w := range want {
		if d := math.Abs(float64(got[i]) - float64(w)); !(d <= most) {
			most = d
		}
	}
	if most /= golden.RMS(want); math.IsNaN(most) {
		return math.Inf(1)
	}
	return most
}

// TestTransformers runs every golden model on the device: the logits of every position that transformers gave, read in
// each way, its arg-max, its greedy continuation and its states.
func TestTransformers(t *testing.T) {
	for _, c := range golden.Cases(t, "testdata/golden") {
		t.Run(c.Name, func(t *testing.T) {
			// These models have no tokenizer, and their ids mean nothing: any will do.
			files := overlay{os.DirFS(c.Path), map[string]fs.FS{"tokenizer.json": demoFloats}}
			for _, mode := range []engine.PrefillMode{engine.Chunked, engine.Parallel} {
				o := options(t)
				o.Prefill, o.Chunk = mode, 32
				m := openFS(t, files, ".", o)
				for _, p := range c.Prompts {
					checkPrompt(t, m, p, 1e-3)
				}
			}
		})
	}
}

func TestDemoAgainstTransformers(t *testing.T) {
	m := demo(t)
	for _, p := range golden.Prompts(t, "testdata/demo-golden.json") {
		if ids := m.Tokenizer().Encode(p.Text, true); !slices.Equal(ids, p.IDs) {
			t.Errorf("%q is %v, want %v; %s", p.Text, ids, p.IDs, remake)
		}
		checkPrompt(t, m, p, 1e-3)
	}
}

func checkPrompt(t *testing.T, m *engine.Model, p golden.Prompt, most float64) {
	t.Helper()
	ctx := context.Background()
	what := fmt.Sprintf("%d tokens", len(p.IDs))
	check := func(how string, at int, got []float32) {
		t.Helper()
		if f := far(got, p.Logits[at]); !(f < most) {
			t.Errorf("%s %s, position %d: logits differ by %.2g of their RMS; %s", what, how, p.Positions[at], f, remake)
		}
		if got, want := reference.ArgMax(reference.Float64s(got)), reference.ArgMax(p.Logits64[at]); got != want {
			t.Errorf("%s %s, position %d: arg-max %d, want %d", what, how, p.Positions[at], got, want)
		}
	}
	every := newSession(t, m)
	seen := 0
	err := every.FeedAll(ctx, p.IDs, func(pos int, logits []float32) error {
		if at := slices.Index(p.Positions, pos); at >= 0 {
			check("at every position", at, logits)
			seen++
		}
		return nil
	})
	if err != nil || seen != len(p.Positions) {
		t.Fatalf("%s: logits of %d of %d positions, %v", what, seen, len(p.Positions), err)
	}
	last := len(p.Positions) - 1
	if p.Positions[last] != len(p.IDs)-1 {
		t.Fatalf("%s: the golden data lacks the last position", what)
	}
	steps := newSession(t, m)
	for _, id := range p.IDs {
		feed(t, steps, []int{id})
	}
	at := read(t, m, p.IDs)
	for how, s := range map[string]*engine.Session{"read": at, "fed one by one": steps, "at every position": every} {
		check(how, last, logits(t, s))
		if s.Tokens() != len(p.IDs) {
			t.Errorf("%s %s: the session counts %d", what, how, s.Tokens())
		}
		checkStates(t, what+" "+how, m.Config(), state(t, s), p.States)
	}
	if got := greedy(t, at, len(p.Greedy)); !slices.Equal(got, p.Greedy) {
		t.Errorf("%s: greedy %v, want %v; %s", what, got, p.Greedy, remake)
	}
}

// checkStates compares with transformers' caches, of which the convolution's has one column more than is needed.
func checkStates(t *testing.T, what string, c checkpoint.Config, got *engine.State, want []golden.State) {
	t.Helper()
	carried := engine.Carried(got)
	for i, w := range want {
		n := c.Inner * c.State
		if f := far(carried.S[i*n:(i+1)*n], w.SSM); !(f < 1e-4) {
			t.Errorf("%s, layer %d: S differs by %.2g of its RMS", what, i, f)
		}
		var columns []float32
		for ch := range c.Inner {
			columns = append(columns, w.Conv[ch*c.Conv+1:(ch+1)*c.Conv]...)
		}
		n = c.Inner * (c.Conv - 1)
		if f := far(carried.Columns[i*n:(i+1)*n], columns); !(f < 1e-4) {
			t.Errorf("%s, layer %d: the columns differ by %.2g of their RMS", what, i, f)
		}
	}
}

// TestLlamaCpp: the same GGUF file, in every precision, in llama.cpp and here, and the same greedy text after every
// prompt, to the last of 64 tokens; and the logits that the float64 model computes from it.
func TestLlamaCpp(t *testing.T) {
	ck, err := checkpoint.OpenFS(demoFloats, ".")
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	for _, d := range append(checkpointtest.Quantizations(), weights.F32, weights.F16) {
		name := "demo-" + strings.ToLower(d.String())
		t.Run(name, func(t *testing.T) {
			if testing.Short() && d != weights.F16 && d != weights.Q8_0 && d != weights.Q4_K {
				t.Skip("three precisions are enough for a short run")
			}
			texts := golden.LlamaCpp(t, "testdata/llamacpp/"+name+".json")
			file := golden.GGUF(t, ck, d)
			if got := golden.TensorsHash(t, file); got != texts.TensorsSHA256 {
				t.Fatalf("not the tensors llama.cpp was given: %s, %s; %s", got, texts.TensorsSHA256, remake)
			}
			path := filepath.Join(t.TempDir(), name+".gguf")
			if err := os.WriteFile(path, bytes.Clone(file), 0o600); err != nil {
				t.Fatal(err)
			}
			m, err := engine.Open(context.Background(), path, options(t))
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			if stops := m.StopIDs(); !slices.Equal(slices.Sorted(slices.Values(stops)), []int{11, 13}) {
				t.Errorf("stops at %v, want <|endoftext|> (11) and <|im_end|> (13), of which the file names one as the end", stops)
			}
			for _, text := range texts.Prompts {
				checkText(t, m, text)
			}
			checkReference(t, m, path, texts.Prompts[0].PromptIDs)
		})
	}
}

// checkReference compares the logits after ids with those of the float64 model of the same file.
func checkReference(t *testing.T, m *engine.Model, path string, ids []int) {
	t.Helper()
	ck, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	ref, err := reference.New(ck)
	if err != nil {
		t.Fatal(err)
	}
	want, err := ref.Forward(ref.NewState(), ids)
	if err != nil {
		t.Fatal(err)
	}
	if f := far(logits(t, read(t, m, ids)), want[len(want)-ck.Vocab:]); !(f < 1e-3) {
		t.Errorf("logits differ from the reference's by %.2g of their RMS", f)
	}
}

func checkText(t *testing.T, m *engine.Model, text golden.Text) {
	t.Helper()
	ids := m.Tokenizer().Encode(text.Prompt, true)
	if !slices.Equal(ids, text.PromptIDs) {
		t.Errorf("%q is %v, llama.cpp says %v", text.Prompt, ids, text.PromptIDs)
	}
	s := read(t, m, text.PromptIDs)
	start := state(t, s)
	var got []int
	sampler := newSampler(t, sample.Params{})
	sampler.Watch(func(id int) { got = append(got, id) })
	r, err := s.Generate(context.Background(), sampler, engine.GenerateOptions{Max: 64}, nil)
	if err != nil {
		t.Fatal(err)
	}
	reason := map[string]string{"limit": engine.ReasonLength, "eos": engine.ReasonStop}[text.End]
	if r.Text != text.Text || r.Reason != reason {
		t.Errorf("%q (lead %v):\n%q %s\nllama.cpp says\n%q %s\n%s", text.Prompt, text.Lead, r.Text, r.Reason, text.Text, text.End, remake)
	}
	want := len(text.IDs)
	if text.End == "eos" {
		want++ // and then the end
	}
	if len(got) != want || r.Tokens != want || !slices.Equal(got[:len(text.IDs)], text.IDs) {
		t.Errorf("%q (lead %v): %v, llama.cpp says %v", text.Prompt, text.Lead, got, text.IDs)
	}
	setState(t, s, start)
	if again := greedy(t, s, want); !slices.Equal(again, got) {
		t.Errorf("%q: token by token %v, in one go %v", text.Prompt, again, got)
	}
}
