// Package convert writes a model as a GGUF file that Kestrel and llama.cpp read.
//
//	ck, err := checkpoint.Open("falcon-mamba-7b")
//	as, err := ck.As(weights.Q4_K, false)
//	err = convert.File(ctx, as, "falcon-mamba-7b-q4_k.gguf", nil)
//
// Matrices are written as the checkpoint has them, or has been asked for them;
// norms, the convolution, A, D and biases as F32, as llama.cpp wants them. With
// them go the tokenizer, the chat template, the special ids, and the epsilon of
// Falcon's inner norms, for which GGUF has no key (checkpoint.MixerEpsKey).
package convert

import (
	"context"
	"fmt"
	"io"
	"math"

	"kestrel/engine/checkpoint"
	"kestrel/engine/weights"
	"kestrel/engine/weights/gguf"
)

// Options of File.
type Options struct {
	Progress func(done, total int64) // bytes of tensors written
	Warn     func(string)            // what the user should know although the file is written
}

// File writes the model to path: under a temporary name, brought to the disk,
// then renamed. A few megabytes are in memory at a time. When ctx ends, or
// anything fails, nothing is left and path is as it was.
//
// Errors: weights.ErrUnsupported for a storage type that GGUF does not have.
func File(ctx context.Context, ck *checkpoint.Checkpoint, path string, o Options) error {
	w, err := Writer(ctx, ck, o)
	if err != nil {
		return err
	}
	return w.WriteFile(ctx, path)
}

// Writer is the file before it is written; ck stays open until then.
func Writer(ctx context.Context, ck *checkpoint.Checkpoint, o Options) (*gguf.Writer, error) {
	c := &converter{ctx: ctx, o: o, w: gguf.NewWriter(3)}
	if c.o.Warn == nil {
		c.o.Warn = func(string) {}
	}
	tensors := ck.GGUFTensors()
	for _, t := range tensors {
		if t.DType == weights.NF4 || t.DType == weights.FP4 {
			return nil, &weights.FileError{Kind: weights.ErrUnsupported, File: t.File, Tensor: t.Name,
				Problem: fmt.Sprintf("stored as %v, which GGUF does not have", t.DType),
				Way:     "convert to F32, which loses nothing, or quantize again to a type of GGUF, which loses more than quantizing the original"}
		}
	}
	if err := c.setModel(ck); err != nil {
		return nil, err
	}
	for _, t := range tensors {
		c.total += t.Size()
		c.w.Add(t.Name, t.DType, t.Shape, func(out io.Writer) error { return c.write(out, t) })
	}
	return c.w, nil
}

type converter struct {
	ctx         context.Context
	o           Options
	w           *gguf.Writer
	buf         []byte
	done, total int64
}

// slabElements is how many elements are computed and written at a time.
const slabElements = 4 << 20

func (c *converter) write(out io.Writer, t weights.Tensor) error {
	rows := t.Shape[0]
	step := max(1, slabElements/max(1, t.RowLen()))
	damaged := false
	for i := 0; i < rows; i += step {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		part, err := t.Part(i, min(step, rows-i)).Load(c.ctx, c.buf)
		if err != nil {
			return err
		}
		if part.Computed() {
			c.buf = part.Data
		}
		if !damaged && weights.HasNaN(part.DType, part.Data) {
			damaged = true
			c.o.Warn(fmt.Sprintf("tensor %q has NaN or infinite weights in %v; the model is damaged, or has values that this type cannot hold", t.Name, t.DType))
		}
		if _, err := out.Write(part.Data); err != nil {
			return err
		}
		c.done += int64(len(part.Data))
		if c.o.Progress != nil {
			c.o.Progress(c.done, c.total)
		}
	}
	return nil
}

// setModel sets the metadata.
func (c *converter) setModel(ck *checkpoint.Checkpoint) error {
	w := c.w
	w.SetString("general.architecture", "mamba")
	name := ck.Files.Name
	if name == "" {
		name = string(ck.Kind)
	}
	w.SetString("general.name", name)
	w.SetUint32("general.quantization_version", 2)
	if n, ok := fileTypes[mostOf(ck)]; ok {
		w.SetUint32("general.file_type", n)
	}
	trained := 1 << 20 // what converters write where there is no limit
	if ck.MaxTrained > 0 {
		trained = ck.MaxTrained
	}
	for _, size := range []struct {
		key string
		v   int
	}{
		{"context_length", trained}, {"embedding_length", ck.Hidden}, {"feed_forward_length", 0}, {"attention.head_count", 0},
		{"block_count", ck.Config.Layers}, {"ssm.conv_kernel", ck.Conv}, {"ssm.inner_size", ck.Inner}, {"ssm.state_size", ck.State},
		{"ssm.time_step_rank", ck.DtRank},
	} {
		if size.v > math.MaxUint32 {
			return fmt.Errorf("%w: %s of %d has no place in GGUF", weights.ErrUnsupported, size.key, size.v)
		}
		w.SetUint32("mamba."+size.key, uint32(size.v))
	}
	w.SetFloat32("mamba.attention.layer_norm_rms_epsilon", ck.NormEps)
	w.SetBool("mamba.ssm.dt_b_c_rms", ck.MixerNorm)
	if ck.MixerNorm {
		w.SetFloat32(checkpoint.MixerEpsKey, ck.MixerEps)
	}
	return c.setTokenizer(ck)
}

// fileTypes are llama.cpp's numbers for what most of a file is stored as
// (llama_ftype).
var fileTypes = map[weights.DType]uint32{
	weights.F32: 0, weights.F16: 1, weights.Q4_0: 2, weights.Q4_1: 3, weights.Q8_0: 7, weights.Q5_0: 8, weights.Q5_1: 9,
	weights.Q2_K: 10, weights.Q3_K: 11, weights.Q4_K: 14, weights.Q5_K: 16, weights.Q6_K: 18, weights.IQ4_NL: 25, weights.IQ4_XS: 30,
	weights.BF16: 32,
}

// mostOf is the type of most of the elements.
func mostOf(ck *checkpoint.Checkpoint) weights.DType {
	n := map[weights.DType]int{}
	var most weights.DType
	for _, t := range ck.Tensors() {
		if n[t.DType] += t.Elements(); n[t.DType] > n[most] || most == 0 {
			most = t.DType
		}
	}
	return most
}
