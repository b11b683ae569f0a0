package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"kestrel/engine/weights"
)

const (
	maxConfig    = 16 << 20  // bytes of config.json and its small companions
	maxTokenizer = 256 << 20 // bytes of tokenizer.json
)

// parseConfig reads config.json as transformers does: what is absent or null
// takes the default of FalconMambaConfig or MambaConfig (transformers 5), what
// has the wrong type is an error. It also knows the keys of the original
// mamba_ssm files (d_model, n_layer, ssm_cfg). Sizes other than the stated
// ones are left for the tensors to fill in.
func parseConfig(file string, data []byte) (Config, sizes, error) {
	o, err := parseObject(file, data)
	if err != nil {
		return Config{}, sizes{}, err
	}
	original := false
	cfg := Config{BOS: -1, Pad: -1}
	switch modelType := o.architecture(); {
	case o.err != nil:
	case modelType == string(Mamba) || modelType == string(FalconMamba):
		cfg.Kind = Kind(modelType)
	case modelType == "" && o.has("d_model") && o.has("n_layer"):
		cfg.Kind, original = Mamba, true
	case modelType == "":
		o.fail(weights.ErrBadModel, "no model_type: not the configuration of a language model", "")
	default:
		o.fail(weights.ErrUnsupported, wrongKind(modelType), "")
	}
	if o.err == nil && o.has("quantization_config") {
		q := o.object("quantization_config")
		o.fail(weights.ErrUnsupported, fmt.Sprintf("quantized by %q", q.text("quant_method", "an unnamed method")),
			"open the model it was made from; Kestrel quantizes by itself, or reads a GGUF in Q8_0")
	}
	var want sizes
	if original {
		want = o.original(&cfg)
	} else {
		want = o.transformers(&cfg)
	}
	if n := o.integer("bos_token_id", 0); n >= 0 {
		cfg.BOS = n
	}
	cfg.EOS = o.integers("eos_token_id", []int{0})
	if n := o.integer("pad_token_id", 0); n >= 0 {
		cfg.Pad = n
	}
	for _, key := range []string{"max_position_embeddings", "max_sequence_length", "max_seq_len", "seq_length", "n_positions"} {
		if cfg.MaxTrained == 0 {
			cfg.MaxTrained = max(0, o.integer(key, 0))
		}
	}
	return cfg, want, o.err
}

// wrongKind is what every file of another architecture is told.
func wrongKind(name string) string {
	return fmt.Sprintf("this is %q; Kestrel runs Mamba-family models (falcon_mamba, mamba)", name)
}

// architecture returns model_type, or what the name of the class implies.
func (o *object) architecture() string {
	if t := o.text("model_type", ""); t != "" {
		return t
	}
	classes := o.texts("architectures")
	if len(classes) == 0 {
		return ""
	}
	switch name, _, _ := strings.Cut(classes[0], "For"); name {
	case "FalconMamba":
		return string(FalconMamba)
	case "Mamba":
		return string(Mamba)
	default:
		return classes[0]
	}
}

func (o *object) transformers(cfg *Config) sizes {
	o.refuseIf("use_bias", false, "projections with a bias", "Kestrel computes the published models, which have none")
	if act := o.text("hidden_act", "silu"); act != "silu" && act != "swish" {
		o.fail(weights.ErrUnsupported, fmt.Sprintf("hidden_act is %q", act), "Kestrel computes silu, as the published models do")
	}
	cfg.Tied = o.boolean("tie_word_embeddings", true)
	cfg.NormEps = o.epsilon("layer_norm_epsilon", 1e-5)
	if cfg.Kind == FalconMamba {
		cfg.MixerNorm = true
		cfg.MixerEps = o.epsilon("mixer_rms_eps", 1e-6)
	}
	s := sizes{
		hidden: o.size("hidden_size"), layers: o.size("num_hidden_layers"), inner: o.size("intermediate_size"),
		state: o.size("state_size"), conv: o.size("conv_kernel"), vocab: o.size("vocab_size"),
		convBias: o.boolean("use_conv_bias", true),
	}
	if o.text("time_step_rank", "") != "auto" {
		s.dtRank = o.size("time_step_rank")
	}
	return s
}

// original reads the keys of MambaConfig in mamba_ssm.
func (o *object) original(cfg *Config) sizes {
	ssm := o.object("ssm_cfg")
	if layer := ssm.text("layer", "Mamba1"); layer != "Mamba1" {
		o.fail(weights.ErrUnsupported, wrongKind(layer), "")
	}
	if len(o.integers("attn_layer_idx", nil)) > 0 {
		o.fail(weights.ErrUnsupported, wrongKind("mamba with attention layers"), "")
	}
	if o.integer("d_intermediate", 0) > 0 {
		o.fail(weights.ErrUnsupported, wrongKind("mamba with MLP layers"), "")
	}
	o.refuseIf("rms_norm", true, "LayerNorm in place of RMSNorm", "Kestrel computes RMSNorm, as the published models do")
	ssm.refuseIf("bias", false, "projections with a bias", "Kestrel computes the published models, which have none")
	cfg.Tied = o.boolean("tie_embeddings", true)
	cfg.NormEps = 1e-5
	s := sizes{
		hidden: o.size("d_model"), layers: o.size("n_layer"), vocab: o.size("vocab_size"),
		state: ssm.size("d_state"), conv: ssm.size("d_conv"), convBias: ssm.boolean("conv_bias", true),
	}
	if ssm.text("dt_rank", "") != "auto" {
		s.dtRank = ssm.size("dt_rank")
	}
	if o.err == nil {
		o.err = ssm.err
	}
	return s
}

func (o *object) refuseIf(key string, usual bool, what, way string) {
	if o.boolean(key, usual) != usual {
		o.fail(weights.ErrUnsupported, fmt.Sprintf("%s is %v: %s", key, !usual, what), way)
	}
}

// object is a JSON object with typed access. The first error is kept in err;
// after it every getter returns its default.
type object struct {
	file   string
	fields map[string]json.RawMessage
	err    error
}

func parseObject(file string, data []byte) (*object, error) {
	o := &object{file: file}
	if err := json.Unmarshal(plainJSON(data), &o.fields); err != nil || o.fields == nil {
		if err == nil {
			err = errors.New("expected an object, found null")
		}
		return nil, &weights.FileError{Kind: weights.ErrBadModel, File: file, Problem: "not valid JSON", Cause: err, Way: "download it again"}
	}
	return o, nil
}

// readObject is parseObject for a file that need not be there: then nil.
func readObject(folder weights.Folder, name string) (*object, error) {
	data, err := folder.Read(name, maxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parseObject(folder.File(name), data)
}

// plainJSON turns the literals NaN and Infinity, which Python writes and JSON
// lacks, into null: no key that Kestrel reads can hold them.
func plainJSON(data []byte) []byte {
	var out []byte // nil until something is replaced
	inString, last := false, 0
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case !inString && (c == 'N' || c == 'I' || c == '-'):
			for _, word := range []string{"NaN", "Infinity", "-Infinity"} {
				if strings.HasPrefix(string(data[i:min(len(data), i+len(word))]), word) {
					out = append(append(out, data[last:i]...), "null"...)
					i += len(word) - 1
					last = i + 1
					break
				}
			}
		}
	}
	if out == nil {
		return data
	}
	return append(out, data[last:]...)
}

func (o *object) fail(kind error, problem, way string) {
	if o.err == nil {
		o.err = &weights.FileError{Kind: kind, File: o.file, Problem: problem, Way: way}
	}
}

// has reports whether the key is there and not null.
func (o *object) has(key string) bool {
	v, ok := o.fields[key]
	return ok && string(v) != "null"
}

// get decodes the key's value into v, which is left alone when it is absent.
func (o *object) get(key, expected string, v any) bool {
	if o.err != nil || !o.has(key) {
		return false
	}
	if err := json.Unmarshal(o.fields[key], v); err != nil {
		o.fail(weights.ErrBadModel, fmt.Sprintf("%s: expected %s, found %s", key, expected, shorten(o.fields[key])), "")
		return false
	}
	return true
}

func shorten(v []byte) string {
	if len(v) > 60 {
		return string(v[:60]) + "…"
	}
	return string(v)
}

func (o *object) integer(key string, absent int) int {
	n := absent
	if !o.get(key, "an integer", &n) {
		return absent
	}
	return n
}

// size is a positive integer; 0 when absent.
func (o *object) size(key string) int {
	n := o.integer(key, 0)
	if o.err == nil && o.has(key) && n <= 0 {
		o.fail(weights.ErrBadModel, fmt.Sprintf("%s: expected a positive integer, found %d", key, n), "")
	}
	return n
}

// integers is an integer or a list of them.
func (o *object) integers(key string, absent []int) []int {
	if !o.has(key) {
		return absent
	}
	if strings.HasPrefix(string(o.fields[key]), "[") {
		var list []int
		o.get(key, "an integer or a list of integers", &list)
		return list
	}
	var n int
	if !o.get(key, "an integer or a list of integers", &n) {
		return nil
	}
	return []int{n}
}

func (o *object) number(key string) (v float64, ok bool) {
	ok = o.get(key, "a number", &v)
	return v, ok
}

func (o *object) epsilon(key string, absent float32) float32 {
	v, ok := o.number(key)
	if !ok {
		return absent
	}
	if !(v >= 0 && v < 1) {
		o.fail(weights.ErrBadModel, fmt.Sprintf("%s: expected a number from 0 up to 1, found %v", key, v), "")
		return absent
	}
	return float32(v)
}

func (o *object) boolean(key string, absent bool) bool {
	b := absent
	if !o.get(key, "true or false", &b) {
		return absent
	}
	return b
}

// text is a string; a value of another type counts as absent where the key
// may also hold one (time_step_rank: "auto" or an integer).
func (o *object) text(key, absent string) string {
	var s string
	if o.has(key) && json.Unmarshal(o.fields[key], &s) == nil {
		return s
	}
	return absent
}

func (o *object) texts(key string) []string {
	var list []string
	o.get(key, "a list of strings", &list)
	return list
}

// object returns a nested object, empty when absent.
func (o *object) object(key string) *object {
	sub := &object{file: o.file}
	o.get(key, "an object", &sub.fields)
	return sub
}
