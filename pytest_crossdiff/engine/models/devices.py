"""Number type and device, chosen by what the hardware can do."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

import torch

from pytest_crossdiff.errors import ModelError

_TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_device(name: str = "auto") -> torch.device:
    """`auto`: the first of cuda, mps and cpu that is there.  Raises `ModelError`."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ModelError(
            f"the device {name!r} can't be used: {str(error).partition(chr(10))[0]}",
            source="crossdiff_device",
            remedy="give auto, cpu, cuda, cuda:1 or mps",
        ) from error
    return device


def crosscoder_device(device: torch.device) -> torch.device:
    """Where dictionaries are trained and tested if models run on `device`: the CPU instead of
    Apple's GPUs, which have neither float64 nor torch's sparse products.
    """
    return torch.device("cpu") if device.type == "mps" else device


def to_device(x: torch.Tensor, device: torch.device) -> torch.Tensor:
    """`x`, which is on the CPU, on `device`; a GPU may get it later, while the CPU goes on.

    From memory that can be paged out it would first have to finish all that it was asked for.
    """
    return x.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else x.to(device)


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """`auto`: bfloat16 on a CUDA device that multiplies it, else float32.

    On a CPU always float32: without AVX512-BF16 or AMX bfloat16 is up to 200 times slower, and with
    them a cached result would depend on the machine it was made on.  Raises `ModelError`.
    """
    if name == "auto":
        cuda = device.type == "cuda"
        native = cuda and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native else torch.float32
    if name not in _TYPES:
        raise ModelError(
            f"{name!r} is no number type for a forward pass",
            source="crossdiff_dtype",
            remedy=f"give auto or one of {', '.join(_TYPES)}",
        )
    return _TYPES[name]


def release(device: torch.device) -> None:
    """Give the memory of what was freed there back to the system."""
    give_back_free_memory()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def itemsize(dtype: str, device: torch.device) -> int:
    """Bytes of a weight and of a stored activation, by the setting of their kind of number."""
    return choose_dtype(dtype, device).itemsize


def available_memory(device: torch.device) -> int | None:
    """Bytes that are free for us, None where that can't be told."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type != "cpu":
        return None
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        (free,) = (line.split()[1] for line in lines if line.startswith("MemAvailable"))
        return int(free) * 1024
    except (OSError, ValueError):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def give_back_free_memory() -> None:
    """Give the system back what this process has freed and glibc keeps for it; nothing elsewhere.

    What large arrays leave between smaller ones is kept, and the next step may fit into none of it.
    """
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "malloc_trim"):
        library.malloc_trim(0)
