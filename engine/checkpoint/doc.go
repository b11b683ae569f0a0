// Package checkpoint sees a Mamba model as files: its configuration, and its
// tensors by the role they play, whichever format holds them.
//
// [Open] takes a folder in the Hugging Face layout, a .safetensors file beside
// its config.json, or a GGUF file. Two kinds of model run: "mamba" (Gu and
// Dao, arXiv:2312.00752) and "falcon_mamba" (Zuo et al., arXiv:2410.05355),
// which normalizes dt, B and C. Any other is refused by name.
//
// Every size comes from the shapes of the tensors; what config.json or the
// GGUF metadata say about sizes must agree with them.
package checkpoint
