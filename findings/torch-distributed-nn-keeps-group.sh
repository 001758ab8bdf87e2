#!/bin/bash
# A process that joins a group and imports transformers' models afterwards keeps the group alive after
# torch.distributed.destroy_process_group(), together with gloo's threads.
#
# Expected: after destroy_process_group() the group's threads are gone, whatever was imported between.
# Observed: torch.distributed.nn.functional declares its functions with group=group.WORLD as a default, which is looked up when
# the module is imported. Imported before init_process_group() the default is None; imported afterwards it is the group
# itself, which stays for good: gloo's threads run until the process ends. `import transformers.modeling_utils` imports
# that module. Imported before joining, no thread is left.
# Of our runs on two processes some ended with SIGABRT after their work was done ("terminate called without an active
# exception"), 1 of 30 here; with the module imported first 124 of 124 ended well.
#
# torch 2.13.0, transformers 5.23.0, Linux.
# Exits 0 while it is so, 1 when no thread is left in either order.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0
"$folder/venv/bin/pip" install -q transformers==5.23.0
cd "$folder"
cat > check.py <<'PYTHON'
import sys
from pathlib import Path

import torch.distributed as dist

first = sys.argv[1] == "first"
if first:
    import transformers.modeling_utils
dist.init_process_group("gloo", init_method=f"file://{Path.cwd()}/store-{sys.argv[1]}", rank=0, world_size=1)
if not first:
    import transformers.modeling_utils
found = [None]
dist.all_gather_object(found, "something")
dist.destroy_process_group()

names = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
left = sorted(name for name in names if "gloo" in name)
default = sys.modules["torch.distributed.nn.functional"].all_reduce.__defaults__[-1]
print(f"transformers imported {sys.argv[1]}: threads left {left}, default group {type(default).__name__}")
sys.exit(bool(left))
PYTHON
"$folder/venv/bin/python" -c "
from importlib.metadata import version
print(*(f'{name} {version(name)}' for name in ('torch', 'transformers')), sep=', ')"
"$folder/venv/bin/python" check.py first
if "$folder/venv/bin/python" check.py afterwards; then
    exit 1
fi
