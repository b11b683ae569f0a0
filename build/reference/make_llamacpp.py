#!/usr/bin/env python3
"""Golden greedy texts: what llama.cpp says after some prompts, with the demo model as GGUF.

    python3 build/reference/make_gguf.py assets/demo f32 demo-f32.gguf           (and f16, q8_0)
    python3 build/reference/make_llamacpp.py demo-f32.gguf engine/testdata/llamacpp/demo-f32.json

Runs, on the CPU,

    llama-server -m MODEL -ngl 0 -t 2 -c 2048 -np 1 --no-warmup

and asks it /tokenize (special tokens of the text become their ids) and /completion (prompt as ids, n_predict 64,
temperature 0, no penalties, no cached prompt). The same text comes from

    llama-completion -m MODEL -ngl 0 -t 2 --temp 0 -n 64 -no-cnv --no-display-prompt --special -p PROMPT

The file says per prompt: text, its ids, the ids and the text of the continuation, why it ended (limit or eos; the eos
itself is not in ids), and lead, the least difference of log-probability between the chosen token and the next best:
how close to a tie the text came.
"""
import json, re, socket, subprocess, sys, time, urllib.request

PROMPTS = [
    "The captain looked at the sea and said,",
    "Once upon a time",
    "It was a dark night, and the rain fell upon the old house.",
    "\"I do not know,\" said she, \"what you mean by",
    "In the year",
    "He opened the door and saw",
    "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n",
    "<|im_start|>user\nWhat is Kestrel?<|im_end|>\n<|im_start|>assistant\n",
    "<|im_start|>user\nTell me a story about the sea.<|im_end|>\n<|im_start|>assistant\n",
    "Package: a program to convert text files.\nDescription:",
    "The old man",
]
COUNT = 64


def ask(port, path, body):
    r = urllib.request.Request(f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(r))


def main(model, out):
    version = subprocess.run(["llama-server", "--version"], capture_output=True, text=True)
    version = re.search(r"version: (.*)", version.stdout + version.stderr)[1]
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    command = ["llama-server", "-m", model, "-ngl", "0", "-t", "2", "-c", "2048", "-np", "1", "--no-warmup", "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            assert server.poll() is None, "llama-server did not start"
            try:
                if ask(port, "/tokenize", {"content": "a"}):
                    break
            except OSError:
                time.sleep(0.2)
        prompts = []
        for text in PROMPTS:
            ids = ask(port, "/tokenize", {"content": text, "add_special": False, "parse_special": True})["tokens"]
            r = ask(port, "/completion", {"prompt": ids, "n_predict": COUNT, "temperature": 0, "repeat_penalty": 1,
                                          "cache_prompt": False, "return_tokens": True, "n_probs": 2})
            lead = min(a[0]["logprob"] - a[1]["logprob"]
                       for a in (p["top_logprobs"] for p in r["completion_probabilities"]))
            eos = r["stop_type"] == "eos"
            got = r["tokens"][:-1] if eos and r["tokens"][-1] in (11, 13) else r["tokens"]
            prompts.append({"prompt": text, "prompt_ids": ids, "ids": got, "text": r["content"], "end": r["stop_type"],
                            "lead": round(lead, 4)})
            print(f"{len(got):3} {r['stop_type']:5} lead {lead:.4f} {text[:30]!r} -> {r['content'][:60]!r}")
    finally:
        server.terminate()
        server.wait()
    with open(out, "w") as f:
        json.dump({"made_by": "build/reference/make_llamacpp.py", "llama.cpp": version, "model": model.split("/")[-1],
                   "count": COUNT, "prompts": prompts}, f, indent=1, ensure_ascii=False)
        f.write("\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
