"""Figures and pictures of a run for Weights & Biases."""

from __future__ import annotations

import logging
import os
import secrets
from typing import TYPE_CHECKING, Any

from handbone_cli import HandboneError, atomic_write, make_folder
from handbone_trackers.extras import require_package
from handbone_trackers.scalars import STEP, scalars

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from handbone_cli import TrackerContext
    from handbone_trackers.options import WandbOptions

SILENT = {
    "silent": True,
    "console": "off",  # the terminal is the run's own
    "init_timeout": 15.0,  # before handbone gives up and drops the tracker
    "finish_timeout": 25.0,  # what is not uploaded then stays in RUN/wandb, for `wandb sync`
}
"""wandb's settings."""


class WandbTracker:
    """A run of wandb with its files in RUN/wandb; its id in RUN/wandb_id, to go on with."""

    def __init__(self, options: WandbOptions, context: TrackerContext) -> None:
        self.check(options)
        mode = mode_of(options)
        wandb = quiet_wandb(mode)
        run = make_folder(context.run_directory)
        self._wandb, self._options = wandb, options
        try:
            self._run = wandb.init(
                project=options.project,
                entity=options.entity,
                name=options.run_name or run.resolve().name,
                tags=options.tags,
                config=dict(context.recipe),
                dir=str(run),
                id=_id_of(run),
                resume="allow" if mode == "online" else None,  # offline there is nothing to ask
                mode=mode,
                reinit="create_new",
                settings=wandb.Settings(**SILENT),
            )
        except Exception as error:
            wandb.teardown()  # its own process is there already
            if isinstance(error, (wandb.errors.UsageError, wandb.errors.AuthenticationError)):
                raise mistake(error) from error
            raise
        for handler in logging.getLogger("wandb").handlers:
            # Its debug.log lies in the run, and a full disk would fill the terminal, too.
            handler.handleError = lambda _record: None  # type: ignore[method-assign]

    @staticmethod
    def check(options: WandbOptions) -> None:
        """It is installed, and where it is to be online somebody is logged in."""
        require_package("wandb")
        if mode_of(options) == "online" and not is_logged_in():
            raise HandboneError(
                "tracker 'wandb': nobody is logged in; run `wandb login` once, or say "
                'mode = "offline" beside the name: '
                'tracking.trackers = [{ name = "wandb", mode = "offline" }].'
            )

    def log(self, event: str, values: Mapping[str, Any]) -> None:
        """A point of every curve: loss, mean_dice, dice/Radius."""
        if STEP in values:
            self._run.log(scalars(values), step=int(values[STEP]), commit=True)

    def picture(self, name: str, rgb: NDArray[np.uint8], values: Mapping[str, Any]) -> None:
        """A picture by its name; it is sent with the figures of its epoch."""
        if self._options.pictures:
            caption = f"mean Dice {values['mean_dice']:.4f}"
            image = self._wandb.Image(rgb, caption=caption, file_type="jpg")
            self._run.log({name: image}, step=int(values[STEP]), commit=False)

    def close(self) -> None:
        """Send what is left and end wandb's own process."""
        self._run.finish()
        self._wandb.teardown()


def mode_of(options: WandbOptions) -> str:
    """The mode that is meant: of the recipe, the environment, or online."""
    return options.mode or os.environ.get("WANDB_MODE") or "online"


def quiet_wandb(mode: str) -> Any:
    """The package, which then says nothing on the terminal and does not go by WANDB_MODE."""
    import wandb

    wandb.setup(wandb.Settings(silent=True, mode=mode))
    return wandb


def is_logged_in() -> bool:
    """Whether wandb finds a key without asking for one; it knows its own hosts and files.

    Raises:
        HandboneError: what it finds cannot be a key.
    """
    wandb = quiet_wandb("online")
    try:
        return bool(wandb.login(prompt=False, verify=False))
    except (wandb.errors.UsageError, wandb.errors.AuthenticationError) as error:
        raise mistake(error) from error
    except TypeError as error:  # an older login() knows no `prompt`, and would ask
        raise HandboneError(
            f"tracker 'wandb' needs a newer wandb than {wandb.__version__}: "
            "pip install -U 'handbone[wandb]'."
        ) from error


def mistake(error: Exception) -> HandboneError:
    """What wandb says of an account, as ours."""
    return HandboneError(f"tracker 'wandb': {' '.join(str(error).split()).rstrip('.')}.")


def _id_of(run: Path) -> str:
    """The id of the run that goes on, or a new one, noted in RUN/wandb_id."""
    path = run / "wandb_id"
    known = path.read_text(encoding="utf-8").strip() if path.is_file() else ""
    if not known:
        known = secrets.token_hex(4)
        with atomic_write(path) as file:
            file.write(f"{known}\n".encode())
    return known
