"""The one definition of a mask: sum(w q) > 255 t, strict, then the spatial rules in its box."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.masks import EMPTY, PackedMask, union_box

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from handbone_cli.decision.document import Decision
    from handbone_cli.host.interfaces import PostProcessor
    from handbone_cli.store.boxes import BoxedProbabilities
    from handbone_cli.store.store import Store


def weighted_sum(
    members: Sequence[NDArray[np.uint8]], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """sum(w q) over M equal-shaped uint8 arrays, for one (M,) or K (K, M) sets of weights.

    Added in the members' order in float64, so that a table of candidates and the masks made from
    the winner round alike. Returns the members' shape, with K behind it for K sets.
    """
    total = np.multiply.outer(members[0].astype(np.float64), weights[..., 0])
    for place, member in enumerate(members[1:], start=1):
        total += np.multiply.outer(member.astype(np.float64), weights[..., place])
    return total


def is_bone(
    members: Sequence[NDArray[np.uint8]], weights: NDArray[np.float64], threshold: float
) -> NDArray[np.bool_]:
    """Where sum(w q) > 255 t."""
    return weighted_sum(members, weights) > 255 * threshold


class DecidedMasks:
    """A decision laid on its stores: a MaskSource."""

    def __init__(
        self,
        decision: Decision,
        stores: Sequence[Store],
        rules: Sequence[PostProcessor] = (),
    ) -> None:
        """Masks of the images that every member has, by the decision's weights and thresholds."""
        self.class_names = decision.class_names
        self._decision, self._stores, self._rules = decision, stores, rules
        shared = set.intersection(*(set(store.image_ids) for store in stores))
        self.image_ids = [name for name in stores[0].image_ids if name in shared]

    def person(self, image_id: str) -> str:
        """Whose image it is."""
        return self._stores[0].images[image_id].person

    def mask(self, image_id: str) -> PackedMask:
        """The masks of one image."""
        members = [store.load(image_id) for store in self._stores]
        result = PackedMask.empty(members[0].size, len(self.class_names))
        for index, name in enumerate(self.class_names):
            self._decide_bone(members, index, name, result)
        return result

    def _decide_bone(
        self, members: Sequence[BoxedProbabilities], index: int, name: str, result: PackedMask
    ) -> None:
        box = union_box(member.box(index) for member in members)
        if box == EMPTY:
            return
        crops = [member.crop(index, box) for member in members]
        bone = is_bone(
            crops, self._decision.weights[index], float(self._decision.thresholds[index])
        )
        for rule in self._rules:
            bone = rule(bone, name)
        result.add(index, box, bone)
