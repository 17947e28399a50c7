"""The figures of an event as curves: tag -> number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

STEP = "epoch"
"""The figure that is every curve's x."""


def scalars(values: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of an event, but for the epoch; those of a table are `table/key`.

    What is None or no number is left out; nan and infinity stay.
    """
    found: dict[str, float] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            found |= {f"{key}/{inner}": number for inner, number in scalars(value).items()}
        elif isinstance(value, (int, float)) and not isinstance(value, bool) and key != STEP:
            found[key] = float(value)
    return found
