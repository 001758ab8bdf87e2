"""What a measured time depends on."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch


def machine() -> dict[str, object]:
    """Processor, versions and load average."""
    wide = torch.backends.cpu.get_cpu_capability()
    return {
        "processor": f"{processor()}, {os.cpu_count()} cores, {wide}",
        "torch": torch.__version__,
        "python": platform.python_version(),
        "load": os.getloadavg(),
    }


def processor() -> str:
    """The name that Linux gives the processor; elsewhere what Python says."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
