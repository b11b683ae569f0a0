package checkpoint

import (
	"fmt"
	"slices"

	"kestrel/engine/tokenizer"
	"kestrel/engine/weights"
	"kestrel/engine/weights/gguf"
)

// MixerEpsKey is the metadata key in which Kestrel stores the epsilon of the
// dt, B and C norms when it writes a GGUF file; the format has none of its own.
const MixerEpsKey = "kestrel.mixer_rms_eps"

// freeContext is the context_length that converters write for a model
// without a limit.
const freeContext = 1 << 20

func openGGUF(folder weights.Folder, name string) (*Checkpoint, error) {
	f, err := gguf.OpenIn(folder, name)
	if err != nil {
		return nil, err
	}
	return ofGGUF(f)
}

// ofGGUF takes f over.
func ofGGUF(f *gguf.File) (*Checkpoint, error) {
	c := &Checkpoint{source: f, path: f.Path()}
	if err := c.fromGGUF(f); err != nil {
		f.Close()
		return nil, err
	}
	return c, nil
}

func (c *Checkpoint) fromGGUF(f *gguf.File) error {
	m := &metadata{f: f}
	switch arch := m.text("general.architecture"); {
	case m.err != nil:
	case arch == "":
		m.fail(weights.ErrBadModel, "no general.architecture in the metadata", "")
	case arch != "mamba":
		m.fail(weights.ErrUnsupported, wrongKind(arch), "")
	case m.integer("split.count", 1) > 1:
		m.fail(weights.ErrUnsupported, "one part of a model that was split", "join the parts with llama-gguf-split --merge")
	case len(f.Names()) == 0:
		m.fail(weights.ErrMissingTensor, "a vocabulary without tensors", "")
	}
	c.Config = m.config()
	c.Tied = !slices.Contains(f.Names(), ggufNaming.head)
	c.Files = m.files()
	want := sizes{
		hidden: m.size("mamba.embedding_length"), layers: m.size("mamba.block_count"), inner: m.size("mamba.ssm.inner_size"),
		state: m.size("mamba.ssm.state_size"), conv: m.size("mamba.ssm.conv_kernel"), dtRank: m.size("mamba.ssm.time_step_rank"),
		convBias: true,
	}
	if c.Files.Vocab != nil {
		want.vocab = len(c.Files.Vocab.Tokens)
	}
	if m.err != nil {
		return m.err
	}
	return c.load(f, ggufNaming, want)
}

func (m *metadata) config() Config {
	const eps = "mamba.attention.layer_norm_rms_epsilon"
	c := Config{Kind: Mamba, BOS: m.integer("tokenizer.ggml.bos_token_id", -1), Pad: m.integer("tokenizer.ggml.padding_token_id", -1)}
	norm, ok := m.epsilon(eps)
	if !ok {
		m.fail(weights.ErrBadModel, "no "+eps+" in the metadata", "")
	}
	c.NormEps = norm
	if m.boolean("mamba.ssm.dt_b_c_rms") {
		c.Kind, c.MixerNorm = FalconMamba, true
		if c.MixerEps, ok = m.epsilon(MixerEpsKey); !ok {
			c.MixerEps = 1e-6 // the default of transformers' FalconMambaConfig
		}
	}
	for _, kind := range []string{"eos", "eot", "eom"} {
		id := m.integer("tokenizer.ggml."+kind+"_token_id", -1)
		if id >= 0 && !slices.Contains(c.EOS, id) {
			c.EOS = append(c.EOS, id)
		}
	}
	if n := m.integer("mamba.context_length", 0); n > 0 && n < freeContext {
		c.MaxTrained = n
	}
	return c
}

func (m *metadata) files() Files {
	files := Files{Name: m.text("general.name"), ChatTemplate: m.text("tokenizer.chat_template"), SpecialTokens: map[string]string{}}
	if files.Name == "" {
		files.Name = modelName(m.f.Path())
	}
	if s := m.text("tokenizer.huggingface.json"); s != "" {
		files.TokenizerJSON = []byte(s)
	}
	v := m.vocab()
	if v == nil {
		return files
	}
	files.Vocab = v
	for key, id := range map[string]int{"bos_token": v.BOS, "eos_token": v.EOS, "pad_token": v.Pad, "unk_token": m.integer("tokenizer.ggml.unknown_token_id", -1)} {
		if id >= 0 && id < len(v.Tokens) {
			files.SpecialTokens[key] = v.Tokens[id]
		}
	}
	return files
}

// vocab returns the tokenizer of the metadata, nil where there is none.
func (m *metadata) vocab() *tokenizer.Vocab {
	const prefix = "tokenizer.ggml."
	v := &tokenizer.Vocab{
		Model: m.text(prefix + "model"), Pre: m.text(prefix + "pre"),
		Tokens: m.strings(prefix + "tokens"), Merges: m.strings(prefix + "merges"), Types: m.int32s(prefix + "token_type"),
		BOS: m.integer(prefix+"bos_token_id", -1), EOS: m.integer(prefix+"eos_token_id", -1), Pad: m.integer(prefix+"padding_token_id", -1),
		AddBOS: m.boolean(prefix + "add_bos_token"),
	}
	if v.Tokens == nil {
		return nil
	}
	if v.Types != nil && len(v.Types) != len(v.Tokens) {
		m.fail(weights.ErrBadModel, fmt.Sprintf("%d tokens but %d token types in the metadata", len(v.Tokens), len(v.Types)), "")
	}
	return v
}

// metadata reads a GGUF file's keys and keeps the first error.
type metadata struct {
	f   *gguf.File
	err error
}

func (m *metadata) fail(kind error, problem, way string) {
	if m.err == nil {
		m.err = &weights.FileError{Kind: kind, File: m.f.Path(), Problem: problem, Way: way}
	}
}

func (m *metadata) keep(err error) {
	if m.err == nil {
		m.err = err
	}
}

func (m *metadata) text(key string) string {
	s, _, err := m.f.String(key)
	m.keep(err)
	return s
}

func (m *metadata) integer(key string, absent int) int {
	n, ok, err := m.f.Int(key)
	m.keep(err)
	if !ok {
		return absent
	}
	if n < 0 || n > 1<<31-1 {
		if n == -1 || n == 1<<32-1 { // how writers say "none" for a token
			return absent
		}
		m.fail(weights.ErrBadModel, fmt.Sprintf("metadata key %s is %d", key, n), "")
		return absent
	}
	return int(n)
}

// size is a positive integer; 0 when absent.
func (m *metadata) size(key string) int {
	n := m.integer(key, 0)
	if _, ok, _ := m.f.Int(key); ok && n <= 0 {
		m.fail(weights.ErrBadModel, fmt.Sprintf("metadata key %s is %d, expected a positive number", key, n), "")
	}
	return n
}

func (m *metadata) epsilon(key string) (float32, bool) {
	v, ok, err := m.f.Float(key)
	m.keep(err)
	if ok && !(v >= 0 && v < 1) {
		m.fail(weights.ErrBadModel, fmt.Sprintf("metadata key %s is %v, expected a number from 0 up to 1", key, v), "")
	}
	return float32(v), ok
}

func (m *metadata) boolean(key string) bool {
	b, _, err := m.f.Bool(key)
	m.keep(err)
	return b
}

func (m *metadata) strings(key string) []string {
	list, _, err := m.f.Strings(key)
	m.keep(err)
	return list
}

func (m *metadata) int32s(key string) []int32 {
	list, _, err := m.f.Int32s(key)
	m.keep(err)
	return list
}
