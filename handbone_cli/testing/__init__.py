"""What tests of handbone and of its plugins stand on; plugin authors import it from here.

- `conformance`: check_model, check_dataset, check_loss, check_tta, check_postprocessor,
  check_preprocessor; one call a component.
- `tiny`: write_tiny_hands and tiny_recipe, a dataset and a recipe that train in seconds on a CPU.
- `dicom`: write_dicom, an array as a DICOM file with whatever elements a test needs.
- `runner`: hb, which runs one command line and gives its exit code and what it printed.

Everything raises AssertionError with a sentence, so that any test runner will do.
"""

from __future__ import annotations

from handbone_cli.testing.conformance import (
    check_dataset,
    check_loss,
    check_model,
    check_postprocessor,
    check_preprocessor,
    check_tta,
)
from handbone_cli.testing.dicom import write_dicom
from handbone_cli.testing.runner import Outcome, hb
from handbone_cli.testing.tiny import BONES, tiny_recipe, write_tiny_hands

__all__ = [
    "BONES",
    "Outcome",
    "check_dataset",
    "check_loss",
    "check_model",
    "check_postprocessor",
    "check_preprocessor",
    "check_tta",
    "hb",
    "tiny_recipe",
    "write_dicom",
    "write_tiny_hands",
]
