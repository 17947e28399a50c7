"""The kinds of findings; imports nothing, so that `hb --help` can name them."""

from __future__ import annotations

KINDS: dict[str, str] = {
    "unreadable": "the image or its labels cannot be read",
    "mirrored": "names or outlines are those of the other hand",
    "missing": "a bone without an outline",
    "extra": "a second outline of a bone, elsewhere",
    "doubled": "the same outline twice, under one name or two",
    "crossing": "an outline that crosses itself",
    "outside": "an outline that leaves the image",
    "swapped": "bones whose names are exchanged",
    "order": "bones of one finger named in the wrong order",
    "misplaced": "a bone that lies where the others do not expect it",
    "size": "a bone too large or too small for its hand or its dataset",
    "shape": "an outline of an unlikely shape",
    "ring": "an outline that includes a ring on the finger",
    "overlap": "two bones that overlap more than they do in hands",
    "partner": "a bone out of proportion to the person's other hand",
    "off_bone": "an outline beside the edges in the image",
    "disagreement": "a label unlike what the store predicts",
}
"""Kinds of findings, in the order in which one explains another away."""
