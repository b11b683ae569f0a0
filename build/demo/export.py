"""Write a checkpoint as a model in Hugging Face layout.

  python export.py RUN/ckpt.pt TOKENS/tokenizer.json OUT [--dtype bf16] [--and RUN/earlier.pt] [--mean model.safetensors] [--verify]

The averaged weights are rounded to bf16, f16 or f32; A_log and D stay f32; the head is tied to the embeddings. --and takes the mean of
them and those of another checkpoint; --mean then that of this and of the weights that training went on from, grown if they are of
fewer layers. --verify loads the
folder with transformers (FalconMambaForCausalLM) and compares its ids, logits and greedy text with this trainer's own.
"""
import argparse, json, os, shutil
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from model import chat_ids, feed, generate, grown, load, load_folder

TEMPLATE = ("{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
            "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")
DTYPES = dict(bf16=("bfloat16", torch.bfloat16), f16=("float16", torch.float16), f32=("float32", torch.float32))
TEXTS = ["Summarize:\nA tool to read 1234 files & show them, isn't it?  It costs $12.50 — naïve.", "Hello",
         "It was a dark night, and the old man said nothing. " * 30]


def halfway(model, weights):
    """moves the model to the mean of itself and of the weights"""
    model.load_state_dict({k: v.lerp(weights[k], 0.5) for k, v in model.state_dict().items()})


def write(checkpoint, tokenizer, out, dtype, other=None, mean=None):
    os.makedirs(out, exist_ok=True)
    model, ck = load(checkpoint)
    if other:
        halfway(model, load(other)[0].state_dict())
    if mean:
        halfway(model, grown({k: v.float() for k, v in load_file(mean).items()}, model.c.layers))
    name, kind = DTYPES[dtype]
    tensors = {k: v.to(torch.float32 if k.endswith(("A_log", ".D")) else kind).contiguous() for k, v in model.state_dict().items()}
    save_file(tensors, os.path.join(out, "model.safetensors"), metadata={"format": "pt"})
    tok = Tokenizer.from_file(tokenizer)
    special = [tok.id_to_token(i) for i in range(14)]
    files = {
        "config.json": dict(model.c.hf(), torch_dtype=name),
        "generation_config.json": dict(bos_token_id=11, eos_token_id=[13, 11], pad_token_id=11),
        "special_tokens_map.json": dict(bos_token=special[11], eos_token=special[13], pad_token=special[11]),
        "tokenizer_config.json": dict(
            add_prefix_space=False,
            added_tokens_decoder={str(i): dict(content=s, lstrip=False, normalized=False, rstrip=False, single_word=False, special=True)
                                  for i, s in enumerate(special)},
            additional_special_tokens=[s for s in special if s != special[11]], bos_token=special[11], eos_token=special[13],
            pad_token=special[11], clean_up_tokenization_spaces=False, model_input_names=["input_ids", "attention_mask"],
            model_max_length=1000000, tokenizer_class="PreTrainedTokenizerFast", chat_template=TEMPLATE)}
    for file, content in files.items():
        with open(os.path.join(out, file), "w", encoding="utf-8") as f:
            json.dump(content, f, indent=2)
            f.write("\n")
    if os.path.abspath(tokenizer) != os.path.abspath(os.path.join(out, "tokenizer.json")):
        shutil.copyfile(tokenizer, os.path.join(out, "tokenizer.json"))
    print(f"{out}: {ck['tokens'] / 1e6:.2f}M tokens of training, {os.path.getsize(os.path.join(out, 'model.safetensors'))} bytes")


def verify(folder):
    from transformers import AutoModelForCausalLM, AutoTokenizer
    model, tok = load_folder(folder), Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
    hf, hf_tok = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval(), AutoTokenizer.from_pretrained(folder)
    for text in TEXTS:
        ids = chat_ids(tok, [("user", text)])
        theirs = hf_tok.apply_chat_template([{"role": "user", "content": text}], add_generation_prompt=True, return_dict=True)["input_ids"]
        assert list(theirs) == ids, (theirs, ids)
        assert hf_tok.decode(tok.encode(text).ids) == text
        ours, _ = feed(model, ids)
        with torch.no_grad():
            want = hf(torch.tensor([ids]), use_cache=False).logits[0]
            greedy = hf.generate(torch.tensor([ids]), max_new_tokens=40, do_sample=False)[0, len(ids):].tolist()
        greedy = greedy[:next((i for i, t in enumerate(greedy) if t in (11, 13)), len(greedy))]
        off = ((ours - want).pow(2).mean() / want.pow(2).mean()).sqrt().item()
        out, _ = generate(model, [ids], 40)[0]
        print(f"{len(ids)} tokens: logits differ by {off:.1e} of their RMS, greedy text {'equal' if greedy == out else 'DIFFERS'}")
        assert off < 1e-4 and greedy == out


if __name__ == "__main__":
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("checkpoint")
    ap.add_argument("tokenizer")
    ap.add_argument("out")
    ap.add_argument("--dtype", default="bf16", choices=DTYPES)
    ap.add_argument("--and", dest="other", metavar="CHECKPOINT", help="another checkpoint, to take the mean with")
    ap.add_argument("--mean", help="safetensors file of the weights before, to take the mean with")
    ap.add_argument("--verify", action="store_true")
    a = ap.parse_args()
    torch.set_num_threads(1)
    write(a.checkpoint, a.tokenizer, a.out, a.dtype, a.other, a.mean)
    if a.verify:
        verify(a.out)
