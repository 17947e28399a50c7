"""A small working plugin of any kind, to begin with: what `hb plugins new` writes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from handbone_cli.errors import HandboneError
from handbone_cli.files import read_bytes, write_text
from handbone_cli.host.hookspecs import KINDS, singular

if TYPE_CHECKING:
    from handbone_cli.host.registry import Registry

HERE = Path(__file__).parent
RECIPES = {
    "models": '[model]\nname = "{name}"',
    "datasets": '[data]\ndataset = "{name}"\nroot = "data"',
    "losses": '[loss]\nname = "{name}"',
    "tta": '[[tta]]\nname = "{name}"',
    "postprocessors": '[[postprocess]]\nname = "{name}"',
    "preprocessors": '[[preprocess]]\nname = "{name}"',
    "loaders": '[data]\nloader = "{name}"',
    "trackers": '[tracking]\ntrackers = ["jsonl", "{name}"]',
    "windows": '[predict]\nweight = {{ name = "{name}" }}',
}
"""What a recipe says to use one."""
SETTINGS = {
    "models": "model.name={name}",
    "datasets": "data.dataset={name}",
    "losses": "loss.name={name}",
    "tta": "'tta=[{{name=\"{name}\"}}]'",
    "postprocessors": "'postprocess=[{{name=\"{name}\"}}]'",
    "preprocessors": "'preprocess=[{{name=\"{name}\"}}]'",
    "loaders": "data.loader={name}",
    "trackers": '\'tracking.trackers=["jsonl", "{name}"]\'',
    "windows": "predict.weight.name={name}",
}
"""The same for --set, as a shell takes it."""


@dataclass(frozen=True)
class Draft:
    """A plugin that is to be written.

    Attributes:
        kind: of its component.
        name: of its component, lower_snake.
    """

    kind: str
    name: str

    @property
    def distribution(self) -> str:
        """What pip calls it."""
        return f"handbone-{self.name.replace('_', '-')}"

    @property
    def module(self) -> str:
        """What Python calls it."""
        return f"handbone_{self.name}"

    @property
    def setting(self) -> str:
        """What follows --set to use it."""
        return SETTINGS[self.kind].format(name=self.name)

    def files(self) -> dict[str, str]:
        """Path -> text."""
        words = "".join(part.capitalize() for part in self.name.split("_"))
        suffix = singular(self.kind).capitalize()
        values = {
            "name": self.name,
            "distribution": self.distribution,
            "module": self.module,
            "class_name": words,
            "component": words.removesuffix(suffix) + suffix,
            "one": KINDS[self.kind],
            "recipe": RECIPES[self.kind].format(name=self.name),
            "setting": self.setting,
        }
        templates = {
            "pyproject.toml": "pyproject.toml",
            f"{self.module}.py": f"{singular(self.kind)}.py",
            f"tests/test_{self.name}.py": "test.py",
            "README.md": "README.md",
            ".gitignore": "gitignore",
        }
        return {path: _fill(template, values) for path, template in templates.items()}


def draft_plugin(kind: str, name: str, registry: Registry) -> Draft:
    """A plugin by a name that is free.

    Raises:
        HandboneError: the name is not lower_snake, or something installed has it.
    """
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", "_", name).strip("_").lower()
    if name != snake or not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        hint = f", such as {snake}" if re.match("[a-z]", snake) else ""
        raise HandboneError(f"'{name}': a component's name is lower_snake, as in a recipe{hint}.")
    draft = Draft(kind, name)
    if name in registry.components[kind]:
        known = registry.components[kind][name]
        raise HandboneError(
            f"{KINDS[kind]} '{name}' is there already, from {known.distribution} {known.version}; "
            "choose another name."
        )
    if find_spec(draft.module) is not None:
        raise HandboneError(
            f"'{name}': a module {draft.module} is installed already; choose another name."
        )
    return draft


def write_plugin(draft: Draft, folder: Path) -> list[Path]:
    """Write its files into a folder, new or empty; gives their paths.

    Raises:
        HandboneError: the folder is not empty, or cannot be written.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise HandboneError(f"{folder}: the folder is not empty; choose another one with -o.")
    written = []
    for name, text in draft.files().items():
        write_text(folder / name, text)
        written.append(folder / name)
    return written


def _fill(template: str, values: dict[str, str]) -> str:
    return Template(read_bytes(HERE / f"{template}.txt").decode()).substitute(values)
