package reference

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

// cudaCase is one case of testdata/mamba_ssm.json: what mamba-ssm's CUDA kernels
// made of random inputs.
type cudaCase struct{ Inputs, Outputs map[string]cudaTensor }

type cudaTensor struct {
	Shape []int
	Data  []float64
}

// batch is element b of the first dimension.
func (t cudaTensor) batch(b int) []float64 {
	n := len(t.Data) / t.Shape[0]
	return t.Data[b*n : (b+1)*n]
}

// transpose turns [rows, columns] over: the kernels hold time last, we first.
func transpose(v []float64, columns int) []float64 {
	rows := len(v) / columns
	out := make([]float64, len(v))
	for r := range rows {
		for c := range columns {
			out[c*rows+r] = v[r*columns+c]
		}
	}
	return out
}

func cudaCases(t *testing.T) map[string]cudaCase {
	t.Helper()
	data, err := os.ReadFile("testdata/mamba_ssm.json")
	if err != nil {
		t.Fatal(err)
	}
	var f struct{ Cases map[string]cudaCase }
	if err := json.Unmarshal(data, &f); err != nil {
		t.Fatal(err)
	}
	return f.Cases
}

// close1e4 allows each element 1e-4, of itself where it is over 1.
func close1e4(t *testing.T, what string, got, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i, w := range want {
		near(t, what, got[i:i+1], want[i:i+1], 1e-4*math.Max(1, math.Abs(w)))
	}
}

func TestCUDAConv(t *testing.T) {
	cases := cudaCases(t)
	c := cases["dw_causal_conv/channels_first_silu"] // x [batch, inner, T]
	T := c.Inputs["x"].Shape[2]
	for b := range c.Inputs["x"].Shape[0] {
		x := transpose(c.Inputs["x"].batch(b), T)
		y := SiLU(CausalConv1d(x, c.Inputs["weight"].Data, c.Inputs["bias"].Data, make([]float64, 3*8), 8, 4))
		close1e4(t, "conv and silu", y, transpose(c.Outputs["y"].batch(b), T))
	}
	c = cases["dw_causal_conv/channels_last_identity"] // x [batch, T, inner]
	for b := range c.Inputs["x"].Shape[0] {
		y := CausalConv1d(c.Inputs["x"].batch(b), c.Inputs["weight"].Data, nil, make([]float64, 3*8), 8, 4)
		close1e4(t, "conv", y, c.Outputs["y"].batch(b))
	}
}

func TestCUDANorm(t *testing.T) {
	c := cudaCases(t)["layer_norms/rms_norm"]
	close1e4(t, "norm", RMSNorm(c.Inputs["x"].Data, c.Inputs["w"].Data, 6, 1e-6), c.Outputs["y"].Data)
}

// The scan of these cases has B and C of each token (time_varying_3d), which is
// Mamba's, or of each channel, which is a scan of one channel at a time.
func TestCUDAScan(t *testing.T) {
	for name, softplus := range map[string]bool{"minimal": false, "full": true, "time_varying_3d": true} {
		c := cudaCases(t)["selective_scan/"+name]
		in := c.Inputs
		batches, inner, T, n := in["u"].Shape[0], in["u"].Shape[1], in["u"].Shape[2], in["A"].Shape[1]
		for b := range batches {
			u, delta := transpose(in["u"].batch(b), T), transpose(in["delta"].batch(b), T)
			if bias, ok := in["delta_bias"]; ok {
				delta = AddRow(delta, bias.Data)
			}
			if softplus {
				delta = Softplus(delta)
			}
			var z []float64
			if _, ok := in["z"]; ok {
				z = transpose(in["z"].batch(b), T)
			}
			state := make([]float64, inner*n)
			var y []float64
			if len(in["B"].Shape) == 3 {
				B, C := transpose(in["B"].batch(b), T), transpose(in["C"].batch(b), T)
				y = transpose(SelectiveScan(delta, in["A"].Data, B, C, nil, u, z, state, inner, n), inner)
			} else {
				for i := range inner {
					y = append(y, oneChannel(in, delta, u, z, state[i*n:(i+1)*n], i, inner, n)...)
				}
			}
			close1e4(t, name, y, c.Outputs["y"].batch(b))
			if last, ok := c.Outputs["last_state"]; ok {
				// With B of each channel the CUDA kernel keeps B out of the state and
				// multiplies it into C.
				close1e4(t, name+" state", state, MulBound(Exact(last.batch(b)), Exact(in["B"].Data)).Value)
			}
		}
	}
}

func oneChannel(in map[string]cudaTensor, delta, u, z, state []float64, i, inner, n int) []float64 {
	column := func(v []float64) []float64 {
		if v == nil {
			return nil
		}
		return Columns(v, inner, i, i+1)
	}
	repeat := func(row []float64) (out []float64) { // the same at every token
		for range len(u) / inner {
			out = append(out, row...)
		}
		return out
	}
	var D []float64
	if d, ok := in["D"]; ok {
		D = d.Data[i : i+1]
	}
	return SelectiveScan(column(delta), in["A"].batch(i), repeat(in["B"].batch(i)), repeat(in["C"].batch(i)), D,
		column(u), column(z), state, 1, n)
}

func TestCUDAStateUpdate(t *testing.T) {
	c := cudaCases(t)["selective_state_update/baseline_full"]
	in := c.Inputs
	inner, n := in["A"].Shape[0], in["A"].Shape[1]
	for b := range in["x"].Shape[0] {
		state := append([]float64(nil), in["state"].batch(b)...)
		delta := Softplus(AddRow(in["dt"].batch(b), in["dt_bias"].Data))
		y := SelectiveScan(delta, in["A"].Data, in["B"].batch(b), in["C"].batch(b), in["D"].Data, in["x"].batch(b), in["z"].batch(b), state, inner, n)
		close1e4(t, "state update", y, c.Outputs["y"].batch(b))
		close1e4(t, "updated state", state, c.Outputs["updated_state"].batch(b))
	}
}
