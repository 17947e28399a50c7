"""One picture of a validation: what was predicted, what of it is wrong, which bones are worst."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.results.overlay import (
    AGREEMENT,
    EXTRA,
    MISSED,
    WEAK_DICE,
    WEAK_INK,
    draw_bones,
    draw_difference,
)
from handbone_cli.results.palette import colours
from handbone_cli.results.pictures import DIM_INK, INK, Colour, Lettering, canvas

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from handbone_cli.masks import PackedMask

SIDE = 1024
"""The longer side of a picture, px."""
GAP = 8
STRIP = 30
"""Height of a line of text, px."""
WORST = 5
"""Bones that are named at most."""
TEXT = Lettering(19)


def draw_validation(
    grey: NDArray[np.uint8],
    predicted: PackedMask,
    truth: PackedMask,
    class_names: Sequence[str],
    dice: NDArray[np.float64],
    *,
    title: str,
) -> NDArray[np.uint8]:
    """Draw the film with the predicted outlines, and beside it the pixels that are wrong.

    Args:
        grey: (H, W) uint8, the film.
        predicted: over the same pixels.
        truth: over the same pixels.
        class_names: the C classes.
        dice: (C,) of this image; its mean and the worst bones are named.
        title: what stands above, as the image and the epoch.

    Returns:
        (h, w, 3) uint8 RGB, `SIDE` wide or high; two panels side by side, or one below the other
        where the film is wider than high.
    """
    height, width = predicted.size
    beside = width <= height
    room = (
        (SIDE - 2 * STRIP, (SIDE - GAP) // 2) if beside else ((SIDE - 2 * STRIP - GAP) // 2, SIDE)
    )
    side = max(round(max(height, width) * min(room[0] / height, room[1] / width)), 1)
    panels = [
        draw_bones(grey, predicted, class_names, alpha=0.0, max_side=side),
        draw_difference(grey, predicted, truth, max_side=side),
    ]
    apart = canvas(GAP, panels[0].shape[1]) if not beside else canvas(panels[0].shape[0], GAP)
    middle = np.concatenate([panels[0], apart, panels[1]], axis=1 if beside else 0)
    across = max(middle.shape[1], SIDE // 2)
    if middle.shape[1] < across:
        middle = np.hstack([middle, canvas(middle.shape[0], across - middle.shape[1])])
    return np.vstack([_title(title, dice, across), middle, _worst(class_names, dice, across)])


def _title(title: str, dice: NDArray[np.float64], width: int) -> NDArray[np.uint8]:
    """What is seen, the colours of the right panel and the mean Dice, in a line."""
    strip = canvas(STRIP, width)
    mean = f"mean Dice {dice.mean():.4f}"
    TEXT.draw_right(strip, mean, width - GAP, STRIP // 2)
    x = width - 2 * GAP - TEXT.width(mean)
    for word, ink in (("extra", EXTRA), ("missed", MISSED), ("agrees", AGREEMENT)):
        x -= TEXT.width(word) + 2 * GAP
        TEXT.draw(strip, word, x, STRIP // 2, ink)
    TEXT.draw(strip, TEXT.fit(title, x - 3 * GAP), GAP, STRIP // 2)
    return strip


def _worst(class_names: Sequence[str], dice: NDArray[np.float64], width: int) -> NDArray[np.uint8]:
    """The bones with the least Dice, as many as a line holds, in the colours of their outlines."""
    strip, x = canvas(STRIP, width), GAP
    words: list[tuple[str, Colour]] = [("worst", DIM_INK)]
    palette = colours(class_names)
    for index in np.argsort(dice, kind="stable")[:WORST]:
        r, g, b = (int(value) for value in palette[index])
        ink = INK if dice[index] >= WEAK_DICE else WEAK_INK
        words += [(class_names[index], (r, g, b)), (f"{dice[index]:.3f}", ink)]
    for word, ink in words:
        if x + TEXT.width(word) > width - GAP:
            break
        TEXT.draw(strip, word, x, STRIP // 2, ink)
        x += TEXT.width(word) + (2 * GAP if word[0].isdigit() or word == "worst" else GAP)
    return strip
