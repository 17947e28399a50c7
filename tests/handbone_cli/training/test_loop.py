from __future__ import annotations

import signal

import numpy as np
import pytest
import torch
from torch import nn

from handbone_cli.errors import HandboneError, InterruptedRunError
from handbone_cli.networks.weights import load_tensors, save_tensors
from handbone_cli.networks.wrapper import Segmenter
from handbone_cli.recipe.load import to_table
from handbone_cli.recipe.schema import Recipe
from handbone_cli.training.loop import Training, supervise, train
from handbone_cli.training.validation import Scored

STEPS = 3


class Batches:
    """Batches that follow from (epoch, step), as a loader's do."""

    def __len__(self):
        return STEPS

    def epoch(self, number, start=0):
        for step in range(start, STEPS):
            draw = torch.Generator().manual_seed(100 * number + step)
            images = torch.rand(2, 1, 8, 8, generator=draw)
            yield images, (images[:, 0, ..., None] > 0.5).to(torch.uint8)


class Watcher:
    """Notes what it is told and may press Ctrl-C at one (epoch, step)."""

    def __init__(self, stop=None, stop_validating=None):
        self.stop, self.stop_validating, self.steps, self.epochs = stop, stop_validating, [], []

    def step(self, position, steps, loss, images):
        self.steps.append((position.epoch, position.step))
        if self.steps[-1] == self.stop:
            signal.raise_signal(signal.SIGINT)

    def validating(self, done):
        if self.stop_validating == len(self.epochs):
            signal.raise_signal(signal.SIGINT)

    def epoch(self, values, dice):
        self.epochs.append(values)


class Tracker:
    def __init__(self):
        self.lines = []

    def log(self, event, values):
        self.lines.append((event, dict(values)))


def recipe(optimizer=None, scheduler=None, **train_keys):
    return Recipe.model_validate({
        "name": "r", "model": {"name": "m"}, "loss": {"name": "l"},
        "optimizer": {"lr": 0.05, **(optimizer or {})},
        "scheduler": {"warmup_epochs": 1, **(scheduler or {})},
        "train": {"epochs": 4, "early_stopping": 0, "clip_norm": 1.0, **train_keys},
    })  # fmt: skip


def network():
    torch.manual_seed(1)
    core = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Dropout(0.2), nn.Conv2d(4, 1, 1)
    )
    return Segmenter(core, 1, 1)


def loss_of(logits, labels):
    target = labels.permute(0, 3, 1, 2).float()
    return nn.functional.binary_cross_entropy_with_logits(logits, target)


def job(folder, watcher=None, scores=None, loss=loss_of, setting=None):
    setting = setting or recipe()
    scores = iter(scores) if scores is not None else None

    def validate():
        yield Scored("a", np.array([next(scores)]))

    return Training(
        recipe=setting,
        model=network(),
        loss=loss,
        loader=Batches(),
        validate=validate if scores is not None else None,
        device=torch.device("cpu"),
        precision=torch.float32,
        last=folder / "last.safetensors",
        best=folder / "best.safetensors",
        header={"recipe": to_table(setting), "class_names": ["bone"]},
        observer=watcher or Watcher(),
        trackers=[Tracker()],
    )


def weights(path):
    return load_tensors(path)[0]


def figures(watcher):
    return [{k: v for k, v in values.items() if k != "seconds"} for values in watcher.epochs]


@pytest.mark.parametrize("stop", [(0, 1), (1, 2), (2, 3), (3, 3)])
def test_a_stopped_run_continues_bit_for_bit(tmp_path, stop):
    unbroken = Watcher()
    final = train(job(tmp_path / "whole", unbroken, scores=(0.1, 0.4, 0.3, 0.5)))
    torch.manual_seed(999)  # a new process knows nothing of the old one's streams
    scores = iter((0.1, 0.4, 0.3, 0.5))
    watcher = Watcher(stop)
    with pytest.raises(InterruptedRunError) as caught:
        train(job(tmp_path / "cut", watcher, scores))
    assert str(caught.value) == (
        f"stopped; {tmp_path / 'cut' / 'last.safetensors'} holds the run: continue with "
        f"`hb train --resume {tmp_path / 'cut'}`."
    )
    assert watcher.steps[-1] == stop
    rest = Watcher()
    again = train(job(tmp_path / "cut", rest, scores), resume=True)
    assert watcher.steps + rest.steps == [(e, s) for e in range(4) for s in range(1, STEPS + 1)]
    assert again == final
    assert figures(watcher) + figures(rest) == figures(unbroken)
    for name in ("last.safetensors", "best.safetensors"):
        expected, got = weights(tmp_path / "whole" / name), weights(tmp_path / "cut" / name)
        assert expected.keys() == got.keys()
        assert all(torch.equal(expected[key], got[key]) for key in expected), name


@pytest.mark.parametrize("stop", [(1, 1), (3, 2)])
@pytest.mark.parametrize(
    ("optimizer", "scheduler"),
    [
        ({"name": "adam"}, {"name": "one_cycle"}),
        ({"name": "sgd"}, {"name": "plateau", "patience": 0, "warmup_epochs": 0}),
        ({"name": "lion", "decay_all": False}, {"name": "poly"}),
        ({"name": "adamp"}, {"name": "step"}),
    ],
)
def test_every_optimizer_and_scheduler_continues_bit_for_bit(tmp_path, optimizer, scheduler, stop):
    setting, dice = recipe(optimizer, scheduler), (0.4, 0.1, 0.1, 0.1)
    train(job(tmp_path / "whole", scores=dice, setting=setting))
    scores = iter(dice)
    with pytest.raises(InterruptedRunError):
        train(job(tmp_path / "cut", Watcher(stop), scores, setting=setting))
    train(job(tmp_path / "cut", scores=scores, setting=setting), resume=True)
    old, new = (load_tensors(tmp_path / name / "last.safetensors") for name in ("whole", "cut"))
    assert old[0].keys() == new[0].keys()
    assert all(torch.equal(old[0][key], new[0][key]) for key in old[0])
    assert old[1] == new[1]


def test_a_plateau_lowers_the_rate_of_the_epochs_after_it(tmp_path, monkeypatch):
    from handbone_cli.training import loop

    rates, set_rate = [], loop.set_rate
    monkeypatch.setattr(loop, "set_rate", lambda o, rate: (rates.append(rate), set_rate(o, rate)))
    keys = {"name": "plateau", "patience": 0, "factor": 0.5, "warmup_epochs": 0}
    train(job(tmp_path, scores=(0.4, 0.3, 0.5, 0.1), setting=recipe(scheduler=keys)))
    assert rates == [0.05] * 2 * STEPS + [0.025] * 2 * STEPS


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        (recipe({"name": "lyon"}), "no optimizer is named 'lyon'"),
        (recipe({"name": "lion", "momentum": 0.9}), "lion takes no momentum"),
        (recipe(scheduler={"min_lr": 1}), "min_lr 1 must be less than optimizer.lr 0.05"),
        (recipe(scheduler={"name": "plateau"}), "plateau goes by the Dice of people left out"),
    ],
)
def test_what_cannot_work_is_said_before_the_first_batch(tmp_path, setting, words):
    watcher = Watcher()
    with pytest.raises(HandboneError, match=words):
        train(job(tmp_path, watcher, setting=setting))
    assert watcher.steps == []


def test_a_checkpoint_whose_optimizer_kept_tensors_alone_is_resumed(tmp_path):
    """As it was written before optimizers that count their steps in numbers."""
    train(job(tmp_path / "whole"))
    with pytest.raises(InterruptedRunError):
        train(job(tmp_path / "cut", Watcher(stop=(2, 1))))
    tensors, header = load_tensors(tmp_path / "cut" / "last.safetensors")
    del header["optimizer"]
    for key in ("betas", "eps", "decay_all"):
        del header["recipe"]["optimizer"][key]
    save_tensors(tmp_path / "cut" / "last.safetensors", tensors, header)
    train(job(tmp_path / "cut"), resume=True)
    old, new = (weights(tmp_path / name / "last.safetensors") for name in ("whole", "cut"))
    assert all(torch.equal(old[key], new[key]) for key in old)


def test_a_stop_while_validating(tmp_path):
    unbroken, watcher, rest = Watcher(), Watcher(stop_validating=1), Watcher()
    whole = train(job(tmp_path / "whole", unbroken, scores=(0.1, 0.4, 0.3, 0.5)))
    with pytest.raises(InterruptedRunError):
        train(job(tmp_path / "cut", watcher, scores=(0.1, 0.4)))
    again = train(job(tmp_path / "cut", rest, scores=(0.4, 0.3, 0.5)), resume=True)
    assert again == whole
    assert figures(watcher) + figures(rest) == figures(unbroken)
    old, new = (weights(tmp_path / name / "last.safetensors") for name in ("whole", "cut"))
    assert all(torch.equal(old[key], new[key]) for key in old)


def test_a_checkpoint_from_before_losses_were_kept_is_resumed(tmp_path):
    """It has the losses of the rest of the epoch alone, and none after the last step."""
    with pytest.raises(InterruptedRunError):
        train(job(tmp_path, Watcher(stop=(0, STEPS))))
    tensors, header = load_tensors(tmp_path / "last.safetensors")
    for key in ("loss_sum", "loss_steps"):
        del header["position"][key]
    save_tensors(tmp_path / "last.safetensors", tensors, header)
    rest = Watcher()
    train(job(tmp_path, rest), resume=True)
    assert [values["loss"] is None for values in rest.epochs] == [True, False, False, False]


def test_the_loss_of_an_epoch_is_the_mean_of_its_steps(tmp_path):
    class Noting(Watcher):
        def step(self, position, steps, loss, images):
            self.steps.append(loss)

    watcher = Noting()
    train(job(tmp_path, watcher))
    expected = np.array(watcher.steps).reshape(4, STEPS).mean(axis=1)
    assert [values["loss"] for values in watcher.epochs] == pytest.approx(expected.tolist())


def test_the_signal_handlers_are_given_back(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    train(job(tmp_path))
    assert signal.getsignal(signal.SIGINT) is before


def test_early_stopping_keeps_the_best(tmp_path):
    watcher = Watcher()
    setting = recipe(epochs=9, early_stopping=2)
    this = job(tmp_path, watcher, (0.2, 0.6, 0.5, 0.6, 0.9), setting=setting)
    final = train(this)
    assert (final.epoch, final.best_epoch, final.best_dice, final.stale) == (4, 2, 0.6, 2)
    assert final.history == [0.2, 0.6, 0.5, 0.6]
    assert [values["epoch"] for values in watcher.epochs] == [1, 2, 3, 4]
    header = load_tensors(tmp_path / "best.safetensors")[1]
    assert (header["epoch"], header["dice"]) == (2, 0.6)
    assert train(this, resume=True).epoch == 4


def test_validations_every_so_many_epochs_and_last(tmp_path):
    watcher = Watcher()
    train(job(tmp_path, watcher, (0.2, 0.6), setting=recipe(epochs=4, val_every=3)))
    assert ["mean_dice" in values for values in watcher.epochs] == [False, False, True, True]


def test_without_people_left_out_the_last_weights_are_the_best(tmp_path):
    final = train(job(tmp_path))
    assert (final.best_epoch, final.best_dice) == (0, -1.0)
    best, last = weights(tmp_path / "best.safetensors"), weights(tmp_path / "last.safetensors")
    assert all(torch.equal(best[name], last[f"model/{name}"]) for name in best)


def test_a_loss_that_is_no_number(tmp_path):
    def loss(logits, labels):
        return logits.mean() * float("nan")

    with pytest.raises(HandboneError, match=r"the loss is nan in epoch 1, step 1; lower optimizer"):
        train(job(tmp_path, loss=loss))
    assert not (tmp_path / "last.safetensors").exists()


def test_auxiliary_outputs_weigh_half_of_the_one_before():
    def loss(logits, labels):
        return logits.sum()

    outputs = [torch.full((1, 1, 1, 1), value) for value in (8.0, 4.0, 2.0)]
    labels = torch.zeros(1, 1, 1, 1, dtype=torch.uint8)
    assert supervise(loss, outputs, labels).item() == pytest.approx((8 + 2 + 0.5) / 1.75)
    assert supervise(loss, outputs, labels, (1, 0.4, 0)).item() == pytest.approx(9.6 / 1.4)
    assert supervise(loss, outputs[0], labels).item() == 8


def test_auxiliary_outputs_meet_labels_of_their_size():
    labels = torch.arange(64, dtype=torch.uint8).reshape(1, 8, 8, 1)
    seen = []

    def loss(logits, labels):
        seen.append(labels[0, :, :, 0].tolist())
        return logits.sum()

    supervise(loss, [torch.zeros(1, 3, side, side) for side in (8, 4, 2)], labels)
    assert seen[0] == labels[0, :, :, 0].tolist()
    assert seen[1][0] == [9, 11, 13, 15]
    assert seen[2] == [[18, 22], [50, 54]]


def test_trackers_hear_every_epoch(tmp_path):
    this = job(tmp_path, scores=(0.1, 0.4, 0.3, 0.5))
    train(this)
    lines = this.trackers[0].lines
    assert [(event, values["epoch"]) for event, values in lines] == [
        ("epoch", e + 1) for e in range(4)
    ]
    assert lines[1][1]["mean_dice"] == 0.4
    assert lines[1][1]["dice"] == {"bone": 0.4}
    assert lines[0][1]["loss"] > lines[3][1]["loss"] > 0


def test_half_precision_on_the_cpu(tmp_path):
    from dataclasses import replace

    watcher = Watcher()
    train(replace(job(tmp_path, watcher), precision=torch.bfloat16))
    assert all(np.isfinite(values["loss"]) for values in watcher.epochs)
