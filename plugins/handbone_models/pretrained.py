"""What goes wrong while an encoder is built, with or without ImageNet weights, in one sentence."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from handbone_cli import HandboneError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def explain_failure(model: str, encoder: str, *, pretrained: bool) -> Iterator[None]:
    """Turn the failures of timm, smp and the Hugging Face hub into one sentence.

    Args:
        model: the name in the recipe.
        encoder: the encoder or backbone under construction.
        pretrained: whether weights are asked for; without a network the hub gives up after about
            half a minute.

    Raises:
        HandboneError: weights that cannot be downloaded, or an encoder the model cannot use.
    """
    try:
        yield
    except OSError as error:
        if not pretrained:
            raise
        raise HandboneError(
            f"model '{model}': the ImageNet weights of '{encoder}' could not be downloaded "
            f"({type(error).__name__}); connect to huggingface.co once, or set "
            "`pretrained = false`."
        ) from error
    except (AssertionError, KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error.args[0] if error.args else error).rstrip(".!")
        raise HandboneError(
            f"model '{model}' cannot use encoder '{encoder}'"
            f"{' with pretrained weights' if pretrained else ''}: {reason}; choose another encoder."
        ) from error
