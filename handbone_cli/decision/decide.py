"""The one definition of a mask: sum(w q) > 255 t, strict, then the spatial rules in its box."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.decision.postprocessing import as_scoped
from handbone_cli.errors import HandboneError
from handbone_cli.host.interfaces import Bone
from handbone_cli.masks import EMPTY, PackedMask, union_box

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from handbone_cli.decision.document import Decision
    from handbone_cli.decision.postprocessing import AnyRule, Bones, ScopedRule
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
        rules: Sequence[AnyRule | ScopedRule] = (),
        read_grey: Callable[[str], NDArray[np.uint8]] | None = None,
    ) -> None:
        """Masks of the images that every member has, by the decision's weights and thresholds.

        Args:
            decision: weights and thresholds.
            stores: of its members, in their order.
            rules: laid on the masks, one after the other.
            read_grey: image id -> (H, W) radiograph, for rules that ask for it.
        """
        self.class_names = decision.class_names
        self._decision, self._stores, self._read_grey = decision, stores, read_grey
        self._rules = [as_scoped(rule) for rule in rules]
        shared = set.intersection(*(set(store.image_ids) for store in stores))
        self.image_ids = [name for name in stores[0].image_ids if name in shared]

    def person(self, image_id: str) -> str:
        """Whose image it is."""
        return self._stores[0].images[image_id].person

    def then(self, rules: Sequence[ScopedRule]) -> DecidedMasks:
        """The same masks with further rules laid on them."""
        every = [*self._rules, *rules]
        return DecidedMasks(self._decision, self._stores, every, self._read_grey)

    def mask(self, image_id: str) -> PackedMask:
        """The masks of one image."""
        bones, size = self.bones(image_id)
        result = PackedMask.empty(size, len(self.class_names))
        for index, name in enumerate(self.class_names):
            if name in bones:
                result.add(index, bones[name].box, bones[name].mask)
        return result

    def bones(self, image_id: str) -> tuple[Bones, tuple[int, int]]:
        """The bones of one image that have a box, after the rules, and the image's (H, W)."""
        members = [store.load(image_id) for store in self._stores]
        size = members[0].size
        grey = functools.cache(functools.partial(self._grey, image_id, size))
        found = {
            name: self._decide_bone(members, index, grey)
            for index, name in enumerate(self.class_names)
        }
        bones = {name: bone for name, bone in found.items() if bone is not None}
        for rule in self._rules:
            bones = rule.apply(bones, size)
        return bones, size

    def _decide_bone(
        self,
        members: Sequence[BoxedProbabilities],
        index: int,
        grey: Callable[[], NDArray[np.uint8]],
    ) -> Bone | None:
        box = union_box(member.box(index) for member in members)
        if box == EMPTY:
            return None
        crops = [member.crop(index, box) for member in members]
        weights, threshold = self._decision.weights[index], float(self._decision.thresholds[index])
        y0, y1, x0, x1 = box
        return Bone(
            self.class_names[index],
            box,
            is_bone(crops, weights, threshold),
            threshold,
            lambda: (weighted_sum(crops, weights) / 255).astype(np.float32),
            lambda: grey()[y0:y1, x0:x1],
        )

    def _grey(self, image_id: str, size: tuple[int, int]) -> NDArray[np.uint8]:
        """The radiograph, of the size that was predicted."""
        if self._read_grey is None:
            raise HandboneError(f"{image_id}: a post-processor wants the image, which is not here.")
        grey = self._read_grey(image_id)
        if grey.shape != size:
            raise HandboneError(
                f"{image_id}: the image has {grey.shape[0]} x {grey.shape[1]} pixels and its "
                f"masks have {size[0]} x {size[1]}; a post-processor that looks at the image "
                "needs the one that was predicted."
            )
        return grey
