"""What the trackers let a recipe say; nothing heavy is imported here."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from handbone_cli import Options


class TensorBoardOptions(Options):
    """Options of `tensorboard`."""

    pictures: bool = True
    """Whether the pictures of validations go there, too, as JPEG."""


class WandbOptions(Options):
    """Options of `wandb`."""

    mode: Literal["online", "offline", "disabled"] | None = None
    """offline: RUN/wandb alone, for `wandb sync`; none: as WANDB_MODE says, or online."""
    project: str = Field("handbone", min_length=1)
    """The project on the server."""
    entity: str | None = None
    """The user or team that the project belongs to; none: the account's own."""
    run_name: str | None = None
    """What the run is called there; none: like its directory."""
    tags: tuple[str, ...] = ()
    """Words to find the run by."""
    pictures: bool = True
    """Whether the pictures of validations go there, too, as JPEG."""
