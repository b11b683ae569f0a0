#!/usr/bin/env python3
"""Writes a Mamba or FalconMamba folder of the Hugging Face layout as GGUF, so that llama.cpp can be asked about it.

    python3 build/reference/make_gguf.py MODEL_FOLDER f32|f16|bf16|q8_0 OUT.gguf

Needs the gguf package and torch (Debian: python3-gguf, python3-torch, python3-safetensors). Names, keys and types are
those of llama.cpp's own conversion: architecture mamba; embedding, projections and head in the type asked for; norms,
convolution, ssm_a = -exp(A_log), ssm_d and biases always F32; rows of a width that is not a multiple of 32 stay F16
where Q8_0 is asked for.

GGUF holds one epsilon, mamba.attention.layer_norm_rms_epsilon, and llama.cpp uses it for the norms of dt, B and C as
well. mixer_rms_eps has no standard key; it is written as kestrel.mixer_rms_eps, which Kestrel reads and llama.cpp ignores.
"""
import json, os, sys
import gguf
import numpy as np
import safetensors.torch
import torch

TYPES = {t.name.lower(): t for t in (gguf.GGMLQuantizationType.F32, gguf.GGMLQuantizationType.F16,
                                     gguf.GGMLQuantizationType.BF16, gguf.GGMLQuantizationType.Q8_0)}
LAYER = {
    "norm.weight": "attn_norm.weight", "mixer.in_proj.weight": "ssm_in.weight", "mixer.conv1d.weight": "ssm_conv1d.weight",
    "mixer.conv1d.bias": "ssm_conv1d.bias", "mixer.x_proj.weight": "ssm_x.weight", "mixer.dt_proj.weight": "ssm_dt.weight",
    "mixer.dt_proj.bias": "ssm_dt.bias", "mixer.A_log": "ssm_a", "mixer.D": "ssm_d", "mixer.out_proj.weight": "ssm_out.weight",
}
QUANTIZED = ("token_embd.weight", "output.weight", "ssm_in.weight", "ssm_x.weight", "ssm_dt.weight", "ssm_out.weight")


def gguf_name(name):
    name = name.removeprefix("backbone.")
    if name.startswith("layers."):
        _, n, rest = name.split(".", 2)
        return f"blk.{n}.{LAYER[rest]}"
    return {"embeddings.weight": "token_embd.weight", "embedding.weight": "token_embd.weight",
            "norm_f.weight": "output_norm.weight", "lm_head.weight": "output.weight"}[name]


def add_tensor(w, name, data, kind):
    """data: float32 numpy array as Hugging Face holds it."""
    if name.endswith("ssm_conv1d.weight"):
        data = data.reshape(data.shape[0], data.shape[-1])
    if name.endswith("ssm_a"):
        data = (-np.exp(data.astype(np.float64))).astype(np.float32)
    if not name.endswith(QUANTIZED):
        kind = TYPES["f32"]
    elif kind == TYPES["q8_0"] and data.shape[-1] % 32:
        kind = TYPES["f16"]
    if kind == TYPES["f32"]:
        w.add_tensor(name, data)
    else:
        w.add_tensor(name, gguf.quants.quantize(data, kind), raw_dtype=kind)


def add_config(w, kind, c):
    """c: the fields of config.json."""
    w.add_context_length(1 << 20)
    w.add_embedding_length(c["hidden_size"])
    w.add_feed_forward_length(0)
    w.add_head_count(0)
    w.add_block_count(c["num_hidden_layers"])
    w.add_ssm_conv_kernel(c["conv_kernel"])
    w.add_ssm_inner_size(c["intermediate_size"])
    w.add_ssm_state_size(c["state_size"])
    w.add_ssm_time_step_rank(c["time_step_rank"])
    w.add_layer_norm_rms_eps(c["layer_norm_epsilon"])
    falcon = c["model_type"] == "falcon_mamba"
    w.add_ssm_dt_b_c_rms(falcon)
    if falcon:
        w.add_float32("kestrel.mixer_rms_eps", c.get("mixer_rms_eps", 1e-6))
    w.add_file_type({"F32": gguf.LlamaFileType.ALL_F32, "F16": gguf.LlamaFileType.MOSTLY_F16,
                     "BF16": gguf.LlamaFileType.MOSTLY_BF16, "Q8_0": gguf.LlamaFileType.MOSTLY_Q8_0}[kind.name])


def add_tokenizer(w, tokenizer_json, pre, rows, c, chat_template=None):
    """A byte-level BPE tokenizer.json; ids it lacks are filled up to rows."""
    t = json.load(open(tokenizer_json))
    tokens = [f"[PAD{i}]" for i in range(rows)]
    types = [gguf.TokenType.UNUSED] * rows
    for text, i in t["model"]["vocab"].items():
        tokens[i], types[i] = text, gguf.TokenType.NORMAL
    for a in t["added_tokens"]:
        tokens[a["id"]] = a["content"]
        types[a["id"]] = gguf.TokenType.CONTROL if a["special"] else gguf.TokenType.USER_DEFINED
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre(pre)
    w.add_token_list(tokens)
    w.add_token_types(types)
    w.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in t["model"]["merges"]])
    first = lambda v: v[0] if isinstance(v, list) else v
    w.add_bos_token_id(c["bos_token_id"])
    w.add_eos_token_id(first(c["eos_token_id"]))
    w.add_pad_token_id(c["pad_token_id"])
    w.add_add_bos_token(False)
    if chat_template:
        w.add_chat_template(chat_template)


def finish(w):
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def convert(folder, kind, out):
    c = json.load(open(f"{folder}/config.json"))
    w = gguf.GGUFWriter(out, "mamba")
    w.add_name(c["model_type"])
    add_config(w, kind, c)
    tc = json.load(open(f"{folder}/tokenizer_config.json"))
    add_tokenizer(w, f"{folder}/tokenizer.json", "falcon" if c["model_type"] == "falcon_mamba" else "mpt", c["vocab_size"], c,
                  tc.get("chat_template"))
    for file in sorted(f for f in os.listdir(folder) if f.endswith(".safetensors")):
        for name, t in safetensors.torch.load_file(f"{folder}/{file}").items():
            if name == "lm_head.weight" and c["tie_word_embeddings"]:
                continue
            add_tensor(w, gguf_name(name), t.to(torch.float32).numpy(), kind)
    finish(w)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    convert(sys.argv[1], TYPES[sys.argv[2]], sys.argv[3])
