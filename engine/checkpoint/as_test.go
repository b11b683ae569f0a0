package checkpoint_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"kestrel/engine/checkpoint"
	"kestrel/engine/checkpoint/checkpointtest"
	"kestrel/engine/weights"
)

// TestAs: a model asked for in a precision has the bytes of one that was
// written in it.
func TestAs(t *testing.T) {
	for name, cfg := range map[string]checkpoint.Config{
		"whole": checkpointtest.Config(checkpoint.FalconMamba, 256, 1, 256, 16, 4, 256, 32),
		"odd":   checkpointtest.Config(checkpoint.Mamba, 256, 1, 288, 16, 4, 48, 32),
	} {
		for _, tied := range []bool{false, true} {
			cfg.Tied = tied
			m := checkpointtest.Random(5, cfg)
			c := m.Open(t, checkpointtest.All(weights.F32))
			for _, d := range checkpoint.Precisions() {
				if (testing.Short() || tied) && d != weights.Q4_0 && d != weights.F16 {
					continue
				}
				stored := m.Open(t, func(name string) weights.DType {
					if d.Quantized() {
						return m.Quantized(d)(name)
					}
					if role := checkpointtest.All(weights.Q8_0)(name); role == weights.F32 { // no matrix
						return role
					}
					return d
				})
				got, err := c.As(d, false)
				if err != nil {
					t.Fatal(err)
				}
				if got.Tied != tied || tied && got.Head.DType != got.Embed.DType {
					t.Errorf("%s %v: tied is %v", name, d, got.Tied)
				}
				a, b := got.Tensors(), stored.Tensors()
				for i := range b {
					loaded, err := a[i].Load(context.Background(), nil)
					if err != nil {
						t.Fatal(err)
					}
					if strings.HasSuffix(b[i].Name, "ssm_a") { // GGUF has -exp of it
						continue
					}
					if loaded.DType != b[i].DType || !bytes.Equal(loaded.Data, b[i].Data) || a[i].Size() != int64(len(b[i].Data)) {
						t.Errorf("%s %v: %v has other bytes than %v stored so", name, d, loaded, b[i])
					}
					if a[i].DType != weights.F32 && a[i].Data != nil {
						t.Errorf("%s %v: %v is in memory before it is wanted", name, d, a[i])
					}
				}
				if name == "whole" && len(got.Warnings) > 0 || name == "odd" && d.Quantized() && !strings.Contains(strings.Join(got.Warnings, " "), "F16") {
					t.Errorf("%s %v: warnings %q", name, d, got.Warnings)
				}
			}
		}
	}
}

// TestAsAgain: what is quantized is not quantized again unless that is asked
// for; floats and its own type are always possible.
func TestAsAgain(t *testing.T) {
	m := checkpointtest.Random(6, checkpointtest.Blocks(checkpoint.FalconMamba))
	c := m.Open(t, checkpointtest.All(weights.Q8_0))
	_, err := c.As(weights.Q4_0, false)
	var fe *weights.FileError
	if !errors.As(err, &fe) || !errors.Is(err, weights.ErrUnsupported) || fe.Tensor != "token_embd.weight" || fe.Way == "" {
		t.Errorf("Q8_0 to Q4_0: %v", err)
	}
	for _, d := range []weights.DType{weights.F32, weights.F16, weights.BF16, weights.Q8_0} {
		if _, err := c.As(d, false); err != nil {
			t.Errorf("Q8_0 to %v: %v", d, err)
		}
	}
	again, err := c.As(weights.Q4_0, true)
	if err != nil {
		t.Fatal(err)
	}
	values, err := c.Head.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	want := make([]byte, weights.Q4_0.Bytes(len(values)))
	if err := weights.Encode(want, weights.Q4_0, values); err != nil {
		t.Fatal(err)
	}
	got, err := again.Head.Load(context.Background(), nil)
	if err != nil || !bytes.Equal(got.Data, want) {
		t.Errorf("Q8_0 to Q4_0: not the values of the one in the other, %v", err)
	}
	if same, err := c.As(weights.Q8_0, false); err != nil || same.Hash() != c.Hash() {
		t.Errorf("a model asked for in its own precision is another: %v", err)
	}
	hashes := map[[32]byte]bool{c.Hash(): true, again.Hash(): true}
	for _, d := range []weights.DType{weights.F32, weights.F16, weights.Q5_0} {
		other, err := c.As(d, true)
		if err != nil {
			t.Fatal(err)
		}
		hashes[other.Hash()] = true
	}
	if len(hashes) != 5 {
		t.Errorf("five precisions have %d hashes", len(hashes))
	}
}

func TestParsePrecision(t *testing.T) {
	for _, d := range checkpoint.Precisions() {
		for _, name := range []string{d.String(), strings.ToLower(d.String())} {
			if got, err := checkpoint.ParsePrecision(name); err != nil || got != d {
				t.Errorf("%s: %v, %v", name, got, err)
			}
		}
	}
	for _, name := range []string{"", "q4", "U8", "nf4", "q8_0 "} {
		if d, err := checkpoint.ParsePrecision(name); !errors.Is(err, weights.ErrUnsupported) || !strings.Contains(err.Error(), "q4_k") {
			t.Errorf("%q: %v, %v", name, d, err)
		}
	}
	if !slices.Contains(checkpoint.Precisions(), weights.IQ4_XS) || len(checkpoint.Precisions()) != 15 {
		t.Errorf("precisions %v", checkpoint.Precisions())
	}
}
