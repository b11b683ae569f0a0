package engine_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"testing/iotest"

	"kestrel/engine"
	"kestrel/engine/checkpoint"
	"kestrel/engine/checkpoint/checkpointtest"
	"kestrel/engine/weights"
)

// small is a random model of odd sizes as a folder in memory, with the demo's tokenizer.
func small(t testing.TB, seed uint64) fstest.MapFS {
	t.Helper()
	return withTokenizer(t, checkpointtest.Random(seed, checkpointtest.Small(checkpoint.FalconMamba)).HF(checkpointtest.All(weights.F32)))
}

func withTokenizer(t testing.TB, files fstest.MapFS) fstest.MapFS {
	t.Helper()
	data, err := fs.ReadFile(demoFloats, "tokenizer.json")
	if err != nil {
		t.Fatal(err)
	}
	files["tokenizer.json"] = &fstest.MapFile{Data: data}
	return files
}

// header is that of a state file; see the format's comment in statefile.go.
type header struct {
	Model, Tokenizer                  [32]byte
	DType                             uint32
	Layers, Inner, State, Conv, Vocab uint32
	Tokens                            uint64
}

// stateFile is a file of that header and content, with its checksum.
func stateFile(h header, floats []float32) []byte {
	var b bytes.Buffer
	b.WriteString("KESTREL\x01")
	binary.Write(&b, binary.LittleEndian, h)
	binary.Write(&b, binary.LittleEndian, floats)
	return sealed(b.Bytes())
}

func sealed(body []byte) []byte {
	sum := sha256.Sum256(body)
	return append(bytes.Clone(body), sum[:]...)
}

// tiny is a header whose state has 2*3 + 2*1 + 4 floats.
var tiny = header{Layers: 2, Inner: 1, State: 3, Conv: 2, Vocab: 4, Tokens: 9}

func TestStateFormat(t *testing.T) {
	floats := []float32{1, 2, 3, 4, 5, 6, -1, -2, 0.5, 0.25, float32(math.Inf(-1)), 7}
	s, err := engine.ReadState(bytes.NewReader(stateFile(tiny, floats)))
	if err != nil {
		t.Fatal(err)
	}
	c := engine.Carried(s)
	if s.Tokens() != 9 || len(c.S) != 6 || len(c.Columns) != 2 || len(c.Logits) != 4 || c.S[5] != 6 || c.Columns[0] != -1 || c.Logits[3] != 7 {
		t.Errorf("read as %d tokens, %+v", s.Tokens(), c)
	}
	if s.Bytes() != int64(4*len(floats)) {
		t.Errorf("%d bytes", s.Bytes())
	}
}

// TestBadState: a file that is cut anywhere, or in which any byte is another, is refused.
func TestBadState(t *testing.T) {
	m := openFS(t, small(t, 1), ".", options(t))
	var b bytes.Buffer
	if _, err := state(t, read(t, m, []int{1, 2, 3})).WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	file := b.Bytes()
	if _, err := engine.ReadState(bytes.NewReader(file)); err != nil {
		t.Fatal(err)
	}
	refuse := func(what string, at int, file []byte) {
		t.Helper()
		if s, err := engine.ReadState(bytes.NewReader(file)); !errors.Is(err, engine.ErrBadState) || s != nil {
			t.Fatalf("%s %d of %d: %v", what, at, len(b.Bytes()), err)
		}
	}
	for n := range file {
		refuse("cut at byte", n, file[:n])
	}
	for i := range file {
		file[i] ^= 1 << (i % 8)
		refuse("a bit flipped in byte", i, file)
		file[i] ^= 1 << (i % 8)
	}
	refuse("longer than", len(file), append(bytes.Clone(file), 0))
	refuse("another file, of length", 8, []byte("GGUF\x03\x00\x00\x00"))
}

// TestHugeState: what a header promises is neither believed nor allocated.
func TestHugeState(t *testing.T) {
	const most = 1 << 24
	for name, h := range map[string]header{
		"a large model":         {Layers: 64, Inner: 8192, State: 16, Conv: 4, Vocab: 65024},
		"no layers":             {Layers: 0, Inner: 8, State: 8, Conv: 4, Vocab: 10},
		"no vocabulary":         {Layers: 1, Inner: 8, State: 8, Conv: 4},
		"no convolution":        {Layers: 1, Inner: 8, State: 8, Vocab: 10},
		"a huge vocabulary":     {Layers: 1, Inner: 1, State: 1, Conv: 1, Vocab: math.MaxUint32},
		"a large vocabulary":    {Layers: 1, Inner: 1, State: 1, Conv: 1, Vocab: most},
		"all sizes huge":        {Layers: most, Inner: most, State: most, Conv: most, Vocab: most},
		"a product of 2^72":     {Layers: most, Inner: most, State: most, Conv: 1, Vocab: 1},
		"a product of 2^64":     {Layers: 1 << 22, Inner: 1 << 21, State: 1 << 21, Conv: 1, Vocab: 1},
		"a product of 2^64 + 1": {Layers: 1 << 22, Inner: 1 << 21, State: 1, Conv: 1<<21 + 1, Vocab: 1},
		"another number type":   {Layers: 2, Inner: 1, State: 3, Conv: 2, Vocab: 4, DType: 1},
		"endless tokens":        {Layers: 2, Inner: 1, State: 3, Conv: 2, Vocab: 4, Tokens: math.MaxUint64},
	} {
		file := stateFile(h, make([]float32, 12))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := engine.ReadState(bytes.NewReader(file))
		runtime.ReadMemStats(&after)
		if !errors.Is(err, engine.ErrBadState) {
			t.Errorf("%s: %v", name, err)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
			t.Errorf("%s: %d bytes allocated for a file of %d", name, n, len(file))
		}
	}
}

// TestStateMismatch: a state of another model or tokenizer is refused, and the session stays where it was.
func TestStateMismatch(t *testing.T) {
	ctx := context.Background()
	ids := []int{5, 6, 7}
	m := openFS(t, small(t, 1), ".", options(t))
	s := read(t, m, ids)
	before := state(t, s)
	vocabulary := small(t, 1)
	vocabulary["tokenizer.json"] = &fstest.MapFile{Data: bytes.ReplaceAll(vocabulary["tokenizer.json"].Data, []byte(">>TITLE<<"), []byte(">>TITRE<<"))}
	for name, files := range map[string]fstest.MapFS{
		"of other weights":     small(t, 2),
		"of another tokenizer": vocabulary,
	} {
		other := state(t, read(t, openFS(t, files, ".", options(t)), ids))
		if err := s.SetState(ctx, other); !errors.Is(err, engine.ErrStateMismatch) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := s.SetState(ctx, state(t, read(t, demo(t), ids))); !errors.Is(err, engine.ErrStateMismatch) || !strings.Contains(err.Error(), "sizes") {
		t.Errorf("of other sizes: %v", err)
	}
	equal(t, "after refusals", state(t, s), before)
}

// TestSave: the file is whole or not there, and nothing else is left beside it.
func TestSave(t *testing.T) {
	s, err := engine.ReadState(bytes.NewReader(stateFile(tiny, make([]float32, 12))))
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	path := filepath.Join(folder, "state")
	if err := os.WriteFile(path, []byte("an older state"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Save(path); err != nil {
		t.Fatal(err)
	}
	if _, err := engine.LoadState(path); err != nil {
		t.Error(err)
	}
	if err := os.MkdirAll(filepath.Join(folder, "taken", "inside"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{filepath.Join(folder, "missing", "state"), filepath.Join(path, "state"), filepath.Join(folder, "taken")} {
		if err := s.Save(bad); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("saved to %s: %v", bad, err)
		}
	}
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) != 2 {
		t.Errorf("beside the state: %v, %v", entries, err)
	}
	if _, err := engine.LoadState(filepath.Join(folder, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if err := os.WriteFile(path, []byte("KESTREL"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := engine.LoadState(path); !errors.Is(err, engine.ErrBadState) || !strings.Contains(err.Error(), path) {
		t.Errorf("a damaged file: %v", err)
	}
}

type failingWriter struct{ left int }

var errFull = errors.New("no space left")

func (w *failingWriter) Write(p []byte) (int, error) {
	n := min(len(p), w.left)
	if w.left -= n; n < len(p) {
		return n, errFull
	}
	return n, nil
}

// TestStateStreams: errors of a writer and a reader come through, and a slow reader gives the same state.
func TestStateStreams(t *testing.T) {
	file := stateFile(tiny, make([]float32, 12))
	s, err := engine.ReadState(iotest.OneByteReader(bytes.NewReader(file)))
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(file) {
		if _, err := s.WriteTo(&failingWriter{n}); !errors.Is(err, errFull) {
			t.Errorf("a writer that takes %d bytes: %v", n, err)
		}
		_, err := engine.ReadState(io.MultiReader(bytes.NewReader(file[:n]), iotest.ErrReader(errFull)))
		if !errors.Is(err, errFull) || errors.Is(err, engine.ErrBadState) {
			t.Errorf("a reader that fails at byte %d: %v", n, err)
		}
	}
}

// FuzzReadState: what is read as a state is written as the same bytes; all else is ErrBadState. The checksum is put
// right, or nothing but the first bytes would ever be tried.
func FuzzReadState(f *testing.F) {
	file := stateFile(tiny, make([]float32, 12))
	body := file[:len(file)-sha256.Size]
	f.Add(body, true)
	f.Add(file, false)
	f.Add(body[:60], true)
	f.Add(stateFile(header{Layers: 1 << 22, Inner: 1 << 21, State: 1 << 21, Conv: 1, Vocab: 1}, nil), false)
	f.Fuzz(func(t *testing.T, data []byte, seal bool) {
		if seal {
			data = sealed(data)
		}
		s, err := engine.ReadState(bytes.NewReader(data))
		if err != nil {
			if !errors.Is(err, engine.ErrBadState) {
				t.Error(err)
			}
			return
		}
		var b bytes.Buffer
		if _, err := s.Clone().WriteTo(&b); err != nil || !bytes.Equal(b.Bytes(), data) {
			t.Errorf("written again it differs: %v", err)
		}
	})
}
