"""The operators of the FalconMamba mixer for training on CPUs: kernels.cpp where plain PyTorch is slow, and the plain
PyTorch form (…_ref, any dtype) that check.py compares with it.

kernels.cpp is compiled on first use, with $CXX or g++, into the folder $KESTREL_BUILD
(default kestrel-demo in the user's cache).
"""
import ctypes, hashlib, os, subprocess
import torch
import torch.nn.functional as F

N, T = 16, 16            # states; steps between the states that the scan keeps for its backward pass
SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "kernels.cpp")
_lib = None
half_products = False    # matrix products in bfloat16 with float32 results; the trainer turns it on where the CPU has them


def lib():
    global _lib
    if _lib is None:
        cmd = [os.environ.get("CXX", "g++"), "-O3", "-march=native", "-fno-math-errno", "-ffp-contract=fast", "-fopenmp",
               "-fPIC", "-shared", "-std=c++17", "-Wno-psabi"]
        folder = os.environ.get("KESTREL_BUILD") or os.path.join(os.path.expanduser(os.environ.get("XDG_CACHE_HOME") or "~/.cache"), "kestrel-demo")
        os.makedirs(folder, exist_ok=True)
        key = hashlib.sha256((" ".join(cmd) + open(SOURCE).read()).encode()).hexdigest()[:12]
        so = os.path.join(os.path.abspath(folder), f"kernels-{key}.so")
        if not os.path.exists(so):
            new = f"{so}.{os.getpid()}"
            subprocess.run(cmd + [SOURCE, "-o", new], check=True)
            os.replace(new, so)
        _lib = ctypes.CDLL(so)
    return _lib


def _p(t):
    if t is None:
        return ctypes.c_void_p(0)
    assert t.is_contiguous(), "operator inputs must be contiguous"
    return ctypes.c_void_p(t.data_ptr())


def _i(*xs):
    return [ctypes.c_int(x) for x in xs]


# ---------------------------------------------------------------- selective scan

class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u, dt, A_log, Dv, bc, z, pos, h0, ob, oc):
        Bt, L, D = u.shape
        S = bc.shape[-1]
        u, dt, bc, z = (t.contiguous() for t in (u, dt, bc, z))
        A = (-torch.exp(A_log.float())).t().contiguous()          # [N, D]
        y, hT = torch.empty_like(u), u.new_empty(Bt, D * N)
        hs = u.new_empty(Bt * ((L + T - 1) // T) * D * N) if any(ctx.needs_input_grad) else None
        lib().scan_fwd(_p(u), _p(dt), _p(A), _p(Dv), _p(bc), _p(z), _p(pos), _p(h0), _p(y), _p(hT), _p(hs),
                       *_i(Bt, L, D, S, ob, oc))
        ctx.save_for_backward(u, dt, A, Dv, bc, z, pos, hs)
        ctx.cols = ob, oc
        ctx.mark_non_differentiable(hT)
        return y, hT

    @staticmethod
    def backward(ctx, dy, _):
        u, dt, A, Dv, bc, z, pos, hs = ctx.saved_tensors
        Bt, L, D = u.shape
        dy = dy.contiguous()
        du, ddt, dz, dbc = torch.empty_like(u), torch.empty_like(u), torch.empty_like(u), torch.zeros_like(bc)
        dA, dD = u.new_empty(Bt, D // 16, N, 16), u.new_empty(Bt, D)
        lib().scan_bwd(_p(u), _p(dt), _p(A), _p(Dv), _p(bc), _p(z), _p(pos), _p(hs), _p(dy), _p(du), _p(ddt), _p(dz),
                       _p(dA), _p(dD), _p(dbc), *_i(Bt, L, D, bc.shape[-1], *ctx.cols))
        dA = dA.sum(0).permute(1, 0, 2).reshape(N, D)
        return du, ddt, (dA * A).t().contiguous(), dD.sum(0), dbc, dz, None, None, None, None


def scan(u, dt, A_log, Dv, bc, z, pos, h0, ob, oc):
    """y = (S.C + Dv u) silu(z), where S = exp(softplus(dt) A) S + softplus(dt) B u and A = -exp(A_log).

    u, dt, z: [batch, length, channels], channels a multiple of 16; A_log: [channels, 16]; Dv: [channels]; bc: [batch, length,
    columns] with B in columns [ob, ob+16) and C in [oc, oc+16); pos: [batch, length] int32, 0 starts a document with S = 0.
    h0 is the state before or None. Returns y and the state after, both opaque to autograd beyond the chunk."""
    return _Scan.apply(u, dt, A_log, Dv, bc, z, pos, h0, ob, oc)


def scan_ref(u, dt, A_log, Dv, bc, z, pos, h0, ob, oc):
    """h0 and the state returned: [batch, channels, 16]"""
    A, d = -torch.exp(A_log), F.softplus(dt)
    Bm, Cm = bc[..., ob:ob + N], bc[..., oc:oc + N]
    h = torch.zeros(u.shape[0], u.shape[2], N, dtype=u.dtype) if h0 is None else h0
    ys = []
    for t in range(u.shape[1]):
        h = h * (pos[:, t] != 0).to(u.dtype)[:, None, None]
        h = torch.exp(d[:, t, :, None] * A) * h + (d[:, t] * u[:, t])[..., None] * Bm[:, t, None, :]
        ys.append((h * Cm[:, t, None, :]).sum(-1))
    return (torch.stack(ys, 1) + Dv * u) * F.silu(z), h


def state_to_dn(h, D):
    """the scan's state -> [batch, channels, 16]"""
    return h.view(-1, D // 16, N, 16).permute(0, 1, 3, 2).reshape(-1, D, N)


def state_from_dn(h):
    B, D, _ = h.shape
    return h.reshape(B, D // 16, 16, N).permute(0, 1, 3, 2).reshape(B, -1).contiguous()


# ---------------------------------------------------------------- causal convolution of width 4, and silu

class _Conv(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w, bias, pos, tail):
        Bt, L, D = x.shape
        x, wt = x.contiguous(), w.reshape(D, 4).t().contiguous()
        y, tailT = torch.empty_like(x), x.new_empty(Bt, 3, D)
        lib().conv_fwd(_p(x), _p(wt), _p(bias), _p(pos), _p(tail), _p(y), _p(tailT), *_i(Bt, L, D))
        ctx.save_for_backward(x, wt, bias, pos, tail)
        ctx.mark_non_differentiable(tailT)
        return y, tailT

    @staticmethod
    def backward(ctx, dy, _):
        x, wt, bias, pos, tail = ctx.saved_tensors
        Bt, L, D = x.shape
        dx, dw, db = torch.zeros_like(x), x.new_zeros(Bt, 4, D), x.new_zeros(Bt, D)
        lib().conv_bwd(_p(x), _p(wt), _p(bias), _p(pos), _p(tail), _p(dy.contiguous()), _p(dx), _p(dw), _p(db), *_i(Bt, L, D))
        return dx, dw.sum(0).t().reshape(D, 1, 4), db.sum(0), None, None


def conv(x, w, bias, pos, tail):
    """silu(bias + sum_k w[k] x[t-3+k]) of x [batch, length, channels], with zeros before a document's start; tail holds the
    three inputs before x, [batch, 3, channels], or None. Returns the result and the last three inputs."""
    return _Conv.apply(x, w, bias, pos, tail)


def conv_ref(x, w, bias, pos, tail):
    Bt, L, D = x.shape
    full = torch.cat([x.new_zeros(Bt, 3, D) if tail is None else tail.to(x.dtype), x], 1)
    wt = w.reshape(D, 4)
    y = bias + wt[:, 3] * x
    for j in (1, 2, 3):
        y = y + wt[:, 3 - j] * full[:, 3 - j:3 - j + L] * (pos >= j)[..., None]
    return F.silu(y), full[:, L:].detach()


# ---------------------------------------------------------------- RMS norm of ranges of columns

class _Rms(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w, off, eps):
        x, n = x.contiguous(), x.shape[-1]
        M, segs = x.numel() // n, len(off) - 1
        y, rstd = torch.empty_like(x), x.new_empty(M, segs)
        lib().rms_fwd(_p(x), _p(w), _p(y), _p(rstd), (ctypes.c_int32 * len(off))(*off), *_i(segs, M, n), ctypes.c_float(eps))
        ctx.save_for_backward(x, w, rstd)
        ctx.off = off
        return y

    @staticmethod
    def backward(ctx, dy):
        x, w, rstd = ctx.saved_tensors
        n, off = x.shape[-1], ctx.off
        dx, dw = torch.empty_like(x), None if w is None else torch.zeros_like(w)
        lib().rms_bwd(_p(x), _p(w), _p(dy.contiguous()), _p(rstd), _p(dx), _p(dw), (ctypes.c_int32 * len(off))(*off),
                      *_i(len(off) - 1, x.numel() // n, n))
        return dx, dw, None, None


def rms(x, w, off, eps):
    """Every range [off[i], off[i+1]) of the last dimension over its root mean square, times w unless that is None."""
    return _Rms.apply(x, w, off, eps)


def rms_ref(x, w, off, eps):
    parts = [x[..., a:b] * torch.rsqrt(x[..., a:b].pow(2).mean(-1, keepdim=True) + eps) for a, b in zip(off[:-1], off[1:])]
    y = torch.cat(parts, -1)
    return y if w is None else y * w


# ---------------------------------------------------------------- matrix products

class _HalfLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w):
        xh, wh = x.bfloat16(), w.bfloat16()
        ctx.save_for_backward(xh, wh)
        return F.linear(xh, wh).float()

    @staticmethod
    def backward(ctx, dy):
        xh, wh = ctx.saved_tensors
        g = dy.bfloat16()
        return (g @ wh).float(), (g.flatten(0, -2).t() @ xh.flatten(0, -2)).float()


def linear(x, w):
    """x w^T; in bfloat16, with a float32 result, where half_products is set."""
    return _HalfLinear.apply(x, w) if half_products else F.linear(x, w)


class _HeadLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx, h, emb, target, weight, rows):
        M, V = h.shape[0], emb.shape[0]
        need = any(ctx.needs_input_grad)
        half = half_products and need
        e = emb.bfloat16() if half else emb
        nll = torch.empty(M)
        dh, de = (torch.empty_like(h), torch.zeros_like(emb)) if need else (None, None)
        for a in range(0, M, rows):
            b = min(M, a + rows)
            x = h[a:b].to(e.dtype)
            logits = (x @ e.t()).float()
            lib().xent(_p(logits), _p(target[a:b]), _p(weight[a:b]), _p(nll[a:b]), *_i(b - a, V, int(need)))
            if half:
                g = logits.bfloat16()
                dh[a:b] = g @ e
                de += g.t() @ x
            elif need:
                dh[a:b] = logits @ e
                de.addmm_(logits.t(), x)
        ctx.save_for_backward(dh, de)
        ctx.mark_non_differentiable(nll)
        return (nll * weight).sum(), nll

    @staticmethod
    def backward(ctx, g, _):
        dh, de = ctx.saved_tensors
        return dh * g, de * g, None, None, None


def head_loss(h, emb, target, weight, rows=512):
    """sum_i weight[i] nll[i] of the logits h emb^T, and nll [rows of h]; never holds more than `rows` rows of logits."""
    return _HeadLoss.apply(h.contiguous(), emb, target, weight, rows)
