package checkpoint

import (
	"math"

	"kestrel/engine/tokenizer"
	"kestrel/engine/weights"
)

// Checkpoint is an open model. Its tensors are valid until Close; it may be
// used from several goroutines.
type Checkpoint struct {
	Config
	Embed  weights.Tensor // [V, H]
	Layers []Layer        // of length Config.Layers
	NormF  weights.Tensor // [H]
	Head   weights.Tensor // [V, H]; equal to Embed when Tied
	Files  Files

	Warnings []string // what the user should know although the model can be used, a sentence each

	source weights.Source
	path   string
}

// Layer is one Mamba block. Shapes use the letters of [Config].
type Layer struct {
	Norm    weights.Tensor // [H]
	InProj  weights.Tensor // [2I, H]: the rows of x, then those of the gate z
	ConvW   weights.Tensor // [I, K]; tap K-1 meets the current token
	ConvB   weights.Tensor // [I]; zeros where the model has no convolution bias
	XProj   weights.Tensor // [R+2N, I]: rows of dt, B, C
	DtProj  weights.Tensor // [I, R]
	DtBias  weights.Tensor // [I]
	A       weights.Tensor // [I, N]; as stored: A_log, or -exp(A_log) in GGUF. See NegA
	D       weights.Tensor // [I]
	OutProj weights.Tensor // [H, I]

	negated bool // A holds -exp(A_log)
}

// NegA returns A = -exp(A_log), row-major [I, N] in float32, whichever of the
// two the file holds.
func (l Layer) NegA() ([]float32, error) {
	a, err := l.A.Float32s()
	if err != nil || l.negated {
		return a, err
	}
	for i, v := range a {
		a[i] = float32(-math.Exp(float64(v)))
	}
	return a, nil
}

// Files is what lies beside the weights.
type Files struct {
	Name           string            // name of the model, from its metadata or its path
	TokenizerJSON  []byte            // tokenizer.json; nil where there is none
	Vocab          *tokenizer.Vocab  // tokenizer of a GGUF file; nil for other formats
	ChatTemplate   string            // Jinja source, "" where there is none
	SpecialTokens  map[string]string // "bos_token", "eos_token", "pad_token", "unk_token" -> text, as the template sees them
	Generation     GenerationConfig
	MaxInputTokens int // tokenizer_config.json's model_max_length; 0 where absent or a placeholder
}

// GenerationConfig is the publisher's advice of generation_config.json on how
// to sample. A nil field is not given.
type GenerationConfig struct {
	DoSample          *bool
	Temperature       *float64
	TopK              *int
	TopP              *float64
	RepetitionPenalty *float64
}

// Path returns the file or folder that is the model.
func (c *Checkpoint) Path() string { return c.path }

// Close unmaps the files. No tensor may be used after it.
func (c *Checkpoint) Close() error { return c.source.Close() }

// Tensors lists every tensor once, in the order a model is loaded: embedding,
// layers, final norm, head (left out when tied).
func (c *Checkpoint) Tensors() []weights.Tensor {
	ts := []weights.Tensor{c.Embed}
	for i := range c.Layers {
		for _, r := range layerRoles {
			ts = append(ts, *r.of(&c.Layers[i]))
		}
	}
	ts = append(ts, c.NormF)
	if !c.Tied {
		ts = append(ts, c.Head)
	}
	return ts
}
