#!/bin/bash
# torch.set_num_threads() called in one thread changes how many threads torch uses in threads that begin afterwards, but not
# in the main thread or others that run already.
#
# Expected: the setting holds for the calling thread alone, or for the whole process.
# Observed: both in part. The calling thread has the new number, threads that are running keep theirs, and every thread that
# begins later starts with the new number. A worker that limits itself, such as the initialiser of a thread pool, so limits the
# products of all later threads of the process, while torch.get_num_threads() in the main thread still tells the old number:
# a check there notices nothing. A call in the main thread with that old number puts it right. (A thread counts as running
# once it has asked torch for the number or divided a product; until then even the main thread takes the last number that
# any thread has set.)
#
# torch 2.13.0 (CPU build, OpenMP), Python's threads.
# Exits 0 while it is so, 1 when a later thread has the main thread's number.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6
cd "$folder"
cat > check.py <<'PYTHON'
import sys
from concurrent.futures import ThreadPoolExecutor

import torch


def in_a_new_thread(work):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


print("torch", torch.__version__)
torch.set_num_threads(4)
assert torch.get_num_threads() == 4
with ThreadPoolExecutor(1) as running:
    started_before = running.submit(torch.get_num_threads).result()
    in_a_new_thread(lambda: torch.set_num_threads(1))
    print("set to 4 in the main thread, then to 1 in a thread that has ended:")
    print("  main thread:", torch.get_num_threads())
    print("  a thread that ran before:", running.submit(torch.get_num_threads).result())
later = in_a_new_thread(torch.get_num_threads)
print("  a thread that began afterwards:", later)
told = torch.get_num_threads()
torch.set_num_threads(told)
print(f"set to {told} in the main thread again, a thread that begins now:", in_a_new_thread(torch.get_num_threads))
sys.exit(later == told)
PYTHON
"$folder/venv/bin/python" check.py
