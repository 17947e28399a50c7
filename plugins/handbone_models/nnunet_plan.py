"""nnU-Net's rules for 2D: stages from a patch, and patch and batch from an image and memory."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import prod
from typing import TYPE_CHECKING, Any

from handbone_cli import HandboneError

if TYPE_CHECKING:
    from collections.abc import Callable

    Tables = dict[str, dict[str, Any]]

BASE_FEATURES = 32
MOST_FEATURES = 512
LEAST_EDGE = 4
"""Least height and width of the feature maps of the last stage."""
MOST_SIDE = 2048
"""Where the search for a patch begins, however large the image is."""
REFERENCE_BATCH = 12
LEAST_BATCH = 2
LEAST_PATCH = 32
"""What data.patch takes."""
RESENC_BLOCKS = (1, 3, 4, 6)
"""Residual blocks of the first stages; all that follow have as many as the last of these."""


@dataclass(frozen=True)
class Stages:
    """The stages of a U-Net, finest first.

    Attributes:
        features: channels of each.
        strides: (vertical, horizontal) of the step into each; the first is (1, 1).
    """

    features: tuple[int, ...]
    strides: tuple[tuple[int, int], ...]

    @property
    def divisors(self) -> tuple[int, int]:
        """What height and width must be multiples of."""
        return prod(step[0] for step in self.strides), prod(step[1] for step in self.strides)

    def areas(self, patch: tuple[int, int]) -> list[int]:
        """Pixels of each stage's feature maps."""
        steps = accumulate(self.strides, lambda a, b: (a[0] * b[0], a[1] * b[1]))
        return [(patch[0] // down) * (patch[1] // across) for down, across in steps]


@dataclass(frozen=True)
class Rules:
    """What differs between the planners of nnU-Net.

    Attributes:
        values: (stages, patch, classes) -> values in the feature maps of one patch.
        budgets: (GB, values a patch may have where 12 of them fill that memory), as published.
        fitted: patches that must fit for a patch not to be reduced.
        covered: the most of the data set's pixels that a batch may hold.
    """

    values: Callable[[Stages, tuple[int, int], int], int]
    budgets: tuple[tuple[float, float], ...]
    fitted: int
    covered: float

    def budget(self, memory: float) -> float:
        """Values for some GB: in proportion up to the first budget published and past the last."""
        points = [(0.0, 0.0), *self.budgets]
        for (below, few), (above, many) in pairwise(points):
            if memory <= above:
                return few + (many - few) * (memory - below) / (above - below)
        last, many = points[-1]
        return many * memory / last


def stages_of(features: tuple[int, ...]) -> Stages:
    """Stages with these features, each at half the height and width of the one before."""
    return Stages(features, ((1, 1), *[(2, 2)] * (len(features) - 1)))


def plan_stages(patch: tuple[int, int]) -> Stages:
    """The stages that nnU-Net gives a 2D network for a patch (h, w), each 8 px or more.

    Both axes are halved while 4 px are left; one alone only while 6 would be. Isensee et al. 2021,
    doi:10.1038/s41592-020-01008-z; get_pool_and_conv_props of nnunetv2, for pixels as high as wide.
    """
    size, strides = list(patch), [(1, 1)]
    while True:
        able = [axis for axis in (0, 1) if size[axis] >= 2 * LEAST_EDGE]
        if not able or (len(able) == 1 and size[able[0]] < 3 * LEAST_EDGE):
            break
        step = (1 + (0 in able), 1 + (1 in able))
        strides.append(step)
        size = [-(-side // stride) for side, stride in zip(size, step, strict=True)]
    features = (min(MOST_FEATURES, BASE_FEATURES * 2**depth) for depth in range(len(strides)))
    return Stages(tuple(features), tuple(strides))


def resenc_blocks(stages: int) -> tuple[int, ...]:
    """Residual blocks of each of so many stages."""
    return tuple(RESENC_BLOCKS[min(depth, len(RESENC_BLOCKS) - 1)] for depth in range(stages))


def plain_values(stages: Stages, patch: tuple[int, int], classes: int, convs: int = 2) -> int:
    """Values in the feature maps of the plain U-Net for one patch, as nnU-Net counts them."""
    encoder = [f * area for f, area in zip(stages.features, stages.areas(patch), strict=True)]
    return convs * sum(encoder) + _decoder_values(encoder, convs) + classes * prod(patch)


def resenc_values(stages: Stages, patch: tuple[int, int], classes: int) -> int:
    """Values in the feature maps of the residual encoder U-Net for one patch, likewise.

    A block has two convolutions; the stem is one more, as is the way past a stage's first block.
    """
    encoder = [f * area for f, area in zip(stages.features, stages.areas(patch), strict=True)]
    blocks = resenc_blocks(len(encoder))
    residual = sum((2 * many + 1) * maps for many, maps in zip(blocks, encoder, strict=True))
    return residual + _decoder_values(encoder, convs=1) + classes * prod(patch)


def _decoder_values(encoder: list[int], convs: int) -> int:
    return (convs + 1) * sum(encoder[:-1])


PLAIN = Rules(plain_values, ((8, 85e6),), fitted=LEAST_BATCH, covered=0.05)
RESENC = Rules(
    resenc_values, ((8, 135e6), (24, 380e6), (40, 560e6)), fitted=REFERENCE_BATCH, covered=1.0
)
"""The budgets are those of the presets M, L and XL (Isensee et al. 2024, arXiv:2404.09556)."""


def plan(
    *, image: tuple[int, int], memory: float, classes: int, images: int | None
) -> tuple[Tables, dict[str, Any]]:
    """The recipe of nnunet as nnU-Net's ExperimentPlanner has it; see `make_plan`."""
    return make_plan("nnunet", PLAIN, image, memory, classes, images)


def plan_resenc(
    *, image: tuple[int, int], memory: float, classes: int, images: int | None
) -> tuple[Tables, dict[str, Any]]:
    """The recipe of nnunet_resenc: 8 GB are the preset ResEnc M, 24 GB L, 40 GB XL."""
    return make_plan("nnunet_resenc", RESENC, image, memory, classes, images)


def make_plan(
    model: str,
    rules: Rules,
    image: tuple[int, int],
    memory: float,
    classes: int,
    images: int | None,
) -> tuple[Tables, dict[str, Any]]:
    """Patch, stages and batch size that fit the memory.

    Patches are square, as data.patch is a side: both axes shrink together, where nnU-Net shrinks
    one at a time. Where its patch is square too, the plan is that of nnunetv2 2.8.1, which rounds
    the batch, also up: the second result says how many fit.

    Args:
        model: the name in the recipe.
        rules: of the network.
        image: (h, w) of a typical image.
        memory: GB of the GPU.
        classes: C.
        images: of the training data, for the most that a batch may hold of them; None: any.

    Returns:
        Tables of the recipe, and what else there is to know.

    Raises:
        HandboneError: less than a patch of 32 px fits.
    """
    budget = rules.budget(memory)
    side, stages = _fit(rules, min(*image, MOST_SIDE), classes, budget)
    if side < LEAST_PATCH:
        raise HandboneError(
            f"images of {image[0]} x {image[1]} px and {memory:g} GB leave patches of "
            f"{max(side, 0)} px, and data.patch takes {LEAST_PATCH} or more; "
            "give larger images or more memory."
        )
    values = rules.values(stages, (side, side), classes)
    batch = round(budget / values * REFERENCE_BATCH)
    if images is not None:
        batch = min(batch, round(images * prod(image) * rules.covered / side**2))
    batch = max(batch, LEAST_BATCH)
    tables: Tables = {
        "data": {"patch": side},
        "model": {"name": model, "features": list(stages.features)},
        "train": {"batch_size": batch},
        "predict": {"window": side, "stride": side // 2},
    }
    used = memory * values * batch / (budget * REFERENCE_BATCH)
    facts = {
        "stages": len(stages.features),
        "last_stage_px": side // stages.divisors[0],
        "feature_map_values": values,
        "estimated_memory_gb": round(used, 1),
        "largest_batch_within_memory": int(budget / values * REFERENCE_BATCH),
    }
    return tables, facts


def _fit(rules: Rules, side: int, classes: int, budget: float) -> tuple[int, Stages]:
    """The largest square patch on nnU-Net's way down from `side` that fits, and its stages."""
    while True:
        stages = plan_stages((side, side))
        divisor = stages.divisors[0]
        side = -(-side // divisor) * divisor
        values = rules.values(stages, (side, side), classes)
        if side < LEAST_PATCH or values * rules.fitted <= budget * REFERENCE_BATCH:
            return side, stages
        # The divisor of the next smaller patch, so that no valid side is stepped over.
        side -= plan_stages((side - divisor, side - divisor)).divisors[0]
