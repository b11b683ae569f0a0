package checkpoint

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"

	"kestrel/engine/weights"
)

// shapes are published sizes: hidden, layers, inner, dt rank, vocabulary.
// From the config.json of each model.
var shapes = []struct {
	name                               string
	kind                               Kind
	hidden, layers, inner, rank, vocab int
}{
	{"falcon-mamba-7b", FalconMamba, 4096, 64, 8192, 256, 65024},
	{"mamba-2.8b", Mamba, 2560, 64, 5120, 160, 50280},
	{"mamba-1.4b", Mamba, 2048, 48, 4096, 128, 50280},
	{"mamba-790m", Mamba, 1536, 48, 3072, 96, 50280},
	{"mamba-370m", Mamba, 1024, 48, 2048, 64, 50280},
	{"mamba-130m", Mamba, 768, 24, 1536, 48, 50280},
}

// Shape returns the configuration of a published model by name, or of
// HIDDENxLAYERSxINNERxRANK as a falcon_mamba with Falcon's vocabulary.
func Shape(name string) (Config, error) {
	for _, s := range shapes {
		if s.name == name {
			return shapeConfig(s.kind, s.hidden, s.layers, s.inner, s.rank, s.vocab), nil
		}
	}
	var n []int
	for part := range strings.SplitSeq(name, "x") {
		v, err := strconv.Atoi(part)
		if err != nil || v < 1 || v > 1<<20 {
			n = nil
			break
		}
		n = append(n, v)
	}
	if len(n) != 4 {
		var names []string
		for _, s := range shapes {
			names = append(names, s.name)
		}
		return Config{}, fmt.Errorf("shape %q: want HIDDENxLAYERSxINNERxRANK or one of %s: %w", name, strings.Join(names, ", "), weights.ErrUnsupported)
	}
	return shapeConfig(FalconMamba, n[0], n[1], n[2], n[3], 65024), nil
}

func shapeConfig(kind Kind, hidden, layers, inner, rank, vocab int) Config {
	c := Config{Kind: kind, Hidden: hidden, Layers: layers, Inner: inner, State: 16, Conv: 4, DtRank: rank, Vocab: vocab,
		NormEps: 1e-5, Tied: kind == Mamba, BOS: -1, Pad: -1}
	if kind == FalconMamba {
		c.MixerNorm, c.MixerEps = true, 1e-6
	}
	return c
}

// Random returns a model of the given sizes with random weights, matrices of
// type d, to measure speed without a download. Matrices whose rows are no
// whole blocks of d get [weights.Fallback] of it, as converters do.
//
// They are made when they are loaded, so that a shape alone takes no memory.
// Its tokenizer knows single bytes.
func Random(name string, c Config, d weights.DType) (*Checkpoint, error) {
	src := &randomSource{name: name, config: c, dtype: d, patterns: map[weights.DType]func() ([]byte, error){}}
	src.names = src.list()
	ck := &Checkpoint{Config: c, source: src, path: name, Files: Files{Name: name, TokenizerJSON: byteTokenizer()}}
	if err := ck.load(src, hfNaming("backbone."), sizes{convBias: true}); err != nil {
		return nil, err
	}
	return ck, nil
}

// OpenRandom is Random by the names of a shape and a storage type.
func OpenRandom(shape, precision string) (*Checkpoint, error) {
	c, err := Shape(shape)
	if err != nil {
		return nil, err
	}
	d, ok := weights.ParseDType(strings.ToUpper(precision))
	if !ok || !d.Decodable() {
		return nil, fmt.Errorf("precision %q: %w; try f16, q8_0 or q4_k", precision, weights.ErrUnsupported)
	}
	return Random("random "+shape+" "+precision, c, d)
}

// randomSource makes each tensor when it is asked for.
type randomSource struct {
	name   string
	config Config
	dtype  weights.DType
	names  []string

	patterns map[weights.DType]func() ([]byte, error) // made when first wanted
}

func (s *randomSource) Path() string { return s.name }
func (s *randomSource) Close() error { return nil }

func (s *randomSource) Names() []string { return s.names }

func (s *randomSource) list() []string {
	nm := hfNaming("backbone.")
	names := []string{nm.embed[0], nm.normF}
	for i := range s.config.Layers {
		for _, r := range layerRoles {
			names = append(names, nm.layerName(i, r))
		}
	}
	if !s.config.Tied {
		names = append(names, nm.head)
	}
	return names
}

func (s *randomSource) Tensor(name string) (weights.Tensor, error) {
	if !slices.Contains(s.names, name) {
		return weights.Tensor{}, fmt.Errorf("%s: tensor %q: %w", s.name, name, weights.ErrMissingTensor)
	}
	for _, r := range layerRoles {
		if strings.HasSuffix(name, "."+r.hf) && strings.Contains(name, ".layers.") {
			if r.matrix {
				return s.matrix(name, r.shape(s.config))
			}
			return s.vector(name, r.shape(s.config))
		}
	}
	if strings.HasSuffix(name, "norm_f.weight") {
		return s.vector(name, []int{s.config.Hidden})
	}
	return s.matrix(name, []int{s.config.Vocab, s.config.Hidden})
}

// patternValues is how many random weights are encoded; matrices repeat them.
const patternValues = 1 << 18

func (s *randomSource) matrix(name string, shape []int) (weights.Tensor, error) {
	t := weights.Tensor{Name: name, DType: weights.Fallback(s.dtype, shape[1]), Shape: shape, File: s.name}
	pattern := s.patterns[t.DType]
	if pattern == nil {
		pattern = sync.OnceValues(func() ([]byte, error) { return s.pattern(t.DType) })
		s.patterns[t.DType] = pattern
	}
	row := t.DType.Bytes(shape[1])
	return weights.Computed(t, func(dst []byte, i, n int) error {
		from, err := pattern()
		if err != nil {
			return err
		}
		at := int(int64(i) * row % int64(len(from)))
		for len(dst) > 0 {
			dst = dst[copy(dst, from[at:]):]
			at = 0
		}
		return nil
	}), nil
}

func (s *randomSource) pattern(d weights.DType) ([]byte, error) {
	rng := rand.New(rand.NewPCG(1, 2))
	values := make([]float32, patternValues)
	for i := range values {
		values[i] = float32(rng.NormFloat64() * 0.02)
	}
	encoded := make([]byte, d.Bytes(patternValues))
	if err := weights.Encode(encoded, d, values); err != nil {
		return nil, fmt.Errorf("random weights as %v: %w", d, err)
	}
	return encoded, nil
}

// vector has the values that training begins with, so that states and
// activations keep sensible sizes.
func (s *randomSource) vector(name string, shape []int) (weights.Tensor, error) {
	t := weights.Tensor{Name: name, DType: weights.F32, Shape: shape, File: s.name}
	length := t.RowLen()
	return weights.Computed(t, func(dst []byte, i, n int) error {
		values := make([]float32, n*length)
		for k := range values {
			switch {
			case strings.HasSuffix(name, "A_log"):
				values[k] = float32(math.Log(float64(k%s.config.State + 1)))
			case strings.HasSuffix(name, "dt_proj.bias"):
				values[k] = -4
			case strings.HasSuffix(name, "conv1d.weight"):
				values[k] = 1 / float32(s.config.Conv)
			case strings.HasSuffix(name, "conv1d.bias"):
				values[k] = 0
			default:
				values[k] = 1
			}
		}
		return weights.Encode(dst, weights.F32, values)
	}), nil
}

// byteTokenizer is a tokenizer.json whose tokens are the 256 bytes, by the
// byte-level alphabet of GPT-2, and one merge, as a tokenizer must have some.
func byteTokenizer() []byte {
	vocab := map[string]int{}
	extra := rune(256)
	for b := range 256 {
		letter := rune(b)
		printable := b >= '!' && b <= '~' || b >= 0xA1 && b <= 0xAC || b >= 0xAE
		if !printable {
			letter = extra
			extra++
		}
		vocab[string(letter)] = b
	}
	vocab["th"] = 256
	file := map[string]any{
		"model":         map[string]any{"type": "BPE", "vocab": vocab, "merges": []string{"t h"}},
		"pre_tokenizer": map[string]any{"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
		"decoder":       map[string]any{"type": "ByteLevel"},
	}
	data, err := json.Marshal(file)
	if err != nil {
		panic(err) // maps of strings and numbers
	}
	return data
}
