#!/usr/bin/env python3
"""The error of llama.cpp's quantization, which engine/weights/quant must not exceed.

    python3 build/reference/quant_rms.py assets/demo engine/weights/quant/testdata/rms.json

Needs numpy, torch, safetensors, the gguf package and llama.cpp (Debian: python3-gguf, python3-torch,
python3-safetensors, libggml0, llama.cpp-tools).

For each type and tensor the root mean square of x - dequantize(quantize(x)), without an importance matrix: of the
matrices of the demo model, and of made-up tensors which the tests make again. quantize is ggml_quantize_chunk of
libggml-base; that llama-quantize writes the same bytes is checked on the demo model.

The made-up tensors come from the bytes SHA-256("NAME 0"), SHA-256("NAME 1"), ... as 16-bit words, little-endian, nine
to an element: the sum of eight of them less 262140 is nearly normal, and the ninth varies it (see made_up).
"""
import ctypes, hashlib, json, os, subprocess, sys, tempfile
import gguf
import numpy as np
import safetensors.torch
import torch
sys.dont_write_bytecode = True
import make_gguf

TYPES = ["Q8_0", "Q6_K", "Q5_K", "Q4_K", "Q3_K", "Q2_K", "Q5_1", "Q5_0", "Q4_1", "Q4_0", "IQ4_NL", "IQ4_XS"]
ROWS, COLS = 32, 1024

ggml = ctypes.CDLL("libggml-base.so.0")
ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
ggml.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p] + [ctypes.c_int64] * 3 + [ctypes.c_void_p]


def words(name):
    n = ROWS * COLS * 9
    data = b"".join(hashlib.sha256(f"{name} {k}".encode()).digest() for k in range((2 * n + 31) // 32))
    return np.frombuffer(data[:2 * n], "<u2").reshape(ROWS * COLS, 9).astype(np.int64)


def made_up(name):
    w = words(name)
    x = (w[:, :8].sum(1) - 262140).astype(np.float32)
    v = w[:, 8]
    if name == "heavy":    # half as many at each larger power of two, up to 2^6
        k = sum((v % 2**n == 0).astype(np.int64) for n in range(1, 7))
        x = x * np.exp2(k).astype(np.float32)
    elif name == "offset":  # groups of 16 with a mean and a size of their own
        first = v.reshape(-1, 16)[:, :1]
        x = x.reshape(-1, 16) * np.exp2(first % 4).astype(np.float32) + ((first // 4 % 16 - 8) * 2**15).astype(np.float32)
        x = x.reshape(-1)
    elif name == "small":   # scales that are subnormal as binary16
        x = x * np.float32(2**-16)
    elif name == "sparse":  # one in 16 is not zero
        x = np.where(v % 16 == 0, x, np.float32(0))
    return (x * np.float32(2**-20)).reshape(ROWS, COLS)


def quantize(x, kind):
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    x = np.ascontiguousarray(x, np.float32)
    out = np.empty((x.shape[0], x.shape[1] // elements * size), np.uint8)
    n = ggml.ggml_quantize_chunk(int(kind), x.ctypes.data, out.ctypes.data, 0, x.shape[0], x.shape[1], None)
    assert n == out.size
    return out


def rms(x, kind):
    e = gguf.quants.dequantize(quantize(x, kind), kind).astype(np.float64) - x.astype(np.float64)
    return float(np.sqrt((e * e).mean()))


def demo(folder):
    out = {}
    for name, t in safetensors.torch.load_file(f"{folder}/model.safetensors").items():
        if make_gguf.gguf_name(name).endswith(make_gguf.QUANTIZED) and t.shape[-1] % 256 == 0:
            out[name] = t.to(torch.float32).numpy()
    return out


def check_llama_quantize(folder, tensors):
    with tempfile.TemporaryDirectory() as d:
        make_gguf.convert(folder, make_gguf.TYPES["f32"], f"{d}/f32.gguf")
        for name in TYPES:
            cmd = ["llama-quantize", "--pure", "--token-embedding-type", name.lower(), f"{d}/f32.gguf", f"{d}/q.gguf",
                   {"Q5_K": "Q5_K_M", "Q4_K": "Q4_K_M", "Q3_K": "Q3_K_M"}.get(name, name), "1"]
            run = subprocess.run(cmd, capture_output=True, text=True)
            if run.returncode:  # ssm_dt has 16 columns, which older versions do not fall back for
                sys.exit(f"{' '.join(cmd)}: {run.stderr[-600:]}")
            found = {t.name: t for t in gguf.GGUFReader(f"{d}/q.gguf").tensors}
            for n, x in tensors.items():
                t = found[make_gguf.gguf_name(n)]
                assert t.tensor_type.name == name, (name, n, t.tensor_type)
                assert np.array_equal(t.data.reshape(-1), quantize(x, t.tensor_type).reshape(-1)), (name, n)


def main(folder, path):
    tensors = demo(folder)
    check_llama_quantize(folder, tensors)
    everything = {n: made_up(n) for n in ("normal", "heavy", "offset", "small", "sparse")} | tensors
    out = {"made with": "ggml_quantize_chunk of ggml " + os.path.realpath("/usr/lib/x86_64-linux-gnu/libggml-base.so.0").split(".so.")[1],
           "types": {t: {n: rms(x, gguf.GGMLQuantizationType[t]) for n, x in everything.items()} for t in TYPES}}
    with open(path, "w") as f:
        json.dump(out, f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
