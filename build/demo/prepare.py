"""Build the token files of the demo model.

  python prepare.py --data DATA --translation Translation-en --out TOKENS [--tokenizer tokenizer.json]

README.md says what DATA holds and where the list of package descriptions comes from. TOKENS receives tokenizer.json, for each
part train_PART.npz and val_PART.npz (tokens, loss weights in quarters, lengths of the documents), and heldout.json, the held-out
documents and names as text, for evaluate. A document is held out by the hash of its book, package, story, meeting or question, so that the
same ones are held out when the sources grow.
"""
import argparse, hashlib, json, os, random
import numpy as np
from tokenizers import Tokenizer, Regex, decoders, models, pre_tokenizers, trainers
import copies, limits, recall, sources

SPECIAL = [f">>{w}<<" for w in "TITLE ABSTRACT INTRODUCTION SUMMARY COMMENT ANSWER QUESTION DOMAIN PREFIX SUFFIX MIDDLE".split()]
SPECIAL += ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
EOS, IM_START, IM_END = 11, 12, 13
W_MARK, W_USER, W_TEXT, W_REPLY = 1, 2, 4, 8         # loss weights in quarters
REPLIES = dict(far=24, debsum=16, debshort=16)       # of those that are short beside what stands before them
KIND = dict(books="book", booksum="book", debsum="package", debqa="package", squality="story", qmsum="meeting", chat="chat", recall="name")


def held_out(kind, key):
    return int(hashlib.sha256(f"{kind}/{key}".encode()).hexdigest()[:8], 16) % 50 == 0


def build(data, translation, rng):
    """{part: [(held out, document)]}"""
    lib = sources.library(data)
    pkgs = sources.packages(translation)
    rng.shuffle(pkgs)
    sides = [[p for p in pkgs if held_out("package", p[0]) == h] for h in (False, True)]
    made = dict(books=sources.books(lib), debsum=sources.package_summaries(pkgs, rng),
                debqa=[d for side in sides for d in sources.package_questions(side, rng)],
                booksum=sources.passages(lib, rng, 24000), squality=sources.squality(data), qmsum=sources.qmsum(data),
                chat=sources.instructions(data))
    parts = {p: [(held_out(KIND[p], key), d) for key, d in docs] for p, docs in made.items()}
    parts["recall"], names = [], {h: [n for n in recall.names(lib) if held_out("name", n) == h] for h in (False, True)}
    for h, count in ((False, 14000), (True, 280)):
        texts = [d for held, d in parts["books"] if held == h]
        parts["recall"] += [(h, d) for _, d in recall.exercises(texts, names[h], rng, count)]
    parts["builtin"] = [(False, d) for _, d in recall.turns_by_heart(rng)]       # learned by heart: nothing is held out
    for h, count in ((False, 60000), (True, 600)):
        some, side = [b for b in lib if held_out("book", b[0]) == h], [p for p in pkgs if held_out("package", p[0]) == h]
        parts.setdefault("copy", []).extend((h, d) for d in copies.exercises(some, side, names[h], rng, count))
        parts.setdefault("debshort", []).extend((h, d) for d in copies.short_summaries(side, rng))
    for h, count in ((False, 16000), (True, 320)):
        some, texts = [b for b in lib if held_out("book", b[0]) == h], [d for held, d in parts["books"] if held == h]
        parts.setdefault("limits", []).extend((h, d) for _, d in limits.requests(texts, copies.vocabulary(some), names[h], rng, count))
    # The same texts again, some of whose replies go in circles for a while.
    parts["loops"] = [x for p in ("debqa", "debsum", "chat", "limits", "copy") for x in rng.sample(parts[p], min(len(parts[p]), 6000))]
    # What is drawn from here on leaves the parts above as they were.
    parts["debsum"] += [(h, d) for h, d in parts["debsum"] if not h and copies.copied(d[0][1], d[1][1])]
    own = random.Random(2)
    for h, count in ((False, 2400), (True, 40)):
        texts = [d for held, d in parts["books"] if held == h]
        parts.setdefault("far", []).extend((h, d) for _, d in recall.far(texts, names[h], own, count))
    print(f"{len(lib)} books, {len(pkgs)} packages, {len(names[False])} names; held-out books:", ", ".join(n for n, _ in lib if held_out("book", n)))
    return parts, names[True]


def train_tokenizer(parts, rng):
    """byte-level BPE of 4096 tokens with Falcon's pre-tokenizer and special tokens"""
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Punctuation(behavior="contiguous"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        pre_tokenizers.Digits(individual_digits=False),
        pre_tokenizers.Split(Regex("[0-9][0-9][0-9]"), behavior="isolated", invert=False)])
    tok.decoder = decoders.ByteLevel()
    corpus = []
    for part, limit in dict(books=7e6, debsum=4e6, squality=5e5, qmsum=5e5, chat=1e6, builtin=1e5).items():
        texts, n = [d if isinstance(d, str) else "\n".join(t for _, t in d) for h, d in parts[part] if not h], 0
        rng.shuffle(texts)
        for t in texts:
            corpus.append(t); n += len(t)
            if n > limit:
                break
    tok.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=4096, special_tokens=SPECIAL, show_progress=False,
                                                        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return tok


def spans(tok, doc, user=W_USER, reply=W_REPLY):
    """[(token ids, loss weight)] of a document; a conversation in the chat format, the end mark weighing as the reply"""
    if isinstance(doc, str):
        return [(tok.encode(doc).ids, W_TEXT)]
    out = []
    for role, text in doc:
        w = reply if role == "assistant" else user
        out += [([IM_START] + tok.encode(role + "\n").ids, W_MARK), (tok.encode(text).ids, w),
                ([IM_END], w if role == "assistant" else W_MARK), (tok.encode("\n").ids, W_MARK)]
    return out


def circling(tok, doc, rng):
    """(token ids, loss weights of each) of a conversation's spans, its last reply going in circles"""
    out = [(ids, [w] * len(ids)) for ids, w in spans(tok, doc, 0)]
    out[-3] = limits.loop(*out[-3], rng, ends=True)
    return out


def write(tok, docs, path, user=W_USER, circles=None, reply=W_REPLY):
    tokens, weights, lengths = [], [], []
    for d in docs:
        n = len(tokens)
        for ids, w in circling(tok, d, circles) if circles else ((ids, [w] * len(ids)) for ids, w in spans(tok, d, user, reply)):
            tokens += ids; weights += w
        lengths.append(len(tokens) - n)
    np.savez(path, tokens=np.array(tokens, np.uint16), weights=np.array(weights, np.uint8), lengths=np.array(lengths, np.int64))
    return len(tokens)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--data", required=True)
    ap.add_argument("--translation", required=True, help="Debian's Translation-en list, uncompressed")
    ap.add_argument("--out", required=True)
    ap.add_argument("--tokenizer", help="keep this tokenizer instead of training one")
    a = ap.parse_args()
    os.makedirs(a.out, exist_ok=True)
    rng = random.Random(1)
    parts, names = build(a.data, a.translation, rng)
    tok = Tokenizer.from_file(a.tokenizer) if a.tokenizer else train_tokenizer(parts, rng)
    assert [tok.token_to_id(s) for s in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")] == [EOS, IM_START, IM_END]
    tok.save(os.path.join(a.out, "tokenizer.json"))
    heldout = dict(names=names)
    for part, docs in parts.items():
        train, val = [d for h, d in docs if not h], [d for h, d in docs if h]
        user = 0 if part == "copy" else W_USER                  # words drawn at random are not to be learned
        circles = rng if part == "loops" else None
        n = write(tok, train, os.path.join(a.out, f"train_{part}.npz"), user, circles, REPLIES.get(part, W_REPLY))
        m = write(tok, val, os.path.join(a.out, f"val_{part}.npz"), user, circles) if val else 0
        if not circles:                                         # as text they are parts that stand there already
            heldout[part] = val
        print(f"{part}: {len(train)} documents, {n} tokens; held out {len(val)}, {m}", flush=True)
    with open(os.path.join(a.out, "heldout.json"), "w", encoding="utf-8") as f:
        json.dump(heldout, f)


if __name__ == "__main__":
    main()
