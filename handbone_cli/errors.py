"""What goes wrong through no fault of ours: errors that become one line and exit code 1."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class HandboneError(Exception):
    """A user's mistake in one sentence: which file or key, what was expected, what to do."""


class RecipeError(HandboneError):
    """All mistakes of a recipe at once, one line each."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        count = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
        super().__init__(f"{count} in the recipe:\n" + "\n".join(f"  {line}" for line in problems))


class UnreadableImageError(HandboneError):
    """An image file that is empty, cut off or not an image."""


class InterruptedRunError(HandboneError):
    """The user pressed Ctrl-C and everything finished so far is on disk; exit code 130."""


def closest(word: str, known: Iterable[str]) -> str:
    """Say which known name is meant: `did you mean 'x'? Known: a, b, c`."""
    names = sorted(known)
    near = get_close_matches(word, names, n=1, cutoff=0.5)
    listing = f"Known: {', '.join(names)}." if names else "None is known."
    return f"Did you mean '{near[0]}'? {listing}" if near else listing
