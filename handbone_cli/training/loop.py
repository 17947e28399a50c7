"""The training loop: one visible function from batches to checkpoints."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
import torch

from handbone_cli.errors import InterruptedRunError
from handbone_cli.networks.recompute import recompute_activations
from handbone_cli.training.checkpoint import (
    Position,
    State,
    restore_state,
    save_state,
    save_weights,
)
from handbone_cli.training.feed import Feed
from handbone_cli.training.optimizer import build_optimizer
from handbone_cli.training.schedule import learning_rate, refuse_schedule
from handbone_cli.training.step import OutOfMemoryError, Stepper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from timm.utils import ModelEmaV3

    from handbone_cli.host.interfaces import Loader, Loss
    from handbone_cli.networks.wrapper import Segmenter
    from handbone_cli.recipe.schema import Recipe
    from handbone_cli.training.trackers import Trackers
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
        ema: the moving average of its weights, which is then validated and kept, or None.
        loss: logits and packed labels to a scalar.
        load: batch size -> loader; an epoch's number is the same patches in the same order, always.
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
    ema: ModelEmaV3 | None
    loss: Loss
    load: Callable[[int], Loader]
    validate: Callable[[], Iterator[Scored]] | None
    device: torch.device
    precision: torch.dtype
    last: Path
    best: Path
    header: dict[str, Any]
    observer: Observer
    trackers: Trackers

    @property
    def judged(self) -> Segmenter:
        """The weights that are validated and kept: the averaged ones where there are any."""
        return self.model if self.ema is None else cast("Segmenter", self.ema.module)

    def stepper(self, state: State) -> Stepper:
        """What each step needs."""
        keys = self.recipe.train
        if keys.recompute:
            recompute_activations(self.model.core)
        return Stepper(
            model=self.model,
            forward=torch.compile(self.model) if keys.compile else self.model,
            loss=self.loss,
            optimizer=state.optimizer,
            scaler=state.scaler,
            ema=self.ema,
            device=self.device,
            precision=self.precision,
            clip_norm=keys.clip_norm,
            channels_last=keys.channels_last,
        )


def train(job: Training, *, resume: bool = False) -> Position:
    """Train from the beginning or from `last`, to the last epoch or an early stop.

    Returns the final position. Ctrl-C writes `last` after the step under way and raises
    InterruptedRunError; the same recipe then continues with the same batches.
    """
    recipe, model = job.recipe, job.model
    refuse_schedule(recipe, validates=job.validate is not None)
    scaler = torch.amp.GradScaler(job.device.type, enabled=job.precision is torch.float16)
    state = State(model, build_optimizer(recipe.optimizer, model), scaler, job.ema)
    at = restore_state(job.last, state, job.header, job.observer.note) if resume else Position()
    feed = Feed.of(job.load, at, recipe.train.batch_size, recipe.train.accumulate)
    stepper, steps = job.stepper(state), len(feed)
    saved = time.monotonic()
    with _interruptible() as interrupted:
        while at.epoch < recipe.train.epochs and not _stale(at, recipe):
            started = time.perf_counter()
            model.train()
            while True:  # once, and once more each time that batches shrink
                for batches in feed.epoch(at.epoch, at.step):
                    done = at.epoch * steps + at.step
                    rate = learning_rate(recipe, done, steps, at.history)
                    try:
                        loss = stepper.step(
                            batches, rate, (recipe.seed, at.epoch, at.step), done + 1
                        )
                    except OutOfMemoryError:
                        job.observer.note(feed.shrink(at, model.minimum_batch))
                        break
                    at.end_step(loss)
                    job.observer.step(at, steps, loss, sum(len(images) for images, _ in batches))
                    if interrupted.is_set():
                        _save_and_leave(job, state, at)
                    if 0 < 60 * recipe.train.save_minutes <= time.monotonic() - saved:
                        save_state(job.last, state, at, job.header, recipe.train.keep)
                        saved = time.monotonic()
                else:
                    break
            rate = learning_rate(recipe, (at.epoch + 1) * steps - 1, steps, at.history)
            dice = _validate(job, at, interrupted, state)
            mean_loss = at.mean_loss
            at.end_epoch()
            save_state(job.last, state, at, job.header, recipe.train.keep)
            saved = time.monotonic()
            _report(job, at, mean_loss, rate, dice, time.perf_counter() - started)
            if interrupted.is_set() and at.epoch < recipe.train.epochs:
                _leave(job)
    if at.best_epoch == 0:
        save_weights(job.best, job.judged, job.header)
    return at


def _validate(
    job: Training,
    at: Position,
    interrupted: threading.Event,
    state: State,
) -> NDArray[np.float64] | None:
    """Mean Dice per class (C,) if this epoch has a validation; keeps the best weights."""
    number, every = at.epoch + 1, job.recipe.train.val_every
    due = number % every == 0 or number == job.recipe.train.epochs
    if job.validate is None or not due:
        return None
    job.judged.eval()
    scores: list[NDArray[np.float64]] = []
    drawn: list[tuple[Scored, NDArray[np.uint8]]] = []
    for scored in job.validate():
        scores.append(scored.dice)
        if scored.draw is not None and (rgb := scored.draw(number)) is not None:
            drawn.append((scored._replace(draw=None), rgb))
        job.observer.validating(len(scores))
        if interrupted.is_set():
            _save_and_leave(job, state, at)
    dice = np.mean(scores, axis=0)
    at.history.append(float(dice.mean()))
    at.stale += 1
    if at.history[-1] > at.best_dice:
        at.best_dice, at.best_epoch, at.stale = at.history[-1], number, 0
        save_weights(job.best, job.judged, {**job.header, "epoch": number, "dice": at.best_dice})
    for scored, rgb in drawn:
        of_image = {"epoch": number, "image_id": scored.image_id, "best": at.best_epoch == number}
        shown = {**of_image, **_in_words(job, scored.dice)}
        job.trackers.picture(f"validation/{scored.image_id}", rgb, shown)
    return np.asarray(dice)


def _in_words(job: Training, dice: NDArray[np.float64]) -> dict[str, Any]:
    """Dice (C,) as trackers are told it."""
    by_name = zip(job.header["class_names"], dice, strict=True)
    return {"mean_dice": float(dice.mean()), "dice": {n: round(float(d), 5) for n, d in by_name}}


def _stale(at: Position, recipe: Recipe) -> bool:
    return 0 < recipe.train.early_stopping <= at.stale


def _report(
    job: Training,
    at: Position,
    loss: float | None,
    rate: float,
    dice: NDArray[np.float64] | None,
    took: float,
) -> None:
    values: dict[str, Any] = {
        "epoch": at.epoch,
        "loss": loss,
        "lr": rate,
        "seconds": round(took, 2),
    }
    if dice is not None:
        values |= _in_words(job, dice)
    job.trackers.log("epoch", values)
    job.observer.epoch(values, dice)


def _save_and_leave(job: Training, state: State, at: Position) -> None:
    save_state(job.last, state, at, job.header, job.recipe.train.keep)
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
