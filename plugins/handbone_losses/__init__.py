"""The first-party losses, registered by path: nothing is imported until one is built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handbone_cli import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

HANDBONE_API = 1

LOSSES = (
    ("bce", "bce:build", "", "binary cross-entropy, the mean of all pixels and classes"),
    (
        "dice",
        "dice:build",
        "DiceOptions",
        "soft Dice of each class, over the batch or image by image",
    ),
    (
        "focal",
        "focal:build",
        "FocalOptions",
        "cross-entropy that looks away from what is already right",
    ),
    (
        "combined",
        "combined:build",
        "CombinedOptions",
        "a weighted sum of other losses",
    ),
    (
        "generalized_dice",
        "generalized_dice:build",
        "GeneralizedDiceOptions",
        "one Dice of all classes, small ones weighing more",
    ),
    ("jaccard", "jaccard:build", "JaccardOptions", "soft Jaccard of each class"),
    (
        "tversky",
        "tversky:build",
        "TverskyOptions",
        "Dice with a price for pixels too many and one for pixels missing",
    ),
    (
        "focal_tversky",
        "tversky:build_focal",
        "FocalTverskyOptions",
        "Tversky that looks at the classes not yet right",
    ),
    (
        "lovasz",
        "lovasz:build",
        "LovaszOptions",
        "the Lovasz hinge of each class, a surrogate of Jaccard",
    ),
    (
        "pixel_weighted_bce",
        "pixel_weighted_bce:build",
        "PixelWeightedBCEOptions",
        "cross-entropy with weights for class balance and near borders, as in U-Net",
    ),
    (
        "boundary",
        "boundary:build",
        "BoundaryOptions",
        "probability times distance to the border; add it to a loss of regions",
    ),
    (
        "overlap",
        "overlap:build",
        "OverlapOptions",
        "a penalty for missing confidence where two bones overlap; add it to others",
    ),
)
"""Name, builder, options and summary of each."""
EXAMPLES = {"combined": {"terms": [{"name": "dice"}, {"name": "focal", "weight": 0.5}]}}
"""What those are tried with that have no default."""


@hookimpl
def handbone_losses(register: Callable[..., Any]) -> None:
    """Register the losses of pixels, regions, borders and pairs of bones, and combined."""
    for name, module, options, summary in LOSSES:
        register(
            name,
            f"handbone_losses.{module}",
            options=f"handbone_losses.options:{options}" if options else None,
            summary=summary,
            example=EXAMPLES.get(name),
        )
