"""Short exercises in copying, whose answers stand word by word in the question. They are dense: half of their tokens are answers,
and the words are drawn at random, so nothing but looking back tells them. Summaries and talks need that skill first, and texts
teach it slowly. Distances start at nothing; recall.py has the same over long texts.
"""
import re
from collections import Counter
from recall import FACTS, REPEAT, THINGS
from sources import SUMMARIZE, sentence_case, sentences, turn, words

THANKS = ["Thank you, I will remember that.", "I see."]


def vocabulary(lib):
    """words of the books in lower case, sorted"""
    seen = Counter(w for _, ps in lib for p in ps for w in re.findall(r"\b[a-z]{2,12}\b", p))
    return sorted(w for w, n in seen.items() if n >= 3)


def repeat(rng, pool, names, lines):
    """words in no order, or a sentence, to be said again"""
    n = int(2 ** rng.uniform(0, 4.2))
    if rng.random() < 0.35:
        s = rng.choice(lines)
    else:
        s = " ".join(rng.choice(pool if rng.random() < 0.8 else names) for _ in range(n))
        s = s if rng.random() < 0.5 else sentence_case(s)
    return turn(rng.choice(REPEAT) + s, s)


def table(rng, pool, names):
    """who has what: several questions on one list"""
    n = rng.randint(2, 7)
    who, what = rng.sample(names, n), rng.sample(THINGS if rng.random() < 0.5 else pool, n)
    told, out = " ".join(f"{a} has the {b}." for a, b in zip(who, what)), []
    for k in rng.sample(range(n), min(n, 4)):
        ask = f"Who has the {what[k]}?" if rng.random() < 0.5 else f"What does {who[k]} have?"
        out += turn(ask if out else f"{told} {ask}", f"{who[k]} has the {what[k]}.")
    return out


def facts(rng, names):
    """a few things told one after the other or at once, then asked for"""
    some = rng.sample(FACTS, rng.randint(1, 4))
    who, out = rng.sample(names, len(some)), []
    told = [f[0].format(w) for f, w in zip(some, who)]
    if rng.random() < 0.5:
        for t in told:
            out += turn(t, rng.choice(THANKS))
        told = []
    for k in rng.sample(range(len(some)), len(some)):
        out += turn(" ".join(told + [some[k][1]]), some[k][2].format(who[k]))
        told = []
    return out


def find(rng, texts):
    """a sentence of a short text, by its place or its first words"""
    ss = rng.choice(texts)[:4]
    k = rng.randrange(len(ss))
    text, r = " ".join(ss), rng.random()
    if r < 0.5:
        return turn("What is the first sentence of this text?\n" + text, ss[0])
    if r < 0.65:
        return turn("What is the last sentence of this text?\n" + text, ss[-1])
    return turn(f"Which sentence begins with \"{' '.join(ss[k].split()[:rng.randint(1, 3)])}\"?\n" + text, ss[k])


def exercises(lib, pkgs, names, rng, count):
    """yields count conversations; names and packages are those of one side, training or held out"""
    pool = vocabulary(lib)
    texts = [sentences(paras[0].replace("\n", " ")) for _, _, paras in pkgs]
    texts += [sentences(p) for _, ps in lib for p in rng.sample(ps, len(ps) // 4)]
    texts = [ss for ss in texts if len(ss) > 1 and all(len(s.split()) <= 30 for s in ss[:4])]
    lines = [s for ss in texts for s in ss[:1] if len(s.split()) <= 16] + [syn for _, syn, _ in pkgs]
    tokens = pool + [p[0] for p in pkgs[::4]]
    for _ in range(count):
        kind = rng.choice("repeat repeat repeat repeat table table facts find find".split())
        yield (repeat(rng, tokens, names, lines) if kind == "repeat" else table(rng, pool, names) if kind == "table"
               else facts(rng, names) if kind == "facts" else find(rng, texts))


def copied(text, summary, share=0.6):
    """whether a summary takes most of its words, and two in a row, from the text"""
    own, given, pairs = words(summary), words(text), lambda ws: set(zip(ws, ws[1:]))
    return len(set(own) & set(given)) >= share * len(set(own)) > 0 and bool(pairs(own) & pairs(given))


def short_summaries(pkgs, rng):
    """packages summed up from their first paragraph or sentence, twice those whose synopsis takes most of its words from there"""
    for name, syn, paras in pkgs:
        own = set(words(syn))
        first = paras[0] if rng.random() < 0.6 else " ".join(sentences(paras[0])[:1])
        if own & set(words(first)):
            for _ in range(2 if len(own & set(words(first))) >= 0.6 * len(own) else 1):
                yield turn(rng.choice(SUMMARIZE).format(first), sentence_case(syn))
