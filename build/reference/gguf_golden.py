#!/usr/bin/env python3
"""Writes the files that engine/weights/gguf is held against, with the gguf package of llama.cpp's authors.

    python3 build/reference/gguf_golden.py engine/weights/gguf/testdata

Needs numpy and the gguf package (Debian: python3-gguf).

values.gguf   one metadata key of each type and array, and one set of values in every type that Kestrel reads:
              x (F32), x.f16, x.bf16, x.q8_0 (quantized by gguf.quants), and x.q8_0.back (what Q8_0 decodes to)
plain.gguf    what Kestrel's own writer must reproduce byte for byte
"""
import sys
import gguf
import numpy as np

T = gguf.GGMLQuantizationType


def values():
    r = np.random.default_rng(5)
    x = (r.standard_normal((6, 96)) * np.exp(3 * r.standard_normal((6, 96)))).astype(np.float32)
    x[1] *= 1e-6                     # subnormal as F16, and as the scale of Q8_0
    x[2, :32] = 0                    # a block of zeros
    x[3] = r.integers(-127, 128, 96)
    x[3, ::32] = 127                 # a scale of exactly 1 ...
    x[3, 1::2] = np.trunc(x[3, 1::2] / 2) + 0.5  # ... and ties
    x[4, :8] = [2049, 2051, 4098, 65504, 6e-8, -0.0, 2**-24, 2**-25]  # ties and edges of F16
    x[5, :4] = np.array([0x3f808000, 0x3f818000, 0x3f808001, 0x3f817fff], np.uint32).view(np.float32)  # ties of BF16
    return x


def tensors(w, x):
    w.add_tensor("x", x)
    for name, kind in (("f16", T.F16), ("bf16", T.BF16), ("q8_0", T.Q8_0)):
        w.add_tensor("x." + name, gguf.quants.quantize(x, kind), raw_dtype=kind)
    w.add_tensor("x.q8_0.back", gguf.quants.dequantize(gguf.quants.quantize(x, T.Q8_0), T.Q8_0))


def finish(w):
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def main(folder):
    x = values()
    w = gguf.GGUFWriter(f"{folder}/values.gguf", "mamba")
    w.add_uint8("u8", 200); w.add_int8("i8", -100); w.add_uint16("u16", 60000); w.add_int16("i16", -30000)
    w.add_uint32("u32", 4000000000); w.add_int32("i32", -2000000000)
    w.add_uint64("u64", 2**64 - 1); w.add_int64("i64", -2**63)
    w.add_float32("f32", 0.1); w.add_float64("f64", 0.1)
    w.add_bool("yes", True); w.add_bool("no", False); w.add_string("text", "grüß \0 Gott")
    w.add_array("texts", ["", "a", "日本"]); w.add_array("ints", [1, -2, 3]); w.add_array("floats", [0.5, -1.5])
    w.add_array("nested", [["a", "b"], ["c"]])
    tensors(w, x)
    finish(w)

    w = gguf.GGUFWriter(f"{folder}/plain.gguf", "mamba")
    w.add_uint32("mamba.block_count", 2)
    w.add_float32("mamba.attention.layer_norm_rms_epsilon", 1e-5)
    w.add_bool("mamba.ssm.dt_b_c_rms", True)
    w.add_array("tokenizer.ggml.tokens", ["a", "", "Ġ日"])
    w.add_array("tokenizer.ggml.token_type", [1, 3, -1])
    w.add_array("tokenizer.ggml.scores", [0.5, -1.5])
    w.add_tensor("odd", x[0, :5].copy())  # 20 bytes, so that padding follows
    tensors(w, x)
    finish(w)


if __name__ == "__main__":
    main(sys.argv[1])
