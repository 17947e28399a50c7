"""Packages that a tracker needs and that are no part of a plain installation."""

from __future__ import annotations

from importlib.util import find_spec

from handbone_cli import HandboneError


def require_package(name: str) -> None:
    """One sentence unless the package that a tracker is called after is installed.

    Raises:
        HandboneError: it is not.
    """
    spec = find_spec(name)
    if spec is None or spec.origin is None:  # a mere folder ./wandb is found, too, without origin
        raise HandboneError(
            f"tracker '{name}' needs the package {name}: pip install 'handbone[{name}]', or take "
            f"'{name}' out of tracking.trackers."
        )
