"""The 29 bones of a hand by the competition's names, and which belong together."""

from __future__ import annotations

HAND_BONES: tuple[str, ...] = (
    *(f"finger-{number}" for number in range(1, 20)),
    "Trapezium",
    "Trapezoid",
    "Capitate",
    "Hamate",
    "Scaphoid",
    "Lunate",
    "Triquetrum",
    "Pisiform",
    "Radius",
    "Ulna",
)
"""In the order of every mask, store and CSV."""

FINGERS: dict[str, tuple[str, ...]] = {
    "thumb": ("finger-1", "finger-2", "finger-3"),
    "index": ("finger-4", "finger-5", "finger-6", "finger-7"),
    "middle": ("finger-8", "finger-9", "finger-10", "finger-11"),
    "ring": ("finger-12", "finger-13", "finger-14", "finger-15"),
    "little": ("finger-16", "finger-17", "finger-18", "finger-19"),
}
"""From the tip to the metacarpal; the thumb has no middle phalanx."""

CARPALS = HAND_BONES[19:27]
FOREARM = HAND_BONES[27:]
