"""The training loop: one visible function from batches to checkpoints."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

import torch

from handbone_cli.bone_groups import NO_GROUPS, BoneGroups
from handbone_cli.errors import InterruptedRunError, LostRankError
from handbone_cli.networks.collectives import any_rank, collect, gather
from handbone_cli.networks.recompute import recompute_activations
from handbone_cli.processes import told_to_stop
from handbone_cli.ranks import is_launched, rank_count
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
from handbone_cli.training.validation import Validation, count_stale
from handbone_cli.training.waiting import Waits

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy as np
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

    def waited(self, share: float) -> None:
        """After every step: the share of the last steps' time in which batches were waited for."""

    def validating(self, done: int) -> None:
        """After every validation image."""

    def epoch(self, values: dict[str, Any], dice: NDArray[np.float64] | None) -> None:
        """After every epoch; `dice` (C,) where there was a validation.

        `values` are what trackers are told, the scores of small bones and overlaps among them.
        """

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
            Of several processes each has its share of a batch.
        validate: () -> scores of the people left out, image by image; None without any. Of several
            processes each has its share of the images.
        device: where the model is.
        precision: of the forward pass.
        last: file of the resumable state.
        best: file of the best weights.
        header: what checkpoints say of themselves (recipe, class names, versions).
        observer: watches.
        trackers: are told every epoch's figures; one that fails is dropped.
        groups: the bones that validation scores beside all.
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
    groups: BoneGroups = NO_GROUPS

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
            tied=rank_count() > 1 and (keys.shard or keys.sync_batchnorm),
        )


def train(job: Training, *, resume: bool = False) -> Position:
    """Train from the beginning or from `last`, to the last epoch or an early stop.

    Returns the final position. Ctrl-C writes `last` after the step under way and raises
    InterruptedRunError; the same recipe then continues with the same batches. Several processes run
    this side by side, each with its share of every batch and of the validation; where one is lost
    the first writes `last` as it was before the step under way.
    """
    recipe, model = job.recipe, job.model
    refuse_schedule(recipe, validates=job.validate is not None)
    scaler = torch.amp.GradScaler(job.device.type, enabled=job.precision is torch.float16)
    state = State(model, build_optimizer(recipe.optimizer, model), scaler, job.ema)
    at = restore_state(job.last, state, job.header, job.observer.note) if resume else Position()
    feed = Feed.of(job.load, at, recipe.train.batch_size, recipe.train.accumulate)
    stepper, steps = job.stepper(state), len(feed)
    waits = Waits(job.observer, recipe.data)
    saved = time.monotonic()
    with told_to_stop() as interrupted, _kept_when_left_alone(job, state, at):
        while at.epoch < recipe.train.epochs and not _stale(at, recipe):
            started = time.perf_counter()
            model.train()
            while True:  # once, and once more each time that batches shrink
                for batches in waits.watch(feed.epoch(at.epoch, at.step)):
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
                    images = sum(len(images) for images, _ in batches) * rank_count()
                    job.observer.step(at, steps, loss, images)
                    due = 0 < 60 * recipe.train.save_minutes <= time.monotonic() - saved
                    leave, save = any_rank(interrupted.is_set(), due)
                    if leave:
                        _save_and_leave(job, state, at)
                    if save:
                        save_state(job.last, state, at, job.header, recipe.train.keep)
                        saved = time.monotonic()
                else:
                    break
            rate = learning_rate(recipe, (at.epoch + 1) * steps - 1, steps, at.history)
            validation = _validate(job, at, interrupted, state)
            mean_loss = at.mean_loss
            at.end_epoch()
            save_state(job.last, state, at, job.header, recipe.train.keep)
            saved = time.monotonic()
            _report(job, at, mean_loss, rate, validation, time.perf_counter() - started)
            (leave,) = any_rank(interrupted.is_set() and at.epoch < recipe.train.epochs)
            if leave:
                _leave(job)
    if at.best_epoch == 0:
        save_weights(job.best, job.judged, job.header)
    return at


def _validate(
    job: Training,
    at: Position,
    interrupted: threading.Event,
    state: State,
) -> Validation | None:
    """The scores if this epoch has a validation; keeps the best weights."""
    number, keys = at.epoch + 1, job.recipe.train
    due = number % keys.val_every == 0 or number == keys.epochs
    if job.validate is None or not due:
        return None
    job.judged.eval()
    scores: list[Scored] = []
    drawn: list[tuple[Scored, NDArray[np.uint8]]] = []
    # Processes that each have a part of the model walk through the same images together.
    together = job.recipe.train.shard
    for scored in job.validate():
        scores.append(scored._replace(draw=None))
        if scored.draw is not None and (rgb := scored.draw(number)) is not None:
            drawn.append((scores[-1], rgb))
        job.observer.validating(len(scores) * (1 if together else rank_count()))
        if any_rank(interrupted.is_set())[0] if together else interrupted.is_set():
            break
    (leave,) = any_rank(interrupted.is_set())
    if leave:
        _save_and_leave(job, state, at)
    if not together:
        scores, drawn = gather(scores), collect(drawn)
    validation = Validation.of(scores, job.groups)
    at.history.append(validation.mean_dice)
    at.stale = count_stale(at.history, keys.min_delta)
    if at.history[-1] > at.best_dice:
        at.best_dice, at.best_epoch = at.history[-1], number
        save_weights(job.best, job.judged, {**job.header, "epoch": number, "dice": at.best_dice})
    for scored, rgb in drawn:
        of_image = {"epoch": number, "image_id": scored.image_id, "best": at.best_epoch == number}
        figures = Validation.of([scored], job.groups).figures(job.header["class_names"])
        job.trackers.picture(f"validation/{scored.image_id}", rgb, {**of_image, **figures})
    return validation


def _stale(at: Position, recipe: Recipe) -> bool:
    return 0 < recipe.train.early_stopping <= at.stale


def _report(
    job: Training,
    at: Position,
    loss: float | None,
    rate: float,
    validation: Validation | None,
    took: float,
) -> None:
    values: dict[str, Any] = {
        "epoch": at.epoch,
        "loss": loss,
        "lr": rate,
        "seconds": round(took, 2),
    }
    if validation is not None:
        values |= validation.figures(job.header["class_names"])
    job.trackers.log("epoch", values)
    job.observer.epoch(values, None if validation is None else validation.dice)


def _save_and_leave(job: Training, state: State, at: Position) -> None:
    save_state(job.last, state, at, job.header, job.recipe.train.keep)
    _leave(job)


@contextlib.contextmanager
def _kept_when_left_alone(job: Training, state: State, at: Position) -> Iterator[None]:
    """Where another process of the run is lost, keep what this one has: all of the run.

    Others are only met before the weights move, so that these are as the last whole step left them.
    """
    try:
        yield
    except LostRankError:
        if at.epoch + at.step > 0 and not job.recipe.train.shard:  # the lost one had a part of it
            save_state(job.last, state, at, job.header, job.recipe.train.keep)
        raise


def _leave(job: Training) -> None:
    devices = f" --devices {rank_count()}" if is_launched() else ""
    raise InterruptedRunError(
        f"stopped; {job.last} holds the run: continue with "
        f"`hb train --resume {job.last.parent}{devices}`."
    )
