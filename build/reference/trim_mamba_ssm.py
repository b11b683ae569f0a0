#!/usr/bin/env python3
"""Cut the cases of Mamba-1's ops out of b-vitamins/ssm's reference file (outputs of mamba-ssm's CUDA kernels).

    python3 build/reference/trim_mamba_ssm.py mamba_reference_cases.json engine/reference/testdata/mamba_ssm.json

The file: https://github.com/b-vitamins/ssm, tests, Apache-2.0. Kept are inputs and outputs of the causal convolution,
the RMS norm, the selective scan and the single-step state update in float32; left out are gradients, Mamba-2's ops,
complex, grouped and half-precision cases and layer norms. Arrays become flat lists with a shape.
"""
import json, sys

KEEP = {
    "dw_causal_conv": ["channels_first_silu", "channels_last_identity"],
    "layer_norms": ["rms_norm"],
    "selective_scan": ["minimal", "full", "time_varying_3d"],
    "selective_state_update": ["baseline_full"],
}


def flat(x):
    return [v for y in x for v in flat(y)] if isinstance(x, list) else [x]


def tensor(t):
    assert t["dtype"] == "float32", t["dtype"]
    return {"shape": t["shape"], "data": flat(t["data"])}


source = json.load(open(sys.argv[1]))
cases = {
    f"{group}/{name}": {part: {k: tensor(t) for k, t in source[group][name][part].items()} for part in ("inputs", "outputs")}
    for group, names in KEEP.items() for name in names
}
meta = {
    "what": "inputs and outputs of mamba-ssm's CUDA kernels, trimmed by build/reference/trim_mamba_ssm.py",
    "source": "https://github.com/b-vitamins/ssm (tests), Apache License 2.0",
    "mamba_commit": source["meta"]["mamba_commit"], "torch": source["meta"]["torch"], "cuda": source["meta"]["cuda"],
}
with open(sys.argv[2], "w") as f:
    f.write('{"meta": ' + json.dumps(meta, indent=1) + ',\n"cases": {\n')
    f.write(",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in cases.items()))
    f.write("\n}}\n")
