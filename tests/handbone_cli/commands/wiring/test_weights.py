"""Training that starts from a file, as a user sees it and in the numbers."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil

import pytest
import torch
from torch import nn

from handbone_cli.commands.wiring import loading
from handbone_cli.host.interfaces import Options
from handbone_cli.host.registry import installed
from handbone_cli.networks.weights import load_tensors, save_tensors
from handbone_cli.recipe.load import parse_toml
from handbone_cli.testing import BONES, hb, tiny_recipe, write_tiny_hands
from handbone_cli.training import loop
from handbone_cli.training.checkpoint import Position

OTHERS = ("Ulna", "Hamate", "Capitate")
SHORT = {"epochs": 1, "patches_per_image": 1}
STILL = {"lr": 1e-12, "weight_decay": 0.0}
"""Training that moves nothing, so that a run's weights are those it began with."""


@pytest.fixture(scope="session")
def still(tiny_data):
    """A recipe of one step that moves nothing, on the classes that `trained_run` knows."""
    path = tiny_data.recipe.parent / "still.toml"
    path.write_text(tiny_recipe(tiny_data.root, train=SHORT, optimizer=STILL))
    return path


@pytest.fixture(scope="session")
def other(tmp_path_factory):
    """The same on three classes, two of which `trained_run` knows, in another order."""
    folder = tmp_path_factory.mktemp("other")
    root = write_tiny_hands(folder / "hands", class_names=OTHERS)
    data = {"class_names": list(OTHERS)}
    (folder / "other.toml").write_text(tiny_recipe(root, data=data, train=SHORT, optimizer=STILL))
    return folder / "other.toml"


def best(run):
    return load_tensors(run / "best.safetensors")[0]


def facts(run):
    return json.loads((run / "run.json").read_text())


def alike(one, two):
    return torch.allclose(one, two, atol=1e-6)


@pytest.mark.parametrize("name", ["", "best.safetensors", "last.safetensors"])
def test_a_run_starts_from_another_one(trained_run, still, tmp_path, name):
    weights = trained_run.run / name
    done = hb("train", still, "-o", tmp_path / "run", "--set", f"model.weights={weights}")
    assert done.code == 0, done.err
    file = trained_run.run / (name or "best.safetensors")
    assert done.err.splitlines()[0] == (
        f"{file}: 27 of 27 tensors loaded, 100.0 % of the parameters"
    )
    now, old = best(tmp_path / "run"), best(trained_run.run)
    if name != "last.safetensors":
        assert all(alike(now[key], each) for key, each in old.items())
    began = facts(tmp_path / "run")["initial_weights"]
    assert began["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert (began["file"], began["loaded"], began["tensors"]) == (str(file), 27, 27)
    assert load_tensors(tmp_path / "run" / "best.safetensors")[1]["initial_weights"] == began
    assert parse_toml(tmp_path / "run" / "recipe.toml")["model"]["weights"] == str(weights)


def test_fine_tuning_on_other_classes_starts_with_the_right_heads(trained_run, other, tmp_path):
    sets = ("--set", f"model.weights={trained_run.run}", "--set", "model.partial=true")
    done = hb("train", other, "-o", tmp_path / "run", *sets)
    assert done.code == 0, done.err
    assert done.err.splitlines()[:3] == [
        f"{trained_run.run}/best.safetensors: 27 of 27 tensors loaded, 99.8 % of the parameters",
        "  2 of 3 classes by name: Ulna, Capitate",
        "  from the data's prior: Hamate",
    ]
    fresh = hb("train", other, "-o", tmp_path / "fresh")
    assert fresh.code == 0, fresh.err
    now, old, start = best(tmp_path / "run"), best(trained_run.run), best(tmp_path / "fresh")
    for name in ("bias", "core.decoder.seg_layers.0.weight", "core.decoder.seg_layers.0.bias"):
        assert alike(now[name][0], old[name][BONES.index("Ulna")]), name
        assert alike(now[name][2], old[name][BONES.index("Capitate")]), name
        assert alike(now[name][1], start[name][1]), name
    assert now["bias"][1] < -1  # the log-odds of a bone
    assert alike(
        now["core.encoder.stages.0.0.convs.0.all_modules.0.weight"],
        old["core.encoder.stages.0.0.convs.0.all_modules.0.weight"],
    )
    assert facts(tmp_path / "run")["initial_weights"]["class_names"] == ["Ulna", "Capitate"]


def test_the_outputs_of_a_file_without_our_bias_stay_as_they_are(trained_run, still, tmp_path):
    """Its heads know how rare a bone is; the data's prior on top would count it twice."""
    core = {n.removeprefix("core."): t for n, t in best(trained_run.run).items() if n != "bias"}
    save_tensors(tmp_path / "core.safetensors", core, {})
    weights = f"model.weights={tmp_path / 'core.safetensors'}"
    done = hb("train", still, "-o", tmp_path / "run", "--set", weights)
    assert done.code == 0, done.err
    assert done.err.splitlines()[:2] == [
        f"{tmp_path / 'core.safetensors'}: 26 of 26 tensors loaded, 100.0 % of the parameters",
        "  the file names no classes: they are taken to be this dataset's, in order",
    ]
    assert alike(best(tmp_path / "run")["bias"], torch.zeros(4))


def test_the_file_is_never_read_again(trained_run, still, tmp_path, monkeypatch):
    shutil.copytree(trained_run.run, tmp_path / "old")
    run, weights = tmp_path / "run", f"model.weights={tmp_path / 'old'}"
    assert hb("train", still, "-o", run, "--set", weights).code == 0
    shutil.rmtree(tmp_path / "old")
    began = facts(run)
    (run / "run.json").write_text(json.dumps(began | {"status": "stopped"}))
    resumed = hb("train", "--resume", run)
    assert resumed.code == 0, resumed.err
    assert "tensors loaded" not in resumed.err
    (run / "run.json").write_text(json.dumps(began | {"status": "stopped"}))
    jobs = []
    with monkeypatch.context() as patched:
        patched.setattr(loop, "train", lambda job, resume: jobs.append(job) or Position(1))
        again = hb("train", still, "--resume", run, "--set", weights)
    assert again.code == 0, again.err
    assert jobs[0].header["initial_weights"] == began["initial_weights"]
    assert facts(run)["initial_weights"] == began["initial_weights"]
    predicted = hb("predict", run, "-i", "val", "-o", tmp_path / "val")
    assert predicted.code == 0, predicted.err


def test_other_weights_are_another_recipe(trained_run, tmp_path):
    asked = ("--set", f"model.weights={tmp_path / 'x'}", "--set", "model.partial=true")
    done = hb("train", "--resume", trained_run.run, *asked)
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        f"hb: {trained_run.run}: was trained with another recipe: model.partial (none then, true "
        f"now), model.weights (none then, {tmp_path / 'x'} now); resume it without RECIPE and "
        "--set, or start a new run with another -o.\n"
    )


def test_a_mistake_is_found_before_the_data_is_looked_at(trained_run, other, tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "gather", lambda *_: pytest.fail("the data was looked at"))
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.safetensors").touch()
    torch.save({}, tmp_path / "old.pt")
    unfinished = tmp_path / "unfinished"
    shutil.copytree(trained_run.run, unfinished)
    (unfinished / "best.safetensors").unlink()
    said = {
        "none": "no such file or folder; expected a safetensors file, or a run directory (what "
        "`hb train` writes).",
        "folder": "not a run directory, there is no run.json in it.",
        "empty.safetensors": "empty; use another file.",
        "old.pt": "a file of torch.save, and only safetensors are read; `hb weights import "
        f"{tmp_path / 'old.pt'}` makes one of it.",
    }
    for name, words in said.items():
        done = hb(
            "train", other, "-o", tmp_path / "run", "--set", f"model.weights={tmp_path / name}"
        )
        assert (done.code, done.out, done.err) == (1, "", f"hb: {tmp_path / name}: {words}\n")
    done = hb("train", other, "-o", tmp_path / "run", "--set", f"model.weights={unfinished}")
    assert "best.safetensors: no such file or folder; expected a trained run" in done.err
    done = hb("train", other, "-o", tmp_path / "run", "--set", f"model.weights={trained_run.run}")
    assert "was trained for 4 classes (finger-1, Capitate, Radius and 1 more)" in done.err
    sets = ("--set", f"model.weights={trained_run.run}", "--set", "model.features=[4, 8, 9]")
    done = hb("train", other, "-o", tmp_path / "run", *sets, "--set", "model.partial=false")
    assert done.code == 1
    assert not (tmp_path / "run").exists()


def test_a_loss_that_cannot_be_built_leaves_no_run_behind(tiny_data, tmp_path):
    loss = "loss={name='overlap', pairs=[['Ulna', 'Radios']]}"
    done = hb("train", tiny_data.recipe, "-o", tmp_path / "run", "--set", loss)
    assert done.code == 1
    assert "Did you mean 'Radius'?" in done.err
    assert not (tmp_path / "run").exists()


class ToyOptions(Options):
    pretrained: bool = False


@pytest.fixture
def downloads(monkeypatch):
    """A model plugin `toy` whose body can be downloaded; gives when it was built, and how."""
    built = []

    class Toy(nn.Module):
        def __init__(self, options, context):
            super().__init__()
            self.body = nn.Conv2d(1, 2, 1)
            self.head = nn.Conv2d(2, context.classes, 1)
            built.append(options.pretrained)
            if options.pretrained:
                nn.init.constant_(self.body.weight, 0.5)

        def forward(self, images):
            return self.head(self.body(images))

    registry = installed()
    nnunet = registry.get("models", "nnunet")
    toy = dataclasses.replace(nnunet, name="toy", factory=Toy, options=ToyOptions, divisor=1)
    monkeypatch.setitem(registry.components["models"], "toy", toy)
    return built


def heads(classes):
    return {"head.weight": torch.rand(classes, 2, 1, 1), "head.bias": torch.rand(classes)}


BODY = {"body.weight": torch.rand(2, 1, 1, 1), "body.bias": torch.rand(2)}
DROPPED = "model.pretrained = true is left out: model.weights brings all that it would"


@pytest.mark.parametrize(
    ("tensors", "partial", "dropped"),
    [
        (BODY | heads(4), "false", True),
        (BODY, "true", True),
        (BODY | heads(9), "true", True),
        (heads(4), "true", False),
    ],
)
def test_pretraining_is_downloaded_for_what_the_file_does_not_bring_alone(
    still, tmp_path, downloads, tensors, partial, dropped
):
    save_tensors(tmp_path / "w.safetensors", tensors, {})
    model = (f"model={{name='toy', pretrained=true, weights='{tmp_path / 'w.safetensors'}', "
             f"partial={partial}}}")  # fmt: skip
    done = hb("train", still, "-o", tmp_path / "run", "--set", model)
    assert done.code == 0, done.err
    assert (DROPPED in done.err.splitlines(), True in downloads) == (dropped, not dropped)
    expected = BODY["body.weight"] if dropped else torch.full((2, 1, 1, 1), 0.5)
    assert alike(best(tmp_path / "run")["core.body.weight"], expected)


def test_a_run_that_goes_on_downloads_nothing(still, tmp_path, downloads):
    run = tmp_path / "run"
    model = "model={name='toy', pretrained=true}"
    assert hb("train", still, "-o", run, "--set", model).code == 0
    assert downloads == [True]
    (run / "run.json").write_text(json.dumps(facts(run) | {"status": "stopped"}))
    resumed = hb("train", "--resume", run)
    assert resumed.code == 0, resumed.err
    assert hb("predict", run, "-i", "val", "-o", tmp_path / "val").code == 0
    assert downloads == [True, False, False]
