"""The training loop: one visible function from batches to checkpoints."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from handbone_cli.errors import HandboneError, InterruptedRunError
from handbone_cli.networks.build import autocast
from handbone_cli.networks.labels import labels_at
from handbone_cli.training.checkpoint import Position, restore_state, save_state, save_weights
from handbone_cli.training.optimizer import build_optimizer, set_rate
from handbone_cli.training.schedule import learning_rate, refuse_schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from handbone_cli.host.interfaces import Loader, Loss, Tracker
    from handbone_cli.networks.wrapper import Segmenter
    from handbone_cli.recipe.schema import Recipe
    from handbone_cli.training.validation import Scored


class Observer(Protocol):
    """Who watches a run; the terminal's live table is one."""

    def step(self, position: Position, steps: int, loss: float, images: int) -> None:
        """After every step."""

    def validating(self, done: int) -> None:
        """After every validation image."""

    def epoch(self, values: dict[str, Any], dice: NDArray[np.float64] | None) -> None:
        """After every epoch; `dice` (C,) where there was a validation."""

    def note(self, line: str) -> None:
        """Something that a person should know but that does not stop the run."""


@dataclass(frozen=True)
class Training:
    """Everything the loop needs.

    Attributes:
        recipe: the resolved recipe.
        model: in its wrapper, on `device`.
        loss: logits and packed labels to a scalar.
        loader: batches; the same ones for an epoch's number, always.
        validate: () -> scores of the people left out, image by image; None without any.
        device: where the model is.
        precision: of the forward pass.
        last: file of the resumable state.
        best: file of the best weights.
        header: what checkpoints say of themselves (recipe, class names, versions).
        observer: watches.
        trackers: are told every epoch's figures; one that fails is dropped.
    """

    recipe: Recipe
    model: Segmenter
    loss: Loss
    loader: Loader
    validate: Callable[[], Iterator[Scored]] | None
    device: torch.device
    precision: torch.dtype
    last: Path
    best: Path
    header: dict[str, Any]
    observer: Observer
    trackers: list[Tracker] = field(default_factory=list)


def train(job: Training, *, resume: bool = False) -> Position:
    """Train from the beginning or from `last`, to the last epoch or an early stop.

    Returns the final position. Ctrl-C writes `last` after the step under way and raises
    InterruptedRunError; the same recipe then continues with the same batches.
    """
    recipe, model, steps = job.recipe, job.model, len(job.loader)
    refuse_schedule(recipe, validates=job.validate is not None)
    optimizer = build_optimizer(recipe.optimizer, model)
    scaler = torch.amp.GradScaler(job.device.type, enabled=job.precision is torch.float16)
    at = restore_state(job.last, model, optimizer, scaler, recipe) if resume else Position()
    with _interruptible() as interrupted:
        while at.epoch < recipe.train.epochs and not _stale(at, recipe):
            started = time.perf_counter()
            model.train()
            for images, labels in job.loader.epoch(at.epoch, at.step):
                rate = learning_rate(recipe, at.epoch * steps + at.step, steps, at.history)
                loss = _step(job, optimizer, scaler, (images, labels), rate, at)
                at.end_step(loss)
                job.observer.step(at, steps, loss, len(images))
                if interrupted.is_set():
                    _save_and_leave(job, optimizer, scaler, at)
            dice = _validate(job, at, interrupted, (optimizer, scaler))
            mean_loss = at.mean_loss
            at.end_epoch()
            save_state(job.last, model, optimizer, scaler, at, job.header)
            _report(job, at, mean_loss, dice, time.perf_counter() - started)
            if interrupted.is_set() and at.epoch < recipe.train.epochs:
                _leave(job)
    if at.best_epoch == 0:
        save_weights(job.best, model, job.header)
    return at


def _step(
    job: Training,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    batch: tuple[torch.Tensor, torch.Tensor],
    rate: float,
    at: Position,
) -> float:
    """One optimizer step; dropout draws from a stream of its own for (seed, epoch, step)."""
    torch.manual_seed(hash((job.recipe.seed, at.epoch, at.step)) & 0x7FFFFFFF)
    set_rate(optimizer, rate)
    images, labels = (part.to(job.device, non_blocking=True) for part in batch)
    if job.recipe.train.channels_last:
        images = images.contiguous(memory_format=torch.channels_last)
    with autocast(job.device, job.precision):
        logits = job.model(images)
    loss = supervise(job.loss, logits, labels, job.model.output_weights)
    value = float(loss.detach())
    if not np.isfinite(value):
        raise HandboneError(
            f"the loss is {value} in epoch {at.epoch + 1}, step {at.step + 1}; lower optimizer.lr, "
            "set train.clip_norm, or train.precision = 'fp32'."
        )
    optimizer.zero_grad(set_to_none=True)
    scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
    if job.recipe.train.clip_norm > 0:
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(job.model.parameters(), job.recipe.train.clip_norm)
    scaler.step(optimizer)
    scaler.update()
    return value


def supervise(
    loss: Loss,
    logits: torch.Tensor | list[torch.Tensor],
    labels: torch.Tensor,
    output_weights: Sequence[float] | None = None,
) -> torch.Tensor:
    """The loss of the main output, or the weighted mean with auxiliary ones, each at its own size.

    The weights are 1, 1/2, 1/4 ... unless the model says others (Segmenter.output_weights).
    """
    if isinstance(logits, torch.Tensor):
        return loss(logits, labels)
    weights = output_weights or [0.5**depth for depth in range(len(logits))]
    parts = [
        w * loss(each, labels_at(labels, (int(each.shape[-2]), int(each.shape[-1]))))
        for w, each in zip(weights, logits, strict=True)
    ]
    return torch.stack(parts).sum() / sum(weights)


def _validate(
    job: Training,
    at: Position,
    interrupted: threading.Event,
    state: tuple[torch.optim.Optimizer, torch.amp.GradScaler],
) -> NDArray[np.float64] | None:
    """Mean Dice per class (C,) if this epoch has a validation; keeps the best weights."""
    number, every = at.epoch + 1, job.recipe.train.val_every
    due = number % every == 0 or number == job.recipe.train.epochs
    if job.validate is None or not due:
        return None
    job.model.eval()
    scores: list[NDArray[np.float64]] = []
    for scored in job.validate():
        scores.append(scored.dice)
        job.observer.validating(len(scores))
        if interrupted.is_set():
            _save_and_leave(job, *state, at)
    dice = np.mean(scores, axis=0)
    at.history.append(float(dice.mean()))
    at.stale += 1
    if at.history[-1] > at.best_dice:
        at.best_dice, at.best_epoch, at.stale = at.history[-1], number, 0
        save_weights(job.best, job.model, {**job.header, "epoch": number, "dice": at.best_dice})
    return np.asarray(dice)


def _stale(at: Position, recipe: Recipe) -> bool:
    return 0 < recipe.train.early_stopping <= at.stale


def _report(
    job: Training, at: Position, loss: float | None, dice: NDArray[np.float64] | None, took: float
) -> None:
    values: dict[str, Any] = {
        "epoch": at.epoch,
        "loss": loss,
        "seconds": round(took, 2),
    }
    if dice is not None:
        names = job.header["class_names"]
        values["mean_dice"] = float(dice.mean())
        values["dice"] = {n: round(float(d), 5) for n, d in zip(names, dice, strict=True)}
    for tracker in [*job.trackers]:
        try:
            tracker.log("epoch", values)
        except Exception as error:  # noqa: BLE001  a tracker must never stop a run
            job.trackers.remove(tracker)
            job.observer.note(f"{type(tracker).__name__} is dropped: {error}")
    job.observer.epoch(values, dice)


def _save_and_leave(
    job: Training,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    at: Position,
) -> None:
    save_state(job.last, job.model, optimizer, scaler, at, job.header)
    _leave(job)


def _leave(job: Training) -> None:
    raise InterruptedRunError(
        f"stopped; {job.last} holds the run: continue with `hb train --resume {job.last.parent}`."
    )


@contextlib.contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """A flag that the first Ctrl-C sets; the second one breaks off at once."""
    flag = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return

    def ask(_signal: int, _frame: object) -> None:
        if flag.is_set():
            raise KeyboardInterrupt
        flag.set()

    before = {name: signal.signal(name, ask) for name in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield flag
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
