"""FalconMamba language model with the parameter names of the Hugging Face checkpoint layout."""
import json, math, os
from dataclasses import asdict, dataclass
import torch
from safetensors.torch import load_file
from torch import nn
import ops


@dataclass
class Config:
    hidden: int = 256
    layers: int = 6
    vocab: int = 4096
    state: int = 16
    conv: int = 4
    rank: int = 16
    eps: float = 1e-5
    mixer_eps: float = 1e-6

    @property
    def inner(self):
        return 2 * self.hidden

    def hf(self):
        return dict(architectures=["FalconMambaForCausalLM"], model_type="falcon_mamba", vocab_size=self.vocab,
                    hidden_size=self.hidden, state_size=self.state, num_hidden_layers=self.layers, expand=2,
                    intermediate_size=self.inner, conv_kernel=self.conv, use_bias=False, use_conv_bias=True, hidden_act="silu",
                    layer_norm_epsilon=self.eps, mixer_rms_eps=self.mixer_eps, residual_in_fp32=True, time_step_rank=self.rank,
                    time_step_scale=1.0, time_step_min=0.001, time_step_max=0.1, time_step_init_scheme="random",
                    time_step_floor=1e-4, initializer_range=0.02, rescale_prenorm_residual=False, use_cache=True,
                    use_mambapy=False, use_falcon_mambapy=False, tie_word_embeddings=True, pad_token_id=11, bos_token_id=11,
                    eos_token_id=13)


class Norm(nn.Module):
    def __init__(self, n, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(n)), eps

    def forward(self, x):
        return ops.rms(x, self.weight, [0, x.shape[-1]], self.eps)


class Mixer(nn.Module):
    def __init__(self, c):
        super().__init__()
        D, R, N = c.inner, c.rank, c.state
        self.c = c
        self.conv1d = nn.Conv1d(D, D, c.conv, groups=D, padding=c.conv - 1)
        self.in_proj = nn.Linear(c.hidden, 2 * D, bias=False)
        self.x_proj = nn.Linear(D, R + 2 * N, bias=False)
        self.dt_proj = nn.Linear(R, D)
        self.out_proj = nn.Linear(D, c.hidden, bias=False)
        self.A_log = nn.Parameter(torch.log(torch.arange(1, N + 1).float()).repeat(D, 1))
        self.D = nn.Parameter(torch.ones(D))
        for w in (self.in_proj.weight, self.x_proj.weight):
            nn.init.normal_(w, std=0.8 * w.shape[1] ** -0.5)
        nn.init.normal_(self.out_proj.weight, std=0.8 * D ** -0.5 / math.sqrt(c.layers))
        nn.init.uniform_(self.dt_proj.weight, -R ** -0.5, R ** -0.5)
        nn.init.zeros_(self.conv1d.bias)
        dt = torch.exp(torch.rand(D) * (math.log(0.1) - math.log(0.001)) + math.log(0.001)).clamp(min=1e-4)
        self.dt_proj.bias.data.copy_(dt + torch.log(-torch.expm1(-dt)))

    def forward(self, h, pos, state):
        c, D, R, N = self.c, self.c.inner, self.c.rank, self.c.state
        tail, h0 = state if state is not None else (None, None)
        w = self.in_proj.weight
        x, z = ops.linear(h, w[:D]), ops.linear(h, w[D:])
        u, tail = ops.conv(x, self.conv1d.weight, self.conv1d.bias, pos, tail)
        p = ops.rms(self.x_proj(u), None, [0, R, R + N, R + 2 * N], c.mixer_eps)      # dt, B, C
        y, hT = ops.scan(u, self.dt_proj(p[..., :R]), self.A_log, self.D, p, z, pos, h0, R, R + N)
        return ops.linear(y, self.out_proj.weight), (tail, hT)


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.norm, self.mixer = Norm(c.hidden, c.eps), Mixer(c)

    def forward(self, x, pos, state):
        y, state = self.mixer(self.norm(x), pos, state)
        return x + y, state


class Backbone(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.embeddings = nn.Embedding(c.vocab, c.hidden)
        nn.init.normal_(self.embeddings.weight, std=0.02)
        self.layers = nn.ModuleList([Block(c) for _ in range(c.layers)])
        self.norm_f = Norm(c.hidden, c.eps)


class Model(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c, self.backbone = c, Backbone(c)

    def features(self, tokens, pos, state=None):
        """tokens, pos: [batch, length]; pos 0 starts a document. Returns features and the carried state."""
        x = self.backbone.embeddings(tokens)
        out = []
        for i, b in enumerate(self.backbone.layers):
            x, s = b(x, pos, state[i] if state is not None else None)
            out.append(s)
        return self.backbone.norm_f(x), out

    def loss(self, tokens, pos, target, weight, state=None):
        h, state = self.features(tokens, pos, state)
        total, nll = ops.head_loss(h.view(-1, self.c.hidden), self.backbone.embeddings.weight, target.reshape(-1), weight.reshape(-1))
        return total, nll.view_as(target), state

    def logits(self, tokens, pos, state=None):
        h, state = self.features(tokens, pos, state)
        return h @ self.backbone.embeddings.weight.t(), state


def save(path, model, **extra):
    torch.save(dict(config=asdict(model.c), model=model.state_dict(), **extra), path)


def load(path):
    """the model of a checkpoint, with its averaged weights, and the checkpoint"""
    ck = torch.load(path, map_location="cpu", weights_only=True)
    m = Model(Config(**ck["config"]))
    m.load_state_dict(ck["model"])
    for p, e in zip(m.parameters(), ck["ema"]):
        p.data.copy_(e)
    return m.eval(), ck


def load_folder(path):
    """the model of a folder in Hugging Face layout, as export.py writes it, in float32"""
    with open(os.path.join(path, "config.json")) as f:
        h = json.load(f)
    if h["model_type"] != "falcon_mamba" or h["state_size"] != 16 or h["conv_kernel"] != 4 or h["intermediate_size"] != 2 * h["hidden_size"]:
        raise SystemExit(f"{path}: not a model of the kind that this trainer makes")
    m = Model(Config(h["hidden_size"], h["num_hidden_layers"], h["vocab_size"], 16, 4, h["time_step_rank"], h["layer_norm_epsilon"], h["mixer_rms_eps"]))
    m.load_state_dict({k: v.float() for k, v in load_file(os.path.join(path, "model.safetensors")).items()})
    return m.eval()


def grown(weights, layers):
    """the weights of a model with more layers and the same logits: copies of layers stand behind them, evenly spread, whose
    out_proj is zero, so they add nothing yet; all else in them has learned to read what the layer before reads"""
    layer = lambda k, i: k.replace(".layers.0.", f".layers.{i}.")
    first = [k for k in weights if ".layers.0." in k]
    old = sum(layer(first[0], i) in weights for i in range(len(weights)))
    if layers < old:
        raise SystemExit(f"a model of {old} layers does not fit into {layers}")
    out, last = {k: v for k, v in weights.items() if ".layers." not in k}, -1
    for i in range(layers):
        src = (2 * i + 1) * old // (2 * layers)
        for k in first:
            w = weights[layer(k, src)]
            out[layer(k, i)] = torch.zeros_like(w) if src == last and k.endswith("out_proj.weight") else w
        last = src
    return out


def chat_ids(tok, messages, reply=True):
    """token ids of [(role, text)] in the chat format, and of the start of the model's reply"""
    s, e, out = tok.token_to_id("<|im_start|>"), tok.token_to_id("<|im_end|>"), []
    for role, text in messages:
        out += [s] + tok.encode(role + "\n").ids + tok.encode(text).ids + [e] + tok.encode("\n").ids
    return out + ([s] + tok.encode("assistant\n").ids if reply else [])


@torch.no_grad()
def feed(model, ids, state=None, start=0):
    """logits [ids, vocabulary] after each id, and the state"""
    pos = torch.arange(start, start + len(ids), dtype=torch.int32)[None]
    lg, state = model.logits(torch.tensor([ids]), pos, state)
    return lg[0], state


def generate(model, prompts, limit=120, stop=(11, 13), temperature=0.0, seed=1):
    """[(continuation, whether the model ended it)] of lists of token ids; the likeliest ones where the temperature is 0"""
    width = max(map(len, prompts))
    fill = lambda rows: torch.tensor([[0] * (width - len(r)) + r for r in rows])     # before a prompt, position 0 keeps the state empty
    t, pos = fill(prompts), fill([list(range(len(p))) for p in prompts]).int()
    out, ended, state = [[] for _ in prompts], [False] * len(prompts), None
    rng = torch.Generator().manual_seed(seed)
    for _ in range(limit):
        h, state = model.features(t, pos, state)
        lg = h[:, -1] @ model.backbone.embeddings.weight.t()
        t = torch.multinomial(torch.softmax(lg / temperature, -1), 1, generator=rng) if temperature else lg.argmax(-1, keepdim=True)
        pos = pos[:, -1:] + 1
        for i, k in enumerate(t[:, 0].tolist()):
            ended[i] |= k in stop
            if not ended[i]:
                out[i].append(k)
        if all(ended):
            break
    return list(zip(out, ended))
