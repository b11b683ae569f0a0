package chart

// Transformer is a published model with attention, whose cache of keys and values grows with the text.
type Transformer struct {
	Name       string
	Parameters float64
	Layers     int
	KVHeads    int
	HeadDim    int
}

// Transformers are those that the publication compares Falcon-Mamba with, from their public config.json files.
var Transformers = []Transformer{
	{"Falcon2-11B", 11.1e9, 60, 8, 128},
	{"Llama-3-8B, Llama-3.1-8B", 8.03e9, 32, 8, 128},
	{"Mistral-7B", 7.24e9, 32, 8, 128},
	{"Mistral-Nemo-12B", 12.25e9, 40, 8, 128},
	{"gemma-7B", 8.54e9, 28, 16, 256},
}

// Bytes is the memory of the weights and of the cache of so many tokens, with so many bytes a weight and a cached value.
// Activations are left out: it is a lower bound.
func (t Transformer) Bytes(tokens, weightBytes, cacheBytes float64) float64 {
	return t.Parameters*weightBytes + 2*float64(t.Layers*t.KVHeads*t.HeadDim)*cacheBytes*tokens
}

// Longest is the longest text whose cache fits so many bytes beside the weights; 0 where these alone do not fit.
func (t Transformer) Longest(bytes, weightBytes, cacheBytes float64) int {
	return max(0, int((bytes-t.Parameters*weightBytes)/t.Bytes(1, 0, cacheBytes)))
}
