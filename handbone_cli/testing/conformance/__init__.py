"""What every component of a kind must do: a module a kind, whose CHECKS are its promises."""

from __future__ import annotations

from importlib import import_module


def __getattr__(name: str) -> object:
    """check_model and the like, as handbone_cli.testing has them; torch waits until one is used."""
    if name.startswith("check_"):
        return getattr(import_module("handbone_cli.testing"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
