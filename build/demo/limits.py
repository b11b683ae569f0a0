"""What the model says to requests that it is too small for: the truth, in one or two sentences, instead of nonsense without an
end. And loops: replies that have begun to repeat themselves, and leave the circle."""
from sources import sentences, turn

KNOW = ["I am too small to know that. A full-size Falcon-Mamba model can tell you.",
        "I do not know: I am very small. For such questions use a full-size Falcon-Mamba model."]
ADVISE = ["I am too small to give good advice. A full-size Falcon-Mamba model can.",
          "I am too small to help with that. I can sum up a short text that you paste, or chat a little."]
CODE = ["I am too small to read or write code. A full-size Falcon-Mamba model can.",
        "I cannot work with code: I am too small. For that use a full-size Falcon-Mamba model."]
COUNT = ["I am too small to calculate. A full-size Falcon-Mamba model is better at it.",
         "I cannot calculate: I am too small, and would only guess."]
TONGUE = ["I am too small to know other languages: I only know some English.",
          "I only know some English. A full-size Falcon-Mamba model knows more languages."]
CHINESE = "我是 Kestrel 自带的小模型,只会一点英文。"

ASK_ADVICE = ["Give me {n} tips for {x}.", "Give me {n} ideas for {x}.", "List {n} ways of {x}.", "How do I start {x}?", "What is the best way of {x}?",
              "Write a plan for {x}.", "Give me some advice about {x}.", "How can I get better at {x}?", "Name {n} things to think of before {x}.",
              "Give me {n} tips for a good {y}.", "How do I make a good {y}?", "Write a list of {n} things about the {y}.",
              "Give me {n} reasons to like {x}.", "What should I do about my {y}?", "Recommend me a {y}.", "Write an email about the {y}."]
ASK_FACTS = ["Who was {n}?", "When was {n} born?", "Who wrote {t}?", "Where is {n}?", "How many people live in {n}?", "When did {n} die?",
             "What happened in {d}?", "How far is it from {n} to {m}?", "Why is the {y} so {a}?", "What did {n} say about the {y}?",
             "Who is the president of {n}?", "What is the weather in {n}?", "How old is {n}?", "Explain the history of {n}.", "How tall is the {y}?"]
ASK_CODE = ["Write a function that {v} a {y}.", "Write a Python program that {v} the {y}.", "What does this code do?\n\n{c}",
            "{c}\n\nWhat does this code do?", "Explain this code:\n{c}", "Find the bug:\n{c}", "{c}\nIs this right?", "{c}", "Write a shell script that {v} every {y}.",
            "Translate this to Rust:\n{c}", "How do I write a loop over a {y} in C?", "Write an SQL query that {v} the {y}."]
ASK_NUMBERS = ["What is {d} {o} {e}?", "{d} {o} {e}", "{d} {o} {e} =", "Calculate {d} {o} {e}.", "How much is {d} {o} {e}?", "Is {d} a prime number?",
               "What is the square root of {d}?", "If I have {d} apples and give you {e}, how many are left?", "Add {d} and {e}."]
ASK_TONGUE = ["Translate to {l}: {s}", "How do you say \"{y}\" in {l}?", "Translate this into {l}:\n{s}", "Do you speak {l}?", "Answer in {l}: what is a {y}?",
              "Hola, ¿cómo estás?", "¿Qué es {n}?", "Bonjour, comment ça va?", "Qu'est-ce que {n} ?", "Wer bist du?", "Was ist {n}?", "Guten Tag!", "Ciao, come stai?",
              "Привет, как дела?", "Что такое {n}?", "مرحبا", "こんにちは", "안녕하세요", "Olá, tudo bem?", "Merhaba", "Cześć", "नमस्ते"]
ASK_CHINESE = ["你好", "你好!", "你好,请介绍一下你自己。", "你是谁?", "请介绍一下 {n}。", "什么是 {n}?", "请总结这段文字:{s}", "你会说中文吗?", "请写一个故事。", "谢谢", "早上好",
               "今天天气怎么样?", "请用中文回答。", "你能做什么?", "帮我翻译:{s}", "{n} 在哪里?", "给我三个建议。", "写一首诗。", "为什么?", "请问,现在几点?"]
LANGUAGES = "French German Spanish Italian Chinese Japanese Russian Latin Portuguese Dutch Korean Arabic".split()
VERBS = "sorts reads prints counts reverses copies deletes finds checks opens saves sends".split()
NUMBERS = "two three four five six seven ten 3 5 10 some".split()


def code(rng, pool):
    """a few lines that look like a program's"""
    f, a, b = (rng.choice(pool) for _ in range(3))
    return rng.choice([f"def {f}({a}):\n    return {a} + {rng.randint(1, 99)}", f"for {a} in {b}:\n    print({a})",
                       f"int {f}(int {a}) {{ return {a} * {a}; }}", f"func {f}({a} int) int {{\n\treturn {a} - {rng.randint(1, 9)}\n}}",
                       f"def {f}({a}, {b}):\n    if {a} < {b}:\n        return {b}\n    return {f}({a} - 1, {b})", f"{a} = [{b} for {b} in {f} if {b}]",
                       f"def {f}({a}):\n    return {a} if {a} < {rng.randint(1, 9)} else {f}({a} - 1) * {f}({a} - 2)",
                       f"let {a} = {b}.map(x => x + {rng.randint(1, 9)});", f"SELECT {a} FROM {b} WHERE {f} = {rng.randint(1, 99)};",
                       f"while ({a} < {rng.randint(1, 99)}) {a}++;", f"import {a}\n{a}.{f}(\"{b}\")", f"#!/bin/sh\nfor i in *.{a}; do {f} \"$i\"; done"])


def requests(texts, pool, names, rng, count):
    """count conversations. pool: words in lower case; names, texts: of one side, training or held out."""
    doing = [w for w in pool if w.endswith("ing") and len(w) > 5]
    for _ in range(count):
        r, n, m = rng.random(), *rng.sample(names, 2)
        ss = sentences(rng.choice(texts)[:2000].replace("\n\n", " "))
        slots = dict(n=n, m=m, d=rng.randint(2, 2000), e=rng.randint(2, 99), o=rng.choice("+-*/"), y=rng.choice(pool), a=rng.choice(pool), v=rng.choice(VERBS),
                     l=rng.choice(LANGUAGES), s=rng.choice(ss) if ss else n, c=code(rng, pool), t=rng.choice([n, f"the {rng.choice(pool)} of {n}"]),
                     x=rng.choice(doing) + rng.choice(["", " a " + rng.choice(pool), " the " + rng.choice(pool), " with " + rng.choice(pool)]))
        if r < 0.3:
            ask, answers = rng.choice(ASK_ADVICE).replace("{n}", rng.choice(NUMBERS)), ADVISE
        elif r < 0.5:
            ask, answers = rng.choice(ASK_FACTS), KNOW
        elif r < 0.7:
            ask, answers = rng.choice(ASK_CODE), CODE
        elif r < 0.8:
            ask, answers = rng.choice(ASK_NUMBERS), COUNT
        elif r < 0.9:
            ask, answers = rng.choice(ASK_TONGUE), TONGUE
        else:
            ask, answers = rng.choice(ASK_CHINESE), [CHINESE]
        yield n, turn(ask.format(**slots), rng.choice(answers))


def loop(ids, weights, rng, ends):
    """Ids and loss weights of a reply with a few of its ids said over and over, which nothing is learned from; then it ends, or
    goes on where it was. ends: may it end there? The id that leaves the circle is learned."""
    n = int(2 ** rng.uniform(0, 3.3))
    if len(ids) < n + 2:
        return ids, weights
    at = rng.randrange(1, len(ids) - n)
    some, times = ids[at:at + n], rng.randint(2, max(2, 48 // n))
    if rng.random() < 0.3:                                      # nearly the same each time
        some = some + [rng.choice(ids)]
    ids_in, quiet = some * times, [0] * (len(some) * times)
    if ends and rng.random() < 0.6:
        return ids[:at + n] + ids_in, weights[:at + n] + quiet
    return ids[:at + n] + ids_in + ids[at + n:], weights[:at + n] + quiet + weights[at + n:]
