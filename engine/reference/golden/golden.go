// Package golden reads the committed golden data of engine/testdata: what
// transformers and llama.cpp said of small models. It is for tests.
package golden

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
)

// Case is one model folder (Hugging Face layout) and what transformers computes
// with it; see build/reference/make_golden.py.
type Case struct {
	Name    string
	Path    string // the model folder
	Prompts []Prompt
}

// Prompt is one input and what follows.
type Prompt struct {
	Text      string // what IDs are the tokens of; "" for random ids
	IDs       []int
	Positions []int       // those Logits and Logits64 are of
	Logits    [][]float32 // [positions][vocab], computed in float32
	Logits64  [][]float64 // [positions][vocab], computed in float64
	Greedy    []int       // greedy continuation, may be empty
	States    []State     // one per layer after IDs; nil for most prompts
}

// State is one layer's as transformers keeps it.
type State struct {
	SSM  []float32 // [inner, state]
	Conv []float32 // [inner, conv]: the last conv inputs, oldest first, one more than needed
}

// Cases reads every case under folder, engine/testdata/golden.
func Cases(t testing.TB, folder string) []Case {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*", "golden.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden models in %s: %v", folder, err)
	}
	var cases []Case
	for _, file := range files {
		folder := filepath.Dir(file)
		cases = append(cases, Case{filepath.Base(folder), folder, Prompts(t, file)})
	}
	return cases
}

// Prompts reads one file of prompts: a case's golden.json, or
// engine/testdata/demo-golden.json, which is of assets/demo.
func Prompts(t testing.TB, file string) []Prompt {
	t.Helper()
	var g struct {
		Prompts []struct {
			Text             string
			IDs, Positions   []int
			Greedy           []int
			Logits, Logits64 string
			States           []struct{ SSM, Conv string }
		}
	}
	readJSON(t, file, &g)
	var prompts []Prompt
	for _, p := range g.Prompts {
		q := Prompt{Text: p.Text, IDs: p.IDs, Positions: p.Positions, Greedy: p.Greedy}
		q.Logits = rows(decode(t, p.Logits, 4, float32At), len(p.Positions))
		q.Logits64 = rows(decode(t, p.Logits64, 8, float64At), len(p.Positions))
		for _, s := range p.States {
			q.States = append(q.States, State{decode(t, s.SSM, 4, float32At), decode(t, s.Conv, 4, float32At)})
		}
		prompts = append(prompts, q)
	}
	if len(prompts) == 0 {
		t.Fatalf("%s holds no prompts", file)
	}
	return prompts
}

// Texts is what llama.cpp said with one model file; see
// build/reference/make_llamacpp.py.
type Texts struct {
	LlamaCpp      string `json:"llama.cpp"`      // its version
	TensorsSHA256 string `json:"tensors_sha256"` // of the model file, see TensorsHash
	Prompts       []Text
}

// Text is one greedy continuation.
type Text struct {
	Prompt    string
	PromptIDs []int `json:"prompt_ids"`
	IDs       []int // of the continuation, without the token that ended it
	Text      string
	End       string  // "limit", or "eos" when the model ended it
	Lead      float64 // least difference of log-probability of a choice and the next best
}

// LlamaCpp reads a file of engine/testdata/llamacpp.
func LlamaCpp(t testing.TB, file string) Texts {
	t.Helper()
	var g Texts
	readJSON(t, file, &g)
	if len(g.Prompts) == 0 || g.TensorsSHA256 == "" {
		t.Fatalf("%s holds no prompts, or not the hash of their model", file)
	}
	return g
}

// RMS is the root mean square of v.
func RMS[F float32 | float64](v []F) float64 {
	sum := 0.0
	for _, f := range v {
		sum += float64(f) * float64(f)
	}
	return math.Sqrt(sum / float64(len(v)))
}

// Distance is the root mean square of a-b in units of b's. It is +Inf when a is
// not as long as b or holds a NaN.
func Distance[A, B float32 | float64](a []A, b []B) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	sum := 0.0
	for i := range a {
		d := float64(a[i]) - float64(b[i])
		sum += d * d
	}
	if d := math.Sqrt(sum/float64(len(a))) / RMS(b); !math.IsNaN(d) {
		return d
	}
	return math.Inf(1)
}

func readJSON(t testing.TB, file string, v any) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

func float32At(p []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(p)) }
func float64At(p []byte) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(p)) }

func decode[F any](t testing.TB, text string, size int, at func([]byte) F) []F {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(text)
	if err == nil && len(data)%size != 0 {
		err = fmt.Errorf("%d bytes are not whole numbers of %d", len(data), size)
	}
	if err != nil {
		t.Fatalf("golden data: %v", err)
	}
	out := make([]F, len(data)/size)
	for i := range out {
		out[i] = at(data[i*size:])
	}
	return out
}

func rows[F any](v []F, n int) [][]F {
	out := make([][]F, n)
	for i := range out {
		out[i] = v[i*len(v)/n : (i+1)*len(v)/n]
	}
	return out
}
