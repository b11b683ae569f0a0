"""Conversations made for this model: the turns it learns by heart, and exercises in taking words from what it has read,
the skill that summaries and talks rest on and that little text teaches too slowly."""
import os, re
from collections import Counter
from sources import sentences, turn

FACTS = [("My name is {}.", "What is my name?", "Your name is {}."),
         ("I live in {}.", "Where do I live?", "You live in {}."),
         ("My dog is called {}.", "What is my dog called?", "Your dog is called {}."),
         ("My best friend is {}.", "Who is my best friend?", "Your best friend is {}."),
         ("The name of the captain is {}.", "What is the name of the captain?", "The name of the captain is {}."),
         ("The ship is called {}.", "What is the ship called?", "The ship is called {}."),
         ("The secret word is {}.", "What is the secret word?", "The secret word is {}.")]
REPEAT = ["Repeat this: ", "Repeat after me: ", "Repeat:\n", "Say this again: "]
THINGS = "key map book lamp letter ring coat knife rope clock hat boat horse apple cup sword coin drum flag rose".split()


def by_heart():
    """[(ways to ask, answer)] of turns.txt"""
    text = open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "turns.txt"), encoding="utf-8").read()
    out = []
    for block in re.split(r"\n\s*\n", text):
        asks = re.findall(r"^Q: (.*)$", block, re.M)
        if asks:
            out.append((asks, block[block.index("\nA: ") + 4:].strip()))
    return out


def turns_by_heart(rng, rounds=8):
    """every way of asking, and in each round talks of two or three questions"""
    known = by_heart()
    for _ in range(rounds):
        flat = [(q, a) for asks, a in known for q in asks]
        rng.shuffle(flat)
        for q, a in flat:
            yield q, turn(rng.choice([q, q, q.rstrip("?!."), q.lower()]), a)
        i = 0
        while i < len(flat):
            k = rng.choice([2, 3])
            yield flat[i][0], [t for q, a in flat[i:i + k] for t in turn(q, a)]
            i += k


def names(lib):
    """proper names of the books, sorted: capitalized within a sentence and never in lower case"""
    text = "\n".join(p for _, ps in lib for p in ps)
    upper = Counter(re.findall(r"(?<=[a-z,] )[A-Z][a-z]{3,9}\b", text))
    lower = set(re.findall(r"\b[a-z]{4,10}\b", text))
    return sorted(w for w, n in upper.items() if n >= 4 and w.lower() not in lower)


def page(fact, ask, answer, before, after):
    """a fact between two texts, and a question about it"""
    return turn("\n\n".join(filter(None, (before, fact, after, ask))), answer)


def fill(texts, rng, size):
    """whole sentences of a text, of about size characters; none for a small size"""
    t = rng.choice(texts)
    a = rng.randrange(max(1, len(t) - size))
    return sentences(t[a:a + size].replace("\n\n", " "))[1:-1]


def far(texts, pool, rng, count):
    """facts told in a long text or before it, and asked for one after the other: some 300 to 5,000 tokens lie between"""
    for _ in range(count):
        some = rng.sample(FACTS, rng.randint(1, 5))
        who, paras, out = rng.sample(pool, len(some)), fill(texts, rng, int(2 ** rng.uniform(10, 14))), []
        told = [f[0].format(w) for f, w in zip(some, who)]
        cuts = sorted(rng.randrange(len(paras) + 1) for _ in told[1:])          # where the text is cut to tell another
        paras = [" ".join(paras[a:b]) for a, b in zip([0] + cuts, cuts + [len(paras)])]
        if rng.random() < 0.25:
            out += turn(told[0], "Thank you, I will remember that.")
            told[0] = ""
        text, order = [t for pair in zip(told, paras) for t in pair], list(range(len(some)))
        if rng.random() < 0.5:
            rng.shuffle(order)
        for k in order:
            out += turn("\n\n".join(filter(None, text + [some[k][1]])), some[k][2].format(who[k]))
            text = []
        yield who[0], out


def exercises(texts, pool, rng, count):
    """texts: books to fill in with; pool: names. The distances run from nothing to some thousand tokens."""
    sense = [s for t in texts for s in sentences(t.replace("\n\n", " ")) if 4 <= len(s.split()) <= 16]
    for i in range(count):
        kind, x = rng.choice("talk talk page page page repeat repeat first list list".split()), rng.sample(pool, 6)
        size = int(2 ** rng.uniform(5, 12.5)) if rng.random() < 0.7 else 0
        fact, ask, answer = rng.choice(FACTS)
        if kind == "talk":
            said = turn(fact.format(x[0]), rng.choice(["Thank you, I will remember that.", f"{x[0]}, I see.",
                                                       "I will remember that " + answer[0].lower() + answer[1:].format(x[0])]))
            if rng.random() < 0.5:
                said += turn(rng.choice([f for f in FACTS if f[0] != fact])[0].format(x[1]), "Thank you, I will remember that.")
            ss = fill(texts, rng, size)
            if len(ss) > 1:
                said += turn("Continue:\n" + " ".join(ss[:len(ss) // 2]), " ".join(ss[len(ss) // 2:]))
            yield x[0], said + turn(ask, answer.format(x[0]))
        elif kind == "page":
            yield x[0], page(fact.format(x[0]), ask, answer.format(x[0]), " ".join(fill(texts, rng, 300)), " ".join(fill(texts, rng, size)))
        elif kind == "repeat":
            s = rng.choice(sense) if rng.random() < 0.7 else ", ".join(x[:rng.randint(1, 6)]) + "."
            yield s, turn(rng.choice(REPEAT) + s, s)
        elif kind == "first":
            s = rng.choice(sense)
            yield s, turn("What is the first sentence of this text?\n" + " ".join([s] + fill(texts, rng, size + 250)), s)
        else:
            things = rng.sample(THINGS, 5)[:rng.randint(2, 5)]
            k = rng.randrange(len(things))
            told = " ".join(f"{n} has the {t}." for n, t in zip(x, things))
            if rng.random() < 0.5:
                yield x[k], turn(f"{told} Who has the {things[k]}?", f"{x[k]} has the {things[k]}.")
            else:
                yield x[k], turn(f"{told} What does {x[k]} have?", f"{x[k]} has the {things[k]}.")
