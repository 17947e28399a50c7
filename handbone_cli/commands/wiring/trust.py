"""Trust in a whole store: films one after another, beside other stores and the truth."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from handbone_cli.errors import HandboneError
from handbone_cli.trust.film import FilmTrust, dice_at_half, trust_film

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handbone_cli.masks import LabelSource
    from handbone_cli.store.store import Store

COLUMNS = ("image_id", "person", "score", "hands", "dice")
"""What stands before the bones in a CSV of trust."""


@dataclass(frozen=True, eq=False)
class JudgedFilm:
    """A film of a store.

    Attributes:
        name: of its file, else its id.
        dice: (C,) of every bone, nan where it is neither found nor there; None without truth.
    """

    image_id: str
    person: str
    name: str
    trust: FilmTrust
    dice: np.ndarray[Any, np.dtype[np.float64]] | None

    @property
    def mean_dice(self) -> float:
        """Over the bones that are found or there; nan without any, or without truth."""
        if self.dice is None or not np.isfinite(self.dice).any():
            return float("nan")
        return float(np.nanmean(self.dice))


def judge_store(store: Store, others: Sequence[Store], truth: LabelSource) -> list[JudgedFilm]:
    """Judge every film, the least trusted first.

    Args:
        store: whose masks at one half are judged.
        others: stores of the same images and classes that they are compared with.
        truth: of those films that have one.

    Raises:
        HandboneError: another store lacks an image or a class, or has it in another size.
    """
    from handbone_cli.terminal.progress import progress

    for other in others:
        other.require_classes(store.class_names)
        missing = [name for name in store.image_ids if name not in other.images]
        if missing:
            raise HandboneError(
                f"{other.path}: image '{missing[0]}' is not there, "
                f"nor are {len(missing) - 1} others of {store.path}; predict them with it too."
            )
    judged = []
    with progress("Judging", after=1.0) as report:
        for done, image_id in enumerate(store.image_ids, start=1):
            judged.append(_judge(store, image_id, others, truth))
            report(done, len(store.image_ids))
    return sorted(judged, key=lambda film: (film.trust.score, film.image_id))


def is_trust_csv(head: bytes) -> bool:
    """Whether a file that begins so is a CSV of trust."""
    return head.startswith(",".join(COLUMNS).encode())


def as_csv(films: Sequence[JudgedFilm], class_names: Sequence[str]) -> str:
    """A line a film, a column a bone; empty where a bone has no score."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow([*COLUMNS, *class_names])
    for film in films:
        figures = [film.trust.score, film.mean_dice, *film.trust.scores]
        score, dice, *bones = ("" if np.isnan(value) else f"{value:.4f}" for value in figures)
        hands = film.trust.evidence.hands
        rows.writerow(
            [film.image_id, film.person, score, "" if hands is None else hands, dice, *bones]
        )
    return text.getvalue()


def as_tables(films: Sequence[JudgedFilm], class_names: Sequence[str]) -> list[dict[str, Any]]:
    """The same for JSON; None where there is no figure."""
    return [
        {
            "image_id": film.image_id,
            "person": film.person,
            "score": round(film.trust.score, 4),
            "hands": film.trust.evidence.hands,
            "refused": film.trust.is_refused,
            "dice": _rounded(film.mean_dice),
            "missing": [
                name
                for name, gone in zip(class_names, film.trust.evidence.missing, strict=True)
                if gone
            ],
            "bones": {
                name: _rounded(score)
                for name, score in zip(class_names, film.trust.scores, strict=True)
            },
        }
        for film in films
    ]


def _rounded(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)


def _judge(store: Store, image_id: str, others: Sequence[Store], truth: LabelSource) -> JudgedFilm:
    own = store.load(image_id)
    beside = [other.load(image_id, store.class_names) for other in others]
    for other, found in zip(others, beside, strict=True):
        if found.size != own.size:
            raise HandboneError(
                f"{other.path}: image '{image_id}' has {found.size[1]} x {found.size[0]} px there, "
                f"{own.size[1]} x {own.size[0]} in {store.path}; it is another image."
            )
    entry = store.images[image_id]
    known = truth.has(image_id)
    dice = dice_at_half(own, truth.mask(image_id, own.size)) if known else None
    name = Path(entry.source).name if entry.source else image_id
    return JudgedFilm(
        image_id, entry.person, name, trust_film(own, store.class_names, beside), dice
    )
