"""Checkpoints: weights, optimizer and position in one safetensors file, recipe in its header."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from handbone_cli.errors import HandboneError, differences
from handbone_cli.networks.weights import load_tensors, own_tensors, restore_tensors, save_tensors
from handbone_cli.ranks import is_main
from handbone_cli.recipe.load import to_table
from handbone_cli.recipe.schema import Recipe
from handbone_cli.training.optimizer import pack_state, unpack_state

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import torch
    from timm.utils import ModelEmaV3

    from handbone_cli.networks.wrapper import Segmenter

FREE_TO_CHANGE = (
    "tracking", "data.workers", "data.cache", "data.cache_mb", "data.loader",
    "train.save_minutes", "train.keep",
)  # fmt: skip
"""Sections and keys that a resumed run may differ in: they do not touch the arithmetic, but for
data.loader, whose plugins draw the same patches to within a grey level or two."""
MOST_KEPT = 100
"""Older states that are looked for when the newest cannot be read."""
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
        stale: validations since the last gain that early stopping counts.
        history: mean Dice of every validation.
        loss_sum: of the losses in the epoch under way.
        loss_steps: how many steps that sum is of.
        batch_size: patches in a batch since the device ran out of memory; 0: as the recipe says.
        accumulate: batches to a step since then; 0: as the recipe says.
    """

    epoch: int = 0
    step: int = 0
    best_dice: float = -1.0
    best_epoch: int = 0
    stale: int = 0
    history: list[float] = field(default_factory=list)
    loss_sum: float = 0.0
    loss_steps: int = 0
    batch_size: int = 0
    accumulate: int = 0

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
    """Weights alone, for prediction; of several processes the first one writes."""
    tensors = own_tensors(model)
    if is_main():
        save_tensors(path, tensors, header)


@dataclass(frozen=True)
class State:
    """What changes in a run, beside its position.

    Attributes:
        model: in its wrapper.
        optimizer: of its parameters.
        scaler: of fp16 gradients.
        ema: the moving average of the weights, or None.
    """

    model: Segmenter
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    ema: ModelEmaV3 | None = None


def save_state(
    path: Path, state: State, position: Position, header: dict[str, Any], keep: int = 1
) -> None:
    """Everything needed to continue, in one file; of older ones the newest `keep` - 1 stay.

    Of several processes, which all have the same, the first one writes.
    """
    tensors = {f"model/{name}": tensor for name, tensor in own_tensors(state.model).items()}
    if state.ema is not None:
        averaged = own_tensors(state.ema.module)
        tensors |= {f"ema/{name}": tensor for name, tensor in averaged.items()}
    remembered, rest = pack_state(state.optimizer)
    tensors |= {f"optimizer/{name}": tensor for name, tensor in remembered.items()}
    said = {"position": asdict(position), "scaler": state.scaler.state_dict(), "optimizer": rest}
    if is_main():
        _make_room(path, keep)
        save_tensors(path, tensors, {**header, **said})


def older(path: Path, age: int) -> Path:
    """Where the state lies that was the newest `age` states ago: last.2.safetensors."""
    return path.with_suffix(f".{age}{path.suffix}")


def _make_room(path: Path, keep: int) -> None:
    """Move older states on by one; `path` itself stays until it is replaced."""
    for age in range(keep - 1, 1, -1):
        if older(path, age - 1).exists():
            older(path, age - 1).replace(older(path, age))
    if keep > 1 and path.exists():
        older(path, 1).unlink(missing_ok=True)
        try:
            older(path, 1).hardlink_to(path)
        except OSError:  # a file system without links
            shutil.copyfile(path, older(path, 1))


def restore_state(
    path: Path, state: State, header: dict[str, Any], note: Callable[[str], None]
) -> Position:
    """Put a run back where `save_state` left it; an unreadable state gives way to the one before.

    Args:
        path: of the newest state.
        state: what is to be put back.
        header: what checkpoints of this run say: its recipe, and what it runs on.
        note: is told what a person should know.

    Raises:
        HandboneError: no such file, or it is of another recipe (the first differences are named).
    """
    source, (tensors, found) = _load_newest(path, note)
    if not {"recipe", "position", "scaler"} <= found.keys():
        raise HandboneError(f"{source}: holds weights alone, not a run that can be continued.")
    refuse_other_recipe(source, found["recipe"], Recipe.model_validate(header["recipe"]))
    _note_other_machine(found, header, note)
    restore_tensors(state.model, below(tensors, "model/"), source)
    if state.ema is not None:
        restore_tensors(cast("Segmenter", state.ema.module), below(tensors, "ema/"), source)
    unpack_state(state.optimizer, below(tensors, "optimizer/"), found.get("optimizer", {}))
    state.scaler.load_state_dict(found["scaler"])
    return Position(**found["position"])


def below(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """The tensors of a part of a checkpoint, by their own names."""
    return {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}


def _load_newest(
    path: Path, note: Callable[[str], None]
) -> tuple[Path, tuple[dict[str, torch.Tensor], dict[str, Any]]]:
    try:
        return path, load_tensors(path)
    except HandboneError as error:
        ages = (older(path, age) for age in range(1, MOST_KEPT))
        for source in (each for each in ages if each.exists()):
            with contextlib.suppress(HandboneError):
                loaded = load_tensors(source)
                note(f"{error} Going on from {source.name} instead.")
                return source, loaded
        raise


def _note_other_machine(
    found: dict[str, Any], header: dict[str, Any], note: Callable[[str], None]
) -> None:
    """A line where bit-exactness ends: other versions, threads or device than before."""
    before, now = (each.get("versions", {}) for each in (found, header))
    changed = [
        f"{key} {before[key]} -> {now[key]}" for key in now if before.get(key, now[key]) != now[key]
    ]
    if changed:
        note(
            f"resumed under other conditions ({', '.join(changed)}): the run goes on, but not bit "
            "for bit as it would have."
        )


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
