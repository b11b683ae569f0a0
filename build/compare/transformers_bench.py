#!/usr/bin/env python3
"""How fast transformers reads and writes on the CPU, asked and answering as llama-bench does:

    go run ./build/compare -peer transformers -llama "python3 build/compare/transformers_bench.py" m.gguf

The model is made with random weights in the shape that the GGUF file tells, in float32: the values do not change the
speed. Needs torch, transformers and gguf. Writing is greedy, with the cache that transformers keeps.

Where torch multiplies with OpenBLAS its threads and those of OpenMP are in each other's way: OMP_NUM_THREADS=1 made it 17 times
as fast on two cores, and OPENBLAS_CORETYPE (Cooperlake where there is AVX-512) helps CPUs that OpenBLAS takes for older ones.
"""
import argparse
import json
import time
import gguf
import torch
from transformers import FalconMambaConfig, FalconMambaForCausalLM, MambaConfig, MambaForCausalLM


def shape(path):
    r = gguf.GGUFReader(path)
    arch = r.fields["general.architecture"].contents()
    get = lambda key: r.fields[f"{arch}.{key}"].contents()
    falcon = f"{arch}.ssm.dt_b_c_rms" in r.fields and bool(get("ssm.dt_b_c_rms"))
    vocab = next(t for t in r.tensors if t.name == "token_embd.weight").shape[1]
    config = dict(hidden_size=get("embedding_length"), num_hidden_layers=get("block_count"), state_size=get("ssm.state_size"),
                  intermediate_size=get("ssm.inner_size"), time_step_rank=get("ssm.time_step_rank"),
                  conv_kernel=get("ssm.conv_kernel"), vocab_size=int(vocab), expand=get("ssm.inner_size") // get("embedding_length"))
    kind = (FalconMambaConfig, FalconMambaForCausalLM) if falcon else (MambaConfig, MambaForCausalLM)
    return kind[1](kind[0](**config)).eval()


@torch.inference_mode()
def main():
    p = argparse.ArgumentParser()
    p.add_argument("-m", required=True)
    p.add_argument("-p", type=int, default=512)
    p.add_argument("-n", type=int, default=64)
    p.add_argument("-r", type=int, default=1)
    for ignored in ("-ngl", "-o"):
        p.add_argument(ignored)
    a = p.parse_args()
    model = shape(a.m)
    vocab = model.config.vocab_size
    results = []

    def seconds(f):
        f()  # to warm up
        start = time.perf_counter()
        for _ in range(a.r):
            f()
        return (time.perf_counter() - start) / a.r

    if a.p:
        ids = torch.arange(a.p)[None] * 7919 % vocab
        t = seconds(lambda: model(ids, use_cache=True, logits_to_keep=1))
        results.append({"n_prompt": a.p, "n_gen": 0, "avg_ts": a.p / t})
    if a.n:
        ids = torch.arange(16)[None] * 7919 % vocab
        write = lambda n: model.generate(ids, max_new_tokens=n, min_new_tokens=n, do_sample=False, pad_token_id=0,
                                         attention_mask=torch.ones_like(ids))
        t = seconds(lambda: write(a.n + 1)) - seconds(lambda: write(1))  # without reading the prompt
        results.append({"n_prompt": 0, "n_gen": a.n, "avg_ts": a.n / t})
    print(json.dumps(results))


main()
