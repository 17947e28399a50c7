"""What a file of weights has of a network: in counts, in sentences for people, in run.json."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from handbone_cli.errors import HandboneError
from handbone_cli.files import file_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from handbone_cli.networks.weights import TensorFile

Shapes: TypeAlias = "dict[str, tuple[int, ...]]"

BIAS = "bias"
"""The wrapper's bias of each class, which files of others do not have."""
MOST_NAMED = 3
"""Names that a sentence shows."""
MOST_REPORTED = 8
"""Names that a line of a report shows."""
WAY_OUT = "set model.partial = true to take over what"


@dataclass(frozen=True)
class Match:
    """What a file has of a network.

    Attributes:
        file: the file.
        class_names: C classes of the network.
        network: the shapes of its tensors.
        whole: tensor -> the file's, of the same shape.
        rows: tensor by class -> the file's, and the dimensions that count classes: what is of a
            class is copied to the class of the same name.
        heads: every tensor whose shape depends on the number of classes, where that was asked.
        sources: of every class, its number in the file; None where the file does not have it.
        brought: of every class, whether all that is of this class alone comes from the file.
        bias: the file's tensor of the wrapper's bias, if there is one.
        missing: tensors that the file does not have.
        extra: tensors of the file that the network does not have.
        other_shape: tensor -> its shape in the file, which is another one or whose classes are in
            no known order.
    """

    file: TensorFile
    class_names: tuple[str, ...]
    network: Shapes
    whole: dict[str, str]
    rows: dict[str, tuple[str, tuple[int, ...]]]
    heads: frozenset[str]
    sources: tuple[int | None, ...]
    brought: tuple[bool, ...]
    bias: str | None
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    other_shape: Shapes

    @property
    def tensors(self) -> tuple[int, int]:
        """How many of the network's are taken over, whole or in part, and of how many."""
        taken = len(self.whole) + len(self.rows) + (self.bias is not None and any(self.brought))
        return taken, len(self.network) - (self.bias is None)

    @property
    def share(self) -> float:
        """Of the network's numbers that come from the file, 0 to 1."""
        known = sum(source is not None for source in self.sources) / len(self.sources)
        taken = sum(math.prod(self.network[name]) for name in self.whole)
        taken += sum(
            round(math.prod(self.network[name]) * known ** len(dims))
            for name, (_, dims) in self.rows.items()
        )
        taken += 0 if self.bias is None else sum(self.brought)
        bare = len(self.class_names) if self.bias is None else 0
        return taken / (sum(map(math.prod, self.network.values())) - bare)

    @property
    def complete(self) -> bool:
        """Whether all comes from the file but what is of a class."""
        return {*self.missing, *self.other_shape} <= self.heads

    def report(self) -> str:
        """What is taken over and what is not, for people: a line, or a short block."""
        taken, of = self.tensors
        whole = taken == of and all(self.brought)
        percent = f"{min(100 * self.share, 100 if whole else 99.9):.1f} % of the parameters"
        lines = [f"{self.file.path}: {taken} of {of} tensors loaded, {percent}"]
        if self.sources != tuple(range(len(self.sources))):
            shared = self._classes(source is not None for source in self.sources)
            counts = f"{len(shared)} of {len(self.class_names)} classes by name"
            lines.append(f"{counts}{': ' if shared else ''}{few(shared)}")
        lines += [f"not in the file: {few(self.missing)}"] if self.missing else []
        lines += [f"not in the network: {few(self.extra)}"] if self.extra else []
        lines += [f"other shape: {few(self._shapes(), MOST_NAMED)}"] if self.other_shape else []
        fresh = self._classes(not brought for brought in self.brought)
        lines += [f"from the data's prior: {few(fresh)}"] if fresh else []
        if any(self.brought) and self.file.class_names is None:
            lines.append("the file names no classes: they are taken to be this dataset's, in order")
        return "\n  ".join(lines)

    def facts(self) -> dict[str, Any]:
        """The same for run.json and checkpoints, with the file's digest and every name."""
        taken, of = self.tensors
        return {
            "file": str(self.file.path),
            "sha256": file_digest(self.file.path),
            "loaded": taken,
            "tensors": of,
            "share": round(self.share, 4),
            "class_names": self._classes(self.brought),
            "missing": list(self.missing),
            "extra": list(self.extra),
            "other_shape": {name: list(shape) for name, shape in self.other_shape.items()},
        }

    def mismatch(self) -> str:
        """What does not match, as one phrase; '' if all does."""
        parts = []
        if self.missing:
            count = f"{len(self.missing)} of its {len(self.network)} tensors"
            parts.append(f"{count} not in the file ({few(self.missing, MOST_NAMED)})")
        if self.extra:
            parts.append(f"{len(self.extra)} in the file alone ({few(self.extra, MOST_NAMED)})")
        if self.other_shape:
            count = f"{len(self.other_shape)} of another shape"
            parts.append(f"{count} ({few(self._shapes(), 1)})")
        return ", ".join(parts)

    def _shapes(self) -> list[str]:
        return [
            f"{name} {shape} in the file, {self.network[name]} in the network"
            for name, shape in self.other_shape.items()
        ]

    def _classes(self, chosen: Iterable[bool]) -> list[str]:
        return [name for name, each in zip(self.class_names, chosen, strict=True) if each]


def nothing_matches(file: TensorFile, network: Shapes, model: str) -> HandboneError:
    """The sentence for a file of another network altogether."""
    there = few(sorted(file.weights), MOST_NAMED) or "no tensors"
    return HandboneError(
        f"{file.path}: no tensor of it matches the network of model '{model}': the file has "
        f"{there}; the network has {few(sorted(network), MOST_NAMED)}."
    )


def other_classes(file: TensorFile, names: tuple[str, ...]) -> HandboneError:
    """The sentence for another class list, or the same one in another order."""
    theirs = file.class_names or ()
    if sorted(theirs) == sorted(names):
        place = next(i for i, name in enumerate(names) if theirs[i] != name)
        return HandboneError(
            f"{file.path}: was trained for the same {len(names)} classes in another order (class "
            f"{place + 1} is {theirs[place]} in the file and {names[place]} in this dataset); "
            f"{WAY_OUT} belongs to each name."
        )
    return HandboneError(
        f"{file.path}: was trained for {len(theirs)} classes ({few(theirs, MOST_NAMED)}), this "
        f"dataset has {len(names)} ({few(names, MOST_NAMED)}); {WAY_OUT} the two share."
    )


def few(names: Sequence[str], most: int = MOST_REPORTED) -> str:
    """The first of some names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"
