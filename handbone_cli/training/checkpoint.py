"""Checkpoints: weights, optimizer and position in one safetensors file, recipe in its header."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from handbone_cli.errors import HandboneError, differences
from handbone_cli.networks.weights import load_tensors, own_tensors, restore_tensors, save_tensors
from handbone_cli.recipe.load import to_table
from handbone_cli.recipe.schema import Recipe
from handbone_cli.training.optimizer import pack_state, unpack_state

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import torch

    from handbone_cli.networks.wrapper import Segmenter

FREE_TO_CHANGE = ("tracking", "data.workers", "data.cache", "data.cache_mb", "data.loader")
"""Sections and keys that a resumed run may differ in: they do not touch the arithmetic, but for
data.loader, whose plugins draw the same patches to within a grey level or two."""
MOST_NAMED = 5
"""Differing keys that a sentence names."""
RESUME_OR_START = "resume it with the recipe it began with, or start a new run with another -o"


@dataclass
class Position:
    """Where a run stands.

    Attributes:
        epoch: the epoch under way, from 0.
        step: steps of it that are done.
        best_dice: the best mean Dice so far; below 0 before the first validation.
        best_epoch: when that was, counted from 1 as people do.
        stale: validations since.
        history: mean Dice of every validation.
        loss_sum: of the losses in the epoch under way.
        loss_steps: how many steps that sum is of.
    """

    epoch: int = 0
    step: int = 0
    best_dice: float = -1.0
    best_epoch: int = 0
    stale: int = 0
    history: list[float] = field(default_factory=list)
    loss_sum: float = 0.0
    loss_steps: int = 0

    @property
    def mean_loss(self) -> float | None:
        """Of the epoch under way; None before its first step."""
        return self.loss_sum / self.loss_steps if self.loss_steps else None

    def end_step(self, loss: float) -> None:
        """Count a step and its loss."""
        self.step, self.loss_steps = self.step + 1, self.loss_steps + 1
        self.loss_sum += loss

    def end_epoch(self) -> None:
        """Go to the beginning of the next epoch."""
        self.epoch, self.step, self.loss_sum, self.loss_steps = self.epoch + 1, 0, 0.0, 0


def save_weights(path: Path, model: Segmenter, header: dict[str, Any]) -> None:
    """Weights alone, for prediction."""
    save_tensors(path, own_tensors(model), header)


def save_state(
    path: Path,
    model: Segmenter,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    position: Position,
    header: dict[str, Any],
) -> None:
    """Everything needed to continue, in one file."""
    tensors = {f"model/{name}": tensor for name, tensor in own_tensors(model).items()}
    remembered, rest = pack_state(optimizer)
    tensors |= {f"optimizer/{name}": tensor for name, tensor in remembered.items()}
    state = {"position": asdict(position), "scaler": scaler.state_dict(), "optimizer": rest}
    save_tensors(path, tensors, {**header, **state})


def restore_state(
    path: Path,
    model: Segmenter,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    recipe: Recipe,
) -> Position:
    """Put a run back where `save_state` left it.

    Raises:
        HandboneError: no such file, or it is of another recipe (the first differences are named).
    """
    tensors, header = load_tensors(path)
    if not {"recipe", "position", "scaler"} <= header.keys():
        raise HandboneError(f"{path}: holds weights alone, not a run that can be continued.")
    refuse_other_recipe(path, header["recipe"], recipe)
    weights = {k[6:]: tensor for k, tensor in tensors.items() if k.startswith("model/")}
    restore_tensors(model, weights, path)
    remembered = {k[10:]: tensor for k, tensor in tensors.items() if k.startswith("optimizer/")}
    unpack_state(optimizer, remembered, header.get("optimizer", {}))
    scaler.load_state_dict(header["scaler"])
    return Position(**header["position"])


def load_model_weights(path: Path, model: Segmenter, class_names: Sequence[str]) -> None:
    """Load the weights of a checkpoint for prediction.

    Raises:
        HandboneError: the checkpoint is of another class list or another network.
    """
    tensors, header = load_tensors(path)
    if "class_names" not in header:
        raise HandboneError(f"{path}: names no classes, so `hb train` did not write it.")
    if list(header["class_names"]) != list(class_names):
        raise HandboneError(
            f"{path}: was trained for {len(header['class_names'])} classes "
            f"({', '.join(header['class_names'][:3])}, ...), not for these {len(class_names)}."
        )
    restore_tensors(model, tensors, path)


def refuse_other_recipe(
    path: Path, old: dict[str, Any], recipe: Recipe, way_out: str = RESUME_OR_START
) -> None:
    """One sentence with the differing keys unless the recipes agree in all that matters.

    Args:
        path: what was made with the old recipe.
        old: that recipe's table, as a checkpoint and run.json keep it.
        recipe: what is asked for now.
        way_out: what the user can do.
    """
    differing = [
        said
        for key, said in differences(_with_keys_since(old), to_table(recipe)).items()
        if not any(f"{key}.".startswith(f"{free}.") for free in FREE_TO_CHANGE)
    ]
    if differing:
        more = [f"and {len(differing) - MOST_NAMED} more"] if len(differing) > MOST_NAMED else []
        named = ", ".join([*differing[:MOST_NAMED], *more])
        raise HandboneError(f"{path}: was trained with another recipe: {named}; {way_out}.")


def _with_keys_since(old: dict[str, Any]) -> dict[str, Any]:
    """A recipe's table with the defaults of keys that the schema did not have at its time."""
    try:
        return to_table(Recipe.model_validate(old))
    except ValidationError:  # of a schema with other keys: these are differences
        return old
