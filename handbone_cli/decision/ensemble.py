"""From stores and labels to a decision: tabulate, score the candidates, cross-fit, write down."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.decision.cross_fitting import Choice, choose
from handbone_cli.decision.document import HALF, Decision, check_same_images, model_of, shared_rules
from handbone_cli.decision.statistics import tabulate
from handbone_cli.decision.weights import candidates
from handbone_cli.errors import HandboneError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from handbone_cli.masks import LabelSource
    from handbone_cli.store.store import Store


def usable_images(stores: Sequence[Store], labels: LabelSource, *, allow_seen: bool) -> list[str]:
    """The labelled images that every store has, refused where a model was trained on the person.

    Raises:
        HandboneError: no such image; classes differ; a person was trained on (unless `allow_seen`).
    """
    first = stores[0]
    for store in stores[1:]:
        if store.class_names != first.class_names:
            raise HandboneError(f"{store.path}: has other classes than {first.path}.")
        check_same_images(first, store)
    shared = [n for n in first.image_ids if all(n in s.images for s in stores) and labels.has(n)]
    if not shared:
        raise HandboneError(f"{first.path}: none of its images has labels; see --labels.")
    for store in stores:
        seen = [name for name in shared if store.images[name].seen]
        if seen and not allow_seen:
            raise HandboneError(
                f"{store.path}: its model was trained on the people of {len(seen)} of these images "
                f"({seen[0]}, ...), so their masks prove nothing; predict people left out, or say "
                "--allow-seen to use them knowingly."
            )
    return shared


def score_candidates(
    stores: Sequence[Store],
    labels: LabelSource,
    image_ids: Sequence[str],
    weights: NDArray[np.float64],
    report: Callable[[int, int], None],
) -> NDArray[np.float64]:
    """Hard Dice (K, N, C) of K sets of weights at one half, exact at the store's precision."""
    classes = len(stores[0].class_names)
    scores = np.empty((len(weights), len(image_ids), classes))
    for place, image_id in enumerate(image_ids):
        members = [store.load(image_id) for store in stores]
        truth = labels.mask(image_id, members[0].size)
        for index in range(classes):
            table = tabulate(members, truth, index, (HALF, HALF))
            scores[:, place, index] = table.dice(weights, HALF)
        report(place + 1, len(image_ids))
    return scores


def optimize(
    stores: Sequence[Store],
    labels: LabelSource,
    *,
    per_class: bool,
    allow_seen: bool,
    seed: int,
    report: Callable[[int, int], None],
) -> tuple[Decision, Choice]:
    """Choose weights for an ensemble and say what the choice is worth on people left out."""
    if len(stores) < 2:
        raise HandboneError(
            f"{stores[0].path}: one store has nothing to be weighed against; name two or more, or "
            f"use it as it is: `hb submit {stores[0].path}`."
        )
    image_ids = usable_images(stores, labels, allow_seen=allow_seen)
    weights = candidates(len(stores))
    scores = score_candidates(stores, labels, image_ids, weights, report)
    persons = [stores[0].images[name].person for name in image_ids]
    choice = choose(scores, persons, per_class=per_class, seed=seed)
    names = stores[0].class_names
    figures = {
        "images": len(image_ids),
        "people": len(set(persons)),
        "uniform": choice.uniform,
        "in_sample": choice.in_sample,
        "cross_fitted": choice.cross_fitted,
        "gain": choice.gain,
        "gain_error": choice.gain_error,
        "kept": choice.kept,
        "per_class": per_class,
        "allow_seen": allow_seen,
        "seed": seed,
    }
    decision = Decision(
        names,
        weights[choice.chosen],
        np.full(len(names), HALF),
        tuple(store.path for store in stores),
        tuple(store.digest() for store in stores),
        tuple(model_of(store) for store in stores),
        shared_rules([s.manifest["settings"].get("postprocess", []) for s in stores]),
        figures,
    )
    return decision, choice
