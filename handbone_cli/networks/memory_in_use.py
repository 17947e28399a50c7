"""What a device, this process and the machine hold in memory now, and what is free."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import torch

GIB = 2**30
STATISTICS = Path("/proc/self/statm")
"""Of this process, in pages; the second number is what lies in RAM."""
MACHINE = Path("/proc/meminfo")
CONTAINER = Path("/sys/fs/cgroup")
"""The limit of a container and what it uses (cgroup v2)."""


def memory_in_use(device: torch.device) -> str:
    """One line for a screen.

    On a GPU what this process has reserved of the whole, and the most that its tensors took at a
    time; on a CPU the RAM of this process, without the loader's workers.
    """
    if device.type == "cuda":
        reserved, peak = torch.cuda.memory_reserved(device), torch.cuda.max_memory_allocated(device)
        whole = torch.cuda.get_device_properties(device).total_memory
        return (
            f"GPU {reserved / GIB:.1f} of {whole / GIB:.1f} GiB, tensors at most {peak / GIB:.1f}"
        )
    most = "" if STATISTICS.exists() else "at most "  # macOS does not say what it has now
    return f"process {most}{resident() / GIB:.1f} GiB"


def resident() -> int:
    """Bytes of RAM of this process: now, or the most it ever had where the system says no more."""
    if STATISTICS.exists():
        return int(STATISTICS.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def available() -> int | None:
    """Bytes of RAM that this process can still take: of the machine and of its container.

    None where the system does not say.
    """
    found = []
    with contextlib.suppress(OSError):
        lines = dict(line.split(":", 1) for line in MACHINE.read_text().splitlines())
        found.append(int(lines["MemAvailable"].split()[0]) * 1024)
    with contextlib.suppress(OSError, ValueError):  # "max": no limit
        files = (CONTAINER / f"memory.{what}" for what in ("max", "current"))
        limit, used = (int(path.read_text()) for path in files)
        found.append(max(limit - used, 0))
    return min(found, default=None)
