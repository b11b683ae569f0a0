"""Checks the fused operators against plain PyTorch in float64 (values and gradients), the carried state across chunks,
and, where transformers is installed, the whole model against its FalconMambaForCausalLM.  Run: python check.py"""
import torch
import ops
from model import Config, Model, grown

torch.manual_seed(0)
bad = 0


def report(name, a, b, tol):
    global bad
    a, b = a.detach().double().cpu(), b.detach().double().cpu()
    err = ((a - b).abs().max() / b.abs().max().clamp(min=1e-6)).item()
    bad += not err < tol
    print(f"{'ok ' if err < tol else 'BAD'} {name:34s} rel err {err:.2e}")


def leafs(*ts, dtype=torch.float32):
    return [t.detach().to(dtype).requires_grad_() if t.is_floating_point() else t for t in ts]


def positions(B, L, starts):
    p = torch.zeros(B, L, dtype=torch.int32)
    for b in range(B):
        n = 5 + b                            # the document began before this chunk
        for t in range(L):
            n = 0 if (b, t) in starts else n + 1
            p[b, t] = n
    return p


B, L, D, S, R = 3, 45, 64, 48, 16
pos = positions(B, L, {(0, 0), (1, 17), (2, 16), (2, 31), (2, 32)})
src = [torch.randn(B, L, D), torch.randn(B, L, D) * 2 - 2, torch.log(torch.arange(1, 17).float()).repeat(D, 1) + 0.1 * torch.randn(D, 16),
       torch.randn(D), torch.randn(B, L, S), torch.randn(B, L, D)]
h0 = torch.randn(B, D, 16)
gy = torch.randn(B, L, D)
x32, x64 = leafs(*src), leafs(*src, dtype=torch.float64)
y, hT = ops.scan(*x32, pos, ops.state_from_dn(h0), R, R + 16)
yr, hr = ops.scan_ref(*x64, pos, h0.double(), R, R + 16)
report("scan output", y, yr, 2e-5)
report("scan last state", ops.state_to_dn(hT, D), hr, 2e-5)
g32 = torch.autograd.grad((y * gy).sum(), x32)
g64 = torch.autograd.grad((yr * gy.double()).sum(), x64)
for n, a, b in zip("du ddt dA_log dD dBC dz".split(), g32, g64):
    report("scan " + n, a, b, 5e-5)

src = [torch.randn(B, L, D), torch.randn(D, 1, 4), torch.randn(D)]
tail = torch.randn(B, 3, D)
x32, x64 = leafs(*src), leafs(*src, dtype=torch.float64)
y, t1 = ops.conv(*x32, pos, tail)
yr, t2 = ops.conv_ref(*x64, pos, tail)
report("conv output", y, yr, 1e-5)
report("conv tail", t1, t2, 1e-6)
for n, a, b in zip("dx dw db".split(), torch.autograd.grad((y * gy).sum(), x32), torch.autograd.grad((yr * gy.double()).sum(), x64)):
    report("conv " + n, a, b, 2e-5)

for n, off, w in (("rms weighted", [0, S], torch.rand(S) + 0.5), ("rms segments", [0, 16, 32, 48], None)):
    src = [torch.randn(B, L, S)] + ([w] if w is not None else [])
    x32, x64 = leafs(*src), leafs(*src, dtype=torch.float64)
    y = ops.rms(x32[0], x32[1] if w is not None else None, off, 1e-6)
    yr = ops.rms_ref(x64[0], x64[1] if w is not None else None, off, 1e-6)
    report(n, y, yr, 1e-5)
    g = torch.randn(B, L, S)
    for k, (a, b) in enumerate(zip(torch.autograd.grad((y * g).sum(), x32), torch.autograd.grad((yr * g.double()).sum(), x64))):
        report(f"{n} grad {k}", a, b, 2e-5)

V, M = 96, 37
src = [torch.randn(M, D), torch.randn(V, D) * 0.3]
tg, wt = torch.randint(0, V, (M,)), torch.rand(M)
x32, x64 = leafs(*src), leafs(*src, dtype=torch.float64)
tot, nll = ops.head_loss(*x32, tg, wt, rows=16)
ref = torch.nn.functional.cross_entropy(x64[0] @ x64[1].t(), tg, reduction="none")
report("head loss", nll, ref, 2e-5)
for n, a, b in zip("dh demb".split(), torch.autograd.grad(tot, x32), torch.autograd.grad((ref * wt.double()).sum(), x64)):
    report("head " + n, a, b, 2e-5)

c = Config(hidden=64, layers=3, vocab=256)
m = Model(c)
ids = torch.randint(0, 256, (2, 80))
p = torch.arange(80, dtype=torch.int32).repeat(2, 1)
full, _ = m.logits(ids, p)
st, cut = None, []
for a, b in ((0, 33), (33, 34), (34, 80)):
    lg, st = m.logits(ids[:, a:b].contiguous(), p[:, a:b].contiguous(), st)
    cut.append(lg)
report("carried state over chunks", torch.cat(cut, 1), full, 1e-5)

for layers in (3, 5, 7):
    more = Model(Config(hidden=64, layers=layers, vocab=256))
    more.load_state_dict(grown(m.state_dict(), layers))
    report(f"grown from 3 to {layers} layers", more.logits(ids, p)[0], full, 1e-6)


def gradient(half):
    ops.half_products = half
    m.zero_grad()
    m.loss(ids, p, ids.roll(-1, 1), torch.ones(2, 80))[0].backward()
    ops.half_products = False
    return torch.cat([q.grad.flatten() for q in m.parameters()])


exact = gradient(False)
report("gradient with bfloat16 products", gradient(True) / exact.norm(), exact / exact.norm(), 3e-2)
m.zero_grad()

try:
    from transformers import FalconMambaConfig, FalconMambaForCausalLM
except ImportError:
    print("transformers is not installed: model comparison skipped")
else:
    hc = c.hf()
    hc.pop("architectures"), hc.pop("model_type"), hc.pop("intermediate_size")
    hf = FalconMambaForCausalLM(FalconMambaConfig(**hc)).float()
    sd = {k: v for k, v in m.state_dict().items()}
    miss = hf.load_state_dict(sd, strict=False)
    assert not miss.unexpected_keys and set(miss.missing_keys) <= {"lm_head.weight"}, miss
    hf.tie_weights()
    hf.eval()
    hf_logits = hf(ids, use_cache=False).logits
    report("model logits vs transformers", full, hf_logits, 1e-4)
    tg = ids.roll(-1, 1)
    total, nll, _ = m.loss(ids, p, tg, torch.ones_like(tg, dtype=torch.float32))
    total.backward()
    torch.nn.functional.cross_entropy(hf_logits.view(-1, 256), tg.view(-1), reduction="sum").backward()
    named = dict(hf.named_parameters())
    for k in ("backbone.embeddings.weight", "backbone.layers.0.mixer.A_log", "backbone.layers.0.mixer.in_proj.weight",
              "backbone.layers.1.mixer.x_proj.weight", "backbone.layers.1.mixer.dt_proj.bias", "backbone.layers.2.mixer.conv1d.weight",
              "backbone.layers.2.mixer.D", "backbone.norm_f.weight"):
        report("grad " + k.replace("backbone.", ""), dict(m.named_parameters())[k].grad, named[k].grad, 1e-3)
print("all passed" if not bad else f"{bad} checks FAILED")
raise SystemExit(bad != 0)
