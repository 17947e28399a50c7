"""Jobs dealt out to the processes of a run, each the next when it asks, and how far all are."""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter

from handbone_cli.errors import LostRankError
from handbone_cli.networks.collectives import add_to_shared

BEYOND = 2**40
"""More than there are jobs."""
_dealings = itertools.count()


class Dealing:
    """The numbers of so many jobs, of which each goes to one process.

    Whoever is faster gets more of them; a part that is dealt beforehand would leave a process
    alone with what another one left undone. All processes begin their dealings in one order.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self._name = f"handbone/dealing{next(_dealings)}"
        self._alone: Counter[str] = Counter()

    def take(self) -> int | None:
        """The next job for this process; None when there is none left, or all are to stop."""
        number = self._add("dealt", 1) - 1
        return number if number < self.total else None

    def finish(self, jobs: int = 1) -> int:
        """Say that a job or more are done; gives how many are, by all."""
        return self._add("done", jobs)

    def stop(self) -> None:
        """Let nobody have another one; where the first process is gone, nobody has."""
        with contextlib.suppress(LostRankError):
            self._add("dealt", BEYOND)

    @property
    def is_stopped(self) -> bool:
        """Whether somebody has said so."""
        return self._add("dealt", 0) >= BEYOND

    def _add(self, what: str, number: int) -> int:
        shared = add_to_shared(f"{self._name}/{what}", number)
        if shared is not None:
            return shared
        self._alone[what] += number
        return self._alone[what]
