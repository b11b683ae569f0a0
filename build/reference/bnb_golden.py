#!/usr/bin/env python3
"""4-bit tensors as bitsandbytes saves them, and what they mean, for engine/weights/bnb.

    python3 build/reference/bnb_golden.py engine/weights/bnb/testdata

Needs numpy and safetensors. bitsandbytes itself is not needed: this follows its published format (functional.py:
QuantState.as_dict, quantize_4bit, quantize_blockwise, create_dynamic_map, get_4bit_type).

Writes bnb.safetensors, matrices in both types, with and without double quantization, in several block sizes and in
shapes that are and are not whole blocks; and values.safetensors, the float32 values of each matrix by its name,
dequantized here with numpy: float32 arithmetic, every product and sum rounded for itself.
"""
import json, sys
import numpy as np
from safetensors.numpy import save_file

NF4 = [-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
       -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
       0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0]
FP4 = [0, 0.0625, 8.0, 12.0, 4.0, 6.0, 2.0, 3.0, -0, -0.0625, -8.0, -12.0, -4.0, -6.0, -2.0, -3.0]
f32 = np.float32
TABLES = {"nf4": np.array(NF4, f32), "fp4": np.array(FP4, f32) / f32(12)}

CASES = [  # name, type, block size, nested, out, in
    ("layers.0.mixer.in_proj.weight", "nf4", 64, True, 16, 128),
    ("layers.0.mixer.x_proj.weight", "nf4", 64, False, 5, 64),
    ("layers.0.mixer.dt_proj.weight", "fp4", 64, True, 24, 192),
    ("layers.0.mixer.out_proj.weight", "fp4", 64, False, 3, 128),
    ("long.weight", "nf4", 256, False, 6, 128),      # blocks over two rows
    ("longest.weight", "fp4", 4096, True, 40, 192),  # the last block is not whole
    ("many.weight", "nf4", 64, True, 260, 64),       # more than one block of scales
    ("short.weight", "nf4", 32, True, 4, 64),        # blocks of fewer than 64
    ("odd.weight", "fp4", 64, False, 7, 33),         # an odd number of codes, rows that are no blocks
    ("odder.weight", "nf4", 128, True, 9, 48),
]


def dynamic_map():
    data = []
    for i in range(7):
        bounds = np.linspace(0.1, 1, 2 ** i + 1).astype(f32)
        means = (bounds[:-1] + bounds[1:]) / f32(2)
        data += (10.0 ** (i - 6) * means.astype(np.float64)).tolist()
        data += (-(10.0 ** (i - 6)) * means.astype(np.float64)).tolist()
    return np.array(sorted(data + [0.0, 1.0]), f32)


def blocks(x, size):
    return [x[i:i + size] for i in range(0, len(x), size)]


def codes_of(x, size, table):
    """The nearest entry of each value over its block's largest magnitude, and these magnitudes."""
    absmax = np.array([np.abs(b).max() for b in blocks(x, size)], f32)
    scale = np.repeat(absmax, size)[:len(x)]
    return np.abs(table[None, :] - (x / scale)[:, None]).argmin(1).astype(np.uint8), absmax


def main(folder):
    rng = np.random.default_rng(20240722)
    tensors, values = {}, {}
    for name, kind, size, nested, rows, cols in CASES:
        x = (rng.standard_normal(rows * cols) * 0.05 * np.exp(rng.standard_normal(rows * cols) / 4)).astype(f32)
        table = TABLES[kind]
        codes, absmax = codes_of(x, size, table)
        padded = np.append(codes, [0] * (len(codes) % 2)).astype(np.uint8)
        tensors[name] = (padded[0::2] << 4 | padded[1::2]).reshape(-1, 1)
        tensors[name + ".quant_map"] = table
        state = {"quant_type": kind, "blocksize": size, "dtype": "bfloat16", "shape": [rows, cols]}
        if nested:
            code = dynamic_map()
            offset = absmax.mean()
            small, largest = codes_of(absmax - offset, 256, code)
            tensors[name + ".absmax"] = small
            tensors[name + ".nested_absmax"] = largest
            tensors[name + ".nested_quant_map"] = code
            state |= {"nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": float(offset)}
            absmax = code[small] * np.repeat(largest, 256)[:len(small)] + offset
        else:
            tensors[name + ".absmax"] = absmax
        assert absmax.dtype == f32
        text = json.dumps(state).encode()
        tensors[f"{name}.quant_state.bitsandbytes__{kind}"] = np.frombuffer(text, np.uint8)
        values[name] = (table[codes] * np.repeat(absmax, size)[:len(codes)]).reshape(rows, cols)
        error = np.sqrt(np.mean((values[name].ravel() - x) ** 2) / np.mean(x ** 2))
        print(f"{name:32} {kind} block {size:4} nested {nested!s:5} {rows:3} x {cols:3}: relative error {error:.3f}")
        assert values[name].dtype == f32 and error < 0.25
    tensors["layers.0.norm.weight"] = rng.standard_normal(8).astype(f32)
    save_file(tensors, folder + "/bnb.safetensors", {"format": "pt"})
    save_file(values, folder + "/values.safetensors", {"made_with": f"numpy {np.__version__}"})


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
