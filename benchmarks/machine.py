"""What a measured time depends on, and the memory of a process."""

from __future__ import annotations

import os
import platform
import threading
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


class Peak:
    """The largest anonymous memory of this process, looked at 200 times a second."""

    def __enter__(self) -> Peak:  # noqa: PYI034  nothing is derived from it
        self.kilobytes = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.005):
            lines = Path("/proc/self/status").read_text("ascii").splitlines()
            (now,) = (int(line.split()[1]) for line in lines if line.startswith("RssAnon"))
            self.kilobytes = max(self.kilobytes, now)
