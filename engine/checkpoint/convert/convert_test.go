package convert_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"kestrel/assets"
	"kestrel/engine/checkpoint"
	"kestrel/engine/checkpoint/checkpointtest"
	"kestrel/engine/checkpoint/convert"
	"kestrel/engine/tokenizer"
	"kestrel/engine/weights"
	"kestrel/engine/weights/bnb/bnbtest"
)

// withFiles is the model as a folder with the demo's tokenizer and template.
func withFiles(t *testing.T, files fstest.MapFS) fstest.MapFS {
	t.Helper()
	for _, name := range []string{"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"} {
		data, err := os.ReadFile(filepath.Join("../../../assets/demo", name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: data}
	}
	return files
}

func open(t *testing.T, fsys fs.FS, name string) *checkpoint.Checkpoint {
	t.Helper()
	c, err := checkpoint.OpenFS(fsys, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// TestFile: what is written is read back as the model that was asked for, each
// tensor to the byte, with its tokenizer, template, ids and epsilons.
func TestFile(t *testing.T) {
	for name, cfg := range map[string]checkpoint.Config{
		"falcon": checkpointtest.Config(checkpoint.FalconMamba, 256, 1, 256, 16, 4, 48, 5000),
		"mamba":  checkpointtest.Config(checkpoint.Mamba, 64, 2, 96, 8, 3, 5, 5000),
	} {
		cfg.MixerEps *= 7
		cfg.Tied = name == "mamba"
		cfg.BOS, cfg.EOS, cfg.Pad = 3, []int{11, 13, 5}, 7
		m := checkpointtest.Random(1, cfg)
		ck := open(t, withFiles(t, m.HF(checkpointtest.Published)), ".")
		ck.EOS = cfg.EOS // config.json's has one
		for _, d := range checkpoint.Precisions() {
			if (testing.Short() || name == "mamba") && d != weights.Q8_0 && d != weights.F16 {
				continue
			}
			as, err := ck.As(d, false)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "m.gguf")
			var last, total int64
			if err := convert.File(context.Background(), as, path, convert.Options{
				Progress: func(done, of int64) {
					if done <= last || done > of {
						t.Errorf("progress went from %d to %d of %d", last, done, of)
					}
					last, total = done, of
				},
				Warn: func(text string) { t.Errorf("%s %v: warning %q", name, d, text) },
			}); err != nil {
				t.Fatal(err)
			}
			if last != total || total == 0 {
				t.Errorf("progress ended at %d of %d", last, total)
			}
			got, err := checkpoint.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			same(t, name+" "+d.String(), got, as)
			// And once more from that file, where nothing changes any more.
			again := filepath.Join(t.TempDir(), "again.gguf")
			if err := convert.File(context.Background(), got, again, convert.Options{}); err != nil {
				t.Fatal(err)
			}
			got.Close()
			a, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := os.ReadFile(again); err != nil || !bytes.Equal(a, b) {
				t.Errorf("%s %v: converted again it is another file, %v", name, d, err)
			}
		}
	}
}

// TestBuiltin: the model in the program is what this package makes of assets/demo, byte by byte.
func TestBuiltin(t *testing.T) {
	builtin, err := checkpoint.OpenBytes("demo", assets.Demo)
	if err != nil {
		t.Fatal(err)
	}
	defer builtin.Close()
	ck, err := checkpoint.Open("../../../assets/demo")
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	as, err := ck.As(builtin.Embed.DType, false)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "demo.gguf")
	if err := convert.File(context.Background(), as, path, convert.Options{}); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(path); err != nil || !bytes.Equal(data, assets.Demo) {
		t.Errorf("assets/demo in %v is another file, %v; make assets/demo.gguf anew with build/demo/pack", builtin.Embed.DType, err)
	}
}

func same(t *testing.T, name string, got, want *checkpoint.Checkpoint) {
	t.Helper()
	a, b := got.Config, want.Config
	if !reflect.DeepEqual(a, b) {
		t.Errorf("%s: %+v, want %+v", name, a, b)
	}
	if got.Files.ChatTemplate != want.Files.ChatTemplate || want.Files.ChatTemplate == "" || !bytes.Equal(got.Files.TokenizerJSON, want.Files.TokenizerJSON) {
		t.Errorf("%s: another tokenizer or template", name)
	}
	v, err := tokenizer.FromVocab(*got.Files.Vocab)
	if err != nil {
		t.Fatal(err)
	}
	j, err := tokenizer.FromJSON(want.Files.TokenizerJSON)
	if err != nil {
		t.Fatal(err)
	}
	const text = "The captain said: it's 12345 o'clock<|im_end|>\n\n  naïve"
	if !slices.Equal(v.Encode(text, true), j.Encode(text, true)) || v.VocabSize() != want.Vocab {
		t.Errorf("%s: the vocabulary of %d reads text otherwise", name, v.VocabSize())
	}
	x, y := got.GGUFTensors(), want.GGUFTensors()
	if len(x) != len(y) {
		t.Fatalf("%s: %d tensors, want %d", name, len(x), len(y))
	}
	for i := range y {
		w, err := y[i].Load(context.Background(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if x[i].Name != w.Name || x[i].DType != w.DType || !bytes.Equal(x[i].Data, w.Data) {
			t.Errorf("%s: %v, want %v", name, x[i], w)
		}
	}
}

// TestStopped: when the context ends, or the disk refuses, nothing is left, and
// the file that was there is as it was.
func TestStopped(t *testing.T) {
	m := checkpointtest.Random(2, checkpointtest.Blocks(checkpoint.FalconMamba))
	ck := open(t, m.HF(checkpointtest.All(weights.F32)), ".")
	as, err := ck.As(weights.Q8_0, false)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "m.gguf")
	if err := os.WriteFile(path, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, after := range []int{1, 5, 20} {
		ctx, cancel := context.WithCancel(context.Background())
		n := 0
		err := convert.File(ctx, as, path, convert.Options{Progress: func(int64, int64) {
			if n++; n == after {
				cancel()
			}
		}})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("stopped after %d pieces: %v", after, err)
		}
		cancel()
	}
	if err := convert.File(context.Background(), as, filepath.Join(dir, "none", "m.gguf"), convert.Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("to a folder that is not there: %v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("%v are left, %v", entries, err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "before" {
		t.Errorf("the file that was there is %q, %v", data, err)
	}
}

// TestFourBit: NF4 has no place in GGUF; its values have.
func TestFourBit(t *testing.T) {
	m := checkpointtest.Random(3, checkpointtest.Config(checkpoint.FalconMamba, 64, 1, 128, 16, 4, 64, 61))
	ck := open(t, m.Bitsandbytes(checkpointtest.Published, bnbtest.Options{Kind: "nf4", Nested: true}), ".")
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := convert.File(context.Background(), ck, path, convert.Options{}); !errors.Is(err, weights.ErrUnsupported) || !strings.Contains(err.Error(), "NF4, which GGUF does not have") {
		t.Errorf("as it is: %v", err)
	}
	as, err := ck.As(weights.F32, false)
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	if err := convert.File(context.Background(), as, path, convert.Options{Warn: func(text string) { said = append(said, text) }}); err != nil {
		t.Fatal(err)
	}
	if len(said) != 1 || !strings.Contains(said[0], "no tokenizer.json") {
		t.Errorf("warnings %q", said)
	}
	got, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	a, err := got.Layers[0].InProj.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	if b, err := ck.Layers[0].InProj.Float32s(); err != nil || !slices.Equal(a, b) {
		t.Errorf("other values than before, %v", err)
	}
}

// TestDamaged: values that a type cannot hold are warned of.
func TestDamaged(t *testing.T) {
	m := checkpointtest.Random(4, checkpointtest.Blocks(checkpoint.FalconMamba))
	m.Find(1, "mixer.out_proj.weight").Values[77] = 1e6 // too large for F16
	ck := open(t, m.HF(checkpointtest.All(weights.F32)), ".")
	as, err := ck.As(weights.F16, false)
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	if err := convert.File(context.Background(), as, filepath.Join(t.TempDir(), "m.gguf"), convert.Options{Warn: func(text string) { said = append(said, text) }}); err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(said, "\n"); !strings.Contains(text, "blk.1.ssm_out.weight") || strings.Count(text, "NaN") != 1 {
		t.Errorf("warnings %q", said)
	}
}

// TestMemory: a model is written in pieces, whatever the size of its tensors.
func TestMemory(t *testing.T) {
	ck, err := checkpoint.OpenRandom("512x1x512x32", "f16") // embedding and head of 33 million elements each
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	as, err := ck.As(weights.Q8_0, false)
	if err != nil {
		t.Fatal(err)
	}
	heap := func() int64 {
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return int64(s.HeapAlloc)
	}
	before, most := heap(), int64(0)
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := convert.File(context.Background(), as, path, convert.Options{Progress: func(int64, int64) { most = max(most, heap()-before) }}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Size() < 64<<20 {
		t.Fatalf("%v, %v", info, err)
	}
	if most > 16<<20 {
		t.Errorf("%d bytes in memory for a file of %d", most, info.Size())
	}
}
