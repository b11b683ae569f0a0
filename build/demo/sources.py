"""The texts that the demo model learns from, as documents: plain text, or a conversation as a list of (role, text).

Each function yields (key, document). The key names what must not be torn apart between training and held-out data: a book,
a package, a story, a meeting. README.md names the sources and their licences.
"""
import glob, json, math, os, re
from collections import Counter

AUTHORS = """Agatha Christie;Andre Alice Norton;Andre Norton;Anna Sewell;Anthony Hope;Anton Chekhov;Arthur Conan Doyle;
Barbara Constant;Beatrix Potter;Booker T. Washington;Boyd Ellanby;Bram Stoker;Carey Rockwell;Christopher Morley;E.F. Benson;
E.M. Forster;Edgar Wallace;Edith Nesbit;Edward E. Smith;Erskine Childers;F. Scott Fitzgerald;Frances Hodgson Burnett;
Freeman Wills Crofts;G.K. Chesterton;Gaston Leroux;Gertrude Chandler Warner;H. Beam Piper;H.G. Wells;Henry De Vere Stacpoole;
Hugh Lofting;Isaac Asimov;J. M. Barrie;J.S. Fletcher;Jack London;Jerome K. Jerome;Johanna Spyri;John Buchan;John W. Campbell;
Johnston McCulley;Jules Verne;Kenneth Grahame;L. Frank Baum;Leigh Brackett;Lewis Carroll;Lucy Maud Montgomery;Mack Reynolds;
Marie Belloc Lowndes;Maurice Leblanc;Milton Lesser;Oscar Wilde;Owen Wister;P.G. Wodehouse;Paul W. Fairman;Philip K. Dick;
Rafael Sabatini;Richard Connell;Robert Bloch;Robert Louis Stevenson;Rudyard Kipling;Saki;Susan Glaspell;Zane Grey""".replace("\n", "").split(";")

STOP = set("""the a an and or but of to in on at by for with from as is was were be been are it its he she his her him they them
their i you we us my me your our that this these those there which who whom what when where how not no nor so if then than had has
have do did does would could should will shall may might must said up out all one into upon very more some any""".split())

SUMMARIZE = ["Summarize:\n{}"] * 6 + ["Summarize this text:\n{}", "Summarize the following text:\n{}", "Summarize:\n\n{}",
             "{}\n\nSummarize this.", "Give a short summary of this text:\n{}"]
CONTINUE = ["Continue the story:\n{}", "Continue this text:\n{}", "Continue:\n{}", "{}\n\nWhat happens next?"]


def turn(ask, answer):
    return [("user", ask.strip()), ("assistant", answer.strip())]


def paragraphs(text):
    """the paragraphs of a book in plain ASCII punctuation, without headings' marks, rules and tables"""
    text = text.replace("\r", "")
    for a, b in (("\u2019", "'"), ("\u2018", "'"), ("\u201c", '"'), ("\u201d", '"'), ("\u2014", "--"), ("\u2026", "..."), ("\u00a0", " ")):
        text = text.replace(a, b)
    text = re.sub(r"[*_]{1,3}([^*_\n]+)[*_]{1,3}", r"\1", text)
    out = []
    for p in re.split(r"\n\s*\n", text):
        p = " ".join(p.split())
        if p and not p.startswith(("# Title", "## Author", "## Year", "---", "|", ">", "![")) and not re.fullmatch(r"[\W\d]*", p):
            out.append(re.sub(r"^#+\s*", "", p))
    return out


def sentences(p):
    return [s.strip() for s in re.split(r"(?<=[.!?])[\"']?\s+(?=[\"'A-Z])", p) if s.strip()]


def words(s):
    return [w for w in re.findall(r"[a-z]+", s.lower()) if w not in STOP]


def library(data):
    """[(name, paragraphs)] of the books"""
    files = [f for a in AUTHORS for f in sorted(glob.glob(os.path.join(glob.escape(os.path.join(data, "text", "classic-books-extract", a)), "*.md")))]
    files += [os.path.join(data, "text", f) for f in ("war-and-peace.gutenberg.txt", "frankenstein.gutenberg.txt")]
    return [(os.path.basename(f), paragraphs(open(f, encoding="utf-8", errors="replace").read())) for f in files]


def pieces(ps, low, high):
    """paragraphs joined to pieces of about low characters, those of more than high left out"""
    cur, n = [], 0
    for p in ps:
        cur.append(p); n += len(p)
        if n >= low:
            if n <= high:
                yield "\n\n".join(cur)
            cur, n = [], 0
    if low // 4 < n <= high:
        yield "\n\n".join(cur)


def books(lib):
    for name, ps in lib:
        for text in pieces(ps, 30000, 60000):
            yield name, text


def passages(lib, rng, count):
    """pieces of books to continue or to sum up; the summary is the sentence that shares most weight with the rest"""
    all_ = [(name, p) for name, ps in lib for p in pieces(ps, 700, 2200)]
    df = Counter(w for _, p in all_ for w in set(words(p)))
    rng.shuffle(all_)
    for name, p in all_[:count]:
        if rng.random() < 0.5:
            bag, best = Counter(words(p)), (0, None)
            for k, s in enumerate(sentences(p.replace("\n\n", " "))):
                ws = set(words(s))
                if 8 <= len(s.split()) <= 32 and s[-1] in ".!?" and '"' not in s:
                    score = sum((bag[w] - 1) * math.log(len(all_) / df[w]) for w in ws) / (4 + len(ws)) + (0.3 if k == 0 else 0)
                    best = max(best, (score, s), key=lambda x: x[0])
            if best[1]:
                yield name, turn(rng.choice(SUMMARIZE).format(p), best[1])
        else:
            cut = p.find(". ", len(p) // 3)
            if 0 < cut < len(p) - 150:
                yield name, turn(rng.choice(CONTINUE).format(p[:cut + 1]), p[cut + 2:])


def packages(translation):
    """[(name, synopsis, paragraphs)] of a Debian Translation-en list, one of each family of packages"""
    found = []
    for block in open(translation, encoding="utf-8").read().split("\n\n"):
        name, syn, paras, cur = None, None, [], []
        for line in block.split("\n"):
            if line.startswith("Package:"):
                name = line[8:].strip()
            elif line.startswith("Description-en:"):
                syn = line[15:].strip()
            elif line.startswith(" ") and syn is not None:
                if line.strip() == "." or (line.startswith("  ") and cur):     # a blank line, or a line that keeps its form
                    paras.append(" ".join(cur)); cur = []
                if line.strip() != ".":
                    cur.append(line.strip())
        paras = [p for p in paras + [" ".join(cur)] if p]
        if name and syn and paras:
            found.append((name, syn, paras))
    found.sort(key=lambda r: (len(r[0]), r[0]))
    seen, out = set(), []
    for name, syn, paras in found:
        keys = {paras[0], re.sub(r"[\d.]+|\s*\(.*?\)|\s+-\s.*", "", syn).lower()}
        dull = re.search(r"transitional|dummy package|debug symbols|\bmetapackage", syn + " " + paras[0], re.I) or name.endswith("-dbg")
        if not dull and not keys & seen and len("\n".join(paras)) >= 120:
            seen |= keys
            out.append((name, syn, paras))
    return out


def description(paras):
    """the first paragraphs, up to 1800 characters"""
    while len(paras) > 1 and len("\n".join(paras)) > 1800:
        paras = paras[:-1]
    return "\n".join(paras)


def sentence_case(s):
    s = s.strip().rstrip(".")
    if s[:1].islower() and not re.match(r"[a-z]+[A-Z\d]", s):
        s = s[0].upper() + s[1:]
    return s + "."


def package_summaries(pkgs, rng):
    for name, syn, paras in pkgs:
        yield name, turn(rng.choice(SUMMARIZE).format(description(paras)), sentence_case(syn))


def definition(name, syn):
    s = re.sub(r"\s+", " ", syn.strip().rstrip("."))
    first = s.split()[0]
    if re.fullmatch(r"[A-Z][a-z]+\S*", first) and not re.match(r"(Python|Perl|Ruby|Debian|Linux|Java|Go|Rust|Haskell|Apache|Qt|Lua|Emacs|Gnome|Unix|German|French|English)", first):
        s = s[0].lower() + s[1:]
    plural = r"(files|libraries|tools|utilities|bindings|fonts|modules|headers|scripts|plugins|icons|data|documentation|routines|programs|support|software)\b"
    if re.match(r"(a|an|the)\s", s, re.I) or re.search(plural, s.split(" for ")[0].split(" to ")[0]):
        return f"{name} is {s}."
    return f"{name} is {'an' if s[:1].lower() in 'aeiou' else 'a'} {s}."


def package_questions(pkgs, rng):
    """conversations of one to three questions"""
    asks, i = ["What is {}?"] * 5 + ["What does {} do?", "Tell me about {}.", "What is the package {}?", "What is {} for?", "Explain {}."], 0
    while i < len(pkgs):
        k, talk = rng.choice([1, 1, 1, 2, 3]), []
        for name, syn, paras in pkgs[i:i + k]:
            lead = " ".join(sentences(paras[0])[:2])
            talk += turn(rng.choice(asks).format(name), definition(name, syn) + (" " + lead if len(lead) < 400 else ""))
        yield pkgs[i][0], talk
        i += k


def squality(data):
    for split in ("train", "dev", "test"):
        for line in open(os.path.join(data, "summarize", "SQuALITY-v1.3", split + ".jsonl"), encoding="utf-8"):
            r = json.loads(line)
            key = r["metadata"]["passage_id"]
            text = "\n\n".join(p for p in paragraphs(r["document"]) if "Transcriber" not in p and "Produced by" not in p)
            for q in r["questions"]:
                for answer in filter(None, (a["response_text"].strip() for a in q["responses"][:2])):
                    if q["question_number"] == 1:
                        yield key, turn("Summarize:\n" + text, answer)
                    else:
                        yield key, turn(q["question_text"] + "\n" + text[:6000], answer.split("\n")[0])
                    ss = sentences(answer.replace("\n", " "))
                    if len(ss) > 3:          # a summary of the summary: its opening sentence
                        yield key, turn("Summarize:\n" + answer, ss[0])


def qmsum(data):
    for f in sorted(glob.glob(os.path.join(data, "summarize", "QMSum", "*", "*.json"))):
        m, key = json.load(open(f, encoding="utf-8")), os.path.basename(f)
        say = [re.sub(r"\s*\{\w+\}", "", re.sub(r" (?=[,.?!']|n't)", "", f"{t['speaker']}: {t['content']}")) for t in m["meeting_transcripts"]]
        for q in m["specific_query_list"]:
            lines = [s for a, b in q["relevant_text_span"] for s in say[int(a):int(b) + 1]]
            ask = "Summarize:" if q["query"].lower().startswith("summarize") else q["query"].strip()
            yield key, turn(ask + "\n" + "\n".join(lines)[:5000], q["answer"])
        for q in m["general_query_list"]:
            yield key, turn("Summarize:\n" + "\n".join(say)[:9000], q["answer"])
            ss = sentences(q["answer"])
            if len(ss) > 3:
                yield key, turn("Summarize:\n" + q["answer"], ss[0])


def instructions(data):
    folder = os.path.join(data, "instruct")
    for r in json.load(open(os.path.join(folder, "GPTeacher", "roleplay-simple-deduped-roleplay-instruct.json"), encoding="utf-8")):
        if r["response"].strip():
            extra = r["input"].strip()
            yield r["instruction"], turn(r["instruction"] + ("\n" + extra if extra and "<" not in extra else ""), r["response"])
    for f in ("self_instruct_seed_tasks.jsonl", "user_oriented_instructions.jsonl"):
        for line in open(os.path.join(folder, f), encoding="utf-8"):
            r = json.loads(line)
            for x in r["instances"]:
                if x["output"].strip() and len(x["input"]) + len(x["output"]) < 1500:
                    yield r["instruction"], turn(r["instruction"] + "\n" + x["input"], x["output"])
