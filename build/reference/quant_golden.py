#!/usr/bin/env python3
"""Decodes random blocks of every quantization with the gguf package of llama.cpp's authors, for engine/weights/quant.

    python3 build/reference/quant_golden.py engine/weights/quant/testdata/decode.json

Needs numpy and the gguf package (Debian: python3-gguf).

The blocks are not stored: block k of a type is the bytes of SHA-256("TYPE k 0"), SHA-256("TYPE k 1"), ..., cut to its
size. In every block whose number is divisible by 3 the binary16 scales are replaced by EXTREMES in turn. The golden
file has the SHA-256 of the float32 values of all blocks (little-endian, every NaN as 0x7fc00000), and the values of
the first blocks in full, so that a wrong bit can be found.
"""
import base64, hashlib, json, sys
import gguf
import numpy as np

BLOCKS = 3000
SHOWN = {32: 12, 256: 2}
EXTREMES = [0x0000, 0x8000, 0x0001, 0x8001, 0x03ff, 0x0400, 0x7bff, 0xfbff, 0x7c00, 0xfc00, 0x7e00, 0x7c01, 0xffff, 0x3c00, 0xbc00]
SCALES = {  # offsets of binary16 numbers in a block
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82], "Q3_K": [108],
    "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0], "IQ4_XS": [0],
}


def block(name, size, k):
    b, c = b"", 0
    while len(b) < size:
        b += hashlib.sha256(f"{name} {k} {c}".encode()).digest()
        c += 1
    b = bytearray(b[:size])
    if k % 3 == 0:
        for n, at in enumerate(SCALES[name]):
            v = EXTREMES[(k // 3 + n * (k // 3 // len(EXTREMES))) % len(EXTREMES)]
            b[at:at + 2] = v.to_bytes(2, "little")
    return bytes(b)


def main(path):
    out = {"made with": f"gguf.quants.dequantize, numpy {np.__version__}", "blocks": BLOCKS, "types": {}}
    for name in SCALES:
        kind = gguf.GGMLQuantizationType[name]
        elements, size = gguf.GGML_QUANT_SIZES[kind]
        data = np.frombuffer(b"".join(block(name, size, k) for k in range(BLOCKS)), np.uint8).reshape(BLOCKS, size)
        with np.errstate(all="ignore"):
            values = gguf.quants.dequantize(data, kind).astype("<f4").reshape(-1)
        bits = np.where(np.isnan(values), np.uint32(0x7fc00000), values.view(np.uint32)).astype("<u4")
        out["types"][name] = {
            "number": int(kind), "elements": elements, "bytes": size, "sha256": hashlib.sha256(bits.tobytes()).hexdigest(),
            "first": base64.b64encode(bits[:SHOWN[elements] * elements].tobytes()).decode(),
        }
    with open(path, "w") as f:
        json.dump(out, f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
