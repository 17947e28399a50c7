"""What a device, or this process where there is none, holds in memory now, in words."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch

GIB = 2**30
STATISTICS = Path("/proc/self/statm")
"""Of this process, in pages; the second number is what lies in RAM."""


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
    if STATISTICS.exists():
        resident = int(STATISTICS.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return f"process {resident / GIB:.1f} GiB"
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return f"process at most {most / GIB:.1f} GiB"  # macOS does not say what it has now
