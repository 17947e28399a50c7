"""What goes wrong through no fault of ours: errors that become one line and exit code 1."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

MUCH_ALIKE = 0.8
MOST_NEAR = 3
"""Names that a sentence offers for one."""
MOST_SHOWN = 8
"""Values of a list that a sentence shows."""


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


class LostRankError(HandboneError):
    """Another process of a run on several devices is gone; what is to be said was said there."""


def closest(word: str, known: Iterable[str], elsewhere: Iterable[str] = ()) -> str:
    """Say which known name is meant: `Did you mean 'x'? Known: a, b, c.`.

    Args:
        word: what was written.
        known: the names that are right there.
        elsewhere: dotted names of other places (`train.epochs`). One that ends in just this word
            is meant rather than a name that only looks alike, and one that looks much alike
            rather than a name that looks somewhat alike.
    """
    from difflib import get_close_matches  # for mistakes alone: `hb --help` does not wait for it

    names, others = sorted(known), list(elsewhere)
    ends = {other.rpartition(".")[2] for other in others}
    alike = get_close_matches(word, ends, n=1, cutoff=MUCH_ALIKE)
    near = (
        [other for other in others if other.rpartition(".")[2] == word]
        or get_close_matches(word, names, n=1, cutoff=MUCH_ALIKE)
        or [other for other in others if other.rpartition(".")[2] in alike]
        or get_close_matches(word, names, n=1, cutoff=0.5)
    )
    listing = f"Known: {', '.join(names)}." if names else "None is known."
    meant = " or ".join(f"'{name}'" for name in near[:MOST_NEAR])
    return f"Did you mean {meant}? {listing}" if near else listing


def differences(old: Any, new: Any, at: str = "") -> dict[str, str]:
    """What two tables differ in: dotted key -> `train.epochs (60 then, 61 now)`."""
    if isinstance(old, dict) and isinstance(new, dict):
        found: dict[str, str] = {}
        for key in sorted(old.keys() | new.keys()):
            found |= differences(old.get(key), new.get(key), f"{at}.{key}" if at else key)
        return found
    return {} if old == new else {at: f"{at} ({_shown(old)} then, {_shown(new)} now)"}


def _shown(value: Any) -> str:
    """A value as people write it: components by name and options, digests and long lists cut."""
    if value is None or value in ([], {}, ""):
        return "none"
    if isinstance(value, (list, tuple)):
        more = ["..."] if len(value) > MOST_SHOWN else []
        return ", ".join([*(_shown(each) for each in value[:MOST_SHOWN]), *more])
    if isinstance(value, dict):
        options = (f"{key}={_shown(each)}" for key, each in value.items() if key != "name")
        return ":".join([*([str(value["name"])] if "name" in value else []), *options])
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return f"{text[:8]}..." if re.fullmatch("[0-9a-f]{64}", text) else text
