"""A registered component and what it is tried with: its example, a folder of its own."""

from __future__ import annotations

import functools
import importlib
import shutil
import tempfile
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handbone_cli.errors import HandboneError

if TYPE_CHECKING:
    from handbone_cli.host.registry import Component, Registry


@dataclass(eq=False)
class Trial:
    """One component on trial.

    Attributes:
        component: the component.
        registry: where it and the components that it builds on are registered.
        brief: whether it is one of many, so that what takes long waits until it is named.
        failed: whether it could not be built.
    """

    component: Component
    registry: Registry
    brief: bool = False
    failed: bool = False

    @functools.cached_property
    def folder(self) -> Path:
        """A folder for its files, which goes with the trial."""
        folder = Path(tempfile.mkdtemp(prefix="handbone-check-"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return folder

    @functools.cached_property
    def options(self) -> dict[str, Any]:
        """Its example options; what makes them has then written its files.

        Raises:
            HandboneError: a path that leads nowhere.
        """
        example = self.component.example
        if isinstance(example, str):
            module, _, name = example.partition(":")
            try:
                example = getattr(importlib.import_module(module), name)
            except (ImportError, AttributeError) as error:
                raise HandboneError(f"example = '{example}' cannot be loaded: {error}.") from error
        given = example(self.folder) if callable(example) else example
        return dict(given or {})

    def build(self, context: object) -> Any:
        """Build it with its example options."""
        kind, name = self.component.kind, self.component.name
        return self.registry.build(kind, name, self.options, context)
