"""What a TTA plugin builds as views: one or several, and their classes' sides put right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from handbone_cli.errors import HandboneError
from handbone_cli.host.interfaces import TtaTransform

if TYPE_CHECKING:
    from handbone_cli.host.registry import Component


@dataclass(frozen=True)
class SidesExchanged:
    """A mirrored view of films that show both sides: what it calls left is the image's right.

    Attributes:
        view: that mirrors.
        order: for each of C classes, the one whose map it takes.
    """

    view: TtaTransform
    order: tuple[int, ...]

    def augment(self, images: torch.Tensor) -> torch.Tensor:
        """(N, in_channels, h, w) -> the mirrored view."""
        return self.view.augment(images)

    def restore(self, maps: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """Maps of the view (N, C, h', w') -> maps of the image, (N, C, *size)."""
        order = torch.tensor(self.order, device=maps.device)
        return self.view.restore(maps, size).index_select(1, order)


def views_of(built: Any, component: Component) -> list[TtaTransform]:
    """What a builder made as a list of views: a view alone, or a sequence of them.

    Raises:
        HandboneError: it is neither, or there is none in it.
    """
    if isinstance(built, TtaTransform):
        return [built]
    views = list(built) if isinstance(built, Sequence) else []
    if not views or not all(isinstance(view, TtaTransform) for view in views):
        raise HandboneError(
            f"TTA transform '{component.name}' of {component.distribution} built a "
            f"{type(built).__name__}; expected a view, which has augment and restore, or a list of "
            "them."
        )
    return views


def exchange_sides(
    view: TtaTransform,
    component: Component,
    class_names: Sequence[str],
    pairs: Sequence[Sequence[str]],
) -> TtaTransform:
    """The view for a dataset some of whose names change places in a mirror.

    Raises:
        HandboneError: a view that does not say whether it mirrors, a name that is no class.
    """
    if not pairs:
        return view
    mirrored = getattr(view, "mirrored", None)
    if not isinstance(mirrored, bool):
        raise HandboneError(
            f"TTA transform '{component.name}' of {component.distribution} does not say whether it "
            f"mirrors, and '{pairs[0][0]}' and '{pairs[0][1]}' change places in a mirror; expected "
            "an attribute mirrored, true or false, or take the view out."
        )
    return SidesExchanged(view, swapped(class_names, pairs)) if mirrored else view


def swapped(class_names: Sequence[str], pairs: Sequence[Sequence[str]]) -> tuple[int, ...]:
    """For each class the index of the one it is in a mirror."""
    names = list(class_names)
    order = list(range(len(names)))
    for left, right in pairs:
        if left not in names or right not in names:
            raise HandboneError(
                f"the dataset's mirror pair '{left}', '{right}' is not two of the model's classes; "
                "predict with the dataset that the run was trained on."
            )
        order[names.index(left)], order[names.index(right)] = names.index(right), names.index(left)
    return tuple(order)


def refuse_twice(view: TtaTransform, name: str, makers: dict[object, str]) -> None:
    """One sentence for a view that is there already; else `makers` takes it down with its name.

    Views are compared as they compare themselves; one that cannot be hashed is like no other.
    """
    try:
        first = makers.get(view)
        makers[view] = name
    except TypeError:
        return
    if first is not None:
        said = (
            f"'{name}' makes one view twice"
            if first == name
            else f"'{first}' and '{name}' make the same view"
        )
        raise HandboneError(f"tta: {said}, which would count twice in the mean; leave one out.")
