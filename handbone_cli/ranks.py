"""Which of the processes that train one run this is; torch is not asked, torchrun's words are."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

Item = TypeVar("Item")

NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What torchrun and `hb train --devices` tell each process; a job's other variables may look so."""

LAUNCHED = "HANDBONE_LAUNCHED"
"""Set where `hb train --devices` started the process, and not torchrun."""
INTERRUPTED = 130
LOST = 75
"""Exit code of a process that ends because another one of its run has: the other is the cause."""


def rank_count() -> int:
    """Processes that share the run, 1 or more."""
    return int(os.environ["WORLD_SIZE"]) if all(os.environ.get(key) for key in NEEDED) else 1


def local_count() -> int:
    """Those of them on this machine, which share its memory; torchrun and --devices say so."""
    return int(os.environ.get("LOCAL_WORLD_SIZE") or rank_count()) if rank_count() > 1 else 1


def rank() -> int:
    """The number of this one, from 0."""
    return int(os.environ["RANK"]) if rank_count() > 1 else 0


def is_main() -> bool:
    """Whether this process speaks for all and writes the files."""
    return rank() == 0


def is_launched() -> bool:
    """Whether one `hb` started all processes of the run, and speaks for those that die."""
    return LAUNCHED in os.environ


def share(items: Sequence[Item]) -> Sequence[Item]:
    """What this process does of a list: every so manieth, from its own number on."""
    return items[rank() :: rank_count()]
