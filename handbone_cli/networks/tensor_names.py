"""Names of tensors: the prefixes that wrappers put before them, two lists of names paired."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

COMPILED = "_orig_mod."
"""What torch.compile puts into the names of what it compiles, wherever that is."""
WRAPPERS = ("module.", "model.", "network.", "net.")
"""What other wrappers put before every name: DataParallel and DDP, Lightning, people."""
CORE = "core."
"""What our own wrapper puts before every name of a model."""
COUNTERS = frozenset({"n_averaged"})
"""What torch's averaging of weights adds to a file, of no network."""


def common_prefix(names: Collection[str]) -> str:
    """The wrappers' prefixes that all names share, outermost first; '' for none."""
    prefix = ""
    while True:
        more = [each for each in WRAPPERS if all(n.startswith(prefix + each) for n in names)]
        if not more or not names:
            return prefix
        prefix += more[0]


def pair_names(theirs: Collection[str], ours: Collection[str]) -> dict[str, str]:
    """Name in our network -> name in a file, whatever wrappers either was saved in.

    Of all prefixes to take away from theirs and to put before them, the pair under which most
    names meet; the shortest of those that are equal.
    """
    plain = {name.replace(COMPILED, ""): name for name in theirs}
    if len(plain) < len(theirs):
        plain = {name: name for name in theirs}
    cores = [name.removeprefix(CORE) for name in ours if name.startswith(CORE)]
    best: dict[str, str] = {}
    for added in ("", *(CORE + prefix for prefix in _prefixes(cores))):
        for taken in _prefixes(plain):
            renamed = {
                added + name.removeprefix(taken): original
                for name, original in plain.items()
                if name.startswith(taken)
            }
            pairs = {name: renamed[name] for name in ours if name in renamed}
            if len(pairs) > len(best):
                best = pairs
    return best


def _prefixes(names: Collection[str]) -> list[str]:
    """Every chain of wrappers' prefixes that some name begins with, '' first."""
    chains = [""]
    for chain in chains:
        chains += [chain + w for w in WRAPPERS if any(n.startswith(chain + w) for n in names)]
    return chains
