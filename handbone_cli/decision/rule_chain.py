"""Several spatial rules in a row, chosen and judged as a whole on people left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from handbone_cli.decision.cross_fitting import groups_of
from handbone_cli.decision.rules import judge, score_after
from handbone_cli.scores import clustered_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from handbone_cli.decision.decide import DecidedMasks
    from handbone_cli.decision.postprocessing import ScopedRule
    from handbone_cli.decision.rules import Variant, Verdict
    from handbone_cli.masks import LabelSource

FOLDS = 5
LEAST_PEOPLE = 3
"""So that whoever is left out, two are there to choose and judge on."""


@dataclass(frozen=True, eq=False)
class ChainVerdict:
    """What the rules are worth together.

    Attributes:
        in_sample: gain in mean Dice on the people that they were chosen on.
        gain: the same where every person had rules that were chosen without them; None with too
            few people to tell.
        gain_error: its standard error, clustered by person.
        any_kept: whether a rule was kept at all.
    """

    in_sample: float
    gain: float | None
    gain_error: float | None
    any_kept: bool

    @property
    def kept(self) -> bool:
        """Whether they gain more than their standard error, or nobody can tell."""
        if self.gain is None or self.gain_error is None:
            return True
        return self.gain > self.gain_error

    def figures(self) -> dict[str, Any]:
        """What a decision remembers of it; without what is not known."""
        found = {
            "in_sample_gain": self.in_sample, "gain": self.gain, "gain_error": self.gain_error,
            "kept": self.any_kept and self.kept,
        }  # fmt: skip
        return {key: value for key, value in found.items() if value is not None}


@dataclass(eq=False)
class _Chain:
    """Rules chosen on some of the images.

    Attributes:
        chosen_on: (N,) which.
        rules: kept so far.
        key: of them; equal keys, equal rules.
        scores: (N, C) Dice of all images after them.
    """

    chosen_on: NDArray[np.bool_]
    rules: list[ScopedRule] = field(default_factory=list)
    key: tuple[Any, ...] = ()
    scores: NDArray[np.float64] | None = None

    def add(self, step: int, verdict: Verdict, scores: NDArray[np.float64]) -> None:
        """Take what was kept of a rule whose variants scored (1 + K, N, C)."""
        rows = verdict.rows
        self.scores = np.take_along_axis(scores, rows[None, None, :], axis=0)[0]
        if rows.any():
            self.rules = [*self.rules, *verdict.rules]
            self.key = (*self.key, (step, tuple(rows.tolist())))


class RuleChain:
    """Rules tried one after the other, on everybody and with each group of people left out.

    With a group left out the whole chain is chosen on the others: each rule's variants, its bones
    and its verdict. What the chains have in common is scored once.
    """

    def __init__(
        self,
        masks: DecidedMasks,
        labels: LabelSource,
        image_ids: Sequence[str],
        *,
        seed: int,
        all_in: bool = False,
    ) -> None:
        """Begin with no rule.

        Args:
            masks: what the rules are laid on.
            labels: the truth of all the images.
            image_ids: of two people at least.
            seed: of the groups of people.
            all_in: keep what gains in-sample, whatever becomes of people left out.

        Raises:
            HandboneError: fewer than two people.
        """
        self._masks, self._labels, self._image_ids = masks, labels, image_ids
        self._seed, self._all_in = seed, all_in
        self._persons = [masks.person(image_id) for image_id in image_ids]
        self._groups = groups_of(self._persons, FOLDS, seed)
        self._all = _Chain(np.ones(len(image_ids), np.bool_))
        self._folds: list[_Chain] = []
        if len(set(self._persons)) >= LEAST_PEOPLE:
            self._folds = [_Chain(self._groups != group) for group in np.unique(self._groups)]
        self._before: NDArray[np.float64] | None = None
        self._steps = 0

    def try_rule(self, variants: Sequence[Variant], report: Callable[[int, int], None]) -> Verdict:
        """Try another rule after those that were kept; what becomes of it on everybody.

        Args:
            variants: of the rule, one or more.
            report: (images done, images in all).

        Raises:
            HandboneError: an image that a rule wants cannot be read.
        """
        chains = [self._all, *self._folds]
        different = {chain.key: chain.rules for chain in chains}
        scores = score_after(
            self._masks, self._labels, self._image_ids, list(different.values()),
            [rule for _, rule in variants], report,
        )  # fmt: skip
        places = {key: place for place, key in enumerate(different)}
        if self._before is None:
            self._before = scores[0, 0]
        verdicts = []
        for chain in chains:
            own = scores[places[chain.key]]
            persons = [p for p, on in zip(self._persons, chain.chosen_on, strict=True) if on]
            verdict = judge(
                own[:, chain.chosen_on], persons, variants, list(self._masks.class_names),
                seed=self._seed, all_in=self._all_in,
            )  # fmt: skip
            chain.add(self._steps, verdict, own)
            verdicts.append(verdict)
        self._steps += 1
        return verdicts[0]

    def verdict(self) -> ChainVerdict:
        """What the rules that were tried are worth together."""
        if self._before is None or self._all.scores is None:
            raise ValueError("no rule was tried")
        in_sample = float((self._all.scores - self._before).mean())
        any_kept = bool(self._all.key)
        if not self._folds:
            return ChainVerdict(in_sample, None, None, any_kept)
        gains = np.empty_like(self._before)
        for chain in self._folds:
            if chain.scores is not None:
                left_out = ~chain.chosen_on
                gains[left_out] = chain.scores[left_out] - self._before[left_out]
        error = clustered_error(gains.mean(axis=1), self._persons)
        return ChainVerdict(in_sample, float(gains.mean()), error, any_kept)
