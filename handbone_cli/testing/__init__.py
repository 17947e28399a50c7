"""What tests of handbone and of its plugins stand on; plugin authors import it from here.

- `conformance`: check_model, check_dataset, check_loss, check_tta, check_postprocessor,
  check_preprocessor, check_loader, check_tracker, check_window; one call a component.
- `cases`: checks_of, every check of every component of an installed plugin, to be parametrized.
- `tiny`: write_tiny_hands and tiny_recipe, a dataset and a recipe that train in seconds on a CPU.
- `dicom`: write_dicom, an array as a DICOM file with whatever elements a test needs.
- `runner`: hb, which runs one command line and gives its exit code and what it printed.

Checks raise AssertionError with a sentence, and unittest.SkipTest, so that any test runner will do.
Everything is loaded when first used: pytest imports this package wherever handbone is installed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from handbone_cli.testing.cases import Case, checks_of
    from handbone_cli.testing.conformance import (
        check_dataset,
        check_loader,
        check_loss,
        check_model,
        check_postprocessor,
        check_preprocessor,
        check_tracker,
        check_tta,
        check_window,
    )
    from handbone_cli.testing.dicom import write_dicom
    from handbone_cli.testing.runner import Outcome, hb
    from handbone_cli.testing.tiny import BONES, tiny_recipe, write_tiny_hands

_HOMES = {
    "BONES": "tiny",
    "Case": "cases",
    "Outcome": "runner",
    "check_dataset": "conformance.datasets",
    "check_loader": "conformance.loaders",
    "check_loss": "conformance.losses",
    "check_model": "conformance.models",
    "check_postprocessor": "conformance.postprocessors",
    "check_preprocessor": "conformance.preprocessors",
    "check_tracker": "conformance.trackers",
    "check_tta": "conformance.tta",
    "check_window": "conformance.windows",
    "checks_of": "cases",
    "hb": "runner",
    "tiny_recipe": "tiny",
    "write_dicom": "dicom",
    "write_tiny_hands": "tiny",
}

__all__ = [
    "BONES",
    "Case",
    "Outcome",
    "check_dataset",
    "check_loader",
    "check_loss",
    "check_model",
    "check_postprocessor",
    "check_preprocessor",
    "check_tracker",
    "check_tta",
    "check_window",
    "checks_of",
    "hb",
    "tiny_recipe",
    "write_dicom",
    "write_tiny_hands",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
