"""The contract with plugins: one hook per kind, each called once with `register`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pluggy

if TYPE_CHECKING:
    from collections.abc import Callable

    from handbone_cli.host.interfaces import Options

PROJECT = "handbone"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


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
    ) -> None:
        """Register a component.

        Args:
            name: lower_snake, the name in the field or the paper; used in recipes.
            factory: `build(options, context)`, or "package.module:build", imported when first used.
            options: a subclass of handbone_cli.Options, or "package.module:Class"; none by default.
            summary: one line for `hb plugins list`.
            divisor: models only: height and width must be its multiples; the wrapper pads to it.
            paper: where the method is from: an arXiv number, a DOI or an address.
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
}
"""Every kind and what one of it is called."""
