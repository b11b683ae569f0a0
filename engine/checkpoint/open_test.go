package checkpoint

import (
	"testing"

	"kestrel/assets"
)

func TestDemo(t *testing.T) {
	c, err := OpenFS(assets.Demo(), ".")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	want := "falcon_mamba: 6 layers, hidden 256, inner 512, state 16, conv 4, dt rank 16, vocabulary 4096"
	if got := c.Config.String(); got != want {
		t.Errorf("config:\n got %s\nwant %s", got, want)
	}
	if len(c.EOS) != 2 || c.EOS[0] != 13 || c.BOS != 11 || c.Pad != 11 || !c.Tied || !c.MixerNorm || c.MixerEps != 1e-6 || c.NormEps != 1e-5 {
		t.Errorf("config: %+v", c.Config)
	}
	if len(c.Files.TokenizerJSON) == 0 || c.Files.ChatTemplate == "" || c.Files.SpecialTokens["eos_token"] != "<|im_end|>" {
		t.Error("tokenizer files were not read")
	}
	a, err := c.Layers[5].NegA()
	if err != nil || len(a) != 512*16 || !(a[0] < 0) {
		t.Errorf("A of layer 5: %d values, %v", len(a), err)
	}
}
