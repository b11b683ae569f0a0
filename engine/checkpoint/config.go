package checkpoint

import "fmt"

// Kind is the architecture, as config.json's model_type names it.
type Kind string

const (
	Mamba       Kind = "mamba"
	FalconMamba Kind = "falcon_mamba"
)

// Config is what a model needs to be computed, whatever file it came from.
type Config struct {
	Kind   Kind
	Hidden int // H: width of the residual stream
	Layers int
	Inner  int // I: channels of the mixer (intermediate_size)
	State  int // N: state of one channel
	Conv   int // K: taps of the causal convolution
	DtRank int // R: width of the low-rank dt
	Vocab  int // V: rows of the embedding, which padding may make more than the tokenizer's

	NormEps   float32 // of every layer's norm and the final one
	MixerEps  float32 // of the dt, B and C norms; 0 without them
	MixerNorm bool    // dt, B and C are normalized (Falcon-Mamba)
	Tied      bool    // the head is the embedding

	BOS        int   // begin-of-sequence id, -1 for none
	EOS        []int // ids that end a text; may be empty
	Pad        int   // padding id, -1 for none
	MaxTrained int   // longest sequence of the training, in tokens; 0 where the files do not say
}

// String is a one-line summary for logs and messages.
func (c Config) String() string {
	return fmt.Sprintf("%s: %d layers, hidden %d, inner %d, state %d, conv %d, dt rank %d, vocabulary %d",
		c.Kind, c.Layers, c.Hidden, c.Inner, c.State, c.Conv, c.DtRank, c.Vocab)
}
