from __future__ import annotations

import signal

import numpy as np
import pytest
import torch
from timm.utils import ModelEmaV3
from torch import nn

from handbone_cli.bone_groups import BoneGroups
from handbone_cli.errors import HandboneError, InterruptedRunError
from handbone_cli.networks.weights import load_tensors, save_tensors
from handbone_cli.networks.wrapper import Segmenter
from handbone_cli.recipe.load import to_table
from handbone_cli.recipe.schema import Recipe
from handbone_cli.training.loop import Training, train
from handbone_cli.training.step import supervise
from handbone_cli.training.trackers import Trackers
from handbone_cli.training.validation import Scored

STEPS = 3


class Batches:
    """Batches whose images follow from (epoch, place), as a loader's do."""

    def __init__(self, batch_size=2):
        self.batch_size = batch_size

    def __len__(self):
        return STEPS * 2 // self.batch_size

    def epoch(self, number, start=0):
        for step in range(start, len(self)):
            places = range(step * self.batch_size, (step + 1) * self.batch_size)
            draws = [torch.Generator().manual_seed(100 * number + place) for place in places]
            images = torch.cat([torch.rand(1, 1, 8, 8, generator=draw) for draw in draws])
            yield images, (images[:, 0, ..., None] > 0.5).to(torch.uint8)


class Watcher:
    """Notes what it is told and may press Ctrl-C at one (epoch, step)."""

    def __init__(self, stop=None, stop_validating=None):
        self.stop, self.stop_validating, self.steps, self.epochs = stop, stop_validating, [], []
        self.notes, self.waits = [], []

    def waited(self, share):
        self.waits.append(share)

    def step(self, position, steps, loss, images):
        self.steps.append((position.epoch, position.step))
        if self.steps[-1] == self.stop:
            signal.raise_signal(signal.SIGINT)

    def validating(self, done):
        if self.stop_validating == len(self.epochs):
            signal.raise_signal(signal.SIGINT)

    def epoch(self, values, dice):
        self.epochs.append(values)

    def note(self, line):
        self.notes.append(line)


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
        model=(model := network()),
        ema=ModelEmaV3(model, setting.train.ema, use_warmup=True) if setting.train.ema else None,
        loss=loss,
        load=Batches,
        validate=validate if scores is not None else None,
        device=torch.device("cpu"),
        precision=torch.float32,
        last=folder / "last.safetensors",
        best=folder / "best.safetensors",
        header={"recipe": to_table(setting), "class_names": ["bone"]},
        observer=watcher or Watcher(),
        trackers=Trackers([], print),
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
    from handbone_cli.training import step

    rates, set_rate = [], step.set_rate
    monkeypatch.setattr(step, "set_rate", lambda o, rate: (rates.append(rate), set_rate(o, rate)))
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


SLOW_CLIMB = (0.5, 0.5004, 0.5008, 0.5012, 0.5016, 0.502)


def test_a_slow_climb_is_no_gain_until_it_adds_up(tmp_path):
    setting = recipe(epochs=6, early_stopping=3, min_delta=0.001)
    whole = train(job(tmp_path / "whole", scores=SLOW_CLIMB, setting=setting))
    assert (whole.epoch, whole.stale) == (6, 2)
    assert (whole.best_epoch, whole.best_dice) == (6, 0.502)  # the best of all is kept
    strict = recipe(epochs=6, early_stopping=2, min_delta=0.001)
    stopped = train(job(tmp_path / "strict", scores=SLOW_CLIMB, setting=strict))
    assert (stopped.epoch, stopped.stale, stopped.best_epoch) == (3, 2, 3)
    assert load_tensors(tmp_path / "strict" / "best.safetensors")[1]["epoch"] == 3


@pytest.mark.parametrize("stop", [(1, 2), (3, 1), (4, 3)])
def test_what_counts_as_a_gain_outlives_a_stop(tmp_path, stop):
    setting = recipe(epochs=6, early_stopping=3, min_delta=0.001)
    whole = train(job(tmp_path / "whole", scores=SLOW_CLIMB, setting=setting))
    scores = iter(SLOW_CLIMB)
    with pytest.raises(InterruptedRunError):
        train(job(tmp_path / "cut", Watcher(stop), scores, setting=setting))
    again = train(job(tmp_path / "cut", scores=scores, setting=setting), resume=True)
    assert again == whole
    old, new = (load_tensors(tmp_path / name / "last.safetensors") for name in ("whole", "cut"))
    assert all(torch.equal(old[0][key], new[0][key]) for key in old[0])
    assert old[1] == new[1]


def test_a_checkpoint_from_before_min_delta_is_resumed_and_another_one_refused(tmp_path):
    setting = recipe(epochs=6, early_stopping=2)
    with pytest.raises(InterruptedRunError):
        train(job(tmp_path, Watcher(stop=(2, 1)), SLOW_CLIMB, setting=setting))
    tensors, header = load_tensors(tmp_path / "last.safetensors")
    del header["recipe"]["train"]["min_delta"]
    save_tensors(tmp_path / "last.safetensors", tensors, header)
    other = recipe(epochs=6, early_stopping=2, min_delta=0.001)
    with pytest.raises(HandboneError, match=r"train.min_delta \(0.0 then, 0.001 now\)"):
        train(job(tmp_path, setting=other), resume=True)
    rest = train(job(tmp_path, scores=SLOW_CLIMB[2:], setting=setting), resume=True)
    assert (rest.epoch, rest.stale) == (6, 0)


def test_groups_are_validated_told_and_logged(tmp_path):
    from dataclasses import replace

    def validate():
        yield Scored("a", np.array([0.5, 0.7]), np.array([0.2]))
        yield Scored("b", np.array([0.7, 0.7]), np.array([0.4]))

    this, tracker = job(tmp_path, watcher := Watcher(), scores=()), Tracker()
    train(
        replace(
            this, validate=validate, groups=BoneGroups((0,), ((0, 1),)),
            header={**this.header, "class_names": ["Pisiform", "Triquetrum"]},
            trackers=Trackers([tracker], print),
        )
    )  # fmt: skip
    figures = {"small_bones": 0.6, "overlap_pairs": {"Pisiform+Triquetrum": 0.3}}
    for values in (watcher.epochs[0], tracker.lines[0][1]):
        assert figures.items() <= values.items()
        assert values["dice"] == {"Pisiform": 0.6, "Triquetrum": 0.7}


def test_what_is_waited_for_is_told_after_every_step(tmp_path):
    train(job(tmp_path, watcher := Watcher()))
    assert len(watcher.waits) == 4 * STEPS
    assert all(0 < share < 1 for share in watcher.waits)


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
    from dataclasses import replace

    lines = (tracker := Tracker()).lines
    this = job(tmp_path, scores=(0.1, 0.4, 0.3, 0.5))
    train(replace(this, trackers=Trackers([tracker], print)))
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


@pytest.mark.parametrize("stop", [(0, 2), (2, 1)])
def test_a_moving_average_is_kept_judged_and_resumed(tmp_path, stop):
    setting = recipe(ema=0.9)
    train(job(tmp_path / "whole", scores=(0.1, 0.4, 0.3, 0.2), setting=setting))
    scores = iter((0.1, 0.4, 0.3, 0.2))
    with pytest.raises(InterruptedRunError):
        train(job(tmp_path / "cut", Watcher(stop), scores, setting=setting))
    train(job(tmp_path / "cut", scores=scores, setting=setting), resume=True)
    for name in ("last.safetensors", "best.safetensors"):
        expected, got = weights(tmp_path / "whole" / name), weights(tmp_path / "cut" / name)
        assert expected.keys() == got.keys()
        assert all(torch.equal(expected[key], got[key]) for key in expected), name


def test_the_best_weights_are_the_averaged_ones(tmp_path):
    train(job(tmp_path, scores=(0.1, 0.2, 0.3, 0.4), setting=recipe(ema=0.9)))
    best, last = weights(tmp_path / "best.safetensors"), weights(tmp_path / "last.safetensors")
    assert all(torch.equal(best[name], last[f"ema/{name}"]) for name in best)
    assert not torch.equal(best["core.0.weight"], last["model/core.0.weight"])


def out_of_memory_above(most):
    def loss(logits, labels):
        if len(logits) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return loss_of(logits, labels)

    return loss


def test_out_of_memory_halves_the_batch_and_keeps_the_step(tmp_path):
    watcher, setting = Watcher(), recipe(batch_size=2, accumulate=1)
    train(job(tmp_path, watcher, loss=out_of_memory_above(1), setting=setting))
    assert watcher.steps == [(e, s) for e in range(4) for s in range(1, STEPS + 1)]
    assert [note[:46] for note in watcher.notes] == [
        "out of memory with a batch of 2: going on with"
    ]
    position = load_tensors(tmp_path / "last.safetensors")[1]["position"]
    assert (position["batch_size"], position["accumulate"]) == (1, 2)


def test_a_resumed_run_goes_on_with_the_smaller_batch(tmp_path):
    setting = recipe(batch_size=2)
    with pytest.raises(InterruptedRunError):
        train(job(tmp_path, Watcher((1, 1)), loss=out_of_memory_above(1), setting=setting))
    rest = Watcher()
    train(job(tmp_path, rest, loss=out_of_memory_above(1), setting=setting), resume=True)
    assert rest.notes == []
    assert rest.steps[0] == (1, 2)


def test_out_of_memory_with_one_image_ends_the_run_in_a_sentence(tmp_path):
    with pytest.raises(HandboneError, match=r"memory with a batch of 1; lower data\.patch"):
        train(job(tmp_path, loss=out_of_memory_above(0)))


def test_states_within_an_epoch(tmp_path, monkeypatch):
    from handbone_cli.training import loop

    saved, save = [], loop.save_state

    def note(path, state, at, *rest):
        saved.append((at.epoch, at.step))
        save(path, state, at, *rest)

    monkeypatch.setattr(loop, "save_state", note)
    train(job(tmp_path / "a", setting=recipe(epochs=2, save_minutes=1e-9)))
    assert saved == [(0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (1, 2), (1, 3), (2, 0)]
    saved.clear()
    train(job(tmp_path / "b", setting=recipe(epochs=2, save_minutes=0)))
    assert saved == [(1, 0), (2, 0)]


def test_older_states_are_kept_and_stand_in_for_a_torn_one(tmp_path):
    setting = recipe(keep=3)
    train(job(tmp_path, setting=setting))
    paths = [tmp_path / f"last{age}.safetensors" for age in ("", ".1", ".2")]
    assert sorted(tmp_path.glob("last*")) == sorted(paths)
    assert [load_tensors(path)[1]["position"]["epoch"] for path in paths] == [4, 3, 2]
    whole = weights(paths[0])
    for path in paths[:2]:
        path.write_bytes(path.read_bytes()[:1000])
    watcher = Watcher()
    train(job(tmp_path, watcher, setting=setting), resume=True)
    assert watcher.notes[0].endswith("Going on from last.2.safetensors instead.")
    assert watcher.steps[0] == (2, 1)
    again = weights(paths[0])
    assert all(torch.equal(whole[key], again[key]) for key in whole)


def test_a_torn_state_without_an_older_one_is_one_sentence(tmp_path):
    train(job(tmp_path))
    (tmp_path / "last.safetensors").write_bytes(b"")
    with pytest.raises(HandboneError, match="not a checkpoint of handbone, or cut off"):
        train(job(tmp_path), resume=True)


def test_a_run_resumed_elsewhere_says_so(tmp_path):
    from dataclasses import replace

    def on(threads):
        this = job(tmp_path, watcher := Watcher())
        versions = {"torch": "2", "threads": threads}
        return replace(this, header={**this.header, "versions": versions}), watcher

    train(on(1)[0])
    same, watcher = on(1)
    train(same, resume=True)
    assert watcher.notes == []
    other, watcher = on(2)
    train(other, resume=True)
    (note,) = watcher.notes
    assert note == (
        "resumed under other conditions (threads 1 -> 2): the run goes on, but not bit for bit as "
        "it would have."
    )


def test_recomputed_activations_train_to_the_same_bits(tmp_path):
    for name, keys in (("plain", {}), ("lean", {"recompute": True})):
        train(job(tmp_path / name, setting=recipe(**keys)))
    plain, lean = (weights(tmp_path / name / "last.safetensors") for name in ("plain", "lean"))
    assert all(torch.equal(plain[key], lean[key]) for key in plain)


def test_a_compiled_network_is_what_steps_run(tmp_path, monkeypatch):
    compiled = []

    def compile_(model):
        compiled.append(model)
        return lambda images: model(images) * 1

    monkeypatch.setattr(torch, "compile", compile_)
    this = job(tmp_path, setting=recipe(compile=True))
    train(this)
    assert compiled == [this.model]


def test_trackers_hear_the_rate_of_the_last_step(tmp_path):
    from dataclasses import replace

    lines = (tracker := Tracker()).lines
    schedule = {"name": "step", "step_epochs": 1, "factor": 0.1, "warmup_epochs": 1}
    this = job(tmp_path, setting=recipe(scheduler=schedule))
    train(replace(this, trackers=Trackers([tracker], print)))
    assert [values["lr"] for _, values in lines] == pytest.approx([0.05, 0.05, 0.005, 0.0005])


def test_pictures_come_before_their_epoch_and_say_which_was_best(tmp_path):
    from dataclasses import replace

    class Album(Tracker):
        def picture(self, name, rgb, values):
            self.lines.append((name, rgb[0, 0].tolist(), dict(values)))

    scores = iter((0.1, 0.4, 0.3, 0.5))

    def validate():
        dice = np.array([next(scores)])
        yield Scored("a", dice, draw=lambda epoch: np.full((1, 1, 3), epoch, np.uint8))
        yield Scored("b", dice, draw=lambda epoch: None)

    lines = (album := Album()).lines
    train(replace(job(tmp_path), validate=validate, trackers=Trackers([album], print)))
    assert [line[0] for line in lines] == ["validation/a", "epoch"] * 4
    shown = [line[1:] for line in lines if line[0] != "epoch"]
    assert [rgb for rgb, _ in shown] == [[n, n, n] for n in (1, 2, 3, 4)]
    assert [(v["epoch"], v["mean_dice"], v["best"]) for _, v in shown] == [
        (1, 0.1, True), (2, 0.4, True), (3, 0.3, False), (4, 0.5, True),
    ]  # fmt: skip
    assert shown[0][1]["image_id"] == "a"
    assert shown[0][1]["dice"] == {"bone": 0.1}
