"""Train the demo model on CPUs.

  python train.py --data TOKENS --out RUN --hours 2 --workers 2                 two processes, one a core
  python train.py --data TOKENS --out RUN --until 2026-01-31T18:00 --resume     go on from RUN/ckpt.pt, end by the clock
  python train.py --data TOKENS --out RUN --hours 2 --init model.safetensors    start from the weights of a model
  python train.py --data TOKENS --out RUN --hours 2 --layers 9 --init model.safetensors     the same, grown to more layers

The learning rate warms up, stays, and falls to zero over the last part of the time, whatever the speed is; `touch RUN/stop`
starts the fall at once. RUN/ckpt.pt is replaced every few minutes (`touch RUN/save`: now) and is usable at any time: it holds the
weights, their moving average, which export.py takes, and the optimizers. RUN/log.csv has speed and losses.

Documents are packed into endless rows. State and convolution start anew with each document and are carried from chunk to chunk
inside it (truncated backpropagation), so the model meets states far older than a chunk. Muon moves in_proj and out_proj, AdamW
the rest. Where the CPU has bfloat16 products the large products use them.
"""
import argparse, csv, datetime, math, os, time
import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from safetensors.torch import load_file
import ops
from model import Config, Model, grown, save

SHARES = dict(books=0.25, debsum=0.165, debshort=0.095, debqa=0.06, booksum=0.075, squality=0.045, qmsum=0.025, chat=0.05, recall=0.05,
              far=0.08, copy=0.045, builtin=0.015, limits=0.025, loops=0.02)


class Stream:
    """Mixes the parts by their share of tokens; every row is one endless stream of documents."""

    def __init__(self, folder, split, shares, rows, length, rank, world, seed):
        self.rng = np.random.default_rng(seed)
        self.rows, self.length, self.share, self.data = rows, length, shares, {}
        for p in shares:
            z = np.load(os.path.join(folder, f"{split}_{p}.npz"))
            off = np.concatenate([[0], np.cumsum(z["lengths"])])
            self.data[p] = (z["tokens"], z["weights"], off, np.arange(rank % world, len(off) - 1, world))
        self.drawn, self.queue = {p: 0.0 for p in shares}, {p: [] for p in shares}
        self.buf = [[np.empty(0, np.uint16), np.empty(0, np.uint8), np.empty(0, np.int32)] for _ in range(rows)]

    def document(self):
        p = min(self.share, key=lambda k: self.drawn[k] / self.share[k])
        tok, wt, off, idx = self.data[p]
        if not self.queue[p]:
            self.queue[p] = self.rng.permutation(idx).tolist()
        i = self.queue[p].pop()
        a, b = off[i], off[i + 1]
        self.drawn[p] += b - a
        return tok[a:b], wt[a:b], np.arange(b - a, dtype=np.int32)

    def next(self):
        """tokens, positions in their documents, targets, loss weights: each [rows, length]"""
        L = self.length
        t, w, p = (np.empty((self.rows, L + 1), d) for d in (np.int64, np.float32, np.int32))
        for r, buf in enumerate(self.buf):
            while len(buf[0]) < L + 1:
                buf[:] = [np.concatenate(x) for x in zip(buf, self.document())]
            t[r], w[r], p[r] = (x[:L + 1] for x in buf)
            buf[:] = [x[L:] for x in buf]
        w = w[:, 1:] * 0.25 * (p[:, 1:] != 0)
        return [torch.from_numpy(np.ascontiguousarray(x)) for x in (t[:, :-1], p[:, :-1], t[:, 1:], w)]


def orthogonal(g, steps=5):
    """Newton-Schulz iteration towards the nearest semi-orthogonal matrix"""
    x = g / (g.norm() + 1e-7)
    x = x.bfloat16() if ops.half_products else x
    tall = x.shape[0] > x.shape[1]
    x = x.t() if tall else x
    for _ in range(steps):
        s = x @ x.t()
        x = torch.addmm(x, torch.addmm(s, s, s, beta=-4.7750, alpha=2.0315), x, beta=3.4445)
    return (x.t() if tall else x).float()


class Muon:
    """Momentum with orthogonalized updates; the processes share the work."""

    def __init__(self, params, rank, world):
        self.params, self.rank, self.world = params, rank, world
        self.flat = torch.zeros(sum(p.numel() for p in params))
        self.mom = [torch.zeros_like(p) for p in params]

    @torch.no_grad()
    def step(self, lr, decay, momentum=0.95):
        views, o = [], 0
        for p in self.params:
            views.append(self.flat[o:o + p.numel()].view_as(p)); o += p.numel()
        self.flat.zero_()
        for i, (p, m, v) in enumerate(zip(self.params, self.mom, views)):
            m.lerp_(p.grad, 1 - momentum)
            if i % self.world == self.rank:
                g = p.grad.lerp(m, momentum)
                halves = g.chunk(2, 0) if g.shape[0] == 4 * g.shape[1] else [g]      # in_proj is two maps, x and z
                v.copy_(torch.cat([orthogonal(h) * max(1, h.shape[0] / h.shape[1]) ** 0.5 for h in halves], 0))
        if self.world > 1:
            dist.all_reduce(self.flat)
        for p, v in zip(self.params, views):
            p.mul_(1 - lr * decay).add_(v, alpha=-lr)


def validate(model, shares, a, rank, world):
    """{part: nats a token} over all tokens of books and the replies of the rest, of parts that have any in the tokens read"""
    ops.half_products, res = False, torch.zeros(len(shares), 2)
    parts = {p: i for i, p in enumerate(shares) if os.path.exists(os.path.join(a.data, f"val_{p}.npz"))}
    with torch.no_grad():
        for k, (p, i) in enumerate(parts.items()):
            if k % world == rank:
                s, state = Stream(a.data, "val", {p: 1.0}, 4, 512, 0, 1, 7), None
                for _ in range(a.val_chunks):
                    t, pos, target, w = s.next()
                    _, nll, state = model.loss(t, pos, target, w, state)
                    keep = w >= (0.99 if p == "books" else 1.99)
                    res[i] += torch.tensor([nll[keep].double().sum().item(), keep.sum().item()])
    ops.half_products = a.half
    if world > 1:
        dist.all_reduce(res)
    return {p: (res[i, 0] / res[i, 1]).item() for p, i in parts.items() if res[i, 1] > 0}


class Schedule:
    """the factor of the learning rate at a time of training, in seconds since its start"""

    def __init__(self, a, begin, spent):
        self.a, self.end = a, a.until - begin + spent if a.until else a.hours * 3600
        self.fall = self.end - a.decay * (self.end - (spent if a.until else 0))

    def factor(self, now, step):
        stop = os.path.join(self.a.out, "stop")
        if now < self.fall and os.path.exists(stop):
            self.fall, self.end = now, now + max(60.0, now * self.a.decay / (1 - self.a.decay))
            os.remove(stop)
        f = (now - self.fall) / max(1.0, self.end - self.fall)
        return min(1.0, (step + 1) / self.a.warmup) * min(1.0, max(0.0, 1.0 - f)), f >= 1.0


def worker(rank, world, a):
    torch.set_num_threads(max(1, a.threads // world))
    if world > 1:
        dist.init_process_group("gloo", init_method="file://" + os.path.abspath(os.path.join(a.out, "meet")), rank=rank, world_size=world)
    torch.manual_seed(a.seed)
    ops.half_products = a.half
    ckpt = os.path.join(a.out, "ckpt.pt")
    ck = torch.load(ckpt, map_location="cpu", weights_only=True) if a.resume else None
    model = Model(Config(**ck["config"]) if ck else Config(hidden=a.hidden, layers=a.layers))
    params = list(model.parameters())
    count = sum(p.numel() for p in params)
    flat = torch.zeros(count + 2)                                # all gradients, then the sums of weights and of losses
    o = 0
    for p in params:
        p.grad = flat[o:o + p.numel()].view_as(p); o += p.numel()
    matrix = lambda n: n.endswith(("in_proj.weight", "out_proj.weight"))
    muon = Muon([p for n, p in model.named_parameters() if matrix(n)], rank, world)
    opt = torch.optim.AdamW([p for n, p in model.named_parameters() if not matrix(n)], lr=a.lr, betas=(0.9, 0.99), weight_decay=0.0, fused=True)
    step, tokens, spent = 0, a.init_tokens, 0.0
    if a.init and not ck:
        model.load_state_dict(grown({k: v.float() for k, v in load_file(a.init).items()}, a.layers))
    ema = [p.detach().clone() for p in params]
    if ck:
        model.load_state_dict(ck["model"])
        opt.load_state_dict(ck["opt"])
        for old, new in zip(ema + muon.mom, ck["ema"] + ck["muon"]):
            old.copy_(new)
        step, tokens, spent = ck["step"], ck["tokens"], ck["spent"]
    shares = {p: s for p, s in (a.shares or SHARES).items() if os.path.exists(os.path.join(a.data, f"train_{p}.npz"))}
    data = Stream(a.data, "train", shares, a.batch, a.length, rank, world, a.seed + 1000 * step + rank)
    if rank == 0:
        print(f"{count / 1e6:.2f}M parameters, {world} x {a.batch} x {a.length} tokens a step, from {tokens / 1e6:.2f}M tokens", flush=True)
        fresh = not ck or not os.path.exists(os.path.join(a.out, "log.csv"))
        log = open(os.path.join(a.out, "log.csv"), "w" if fresh else "a", newline="")
        table = csv.writer(log)
        if fresh:
            table.writerow(["step", "tokens", "seconds", "tokens_per_s", "lr_factor", "train_loss", "grad_norm"] + [f"val_{p}" for p in shares])

    begin = last = last_save = time.time()
    schedule = Schedule(a, begin, spent)
    last_tokens, losses, state, norm = tokens, [], None, 0.0
    while True:
        ctl = torch.zeros(3, dtype=torch.float64)
        now, want = spent + time.time() - begin, os.path.join(a.out, "save")
        if rank == 0:                                            # one process decides for all
            ctl[0], ctl[1] = schedule.factor(now, step)
            ctl[2] = ctl[1] or time.time() - last_save > a.minutes * 60 or os.path.exists(want)
        if world > 1:
            dist.broadcast(ctl, 0)
        factor, done, vals = ctl[0].item(), bool(ctl[1]), {}
        if ctl[2]:
            raw = [p.detach().clone() for p in params]
            for p, e in zip(params, ema):
                p.data.copy_(e)
            vals = validate(model, shares, a, rank, world)
            for p, r in zip(params, raw):
                p.data.copy_(r)
            last_save = time.time()
            if rank == 0:
                save(ckpt + ".new", model, ema=ema, opt=opt.state_dict(), muon=muon.mom, step=step, tokens=tokens, spent=now, val=vals)
                os.replace(ckpt + ".new", ckpt)
                if os.path.exists(want):
                    os.remove(want)
        if rank == 0 and (vals or (step % 10 == 0 and losses)):
            rate, mean = (tokens - last_tokens) / max(1e-6, time.time() - last), sum(losses) / max(1, len(losses))
            table.writerow([step, tokens, f"{now:.0f}", f"{rate:.0f}", f"{factor:.3f}", f"{mean:.4f}", f"{norm:.3f}"]
                           + [f"{vals[p]:.4f}" if p in vals else "" for p in shares])
            log.flush()
            print(f"step {step} tokens {tokens / 1e6:.2f}M {now:.0f}s {rate:.0f} tok/s lr x{factor:.2f} loss {mean:.4f} "
                  + " ".join(f"{p} {v:.3f}" for p, v in vals.items()), flush=True)
            last, last_tokens, losses = time.time(), tokens, []
        if done:
            break
        flat.zero_()
        t, pos, target, w = data.next()
        loss, _, state = model.loss(t, pos, target, w, state)
        loss.backward()
        flat[-2], flat[-1] = w.sum(), loss.detach()
        if world > 1:
            dist.all_reduce(flat)
        losses.append((flat[-1] / flat[-2]).item())
        flat[:-2] /= flat[-2].clamp(min=1.0)
        norm = flat[:-2].norm().item()
        if not math.isfinite(norm):
            raise SystemExit(f"step {step}: the gradients are not finite; go on from {ckpt} with a lower rate")
        flat[:-2] /= max(1.0, norm)
        for g in opt.param_groups:
            g["lr"] = a.lr * factor
        muon.step(a.muon_lr * factor, 0.1 / a.muon_lr * a.lr)
        opt.step()
        step += 1
        tokens += world * a.batch * a.length
        torch._foreach_lerp_(ema, [p.detach() for p in params], 1 - min(a.ema, (1 + step) / (10 + step)))
    if world > 1:
        dist.destroy_process_group()


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--data", required=True)
    ap.add_argument("--out", required=True)
    ap.add_argument("--shares", type=lambda s: {k: float(v) for k, v in (x.split("=") for x in s.split(","))},
                    help="of the parts in the mixture, as PART=SHARE,PART=SHARE...")
    ap.add_argument("--hidden", type=int, default=256)
    ap.add_argument("--layers", type=int, default=6)
    ap.add_argument("--hours", type=float, default=1.0, help="of training, counted over all resumed runs")
    ap.add_argument("--until", type=lambda s: datetime.datetime.fromisoformat(s).timestamp(), help="end at this local time instead")
    ap.add_argument("--batch", type=int, default=4, help="rows of a process")
    ap.add_argument("--length", type=int, default=512, help="tokens of a chunk")
    ap.add_argument("--workers", type=int, default=1, help="processes")
    ap.add_argument("--threads", type=int, default=os.cpu_count())
    ap.add_argument("--lr", type=float, default=3e-3)
    ap.add_argument("--muon-lr", type=float, default=0.02)
    ap.add_argument("--warmup", type=int, default=100, help="steps")
    ap.add_argument("--decay", type=float, default=0.3, help="share of the time in which the rate falls")
    ap.add_argument("--ema", type=float, default=0.995)
    ap.add_argument("--minutes", type=float, default=5.0, help="between checkpoints")
    ap.add_argument("--val-chunks", type=int, default=4)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--resume", action="store_true")
    ap.add_argument("--init", help="safetensors file of weights to start from; with fewer layers than --layers it is grown")
    ap.add_argument("--init-tokens", type=int, default=0, help="tokens that those weights have seen")
    a = ap.parse_args()
    a.half = "avx512_bf16" in open("/proc/cpuinfo").read() if os.path.exists("/proc/cpuinfo") else False
    os.makedirs(a.out, exist_ok=True)
    for f in ("stop", "save", "meet"):
        if os.path.exists(os.path.join(a.out, f)):
            os.remove(os.path.join(a.out, f))
    if a.workers > 1:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        os.environ["OMP_NUM_THREADS"] = str(max(1, a.threads // a.workers))
        mp.spawn(worker, (a.workers, a), nprocs=a.workers)
    else:
        worker(0, 1, a)


if __name__ == "__main__":
    main()
