#!/usr/bin/env python3
"""A Mamba of a published shape with random weights, as GGUF: to measure speed where no weights can be had.

    python3 build/reference/make_random_gguf.py SHAPE f16|bf16|f32|q8_0 OUT.gguf [--tokenizer tokenizer.json]

SHAPE is one of mamba-130m, mamba-370m, mamba-790m, mamba-1.4b, mamba-2.8b, falcon-mamba-7b. Values have the size
training leaves them, so that nothing overflows; what comes out is not language. With a tokenizer.json (GPT-NeoX's for
mamba, Falcon's for falcon-mamba) the file can be prompted with text; without, llama.cpp takes it as "no vocabulary",
which is enough for llama-bench. Needs what make_gguf.py needs.
"""
import sys
import gguf
import numpy as np
sys.dont_write_bytecode = True
from make_gguf import TYPES, add_config, add_tensor, add_tokenizer, finish

SHAPES = {  # hidden, layers, inner, dt rank
    "mamba-130m": (768, 24, 1536, 48), "mamba-370m": (1024, 48, 2048, 64), "mamba-790m": (1536, 48, 3072, 96),
    "mamba-1.4b": (2048, 48, 4096, 128), "mamba-2.8b": (2560, 64, 5120, 160), "falcon-mamba-7b": (4096, 64, 8192, 256),
}


def main(shape, kind, out, tokenizer):
    hidden, layers, inner, rank = SHAPES[shape]
    falcon = shape.startswith("falcon")
    vocab, state, conv = (65024, 16, 4) if falcon else (50280, 16, 4)
    c = {"model_type": "falcon_mamba" if falcon else "mamba", "hidden_size": hidden, "num_hidden_layers": layers,
         "intermediate_size": inner, "state_size": state, "conv_kernel": conv, "time_step_rank": rank,
         "layer_norm_epsilon": 1e-5, "bos_token_id": 0, "eos_token_id": 11 if falcon else 0, "pad_token_id": 11 if falcon else 0}
    w = gguf.GGUFWriter(out, "mamba")
    w.add_name(shape + " shape, random weights")
    add_config(w, kind, c)
    if tokenizer:
        add_tokenizer(w, tokenizer, "falcon" if falcon else "mpt", vocab, c)
    else:
        w.add_tokenizer_model("no_vocab")
        w.add_vocab_size(vocab)
    r = np.random.default_rng(1)
    normal = lambda std, *shape: r.standard_normal(shape, dtype=np.float32) * np.float32(std)
    add = lambda name, data: add_tensor(w, name, data.astype(np.float32), kind)
    add("token_embd.weight", normal(0.05, vocab, hidden))
    for n in range(layers):
        p = f"blk.{n}."
        add(p + "attn_norm.weight", 1 + normal(0.1, hidden))
        add(p + "ssm_in.weight", normal(hidden**-0.5, 2 * inner, hidden))
        add(p + "ssm_conv1d.weight", normal(0.5, inner, conv))
        add(p + "ssm_conv1d.bias", normal(0.1, inner))
        add(p + "ssm_x.weight", normal(inner**-0.5, rank + 2 * state, inner))
        add(p + "ssm_dt.weight", normal(rank**-0.5, inner, rank))
        dt = np.exp(r.random(inner) * np.log(100)) * 0.001
        add(p + "ssm_dt.bias", np.log(np.expm1(dt)))
        add(p + "ssm_a", np.tile(np.log(np.arange(1, state + 1)), (inner, 1)))  # A_log
        add(p + "ssm_d", 1 + normal(0.1, inner))
        add(p + "ssm_out.weight", normal((inner * layers) ** -0.5, hidden, inner))
    add("output_norm.weight", 1 + normal(0.1, hidden))
    if falcon:
        add("output.weight", normal(hidden**-0.5, vocab, hidden))
    finish(w)


if __name__ == "__main__":
    a = sys.argv[1:]
    tokenizer = a.pop(a.index("--tokenizer") + 1) if "--tokenizer" in a else None
    a = [x for x in a if x != "--tokenizer"]
    if len(a) != 3 or a[0] not in SHAPES or a[1] not in TYPES:
        sys.exit(__doc__)
    main(a[0], TYPES[a[1]], a[2], tokenizer)
