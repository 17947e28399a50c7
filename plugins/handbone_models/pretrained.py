"""What goes wrong while an encoder is built, with or without ImageNet weights, in one sentence."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError

from handbone_cli import HandboneError

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENTS = ("httpx", "httpcore", "httpx2", "httpcore2")
"""Packages of the hub's own client, whose errors are no OSErrors."""
REFUSALS = (AssertionError, KeyError, RuntimeError, TypeError, ValueError)
"""How timm and smp say that they cannot build something."""


@contextlib.contextmanager
def explain_failure(model: str, encoder: str, *, pretrained: bool) -> Iterator[None]:
    """Turn the failures of timm, smp, torchvision and the hubs into one sentence.

    Args:
        model: the name in the recipe.
        encoder: the encoder or backbone under construction.
        pretrained: whether weights are asked for; where their host cannot be reached, only a
            cache is asked, which takes no half a minute as the hub does.

    Raises:
        HandboneError: weights that cannot be downloaded, or an encoder the model cannot use.
    """
    with contextlib.ExitStack() as stack:
        offline = ""
        if pretrained:
            from handbone_models.offline import quick_downloads

            offline = stack.enter_context(quick_downloads())
        try:
            yield
        except Exception as error:
            if isinstance(error, OSError) or type(error).__module__.split(".")[0] in CLIENTS:
                if not pretrained:
                    raise
                raise _no_weights(model, encoder, error, offline) from error
            if not isinstance(error, REFUSALS):
                raise
            reason = str(error.args[0] if error.args else error).rstrip(".!")
            raise HandboneError(
                f"model '{model}' cannot use encoder '{encoder}'"
                f"{' with pretrained weights' if pretrained else ''}: {reason}; choose another "
                "encoder."
            ) from error


def _no_weights(model: str, encoder: str, error: Exception, offline: str) -> HandboneError:
    """Where they were looked for, and every way out."""
    import torch
    from huggingface_hub import constants

    if isinstance(error, URLError):
        folder, reason = Path(torch.hub.get_dir()) / "checkpoints", str(error.reason)
    else:
        said = str(error).partition("\n")[0].rstrip(".")
        folder, reason = Path(constants.HF_HUB_CACHE), offline or f"{type(error).__name__}: {said}"
    return HandboneError(
        f"model '{model}': the ImageNet weights of '{encoder}' could not be downloaded ({reason}) "
        f"and are not in {folder}; connect once, copy that folder from a computer that has them, "
        "start from a file with model.weights, or set `pretrained = false`."
    )
