#!/bin/bash
# transformers 5.0.0 with accelerate 1.1.1, which it declares to be enough: no model can be imported.
#
# transformers 5.0.0 declares accelerate>=1.1.0 (the extras `torch` and `accelerate`, and ACCELERATE_MIN_VERSION).
# Expected: with accelerate 1.1.1 model classes are imported, as they are without accelerate and with 1.2.0.
# Observed: ImportError: cannot import name 'get_module_size_with_ties' from 'accelerate.utils.modeling', for every model class.
#
# Exits 0 while it is so, 1 when the import works with 1.1.1, 2 when it fails with 1.2.0, too.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 "transformers[torch]==5.0.0" accelerate==1.1.1
cd "$folder"
cat > check.py <<'PYTHON'
import sys

import accelerate
import torch
import transformers
from transformers.utils.import_utils import ACCELERATE_MIN_VERSION

print("torch", torch.__version__, "transformers", transformers.__version__, "accelerate", accelerate.__version__,
      "declared minimum", ACCELERATE_MIN_VERSION)
try:
    from transformers import LlamaForCausalLM

    print("imported", LlamaForCausalLM.__name__)
except ImportError as error:
    print("ImportError:", error)
    sys.exit(1)
PYTHON
if "$folder/venv/bin/python" check.py; then exit 1; fi
"$folder/venv/bin/pip" install -q accelerate==1.2.0
"$folder/venv/bin/python" check.py || exit 2
