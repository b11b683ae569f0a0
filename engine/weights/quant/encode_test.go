package quant_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"kestrel/engine/weights"
	"kestrel/engine/weights/quant"
	"kestrel/engine/weights/safetensors"
)

const rows, cols = 32, 1024

// madeUp is made_up of build/reference/quant_rms.py.
func madeUp(name string) []float32 {
	var data []byte
	for k := 0; len(data) < rows*cols*18; k++ {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", name, k))
		data = append(data, sum[:]...)
	}
	word := func(i, n int) int { return int(binary.LittleEndian.Uint16(data[18*i+2*n:])) }
	x := make([]float32, rows*cols)
	for i := range x {
		sum := -262140
		for n := range 8 {
			sum += word(i, n)
		}
		v := float64(sum)
		switch name {
		case "heavy":
			for n := 1; n <= 6 && word(i, 8)%(1<<n) == 0; n++ {
				v *= 2
			}
		case "offset":
			first := word(i&^15, 8)
			v = v*float64(int(1)<<(first%4)) + float64((first/4%16-8)<<15)
		case "small":
			v *= 0x1p-16
		case "sparse":
			if word(i, 8)%16 != 0 {
				v = 0
			}
		}
		x[i] = float32(v * 0x1p-20)
	}
	return x
}

func rms(x, y []float32) float64 {
	var sum float64
	for i := range x {
		e := float64(y[i]) - float64(x[i])
		sum += e * e
	}
	return math.Sqrt(sum / float64(len(x)))
}

func roundTrip(f *quant.Format, x []float32) (blocks []byte, values []float32) {
	blocks, values = make([]byte, len(x)/f.Elements*f.Bytes), make([]float32, len(x))
	f.Encode(blocks, x)
	f.Decode(values, blocks)
	return blocks, values
}

// TestErrorAgainstGGML: on every matrix of the demo model and on made-up
// tensors the error is no larger than that of llama-quantize. The largest
// tensors are left out of a short run.
func TestErrorAgainstGGML(t *testing.T) {
	data, err := os.ReadFile("testdata/rms.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct{ Types map[string]map[string]float64 }
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	demo, err := safetensors.Open("../../../assets/demo")
	if err != nil {
		t.Fatal(err)
	}
	defer demo.Close()
	tensors := map[string][]float32{}
	for name := range golden.Types["Q8_0"] {
		w, err := demo.Tensor(name)
		switch {
		case errors.Is(err, weights.ErrMissingTensor):
			tensors[name] = madeUp(name)
		case err != nil:
			t.Fatal(err)
		case testing.Short() && w.Elements() > 100000:
		default:
			if tensors[name], err = w.Float32s(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(tensors) < 11 {
		t.Fatalf("only %d tensors", len(tensors))
	}
	for _, f := range quant.Formats {
		t.Run(f.Name, func(t *testing.T) {
			var worst, sum float64
			for name, x := range tensors {
				theirs := golden.Types[f.Name][name]
				blocks, values := roundTrip(f, x)
				if f.HasNaN(blocks) {
					t.Errorf("%s: a scale is no number", name)
				}
				ratio := rms(x, values) / theirs
				// Sums in another order differ in the last digits.
				if !(ratio <= 1+1e-9) || f == quant.Q8_0 && ratio < 1-1e-9 {
					t.Errorf("%s: root mean square error %g, that of llama-quantize %g", name, ratio*theirs, theirs)
				}
				worst, sum = max(worst, ratio), sum+ratio
			}
			t.Logf("%d tensors: %.3f times llama-quantize's error, at most %.3f times", len(tensors), sum/float64(len(tensors)), worst)
		})
	}
}

// integers is how many steps a type has between its least and greatest value.
var integers = map[string]float64{"Q4_0": 15, "Q4_1": 15, "Q5_0": 31, "Q5_1": 31, "Q8_0": 254, "Q2_K": 3, "Q3_K": 7,
	"Q4_K": 15, "Q5_K": 31, "Q6_K": 63, "IQ4_NL": 15, "IQ4_XS": 15}

// bound is an error no encoding may exceed: rounding to evenly spaced values
// over the span, zero included, errs by half a step at most; the rest is for
// uneven values and for the rounding of the scales, which moves 127 steps
// by half the least binary16 each.
func bound(f *quant.Format, x []float32) float64 {
	lo, hi := min(0, slices.Min(x)), max(0, slices.Max(x))
	span := float64(hi) - float64(lo)
	return 1.2*span/integers[f.Name] + 127*0x1p-25
}

// TestShapes encodes blocks at the edges of what there is.
func TestShapes(t *testing.T) {
	fill := func(of func(i int) float64) []float32 {
		x := make([]float32, 512)
		for i := range x {
			x[i] = float32(of(i))
		}
		return x
	}
	for _, f := range quant.Formats {
		for name, x := range map[string][]float32{
			"zeros": fill(func(int) float64 { return 0 }), "negative zeros": fill(func(int) float64 { return math.Copysign(0, -1) }),
			"ones": fill(func(int) float64 { return 1 }), "minus ones": fill(func(int) float64 { return -1 }),
			"one":       fill(func(i int) float64 { return float64(max(0, 1-i)) }),
			"minus one": fill(func(i int) float64 { return float64(min(0, i-1)) }),
			"last":      fill(func(i int) float64 { return float64(i / 511) }),
			"both":      fill(func(i int) float64 { return float64(1 - i%2*2) }),
			"rising":    fill(func(i int) float64 { return float64(i) }),
			"far away":  fill(func(i int) float64 { return 1000 + float64(i%2) }),
			"large":     fill(func(i int) float64 { return 50000 * math.Sin(float64(i)) }),
			"tiny":      fill(func(i int) float64 { return 1e-6 * math.Sin(float64(i)) }),
			"tiniest":   fill(func(i int) float64 { return 1e-44 * float64(i%3-1) }),
			"steps":     fill(func(i int) float64 { return float64(i%15 - 7) }),
			"unequal":   fill(func(i int) float64 { return math.Ldexp(math.Sin(float64(i)), -i/16) }),
		} {
			blocks, values := roundTrip(f, x)
			if f.HasNaN(blocks) {
				t.Errorf("%s, %s: a scale is no number", f.Name, name)
			}
			for b := range len(x) / f.Elements {
				x, values := x[b*f.Elements:][:f.Elements], values[b*f.Elements:][:f.Elements]
				if e := rms(x, values); !(e <= bound(f, x)) {
					t.Errorf("%s, %s: error %g, more than %g; %v became %v", f.Name, name, e, bound(f, x), x, values)
				}
			}
			if again, _ := roundTrip(f, x); !bytes.Equal(again, blocks) {
				t.Errorf("%s, %s: encoded twice, two results", f.Name, name)
			}
		}
	}
}

// TestNotFinite: damage in a tensor stays visible in its block, and only there.
func TestNotFinite(t *testing.T) {
	for _, f := range quant.Formats {
		for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), math.MaxFloat32, -1e10} {
			x := make([]float32, 3*f.Elements)
			for i := range x {
				x[i] = float32(i%7) - 3
			}
			x[f.Elements+5] = bad
			blocks, values := roundTrip(f, x)
			for b := range 3 {
				if got := f.HasNaN(blocks[b*f.Bytes:][:f.Bytes]); got != (b == 1) {
					t.Errorf("%s, %v: block %d has a NaN: %v", f.Name, bad, b, got)
				}
			}
			if e := rms(x[:f.Elements], values[:f.Elements]); !(e <= bound(f, x[:f.Elements])) {
				t.Errorf("%s, %v: the block before became %v", f.Name, bad, values[:f.Elements])
			}
		}
	}
}

// FuzzBlocks decodes any block, encodes what it holds, and encodes the bytes
// themselves as numbers.
func FuzzBlocks(f *testing.F) {
	f.Add([]byte("\x00\x3c0123456789abcdef"))
	f.Add(bytes.Repeat([]byte{0xff}, 40))
	f.Add(bytes.Repeat([]byte{0, 0, 0x80, 0x3f}, 20))
	f.Add(bytes.Repeat([]byte{1, 0, 0, 0}, 20))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 {
			return
		}
		for _, format := range quant.Formats {
			block := make([]byte, format.Bytes)
			for i := range block {
				block[i] = data[i%len(data)]
			}
			x := make([]float32, format.Elements)
			format.Decode(x, block)
			check(t, format, x)
			for i := range x {
				at := 4 * i
				x[i] = math.Float32frombits(uint32(data[at%len(data)]) | uint32(data[(at+1)%len(data)])<<8 |
					uint32(data[(at+2)%len(data)])<<16 | uint32(data[(at+3)%len(data)])<<24)
			}
			check(t, format, x)
		}
	})
}

func check(t *testing.T, f *quant.Format, x []float32) {
	t.Helper()
	blocks, values := roundTrip(f, x)
	finite, large := true, false
	for _, v := range x {
		finite = finite && v-v == 0
		large = large || v > 60000 || v < -60000
	}
	switch {
	case !finite && !f.HasNaN(blocks):
		t.Fatalf("%s hides that %v are not all finite", f.Name, x)
	case finite && !large && f.HasNaN(blocks):
		t.Fatalf("%s of %v has a scale that is no number", f.Name, x)
	case f.HasNaN(blocks):
		return
	}
	if e := rms(x, values); !(e <= bound(f, x)) {
		t.Fatalf("%s: error %g, more than %g; %v became %v", f.Name, e, bound(f, x), x, values)
	}
}

func BenchmarkEncode(b *testing.B) {
	x := madeUp("normal")
	for _, f := range quant.Formats {
		dst := make([]byte, len(x)/f.Elements*f.Bytes)
		b.Run(f.Name, func(b *testing.B) {
			b.SetBytes(int64(4 * len(x)))
			for b.Loop() {
				f.Encode(dst, x)
			}
		})
	}
}
