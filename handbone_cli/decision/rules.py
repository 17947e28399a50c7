"""Which spatial rules to keep, for which bones: scored on boxes, judged on people left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from handbone_cli.decision.cross_fitting import choose
from handbone_cli.decision.postprocessing import ScopedRule
from handbone_cli.host.interfaces import HandRule
from handbone_cli.scores import dice

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from handbone_cli.decision.cross_fitting import Choice
    from handbone_cli.decision.decide import DecidedMasks
    from handbone_cli.decision.postprocessing import AnyRule, Bones
    from handbone_cli.masks import LabelSource, PackedMask

Variant = tuple[dict[str, Any], "AnyRule"]
"""A table of [[postprocess]] and the rule that it makes."""


@dataclass(frozen=True, eq=False)
class Verdict:
    """What became of one rule.

    Attributes:
        choice: of its variants against leaving it out, which is candidate 0.
        in_sample: (C,) gain of the best variant on the people it was chosen on.
        variants: (C,) what is kept for every bone; None: without the rule.
        sections: what is kept as tables of [[postprocess]], `classes` where not all bones have it.
        rules: the same, to be laid on masks.
    """

    choice: Choice
    in_sample: NDArray[np.float64]
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

    A rule that exchanges bones is kept for all of them or for none.

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
    names = list(masks.class_names)
    scores = score_rules(masks, labels, image_ids, [rule for _, rule in variants], report)
    persons = [masks.person(image_id) for image_id in image_ids]
    together = any(isinstance(rule, HandRule) and rule.exchanges for _, rule in variants)
    choice = choose(scores, persons, per_class=not together, seed=seed)
    rows = choice.chosen.copy()
    if not together:
        rows[choice.gain_per_class <= 0] = 0
    means = scores.mean(axis=1)
    best = means.mean(axis=1).argmax() if together else means.argmax(axis=0)
    kept = [(variants[row - 1], [n for n, r in zip(names, rows, strict=True) if r == row])
            for row in np.unique(rows[rows > 0])]  # fmt: skip
    return Verdict(
        choice,
        means[best, np.arange(len(names))] - means[0],
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
    scores = np.empty((1 + len(rules), len(image_ids), len(masks.class_names)))
    for place, image_id in enumerate(image_ids):
        bones, size = masks.bones(image_id)
        truth = labels.mask(image_id, size)
        areas = truth.areas()
        scores[0, place] = _dice(bones, masks.class_names, truth, areas)
        for row, rule in enumerate(rules, start=1):
            changed = ScopedRule(rule).apply(bones, size)
            scores[row, place] = _dice(
                changed, masks.class_names, truth, areas, (bones, scores[0, place])
            )
        report(place + 1, len(image_ids))
    return scores


def _dice(
    bones: Bones,
    names: Sequence[str],
    truth: PackedMask,
    areas: NDArray[np.int64],
    before: tuple[Bones, NDArray[np.float64]] | None = None,
) -> NDArray[np.float64]:
    """Dice (C,) on the boxes of the bones; what is the same as `before` is not counted again."""
    scores = np.empty(len(names))
    for index, name in enumerate(names):
        bone = bones.get(name)
        if before is not None and bone is before[0].get(name):
            scores[index] = before[1][index]
            continue
        hits = predicted = 0
        if bone is not None:
            hits = int(np.count_nonzero(bone.mask & truth.crop(index, bone.box)))
            predicted = int(np.count_nonzero(bone.mask))
        scores[index] = dice(np.array(hits), np.array(predicted), areas[index])
    return scores


def _section(
    table: Mapping[str, Any], classes: Sequence[str], names: Sequence[str]
) -> dict[str, Any]:
    return {**table, "classes": list(classes)} if len(classes) < len(names) else dict(table)
