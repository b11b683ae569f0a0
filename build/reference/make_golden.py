#!/usr/bin/env python3
"""Golden models: tiny random FalconMamba and Mamba networks and what transformers says of them.

    python3 build/reference/make_golden.py engine/testdata/golden [CASE ...]
    python3 build/reference/make_golden.py --model assets/demo engine/testdata/demo-golden.json

Needs torch and transformers (made with the versions noted in each golden.json; Debian sid: python3-torch,
python3-transformers). Every case is a folder as the Hugging Face hub lays it out (config.json, safetensors) and a
golden.json with prompts, each of

    ids        the prompt
    positions  those the logits are of (all for short prompts, the last for long ones)
    logits     base64 of little-endian float32 [positions, vocab]: the model as transformers runs it in float32
    logits64   base64 of float64: the same code with its casts to float32 taken out
    greedy     ids of the greedy continuation, run token by token on the carried cache
    states     of some prompts, per layer, base64 of float32, after the prompt: ssm [inner, state] and
               conv [inner, conv] (the last conv inputs of the convolution, oldest first)

Weights are held in the dtype of the case and widened to float32 to compute, as Kestrel does. They are scaled so that
nothing is degenerate, and the script refuses a case whose logits are not of the size of 1, where an early token does
not reach the last logits through the state, or where mixer_rms_eps does not matter. Prompts are drawn until no
arg-max is a near tie, so that "same arg-max" is a fair test of float32 code.

The second form asks transformers about a trained model, after real text: last-position logits and greedy text.
"""
import base64, contextlib, copy, json, math, os, shutil, sys
import numpy as np
import safetensors.torch
import torch
import transformers
from transformers import FalconMambaConfig, FalconMambaForCausalLM, MambaConfig, MambaForCausalLM
from transformers.models.falcon_mamba import modeling_falcon_mamba as falcon_code
from transformers.models.mamba import modeling_mamba as mamba_code

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
torch.set_num_threads(2)

F32, BF16, F16 = torch.float32, torch.bfloat16, torch.float16

# name: kind, config, dtype, what stands out. x_scale sets the size of dt, B and C before their norms: near the root of
# mixer_rms_eps, so that a wrong epsilon shows.
CASES = {
    "falcon-odd-f32": dict(
        falcon=True, hidden=52, inner=104, state=16, conv=4, rank=5, vocab=257, layers=2, tied=True, eps=1e-6),
    "falcon-sharded-mixed": dict(  # bf16 in shards, A_log and D in f32; inner is 2.4 hidden and expand misleads
        falcon=True, hidden=100, inner=240, state=8, conv=3, rank=13, vocab=331, layers=2, tied=False, eps=1e-5,
        dtype=BF16, keep_f32=("A_log", ".D"), shard="100KB", expand=16, states=True),
    "falcon-f16": dict(
        falcon=True, hidden=36, inner=72, state=8, conv=4, rank=7, vocab=259, layers=1, tied=False, eps=1e-3, dtype=F16),
    "falcon-deep-bf16": dict(  # everything bf16, four layers, one-and-a-half times hidden
        falcon=True, hidden=64, inner=96, state=16, conv=4, rank=4, vocab=301, layers=4, tied=True, eps=1e-6, dtype=BF16, expand=1),
    "falcon-no-conv-bias": dict(
        falcon=True, hidden=45, inner=67, state=5, conv=3, rank=3, vocab=127, layers=2, tied=True, eps=1e-5, conv_bias=False),
    "mamba-odd-f32": dict(
        falcon=False, hidden=52, inner=104, state=16, conv=4, rank=7, vocab=257, layers=2, tied=True),
    "mamba-bf16-untied": dict(
        falcon=False, hidden=68, inner=136, state=8, conv=3, rank=13, vocab=331, layers=3, tied=False, dtype=BF16,
        norm_eps=1e-6, states=True),
    "mamba-original-names": dict(  # as mamba-ssm saves: backbone.embedding.weight, the tied head also as a tensor
        falcon=False, hidden=40, inner=80, state=16, conv=4, rank=3, vocab=200, layers=1, tied=True, dtype=F16, original=True),
}


def build(c, gen):
    kind = (FalconMambaConfig, FalconMambaForCausalLM) if c["falcon"] else (MambaConfig, MambaForCausalLM)
    extra = {"mixer_rms_eps": c["eps"]} if c["falcon"] else {}
    config = kind[0](
        hidden_size=c["hidden"], intermediate_size=c["inner"], expand=c.get("expand", 2), state_size=c["state"],
        conv_kernel=c["conv"], time_step_rank=c["rank"], vocab_size=c["vocab"], num_hidden_layers=c["layers"],
        tie_word_embeddings=c["tied"], use_conv_bias=c.get("conv_bias", True), layer_norm_epsilon=c.get("norm_eps", 1e-5),
        bos_token_id=1, eos_token_id=2, pad_token_id=2, **extra)
    model = kind[1](config).eval()
    normal = lambda p, std, mean=0.0: p.copy_(torch.randn(p.shape, generator=gen) * std + mean)
    uniform = lambda p, lo, hi: p.copy_(torch.rand(p.shape, generator=gen) * (hi - lo) + lo)
    x_scale = 2 * math.sqrt(c["eps"]) if c["falcon"] else 0.6
    with torch.no_grad():
        normal(model.backbone.embeddings.weight, 0.4)
        if not c["tied"]:
            normal(model.lm_head.weight, 0.4)
        normal(model.backbone.norm_f.weight, 0.2, 1)
        for layer in model.backbone.layers:
            m = layer.mixer
            normal(layer.norm.weight, 0.2, 1)
            normal(m.in_proj.weight, 1.5 / math.sqrt(c["hidden"]))
            normal(m.conv1d.weight, 0.6)
            if m.conv1d.bias is not None:
                normal(m.conv1d.bias, 0.3)
            normal(m.x_proj.weight, 1.5 * x_scale / math.sqrt(c["inner"]))
            normal(m.dt_proj.weight, 0.7 / math.sqrt(c["rank"]))
            dt = torch.exp(torch.rand(m.dt_proj.bias.shape, generator=gen) * math.log(50)) * 0.01  # 0.01 … 0.5
            m.dt_proj.bias.copy_(dt + torch.log(-torch.expm1(-dt)))
            uniform(m.A_log, -3, math.log(c["state"]))  # memories from one to a hundred tokens and more
            normal(m.D, 0.5, 0.5)
            normal(m.out_proj.weight, 2 / math.sqrt(c["inner"]))
        dtype = c.get("dtype", F32)
        if dtype != F32:
            for name, p in model.named_parameters():
                if not any(k in name for k in c.get("keep_f32", ())):
                    p.data = p.data.to(dtype)
            model.config.dtype = dtype
    return model


def save(model, c, folder):
    model.save_pretrained(folder, max_shard_size=c.get("shard", "1GB"))
    os.path.exists(folder + "/generation_config.json") and os.remove(folder + "/generation_config.json")
    if c.get("original"):
        path = folder + "/model.safetensors"
        tensors = safetensors.torch.load_file(path)
        tensors["backbone.embedding.weight"] = tensors.pop("backbone.embeddings.weight")
        tensors["lm_head.weight"] = tensors["backbone.embedding.weight"].clone()
        safetensors.torch.save_file(tensors, path, metadata={"format": "pt"})


@contextlib.contextmanager
def float64_code():
    """transformers' slow path casts to float32 here and there; without those casts it computes in float64."""
    def rms(x, variance_epsilon=1e-6):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + variance_epsilon)

    def norm(self, x):
        return self.weight * rms(x, self.variance_epsilon)

    class torch64:  # the residual's .to(torch.float32)
        float32 = torch.float64
        def __getattr__(self, name):
            return getattr(torch, name)

    kept = falcon_code.rms_forward, mamba_code.MambaRMSNorm.forward, torch.Tensor.float, falcon_code.torch, mamba_code.torch
    falcon_code.rms_forward, mamba_code.MambaRMSNorm.forward = rms, norm
    torch.Tensor.float = lambda self: self
    falcon_code.torch = mamba_code.torch = torch64()
    try:
        yield
    finally:
        (falcon_code.rms_forward, mamba_code.MambaRMSNorm.forward, torch.Tensor.float, falcon_code.torch,
         mamba_code.torch) = kept


@torch.no_grad()
def logits_of(model, ids):
    return model(torch.tensor([ids]), use_cache=False).logits[0]


@torch.no_grad()
def greedy(model, ids, n):
    """Continuation by the cached path: one prefill, then token by token. Also the smallest lead of a choice and the
    states after the prompt."""
    out = model(torch.tensor([ids]), use_cache=True)
    cache, got, lead, states = out.cache_params, [], math.inf, None
    for layer in cache.layers:
        states = (states or []) + [(layer.recurrent_states[0].clone(), layer.conv_states[0].clone())]
    for _ in range(n):
        row = out.logits[0, -1]
        lead = min(lead, lead_of(row))
        got.append(int(row.argmax()))
        out = model(torch.tensor([[got[-1]]]), cache_params=cache, use_cache=True)
    return got, lead, states


def lead_of(row):
    """How far the best logit is ahead, in units of the logits' RMS."""
    best = row.topk(2).values
    return float((best[0] - best[1]) / row.pow(2).mean().sqrt())


def b64(t, dtype):
    return base64.b64encode(t.numpy().astype(dtype).tobytes()).decode()


def rms(t):
    return float(t.double().pow(2).mean().sqrt())


def worth(model, c, ids):
    """Refuse a degenerate model."""
    a = logits_of(model, ids)
    assert 0.5 < rms(a) < 20, f"logits of RMS {rms(a)}"
    assert len(set(a.argmax(-1).tolist())) > len(ids) // 4, "the arg-max hardly depends on the token"
    far = len(ids) - 1 - c["layers"] * (c["conv"] - 1) - 1  # out of reach of all the convolutions together
    assert far > 0
    other = logits_of(model, [(ids[0] + 7) % c["vocab"], *ids[1:]])
    through_state = rms(other[far + c["layers"] * (c["conv"] - 1):] - a[far + c["layers"] * (c["conv"] - 1):]) / rms(a)
    assert through_state > 1e-3, f"the first token moves the last logits by {through_state}"
    eps_matters = None
    if c["falcon"]:
        for layer in model.backbone.layers:
            layer.mixer.rms_eps = 1e-5 if c["eps"] != 1e-5 else 1e-6
        eps_matters = rms(logits_of(model, ids) - a) / rms(a)
        for layer in model.backbone.layers:
            layer.mixer.rms_eps = c["eps"]
        assert eps_matters > 1e-2, f"another mixer_rms_eps moves the logits by {eps_matters}"
    return rms(a), through_state, eps_matters


def make(name, c, out):
    folder = f"{out}/{name}"
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    gen = torch.Generator().manual_seed(sum(name.encode()))
    stored = build(c, gen)
    save(stored, c, folder)
    if c.get("original"):  # transformers reads its own names; the tensors are the same
        model = stored.float()
    else:  # from the files, so that the golden is of what is committed
        model = type(stored).from_pretrained(folder, dtype=F32).eval()
    for (key, a), (_, b) in zip(sorted(stored.state_dict().items()), sorted(model.state_dict().items())):
        assert torch.equal(a.float(), b), key
    model64 = copy.deepcopy(model).double()
    draw = lambda n: torch.randint(0, c["vocab"], (n,), generator=gen).tolist()
    size, through, eps_matters = worth(model, c, draw(24))

    prompts, off = [], 0.0
    for n, n_greedy in ((1, 0), (2, 0), (7, 24), (33, 8), (80, 8)):
        while True:
            ids = draw(n)
            a = logits_of(model, ids)
            positions = list(range(n)) if n <= 7 else [n - 1]
            more, lead, states = greedy(model, ids, n_greedy)
            if min([lead, *(lead_of(a[p]) for p in positions)]) > 5e-3:
                break
        with float64_code():
            a64 = logits_of(model64, ids)
        assert a64.dtype == torch.float64
        off = max(off, rms(a[positions] - a64[positions]) / rms(a64))
        p = dict(ids=ids, positions=positions, logits=b64(a[positions], "<f4"), logits64=b64(a64[positions], "<f8"),
                 greedy=more)
        if c.get("states") and n in (2, 33):  # 2: shorter than the convolution
            p["states"] = [dict(ssm=b64(s, "<f4"), conv=b64(v, "<f4")) for s, v in states]
        prompts.append(p)
    assert off < 1e-5, f"float32 and float64 differ by {off}"
    write(folder + "/golden.json", prompts)
    for file in os.listdir(folder):
        os.chmod(f"{folder}/{file}", 0o644)
    total = sum(os.path.getsize(f"{folder}/{x}") for x in os.listdir(folder))
    print(f"{name}: {total / 1024:.0f} KiB, logits RMS {size:.2f}, first token through the state {through:.3f}, "
          f"epsilon {eps_matters and round(eps_matters, 3)}, f32 to f64 {off:.1e}")


def write(path, prompts):
    with open(path, "w") as f:
        json.dump(dict(made_by="build/reference/make_golden.py", torch=torch.__version__,
                       transformers=transformers.__version__, prompts=prompts), f, indent=1)
        f.write("\n")


TEXTS = (
    "The captain looked at the sea and said,",
    "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n",
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness,\n" * 4,
)


def make_of(folder, out):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=F32).eval()
    model64 = copy.deepcopy(model).double()
    tokenizer, prompts = transformers.AutoTokenizer.from_pretrained(folder), []
    for text in TEXTS:
        ids = tokenizer.encode(text)
        a = logits_of(model, ids)[-1:]
        with float64_code():
            a64 = logits_of(model64, ids)[-1:]
        off = rms(a - a64) / rms(a64)
        more, lead, _ = greedy(model, ids, 64)
        prompts.append(dict(text=text, ids=ids, positions=[len(ids) - 1], logits=b64(a, "<f4"), logits64=b64(a64, "<f8"),
                            greedy=more))
        print(f"{len(ids)} tokens, logits RMS {rms(a):.2f}, f32 to f64 {off:.1e}, least lead {lead:.4f}: "
              f"{tokenizer.decode(more)[:70]!r}")
        assert off < 1e-5 and lead > 3e-4
    write(out, prompts)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    if sys.argv[1] == "--model":
        make_of(*sys.argv[2:])
        sys.exit()
    for name, c in CASES.items():
        if len(sys.argv) == 2 or name in sys.argv[2:]:
            make(name, c, sys.argv[1])
