package library

import (
	"path"
	"strings"
)

// Known is a published model that Kestrel is known to suit.
type Known struct {
	Ref        Ref
	Precision  string // of the published weights
	Parameters int64  // from the published shapes
	Bytes      int64  // about: of the download
	Chat       bool   // tuned to follow instructions
	Note       string
}

// shape holds the sizes that count a model's parameters: hidden, layers,
// inner, dt rank and vocabulary rows. State and convolution are 16 and 4 in
// all of them.
type shape struct {
	hidden, layers, inner, rank, vocab int64
	untied                             bool
}

// parameters counts a Mamba's parameters (Gu and Dao, arXiv:2312.00752).
func (s shape) parameters() int64 {
	const state, conv = 16, 4
	layer := s.hidden + // norm
		2*s.inner*s.hidden + // in_proj
		s.inner*conv + s.inner + // conv1d and its bias
		(s.rank+2*state)*s.inner + // x_proj
		s.inner*s.rank + s.inner + // dt_proj and its bias
		s.inner*state + s.inner + // A_log, D
		s.hidden*s.inner // out_proj
	n := s.layers*layer + s.hidden + s.vocab*s.hidden
	if s.untied {
		n += s.vocab * s.hidden
	}
	return n
}

var (
	falcon7B  = shape{4096, 64, 8192, 256, 65024, true}
	mamba130M = shape{768, 24, 1536, 48, 50280, false}
	mamba370M = shape{1024, 48, 2048, 64, 50280, false}
	mamba790M = shape{1536, 48, 3072, 96, 50280, false}
	mamba14B  = shape{2048, 48, 4096, 128, 50280, false}
	mamba28B  = shape{2560, 64, 5120, 160, 50280, false}
)

// The sizes of GGUF files are those that the hub shows.
var knownModels = []Known{
	inBF16("tiiuae/falcon-mamba-7b-instruct", true, "follows instructions; trained on texts of up to 8,192 tokens"),
	inBF16("tiiuae/falcon-mamba-7b", false, "completes text"),
	inBF16("tiiuae/Falcon3-Mamba-7B-Instruct", true, "follows instructions; trained further than falcon-mamba-7b"),
	inBF16("tiiuae/Falcon3-Mamba-7B-Base", false, "completes text; trained further than falcon-mamba-7b"),
	asGGUF("tiiuae/falcon-mamba-7b-instruct-Q8_0-GGUF", "falcon-mamba-7B-instruct-Q8_0.gguf", "Q8_0", 8_600_000_000, true),
	asGGUF("tiiuae/falcon-mamba-7b-instruct-Q4_K_M-GGUF", "falcon-mamba-7B-instruct-Q4_K_M.gguf", "Q4_K_M", 4_200_000_000, true),
	inF32("state-spaces/mamba-130m-hf", mamba130M, "small enough for any machine"),
	inF32("state-spaces/mamba-370m-hf", mamba370M, ""),
	inF32("state-spaces/mamba-790m-hf", mamba790M, ""),
	inF32("state-spaces/mamba-1.4b-hf", mamba14B, ""),
	inF32("state-spaces/mamba-2.8b-hf", mamba28B, ""),
}

func inBF16(repo string, chat bool, note string) Known {
	n := falcon7B.parameters()
	return Known{Ref: Ref{Repo: repo}, Precision: "BF16", Parameters: n, Bytes: 2 * n, Chat: chat, Note: note}
}

func inF32(repo string, s shape, note string) Known {
	n := s.parameters()
	return Known{Ref: Ref{Repo: repo}, Precision: "F32", Parameters: n, Bytes: 4 * n, Note: strings.TrimSuffix("completes text; "+note, "; ")}
}

func asGGUF(repo, file, precision string, bytes int64, chat bool) Known {
	return Known{Ref: Ref{Repo: repo, File: file}, Precision: precision, Parameters: falcon7B.parameters(), Bytes: bytes, Chat: chat,
		Note: "the publisher's GGUF of falcon-mamba-7b-instruct"}
}

// KnownModels lists published models that Kestrel suits, the ones to try first
// first.
func KnownModels() []Known { return append([]Known(nil), knownModels...) }

// known finds a model by its repository or the last part of that.
func known(name string) (Known, bool) {
	for _, k := range knownModels {
		if strings.EqualFold(k.Ref.Repo, name) || strings.EqualFold(path.Base(k.Ref.Repo), name) {
			return k, true
		}
	}
	return Known{}, false
}
