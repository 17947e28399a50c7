"""Finds names that were exchanged: single bones, fingers, the order along one, the whole hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.anatomy.hand import FINGERS, HAND_BONES
from handbone_cli.anatomy.hand_fit import HandFit, fit_hand
from handbone_cli.anatomy.linear_features import CAP

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

LEAST_GAIN = 25.0
"""Squared SDs by which another naming has to fit better. Of 24 real hands no exchange gains
anything: the closest costs 78."""
MANY = 5  # bones that the others contradict, from which whole fingers and hands are tried
MOST_SWAPS = 16
SUSPECT = 36.0  # squared SDs of a bone that may belong to a name without outline
MIRRORED_SHARE = 0.6  # of the fingers' bones under another finger's name


@dataclass(frozen=True, eq=False)
class Naming:
    """The fit under the names that fit best.

    Attributes:
        fit: of the outlines under those names.
        names: bone as labelled -> bone as it looks, where they differ.
    """

    fit: HandFit
    names: dict[int, int]


def best_naming(outlines: Mapping[int, NDArray[np.floating]]) -> Naming | None:
    """Look for the names under which outlines fit the model; None with too few bones.

    From the names as they are and, where many bones do not fit, from those of a mirrored hand and
    of exchanged fingers, the exchange of two names that gains most is made until none gains
    `LEAST_GAIN`.
    """
    fit = fit_hand(outlines)
    if fit is None:
        return None
    best = _exchange(outlines, {}, fit)
    if np.count_nonzero(best.fit.residuals().squared[best.fit.present] > CAP / 2) >= MANY:
        for start in _whole_hands():
            names = {a: b for a, b in start.items() if a in outlines}
            other = fit_hand(_under(outlines, names))
            if other is not None and other.cost < best.fit.cost - LEAST_GAIN:
                found = _exchange(outlines, names, other)
                best = found if found.fit.cost < best.fit.cost - LEAST_GAIN else best
    return best


def _exchange(
    outlines: Mapping[int, NDArray[np.floating]], names: Mapping[int, int], fit: HandFit
) -> Naming:
    """Exchange names greedily, then give vacant ones away."""
    now = dict(names)
    for _ in range(MOST_SWAPS):
        gains = fit.swap_gains()
        one, other = (int(place) for place in np.unravel_index(gains.argmax(), gains.shape))
        change = {one: other, other: one}
        if gains[one, other] < LEAST_GAIN:
            change = _move(fit)
        trial = _composed(now, change, outlines)
        better = fit_hand(_under(outlines, trial)) if change else None
        if better is None or better.cost > fit.cost - LEAST_GAIN / 2:
            break
        now, fit = trial, better
    return Naming(fit, {a: b for a, b in now.items() if a != b})


def _move(fit: HandFit) -> dict[int, int]:
    """A bone that does not fit its name and fits one without outline."""
    squared = np.where(fit.present, fit.residuals().squared, 0.0)
    moves = [
        (min(float(squared[bone]), 2 * CAP) - fit.named_as(bone, name), bone, name)
        for bone in np.flatnonzero(squared > SUSPECT).tolist()
        for name in np.flatnonzero(~fit.present).tolist()
    ]
    gain, bone, name = max(moves, default=(0.0, 0, 0))
    return {bone: name} if gain >= LEAST_GAIN else {}


def _composed(
    names: Mapping[int, int], change: Mapping[int, int], bones: Iterable[int]
) -> dict[int, int]:
    return {bone: change.get(names.get(bone, bone), names.get(bone, bone)) for bone in bones}


def _under(
    outlines: Mapping[int, NDArray[np.floating]], names: Mapping[int, int]
) -> dict[int, NDArray[np.floating]]:
    return {names.get(bone, bone): outline for bone, outline in outlines.items()}


def _whole_hands() -> Iterator[dict[int, int]]:
    """Names of hands whose fingers were counted from the wrong side, in the ways it is done."""
    across = [("Radius", "Ulna"), ("Trapezium", "Hamate"), ("Trapezoid", "Capitate")]
    across.append(("Scaphoid", "Triquetrum"))
    thumb = list(zip(FINGERS["thumb"], ("finger-16", "finger-18", "finger-19"), strict=True))
    index = list(zip(FINGERS["index"], FINGERS["ring"], strict=True))
    outer = list(zip(FINGERS["index"], FINGERS["little"], strict=True))
    inner = list(zip(FINGERS["middle"], FINGERS["ring"], strict=True))
    for fingers in ([*thumb, *index], [*outer, *inner]):
        for others in ([], across[:1], across):
            yield _exchanged([*fingers, *others])
    names = list(FINGERS)[1:]
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            yield _exchanged(zip(FINGERS[one], FINGERS[other], strict=True))


def _exchanged(pairs: Iterable[tuple[str, str]]) -> dict[int, int]:
    places = [(HAND_BONES.index(one), HAND_BONES.index(other)) for one, other in pairs]
    return {**dict(places), **{other: one for one, other in places}}


@dataclass(frozen=True)
class Renaming:
    """Names of one group of bones that were exchanged among each other.

    Attributes:
        kind: 'mirrored', 'order' or 'swapped'.
        bones: as they are labelled.
        looks: what each of them looks like.
    """

    kind: str
    bones: tuple[str, ...]
    looks: tuple[str, ...]


def renamings(names: Mapping[int, int]) -> list[Renaming]:
    """Cut the names that differ into groups: a mirrored hand whole, else cycle by cycle."""
    named = {HAND_BONES[a]: HAND_BONES[b] for a, b in sorted(names.items())}
    fingers = [bone for bone in named if bone in _FINGER and named[bone] in _FINGER]
    across = [bone for bone in fingers if _FINGER[bone] != _FINGER[named[bone]]]
    if len(across) >= MIRRORED_SHARE * len(_FINGER):
        return [Renaming("mirrored", tuple(named), tuple(named.values()))]
    groups = []
    left = set(named)
    for bone in named:
        if bone in left:
            cycle = _chain(bone, named)
            left -= set(cycle)
            homes = {_FINGER.get(name) for name in (*cycle, *(named[name] for name in cycle))}
            kind = "order" if len(homes) == 1 and None not in homes else "swapped"
            groups.append(Renaming(kind, cycle, tuple(named[name] for name in cycle)))
    return _whole_fingers(groups)


_FINGER = {bone: finger for finger, bones in FINGERS.items() for bone in bones}


def _chain(bone: str, named: Mapping[str, str]) -> tuple[str, ...]:
    """The cycle, or the chain to a vacant name, that a bone belongs to."""
    back = {looks: name for name, looks in named.items()}
    first = bone
    while back.get(first, bone) != bone:
        first = back[first]
    first = bone if back.get(first) == bone else first
    chain = [first]
    while named[chain[-1]] in named and named[chain[-1]] != first:
        chain.append(named[chain[-1]])
    return tuple(chain)


def _whole_fingers(groups: list[Renaming]) -> list[Renaming]:
    """Put exchanges between the same two fingers together."""
    together: dict[object, list[Renaming]] = {}
    for place, group in enumerate(groups):
        homes = frozenset(_FINGER.get(name, name) for name in group.bones)
        key = homes if len(homes) == 2 and homes <= set(FINGERS) else place
        together.setdefault(key, []).append(group)
    return [
        Renaming(
            same[0].kind,
            tuple(name for group in same for name in group.bones),
            tuple(name for group in same for name in group.looks),
        )
        for same in together.values()
    ]
