"""Which spatial rules to keep, for which bones: scored on boxes, judged on people left out."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from handbone_cli.decision.cross_fitting import choose
from handbone_cli.decision.postprocessing import Once, ScopedRule
from handbone_cli.host.interfaces import HandRule
from handbone_cli.scores import dice

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from handbone_cli.decision.cross_fitting import Choice
    from handbone_cli.decision.decide import DecidedMasks
    from handbone_cli.decision.postprocessing import AnyRule, Bones
    from handbone_cli.host.interfaces import Bone
    from handbone_cli.masks import LabelSource, PackedMask

MOST_THREADS = 8
Variant = tuple[dict[str, Any], "AnyRule"]
"""A table of [[postprocess]] and the rule that it makes."""


@dataclass(frozen=True, eq=False)
class Verdict:
    """What became of one rule.

    Attributes:
        choice: of its variants against leaving it out, which is candidate 0.
        in_sample: (C,) gain of the best variant on the people it was chosen on.
        rows: (C,) what is kept for every bone: a variant's number from 1, or 0 for none.
        variants: (C,) what is kept for every bone; None: without the rule.
        sections: what is kept as tables of [[postprocess]], `classes` where not all bones have it.
        rules: the same, to be laid on masks.
    """

    choice: Choice
    in_sample: NDArray[np.float64]
    rows: NDArray[np.intp]
    variants: tuple[dict[str, Any] | None, ...]
    sections: tuple[dict[str, Any], ...]
    rules: tuple[ScopedRule, ...]

    def figures(self) -> dict[str, Any]:
        """What a decision remembers of it."""
        return {
            "in_sample_gain": self.choice.in_sample - self.choice.uniform,
            "gain": self.choice.gain,
            "gain_error": self.choice.gain_error,
            "kept": bool(self.sections),
        }


def try_rule(
    masks: DecidedMasks,
    labels: LabelSource,
    image_ids: Sequence[str],
    variants: Sequence[Variant],
    *,
    seed: int,
    report: Callable[[int, int], None],
) -> Verdict:
    """Score the variants of one rule on top of the masks, and keep what gains on people left out.

    Args:
        masks: with the rules that were kept before.
        labels: the truth of all the images.
        image_ids: of two people at least.
        variants: one or more.
        seed: of the groups of people.
        report: (images done, images in all).

    Raises:
        HandboneError: fewer than two people; an image that a rule wants cannot be read.
    """
    scores = score_rules(masks, labels, image_ids, [rule for _, rule in variants], report)
    persons = [masks.person(image_id) for image_id in image_ids]
    return judge(scores, persons, variants, list(masks.class_names), seed=seed)


def judge(
    scores: NDArray[np.float64],
    persons: Sequence[str],
    variants: Sequence[Variant],
    names: Sequence[str],
    *,
    seed: int,
    all_in: bool = False,
) -> Verdict:
    """Keep of a rule's variants what gains on people left out.

    A rule that exchanges bones is kept for all of them or for none.

    Args:
        scores: (1 + K, N, C) without and with each of K variants.
        persons: (N,) whose image it is.
        variants: K of them.
        names: of the bones.
        seed: of the groups of people.
        all_in: keep what gains in-sample instead.

    Raises:
        HandboneError: fewer than two people.
    """
    together = any(isinstance(rule, HandRule) and rule.exchanges for _, rule in variants)
    choice = choose(scores, persons, per_class=not together, seed=seed)
    means = scores.mean(axis=1)
    best = np.full(len(names), means.mean(axis=1).argmax()) if together else means.argmax(axis=0)
    rows = best.copy() if all_in else choice.chosen.copy()
    if not together and not all_in:
        rows[choice.gain_per_class <= 0] = 0
    kept = [(variants[row - 1], [n for n, r in zip(names, rows, strict=True) if r == row])
            for row in np.unique(rows[rows > 0])]  # fmt: skip
    return Verdict(
        choice,
        means[best, np.arange(len(names))] - means[0],
        rows,
        tuple(variants[row - 1][0] if row else None for row in rows),
        tuple(_section(table, classes, names) for (table, _), classes in kept),
        tuple(ScopedRule(rule, frozenset(classes)) for (_, rule), classes in kept),
    )


def score_rules(
    masks: DecidedMasks,
    labels: LabelSource,
    image_ids: Sequence[str],
    rules: Sequence[AnyRule],
    report: Callable[[int, int], None],
) -> NDArray[np.float64]:
    """Hard Dice (1 + K, N, C) without and with each of K rules; a rule sees a bone once.

    Args:
        masks: what the rules are laid on.
        labels: the truth.
        image_ids: N images.
        rules: K of them, each by itself.
        report: (images done, images in all).
    """
    scores = score_after(masks, labels, image_ids, [()], rules, report)
    return np.asarray(scores[0])


def score_after(
    masks: DecidedMasks,
    labels: LabelSource,
    image_ids: Sequence[str],
    before: Sequence[Sequence[ScopedRule]],
    rules: Sequence[AnyRule],
    report: Callable[[int, int], None],
) -> NDArray[np.float64]:
    """Hard Dice (P, 1 + K, N, C) after each of P chains of rules, without and with each of K.

    What chains have in common is done once: a rule never sees the same mask twice.

    Args:
        masks: what the chains are laid on.
        labels: the truth.
        image_ids: N images.
        before: P chains.
        rules: K of them, each by itself.
        report: (images done, images in all).
    """
    names = list(masks.class_names)
    scores = np.empty((len(before), 1 + len(rules), len(image_ids), len(names)))

    def score(place: int) -> None:
        bones, size = masks.bones(image_ids[place])
        truth = labels.mask(image_ids[place], size)
        once, counted = Once(), _Counted(names, truth)
        for number, chain in enumerate(before):
            start = bones
            for scoped in chain:
                start = once.of(scoped).apply(start, size)
            scores[number, 0, place] = counted.dice(start)
            for row, rule in enumerate(rules, start=1):
                changed = once.of(ScopedRule(rule)).apply(start, size)
                scores[number, row, place] = counted.dice(changed)

    with ThreadPoolExecutor(min(os.cpu_count() or 1, MOST_THREADS)) as threads:
        try:
            for done, _ in enumerate(threads.map(score, range(len(image_ids))), start=1):
                report(done, len(image_ids))
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise
    return scores


class _Counted:
    """Dice of the bones of one image; that of a mask is counted once."""

    def __init__(self, names: Sequence[str], truth: PackedMask) -> None:
        self._names, self._truth, self._areas = names, truth, truth.areas()
        self._known: dict[tuple[str, int], tuple[Bone | None, float]] = {}

    def dice(self, bones: Bones) -> list[float]:
        """(C,) on the boxes of the bones."""
        return [self._one(index, bones.get(name)) for index, name in enumerate(self._names)]

    def _one(self, index: int, bone: Bone | None) -> float:
        key = (self._names[index], 0 if bone is None else id(bone.mask))
        if key not in self._known:
            hits = predicted = 0
            if bone is not None:
                hits = int(np.count_nonzero(bone.mask & self._truth.crop(index, bone.box)))
                predicted = int(np.count_nonzero(bone.mask))
            found = dice(np.array(hits), np.array(predicted), self._areas[index])
            self._known[key] = (bone, float(found))  # the bone stays, so that its id stays its own
        return self._known[key][1]


def _section(
    table: Mapping[str, Any], classes: Sequence[str], names: Sequence[str]
) -> dict[str, Any]:
    return {**table, "classes": list(classes)} if len(classes) < len(names) else dict(table)
