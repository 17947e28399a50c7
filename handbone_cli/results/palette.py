"""One fixed colour for every bone of the hand, and colours for any other classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# A ray has a hue (thumb red, index amber, middle green, ring blue, little violet); along it light
# and dark alternate, so that bones on both sides of a joint differ. The carpals' and the forearm's
# colours were searched in OKLCH for the largest least distance between bones that touch.
BONES = {
    "finger-1": "#fec0af",
    "finger-2": "#df676b",
    "finger-3": "#fea38a",
    "finger-4": "#feda81",
    "finger-5": "#d78c00",
    "finger-6": "#f3c443",
    "finger-7": "#be7c09",
    "finger-8": "#88fbae",
    "finger-9": "#6fb351",
    "finger-10": "#74e79b",
    "finger-11": "#5da03d",
    "finger-12": "#c5e2fe",
    "finger-13": "#12ace6",
    "finger-14": "#a1d0fd",
    "finger-15": "#0398cd",
    "finger-16": "#fdccf4",
    "finger-17": "#c37edb",
    "finger-18": "#ffa9f0",
    "finger-19": "#b06cc8",
    "Trapezium": "#647ee0",
    "Trapezoid": "#7fe9e6",
    "Capitate": "#fda7c1",
    "Hamate": "#35c8e4",
    "Scaphoid": "#928a07",
    "Lunate": "#d1ed74",
    "Triquetrum": "#cd632d",
    "Pisiform": "#0f9b89",
    "Radius": "#c35c9b",
    "Ulna": "#ceb5fe",
}
GOLDEN_ANGLE = 137.50776405
LIGHTNESSES = (0.80, 0.62, 0.90, 0.71)
CHROMA = 0.13
LINEAR_PART = 0.0031308  # of the sRGB curve


def colours(class_names: Sequence[str]) -> NDArray[np.uint8]:
    """The colour of every class: (C, 3) uint8 RGB.

    A bone of the hand has its own wherever it stands; another class has one that depends on its
    place in the list alone: hues a golden angle apart, four lightnesses, in OKLCH.
    """
    chosen = [
        _from_hex(BONES[name]) if name in BONES else _spread(place)
        for place, name in enumerate(class_names)
    ]
    return np.array(chosen, np.uint8).reshape(-1, 3)


def _from_hex(text: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(text[1:]))


def _spread(place: int) -> tuple[int, ...]:
    lightness = LIGHTNESSES[place % len(LIGHTNESSES)]
    hue = np.deg2rad(30.0 + GOLDEN_ANGLE * place)
    linear = _linear_rgb(lightness, CHROMA * np.cos(hue), CHROMA * np.sin(hue)).clip(0.0, 1.0)
    curve = np.where(linear <= LINEAR_PART, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return tuple(int(value) for value in np.rint(255 * curve))


def _linear_rgb(lightness: float, a: float, b: float) -> NDArray[np.float64]:
    """OKLab to linear sRGB (Ottosson, 2020, bottosson.github.io/posts/oklab)."""
    cones = np.array(
        [
            lightness + 0.3963377774 * a + 0.2158037573 * b,
            lightness - 0.1055613458 * a - 0.0638541728 * b,
            lightness - 0.0894841775 * a - 1.2914855480 * b,
        ]
    )
    matrix = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    linear: NDArray[np.float64] = matrix @ cones**3
    return linear
