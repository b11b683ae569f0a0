#!/usr/bin/env python3
"""Renders every template of engine/chat/testdata/templates over every
conversation of engine/chat/testdata/conversations.json the way transformers'
apply_chat_template does, and writes engine/chat/testdata/golden.json.

Run in the reference environment (Debian sid: transformers, jinja2) from the
repository's root:

    python3 build/reference/chat_golden.py

strftime_now answers for one fixed moment so that the file does not change
from day to day.
"""
import datetime
import json
import pathlib
import random

import jinja2
import transformers
from transformers.utils.chat_template_utils import _compile_jinja_template

ROOT = pathlib.Path(__file__).resolve().parents[2] / "engine" / "chat" / "testdata"
MOMENT = datetime.datetime(2024, 7, 6, 9, 5, 3)
SPECIAL = {"bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>"}


def render(source, messages, generation):
    # compiled anew each time: transformers caches, and templates may change their input
    template = _compile_jinja_template(source)
    template.environment.globals["strftime_now"] = MOMENT.strftime
    try:
        return {"text": template.render(
            messages=messages, tools=None, documents=None,
            add_generation_prompt=generation, **SPECIAL)}
    except (jinja2.TemplateError, TypeError, KeyError, AttributeError) as err:
        return {"error": f"{err}"}


def white(rng):
    """A template of tags, signs, spaces and line feeds in random order."""
    space = lambda: rng.choice(["", "", " ", "  ", "\n", "\n", " \n", "\n  ", "\t", "\n\n", "x", " x ", "\u00a0", "\r\n"])
    sign = lambda: rng.choice(["", "", "", "-", "+"])
    minus = lambda: rng.choice(["", "", "-"])
    tags = [
        lambda: "{{%s 'v' %s}}" % (minus(), minus()),
        lambda: "{%%%s set a = 1 %s%%}" % (sign(), sign()),
        lambda: "{%%%s if true %s%%}%s{%%%s endif %s%%}" % (sign(), sign(), space() + "y" + space(), sign(), sign()),
        lambda: "{#%s c %s#}" % (sign(), sign()),
        lambda: "{%%%s raw %s%%}%s{%%%s endraw %s%%}" % (sign(), minus(), space() + "{{" + space(), sign(), sign()),
        lambda: "{%%%s for i in [1,2] %s%%}%s{%%%s endfor %s%%}" % (sign(), sign(), space() + "{{ i }}" + space(), sign(), sign()),
    ]
    return "".join(space() + rng.choice(tags)() for _ in range(rng.randint(1, 6))) + space()


def main():
    conversations = json.loads((ROOT / "conversations.json").read_text())
    cases = []
    for path in sorted((ROOT / "templates").glob("*.jinja")):
        source = path.read_text()
        for conversation in conversations:
            for generation in (False, True):
                messages = json.loads(json.dumps(conversation["messages"]))
                cases.append({
                    "template": path.stem,
                    "conversation": conversation["name"],
                    "generation": generation,
                    **render(source, messages, generation),
                })
    rng = random.Random(1)
    spaces = []
    while len(spaces) < 600:
        source = white(rng)
        spaces.append({"source": source, "text": render(source, [], False)["text"]})
    golden = {
        "jinja2": jinja2.__version__,
        "transformers": transformers.__version__,
        "special": SPECIAL,
        "now": MOMENT.isoformat(),
        "cases": cases,
        "white": spaces,
    }
    (ROOT / "golden.json").write_text(json.dumps(golden, indent=0, ensure_ascii=False) + "\n")
    errors = sum("error" in c for c in cases)
    print(f"{len(cases)} cases, {errors} of them errors")


if __name__ == "__main__":
    main()
