"""What heavy libraries a plugin loads before anything of it is built, seen in a new process."""

from __future__ import annotations

import importlib.abc
import json
import os
import subprocess
import sys
import traceback
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TYPE_CHECKING

from handbone_cli.host.hookspecs import PROJECT
from handbone_cli.host.origin import deepest, home_of
from handbone_cli.host.registry import collect

if TYPE_CHECKING:
    from collections.abc import Sequence

FRAMEWORKS = (
    "torch",
    "torchvision",
    "timm",
    "segmentation_models_pytorch",
    "dynamic_network_architectures",
    "monai",
    "tensorflow",
    "jax",
)
"""What a class of options must not load."""
HEAVY = (
    *FRAMEWORKS,
    "cv2",
    "scipy",
    "skimage",
    "sklearn",
    "pandas",
    "matplotlib",
    "nvidia",
    "PIL",
    "pydicom",
)
"""What registering must not load. numpy and pydantic come with handbone's own interfaces."""
PATIENCE = 120
"""Seconds."""


@dataclass(frozen=True)
class Loads:
    """What was loaded for the first time: library -> file and line of the plugin.

    Attributes:
        modules: by importing the modules and registering, by module.
        options: by each options' class on top of that, by `kind name`.
    """

    modules: dict[str, dict[str, str]] = field(default_factory=dict)
    options: dict[str, dict[str, str]] = field(default_factory=dict)


class Watcher(importlib.abc.MetaPathFinder):
    """Notes which line asks first for which of the heavy libraries; finds nothing itself."""

    def __init__(self) -> None:
        self.home: Path | None = None
        self.seen: dict[str, str] = {}

    def find_spec(self, name: str, *_path_and_target: object) -> None:
        """Note the plugin's line, or the one that is at work where the plugin has no part in it."""
        if name in HEAVY and name not in self.seen:
            frames = traceback.extract_stack()[:-1]  # the last one is this
            lines = [(f.filename, f.lineno) for f in frames if not f.filename.startswith("<")]
            name_of_last = f"{Path(lines[-1][0]).name}:{lines[-1][1]}"
            self.seen[name] = deepest(lines, self.home) or name_of_last

    def news(self) -> dict[str, str]:
        """What was asked for since the last call."""
        found, self.seen = self.seen, dict.fromkeys(self.seen, "")
        return {name: place for name, place in found.items() if place}


def measure(values: Sequence[str]) -> Loads:
    """Import the entry points `values` in a new Python with this one's path and see what they load.

    Raises:
        AssertionError: that Python died or did not come to an end.
    """
    command = [sys.executable, "-m", __name__, *values]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or "." for path in sys.path)}
    try:
        done = subprocess.run(  # noqa: S603  our own argv
            command, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
    except subprocess.TimeoutExpired as error:
        raise AssertionError(f"importing it takes more than {PATIENCE} s") from error
    if done.returncode or not done.stdout:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise AssertionError(f"a new Python that imports it ends with: {last}")
    return Loads(**json.loads(done.stdout.splitlines()[-1]))


def main(values: Sequence[str]) -> None:
    """Print what the entry points load, as JSON on the last line."""
    watcher = Watcher()
    sys.meta_path.insert(0, watcher)
    modules, options = {}, {}
    for value in values:
        watcher.home = home_of(value.partition(":")[0])
        registry = collect([EntryPoint("checked", value, PROJECT)])
        modules[value] = watcher.news()
        for kind, components in registry.components.items():
            for name, component in components.items():
                try:
                    component.options_type()
                except Exception:  # noqa: BLE001, S112  told by another check
                    continue
                options[f"{kind} {name}"] = watcher.news()
    print("\n" + json.dumps({"modules": modules, "options": options}))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
