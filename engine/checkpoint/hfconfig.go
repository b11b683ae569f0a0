package checkpoint

import (
	"fmt"
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
	var cfg Config
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
	fourBit := o.fourBit()
	var want sizes
	if original {
		want = o.original(&cfg)
	} else {
		want = o.transformers(&cfg)
	}
	want.fourBit = fourBit
	cfg.BOS = o.tokenID("bos_token_id", 0)
	cfg.EOS = o.tokenIDs("eos_token_id", []int{0})
	cfg.Pad = o.tokenID("pad_token_id", 0)
	for _, key := range []string{"max_position_embeddings", "max_sequence_length", "seq_length"} {
		if cfg.MaxTrained == 0 {
			cfg.MaxTrained = max(0, o.integer(key, 0))
		}
	}
	return cfg, want, o.err
}

// fourBit returns the type of a checkpoint that bitsandbytes quantized to 4
// bits, "" for one that is not quantized, and refuses any other.
func (o *object) fourBit() string {
	if o.err != nil || !o.has("quantization_config") {
		return ""
	}
	q := o.object("quantization_config")
	no := func(problem string) {
		o.fail(weights.ErrUnsupported, problem, "open the model it was made from: Kestrel quantizes by itself, with --quant; "+
			"it also reads GGUF files and the 4-bit checkpoints of bitsandbytes")
	}
	method := q.text("quant_method", "an unnamed method")
	four := q.boolean("load_in_4bit", false) || q.boolean("_load_in_4bit", false)
	kind := q.text("bnb_4bit_quant_type", "fp4") // bitsandbytes' default
	switch {
	case o.err != nil:
	case q.err != nil:
		o.err = q.err
	case method != "bitsandbytes":
		no(fmt.Sprintf("quantized by %q", method))
	case !four:
		no("quantized by bitsandbytes to 8 bits")
	case kind != "nf4" && kind != "fp4":
		no(fmt.Sprintf("quantized by bitsandbytes as %q", shorten([]byte(kind))))
	default:
		return kind
	}
	return ""
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
	s.dtRank = o.rank("time_step_rank")
	return s
}

// original reads the keys of MambaConfig in mamba_ssm.
func (o *object) original(cfg *Config) sizes {
	ssm := o.object("ssm_cfg")
	if layer := ssm.text("layer", "Mamba1"); layer != "Mamba1" {
		o.fail(weights.ErrUnsupported, wrongKind(layer), "")
	}
	if len(o.tokenIDs("attn_layer_idx", nil)) > 0 {
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
	s.dtRank = ssm.rank("dt_rank")
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
