#!/bin/bash
# tokenizers 0.23.3: a deleted tokenizer's cache of words stays in memory until the thread that used it ends.
#
# A BPE tokenizer remembers how it has split words.  Expected: the memory of that is freed with the tokenizer.
# Observed: each thread keeps it for every tokenizer that it has used, whether or not that is deleted; `model._clear_cache()`
# doesn't free it, the end of the thread does.  A process that loads one tokenizer after another grows by about 3 MB for each.
#
# Exits 0 while it is so, 1 when the memory is freed with the tokenizer.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q tokenizers==0.23.3
cd "$folder"
cat > check.py <<'PYTHON'
import sys
import threading

import tokenizers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

print("tokenizers", tokenizers.__version__, "Python", sys.version.split()[0])
made = Tokenizer(models.BPE())
made.pre_tokenizer = pre_tokenizers.Whitespace()
made.train_from_iterator(["the room of the house 0123456789"] * 50, trainers.BpeTrainer(vocab_size=60, show_progress=False))
stored = made.to_str()


def megabytes():
    with open("/proc/self/status") as status:
        return sum(int(line.split()[1]) for line in status if line.startswith("RssAnon")) / 1024


def use(number):
    tokenizer = Tokenizer.from_str(stored)
    for word in range(10_000):
        tokenizer.encode(f"room {number * 10_000 + word}")
    tokenizer.model._clear_cache()
    del tokenizer


def growth(run):
    run(0)
    before = megabytes()
    for number in range(1, 21):
        run(number)
    return megabytes() - before


def in_a_thread(number):
    thread = threading.Thread(target=use, args=(number,))
    thread.start()
    thread.join()


threads, here = growth(in_a_thread), growth(use)
print(f"20 tokenizers, each deleted before the next is made: {here:.0f} MB more; each in a thread that ends: {threads:.0f} MB more")
sys.exit(0 if here > 20 > 2 * threads else 1)
PYTHON
"$folder/venv/bin/python" check.py
