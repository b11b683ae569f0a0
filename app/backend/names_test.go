package backend

import "testing"

// TestDisplayName: a model is called as people know it.
func TestDisplayName(t *testing.T) {
	for _, c := range []struct{ opened, own, want string }{
		{"demo", "", "demo"},
		{"tiiuae/falcon-mamba-7b-instruct", "tiiuae--falcon-mamba-7b-instruct", "falcon-mamba-7b-instruct"},
		{"tiiuae/falcon-mamba-7b@main", "", "falcon-mamba-7b"},
		{"tiiuae/falcon-mamba-7b-instruct-Q4_K_M-GGUF:falcon-mamba-7B-instruct-Q4_K_M.gguf", "Falcon Mamba", "falcon-mamba-7B-instruct-Q4_K_M"},
		{"my-import", "falcon_mamba", "my-import"},
		{"/data/models/Falcon-Q4.GGUF", "falcon_mamba", "Falcon-Q4"},
		{`C:\models\falcon.gguf`, "falcon_mamba", "falcon"},
		{"/data/falcon-mamba-7b/", "x", "falcon-mamba-7b"},
		{"/data/model.safetensors", "", "model"},
		{"/data/model.gguf", "Falcon Mamba 7B", "Falcon Mamba 7B"},
		{"ggml-model-Q4_K.gguf", "Falcon Mamba 7B", "Falcon Mamba 7B"},
		{"/cache/models--tiiuae--falcon-mamba-7b/snapshots/5337fd73f19847e111ba2291f3f0e1617b90c37d", "falcon-mamba-7b", "falcon-mamba-7b"},
		{"/ollama/blobs/sha256-0f1e2d3c4b5a69788796a5b4c3d2e1f0", "Falcon Mamba", "Falcon Mamba"},
		{"random:falcon-mamba-7b:q4_k", "random:falcon-mamba-7b:q4_k", "random:falcon-mamba-7b:q4_k"},
		{".gguf", "", ".gguf"},
	} {
		if got := displayName(c.opened, c.own); got != c.want {
			t.Errorf("%q, of itself %q: %q, want %q", c.opened, c.own, got, c.want)
		}
	}
}
