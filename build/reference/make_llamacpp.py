#!/usr/bin/env python3
"""Golden greedy texts: what llama.cpp says after some prompts, with the demo model as GGUF.

    go test ./engine/reference -run TestWriteDemo -write-demo FOLDER      (demo-f32.gguf, f16, q8_0, q4_k, ...)
    python3 build/reference/make_llamacpp.py FOLDER/demo-f32.gguf engine/testdata/llamacpp/demo-f32.json
    python3 build/reference/make_llamacpp.py --vulkan FOLDER/demo-q8_0.gguf engine/testdata/llamacpp/demo-q8_0.json

The last for F16 and each quantization. make_gguf.py writes the same tensors as F32, F16 and Q8_0.

Runs

    llama-server -m MODEL -ngl 0 -t 2 -c 2048 -np 1 --no-warmup

on the CPU. With --vulkan it runs on the first Vulkan device, a software one will do: -ngl 99, and in the environment
GGML_VK_VISIBLE_DEVICES=0 GGML_VK_DISABLE_INTEGER_DOT_PRODUCT=1 GGML_VK_DISABLE_COOPMAT=1 GGML_VK_DISABLE_COOPMAT2=1
GGML_VK_DISABLE_F16=1. The CPU backend rounds the activations to 8 bits before it multiplies
them with quantized weights, which changes the text after "The captain looked at the sea and said," with Q8_0, and to binary16 before it
multiplies them with such, which decides where a text comes within 0.0003 of a tie; the Vulkan backend so set keeps them in float, as
Kestrel does.

The server is asked /tokenize (special tokens of the text become their ids) and /completion (prompt as ids, n_predict 64,
temperature 0, no penalties, no cached prompt). The same text comes from

    llama-completion -m MODEL -ngl 0 -t 2 --temp 0 -n 64 -no-cnv --no-display-prompt --special -p PROMPT

The file says per prompt: text, its ids, the ids and the text of the continuation, why it ended (limit or eos; the eos
itself is not in ids), and lead, the least difference of log-probability between the chosen token and the next best:
how close to a tie the text came. tensors_sha256 is over all tensors of the model file by name: a line "name type
rows x columns" (slowest dimension first), then the tensor's bytes.
"""
import hashlib, json, os, re, socket, subprocess, sys, time, urllib.request
import gguf

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
FLOAT_ACTIVATIONS = {"GGML_VK_VISIBLE_DEVICES": "0", "GGML_VK_DISABLE_INTEGER_DOT_PRODUCT": "1",
                     "GGML_VK_DISABLE_COOPMAT": "1", "GGML_VK_DISABLE_COOPMAT2": "1", "GGML_VK_DISABLE_F16": "1"}


def ask(port, path, body):
    r = urllib.request.Request(f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(r))


def tensors_sha256(model):
    h = hashlib.sha256()
    for t in sorted(gguf.GGUFReader(model).tensors, key=lambda t: t.name):
        shape = "x".join(str(n) for n in reversed(t.shape.tolist()))
        h.update(f"{t.name} {t.tensor_type.name} {shape}\n".encode())
        h.update(t.data.tobytes())
    return h.hexdigest()


def main(model, out, vulkan):
    version = subprocess.run(["llama-server", "--version"], capture_output=True, text=True)
    version = re.search(r"version: (.*)", version.stdout + version.stderr)[1]
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    command = ["llama-server", "-m", model, "-ngl", "99" if vulkan else "0", "-t", "2", "-c", "2048", "-np", "1", "--no-warmup"]
    env = FLOAT_ACTIVATIONS if vulkan else {}
    server = subprocess.Popen([*command, "--port", str(port)], env={**os.environ, **env}, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
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
        json.dump({"made_by": "build/reference/make_llamacpp.py", "llama.cpp": version, "command": " ".join([*(f"{k}={v}" for k, v in env.items()), *command]).replace(model, model.split("/")[-1]),
                   "tensors_sha256": tensors_sha256(model),
                   "count": COUNT, "prompts": prompts}, f, indent=1, ensure_ascii=False)
        f.write("\n")


if __name__ == "__main__":
    arguments = [a for a in sys.argv[1:] if a != "--vulkan"]
    if len(arguments) != 2:
        sys.exit(__doc__)
    main(*arguments, "--vulkan" in sys.argv)
