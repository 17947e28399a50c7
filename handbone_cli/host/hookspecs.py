"""The contract with plugins: one hook per kind, each called once with `register`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import pluggy

from handbone_cli.errors import HandboneError, closest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from handbone_cli.host.interfaces import Options

PROJECT = "handbone"
API_VERSION = 1
"""Of the hooks, interfaces and public names; a plugin's module says `HANDBONE_API = 1`."""
OLDEST_API = 1
"""The oldest that is still understood."""
Example: TypeAlias = "Mapping[str, Any] | str | Callable[[Path], Mapping[str, Any]]"
"""What a component is tried with: options, or what makes them in a folder (by path or itself)."""
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class Planner(Protocol):
    """Fits the recipe of one model to a machine."""

    def __call__(
        self, *, image: tuple[int, int], memory: float, classes: int, images: int | None
    ) -> tuple[Mapping[str, Mapping[str, Any]], Mapping[str, Any]]:
        """Choose patch, batch and options.

        Args:
            image: (h, w) of a typical image.
            memory: GB of the GPU.
            classes: C.
            images: of the training data; None where that is not known.

        Returns:
            Tables of a recipe, and what else there is to know, by name.
        """


class Register(Protocol):
    """Adds one component of the hook's kind to the registry."""

    def __call__(
        self,
        name: str,
        factory: str | Callable[..., Any],
        *,
        options: str | type[Options] | None = None,
        summary: str = "",
        divisor: int = 1,
        paper: str = "",
        example: Example | None = None,
        planner: str | Planner | None = None,
    ) -> None:
        """Register a component.

        Args:
            name: lower_snake, the name in the field or the paper; used in recipes.
            factory: `build(options, context)`, or "package.module:build", imported when first used.
            options: a subclass of handbone_cli.Options, or "package.module:Class"; none by default.
            summary: one line for `hb plugins list`.
            divisor: models only: height and width must be its multiples; the wrapper pads to it.
            paper: where the method is from: an arXiv number, a DOI or an address.
            example: options that `hb plugins check` tries it with where the defaults will not do,
                or a function folder -> options, or its path "package.module:function", which may
                write files there: the folder is a dataset's root.
            planner: models only: a Planner, or "package.module:plan", for `hb models plan`.
        """


class HandboneSpecs:
    """Hooks of the `handbone` entry-point group; the kinds are their names."""

    @hookspec
    def handbone_preprocessors(self, register: Register) -> None:
        """Preprocessors: build(options, PreprocessContext) -> Preprocessor, on the whole image."""

    @hookspec
    def handbone_models(self, register: Register) -> None:
        """Models: build(options, ModelContext) -> torch.nn.Module, images to logits."""

    @hookspec
    def handbone_datasets(self, register: Register) -> None:
        """Datasets: build(options, DatasetContext) -> Dataset."""

    @hookspec
    def handbone_losses(self, register: Register) -> None:
        """Losses: build(options, LossContext) -> Loss."""

    @hookspec
    def handbone_tta(self, register: Register) -> None:
        """Test-time augmentation: build(options, TtaContext) -> TtaTransform."""

    @hookspec
    def handbone_postprocessors(self, register: Register) -> None:
        """Post-processors: build(options, PostContext) -> PostProcessor."""

    @hookspec
    def handbone_loaders(self, register: Register) -> None:
        """Loaders: build(options, LoaderContext) -> Loader."""

    @hookspec
    def handbone_windows(self, register: Register) -> None:
        """Window weights: build(options, WindowContext) -> (side, side) float32 above 0."""

    @hookspec
    def handbone_trackers(self, register: Register) -> None:
        """Trackers: build(options, TrackerContext) -> Tracker."""


KINDS = {
    "preprocessors": "preprocessor",
    "models": "model",
    "datasets": "dataset",
    "losses": "loss",
    "tta": "TTA transform",
    "postprocessors": "post-processor",
    "loaders": "loader",
    "trackers": "tracker",
    "windows": "window weight",
}
"""Every kind and what one of it is called."""


RESERVED: dict[str, tuple[str, ...]] = {
    "models": ("weights", "partial"),
    "losses": ("weight",),  # of a term of `combined`
    "datasets": (
        "dataset", "root", "loader", "workers", "folds", "fold", "folds_file", "exclude", "clahe",
        "normalize", "resize", "patch", "cache", "cache_mb",
    ),
}  # fmt: skip
"""Keys that stand beside a component's options in a recipe, and beside those `name`."""


def find_kind(word: str) -> str:
    """The kind that is meant by `models`, `model` or `post-processor`.

    Raises:
        HandboneError: no kind is called that.
    """
    forms = {form: kind for kind, one in KINDS.items() for form in (kind, one, singular(kind))}
    if word not in forms:
        raise HandboneError(f"no kind of plugin is called '{word}'. {closest(word, KINDS)}")
    return forms[word]


def singular(kind: str) -> str:
    """One of a kind in a word, as people type it: `postprocessor`, `tta`."""
    return KINDS[kind].lower().replace("-", "").partition(" ")[0]
