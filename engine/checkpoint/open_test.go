package checkpoint

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"testing"
	"unsafe"

	"kestrel/assets"
)

func TestDemo(t *testing.T) {
	c, err := OpenFS(os.DirFS("../../assets/demo"), ".")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	text, err := os.ReadFile("../../assets/demo/config.json")
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]any
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("%v: %v layers, hidden %v, inner %v, state %v, conv %v, dt rank %v, vocabulary %v", file["model_type"], file["num_hidden_layers"],
		file["hidden_size"], file["intermediate_size"], file["state_size"], file["conv_kernel"], file["time_step_rank"], file["vocab_size"])
	if got := c.Config.String(); got != want {
		t.Errorf("config:\n got %s\nwant %s", got, want)
	}
	if len(c.EOS) != 2 || c.EOS[0] != 13 || c.BOS != 11 || c.Pad != 11 || !c.Tied || !c.MixerNorm || c.MixerEps != 1e-6 || c.NormEps != 1e-5 {
		t.Errorf("config: %+v", c.Config)
	}
	if len(c.Files.TokenizerJSON) == 0 || c.Files.ChatTemplate == "" || c.Files.SpecialTokens["eos_token"] != "<|im_end|>" {
		t.Error("tokenizer files were not read")
	}
	a, err := c.Layers[c.Config.Layers-1].NegA()
	if err != nil || len(a) != c.Inner*c.State || !(a[0] < 0) {
		t.Errorf("A of the last layer: %d values, %v", len(a), err)
	}
}

// TestBuiltin: the model in the program is the one in assets/demo in fewer bits, and is read where it lies: its weights are
// bytes of the program, not copies.
func TestBuiltin(t *testing.T) {
	floats, err := OpenFS(os.DirFS("../../assets/demo"), ".")
	if err != nil {
		t.Fatal(err)
	}
	defer floats.Close()
	c, err := OpenBytes("demo", assets.Demo)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if !reflect.DeepEqual(c.Config, floats.Config) {
		t.Errorf("config:\n got %+v\nwant %+v", c.Config, floats.Config)
	}
	if string(c.Files.TokenizerJSON) != string(floats.Files.TokenizerJSON) || c.Files.ChatTemplate != floats.Files.ChatTemplate || c.Path() != "demo" {
		t.Error("another tokenizer, template or name")
	}
	begin := uintptr(unsafe.Pointer(unsafe.SliceData(assets.Demo)))
	bits, n := 0, 0
	for _, tensor := range c.Tensors() {
		at := uintptr(unsafe.Pointer(unsafe.SliceData(tensor.Data)))
		if at < begin || at+uintptr(len(tensor.Data)) > begin+uintptr(len(assets.Demo)) || len(tensor.Data) == 0 {
			t.Errorf("%s lies outside the program's bytes", tensor.Name)
		}
		bits, n = bits+8*len(tensor.Data), n+tensor.Elements()
	}
	if perWeight := float64(bits) / float64(n); perWeight > 8.5 || !c.Embed.DType.Quantized() {
		t.Errorf("%.2f bits a weight, the embedding in %v", perWeight, c.Embed.DType)
	}
}
