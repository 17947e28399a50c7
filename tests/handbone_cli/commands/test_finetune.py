from __future__ import annotations

import json
import shutil

import pytest
import torch

from handbone_cli.networks.weights import load_tensors
from handbone_cli.testing import hb, tiny_recipe

SHORT = ("--set", "train.patches_per_image=2")


def facts(run):
    return json.loads((run / "run.json").read_text())


def weights(run, name="best"):
    return load_tensors(run / f"{name}.safetensors")[0]


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.fixture(scope="module")
def on_all(trained_run, tmp_path_factory):
    """About 1 s: the shared run continued on everybody, for two epochs, averaged."""
    folder = tmp_path_factory.mktemp("finetuned")
    sets = ("--set", "train.epochs=2", "--set", "train.ema=0.9", *SHORT)
    done = hb("train", "--finetune", trained_run.run, "--on", "all", *sets, cwd=folder)
    assert done.code == 0, done.err
    return folder / "runs" / "tiny_fold2_finetuned_all", done


def test_a_run_goes_on_with_its_fold(trained_run, tmp_path):
    done = hb("train", "--finetune", trained_run.run, *SHORT, cwd=tmp_path)
    assert done.code == 0, done.err
    run = tmp_path / "runs" / "tiny_fold2_finetuned"
    assert "27 of 27 tensors loaded" in done.err
    assert "8 images to train on, 4 of people left out" in done.err
    said = facts(run)
    assert said["trained_persons"] == facts(trained_run.run)["trained_persons"]
    assert said["best_dice"] > 0.9 * facts(trained_run.run)["best_dice"]
    recipe = said["recipe"]
    assert (recipe["train"]["epochs"], recipe["train"]["on"]) == (1, "train")
    assert recipe["optimizer"]["lr"] == pytest.approx(0.002)
    assert recipe["model"]["weights"] == str(trained_run.run)


def test_everybody_is_trained_on_and_the_last_weights_are_kept(on_all, trained_run):
    run, done = on_all
    assert "12 images to train on, nobody is left out: no validation, no early stopping, " in (
        done.err
    )
    assert done.out == "runs/tiny_fold2_finetuned_all: trained to epoch 2, without validation\n"
    said = facts(run)
    assert len(said["trained_persons"]) == 6
    assert (said["status"], said["epochs"], said["best_dice"]) == ("finished", 2, None)
    state = weights(run, "last")
    averaged = {name[4:]: each for name, each in state.items() if name.startswith("ema/")}
    assert equal(weights(run), averaged), "the averaged weights after the last epoch"
    newest = {name[6:]: each for name, each in state.items() if name.startswith("model/")}
    assert not equal(weights(run), newest)


def test_its_people_are_seen_by_all_that_follows(on_all, second_run, tmp_path):
    run, _ = on_all
    store = tmp_path / "store"
    assert hb("predict", run, "-i", "val", "-o", store).code == 0
    entries = json.loads((store / "manifest.json").read_text())["images"].values()
    assert [entry["seen"] for entry in entries] == [True] * 4
    scored = hb("evaluate", store)
    assert scored.err.startswith(
        f"{store}: a model was trained on the people of 4 of 4 images; their Dice does not tell "
    )
    weighed = hb("ensemble", "optimize", store, second_run.val, "-o", tmp_path / "d.toml")
    assert (weighed.code, "so their masks prove nothing" in weighed.err) == (1, True)


def test_it_is_listed_shown_and_done(on_all):
    run, _ = on_all
    listed = hb("runs", "list", run.parent).out.splitlines()[1].split()
    assert listed[1:4] == ["finished", "2/2", "-"]
    assert "best mean Dice" in hb("runs", "show", run).out
    again = hb("train", "--resume", run)
    assert again.out == f"{run}: trained already, without validation\n"
    shown = hb("weights", "show", run / "best.safetensors")
    assert "trained as tiny\n" in shown.out


def test_the_recipe_of_the_run_gives_the_run(on_all, tmp_path):
    run, _ = on_all
    done = hb("train", run / "recipe.toml", "-o", tmp_path / "again")
    assert done.code == 0, done.err
    assert equal(weights(run), weights(tmp_path / "again"))
    assert facts(tmp_path / "again")["initial_weights"] == facts(run)["initial_weights"]


@pytest.mark.slow  # 1.5 s: a whole run in two parts
def test_it_is_resumed_to_the_same_weights(on_all, tmp_path, monkeypatch):
    import signal

    from handbone_cli.terminal.training_table import TrainingTable

    run, _ = on_all

    def watch(self, position, steps, loss, images):
        if position.epoch == 1:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(TrainingTable, "step", watch)
        assert hb("train", run / "recipe.toml", "-o", tmp_path / "run").code == 130
    assert not (tmp_path / "run" / "best.safetensors").exists()
    resumed = hb("train", "--resume", tmp_path / "run")
    assert resumed.code == 0, resumed.err
    assert equal(weights(run), weights(tmp_path / "run"))
    assert facts(tmp_path / "run")["initial_weights"] == facts(run)["initial_weights"]


def test_a_recipe_may_train_on_everybody_from_the_start(tiny_data, tmp_path):
    sets = ("--set", "train.epochs=1", *SHORT)
    done = hb("train", tiny_data.recipe, "--on", "all", *sets, cwd=tmp_path)
    assert done.code == 0, done.err
    assert len(facts(tmp_path / "runs" / "tiny_all")["trained_persons"]) == 6


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--finetune", "RUN", "--fold", 1), "was trained on 2 of the 2 people whom fold 1 leaves"),
        (("--finetune", "ALL"), "was trained on 2 of the 2 people whom fold 2 leaves out"),
        (("RECIPE", "--fold", 0, "--set", "model.weights=RUN"), "people whom fold 0 leaves out"),
        (("RECIPE", "--fold", 0, "--set", "model.weights=RUN/last.safetensors"), "whom fold 0"),
        (("RECIPE", "--fold", "all", "--set", "model.weights=RUN"), "whom fold 0 leaves out"),
        (("--finetune", "RUN", "--fold", "all"), "whom fold 0 leaves out"),
        (("--finetune", "none"), "none: no such file or folder; expected a run directory"),
        (("--finetune", "STORE"), "a store (what `hb predict` wrote); expected a run directory"),
        (("--finetune", "BARE"), "best.safetensors: no such file"),
        (("--finetune", "RUN", "-o", "RUN"), "holds a run already; go on with --resume"),
        (("--finetune", "RUN", "--set", "train.epoch=1"), "Did you mean 'epochs'?"),
        (("--finetune", "RUN", "--set", "model.features=[4, 4, 4]"), "does not match the network"),
        (("--finetune", "RUN", "--set", "data.class_names=['Ulna']"), "was trained for 4 classes"),
        (("--finetune", "RUN", "--on", "all", "--set", "scheduler.name=plateau"),
         "plateau goes by the Dice of people left out, and there are none"),
        (("--finetune", "CUT"), "not a safetensors file, or cut off"),
    ],
)  # fmt: skip
def test_mistakes(trained_run, on_all, tmp_path, words, sentence):
    shutil.copytree(trained_run.run, tmp_path / "bare")
    (tmp_path / "bare" / "best.safetensors").unlink()
    shutil.copytree(trained_run.run, tmp_path / "cut")
    whole = (trained_run.run / "best.safetensors").read_bytes()
    (tmp_path / "cut" / "best.safetensors").write_bytes(whole[: len(whole) // 2])
    names = {"RUN": trained_run.run, "STORE": trained_run.val, "RECIPE": trained_run.data.recipe,
             "ALL": on_all[0], "BARE": tmp_path / "bare", "CUT": tmp_path / "cut"}  # fmt: skip
    said = []
    for word in map(str, words):
        for name, path in names.items():
            word = word.replace(name, str(path))  # noqa: PLW2901
        said.append(word)
    before = facts(trained_run.run)
    done = hb("train", *said, cwd=tmp_path)
    assert (done.code, done.out) == (1, ""), done
    lines = [line for line in done.err.splitlines() if line.startswith("hb: ")]
    assert len(lines) == 1
    assert sentence in done.err[done.err.index("hb: ") :]
    assert facts(trained_run.run) == before
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("tiny.toml", "--finetune", "a"), "--finetune RUN goes by RUN's recipe; leave out RECIPE"),
        (("--resume", "a", "--finetune", "b"), "--resume RUN goes on in RUN; leave out --finetune"),
        (("--on", "some"), "'some' is not one of"),
    ],
)
def test_mistakes_of_usage(words, sentence):
    done = hb("train", *words)
    assert done.code == 2
    assert sentence in done.err


def test_an_ensemble_is_not_weighed_on_people_that_all_were_trained_on(tiny_data, tmp_path):
    for name in "ab":
        text = tiny_recipe(tiny_data.root, name=name, train={"on": "all"})
        (tmp_path / f"{name}.toml").write_text(text)
    (tmp_path / "both.toml").write_text('name = "both"\nmembers = ["a.toml", "b.toml"]\n')
    done = hb("ensemble", "run", tmp_path / "both.toml", "-o", tmp_path / "work")
    assert done.err == (
        'hb: a: train.on = "all" leaves nobody out, and models are weighed on people left out; '
        "leave that key out.\n"
    )


def test_hb_check_names_the_leak(trained_run, tmp_path):
    sets = ("--set", f"model.weights={trained_run.run}", "--set", "data.fold=0")
    done = hb("check", trained_run.data.recipe, *sets, cwd=tmp_path)
    assert done.code == 1
    assert "people whom fold 0 leaves out" in done.out
