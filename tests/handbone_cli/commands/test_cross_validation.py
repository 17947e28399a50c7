from __future__ import annotations

import json
import shutil
import signal
import time

import pytest

from handbone_cli.commands.wiring import filling
from handbone_cli.prediction.predictor import Predictor
from handbone_cli.processes import describe_process
from handbone_cli.runs.cross_validation import CrossValidation
from handbone_cli.store.store import Store
from handbone_cli.terminal.training_table import TrainingTable
from handbone_cli.testing import hb, tiny_recipe

SHORT = ("--set", "train.epochs=1", "--set", "train.patches_per_image=4")
"""Seconds matter more here than how well the folds learn."""


class Trained:
    """All folds of the tiny recipe, read-only for tests."""

    def __init__(self, path, recipe, done):
        self.path, self.recipe, self.done = path, recipe, done
        self.folds = CrossValidation(path)

    def command(self, place):
        return ("train", self.recipe, "--fold", "all", *SHORT, "-o", place)


@pytest.fixture(scope="module")
def trained(tiny_data, tmp_path_factory):
    """About 2 s: three short runs and their store."""
    folder = tmp_path_factory.mktemp("folds")
    done = hb("train", tiny_data.recipe, "--fold", "all", *SHORT, cwd=folder)
    assert done.code == 0, done.err
    return Trained(folder / "runs" / "tiny", tiny_data.recipe, done)


@pytest.fixture
def copied(trained, tmp_path):
    shutil.copytree(trained.path, tmp_path / "all")
    return CrossValidation(tmp_path / "all")


def images(store):
    return {path.name: path.read_bytes() for path in (store / "images").iterdir()}


def unlike(folds, before):
    """The weights and images that are not the same bytes as before."""
    files = [*before.path.glob("fold*/best.safetensors"), *before.store.glob("images/*.npz")]
    assert len(files) == 3 + 12
    names = [file.relative_to(before.path) for file in files]
    return [
        str(name)
        for name in names
        if (before.path / name).read_bytes() != (folds.path / name).read_bytes()
    ]


def test_what_is_said(trained):
    lines = trained.done.out.splitlines()
    assert [line.split(": mean Dice 0.")[0] for line in lines[:3]] == [
        f"runs/tiny/fold{fold}" for fold in range(3)
    ]
    scored = hb("evaluate", trained.folds.store).out.splitlines()
    assert lines[3] == "runs/tiny/out_of_fold"
    assert lines[4:-1] == scored[1:]
    assert lines[-2].endswith("(standard error over 6 people), 12 images")
    assert lines[-1] == "runs/tiny/out_of_fold: 12 images"


def test_everyone_is_predicted_once_by_a_model_that_left_them_out(trained):
    store = Store.open(trained.folds.store)
    assert store.image_ids == [f"image{number:04d}" for number in range(12)]
    assert not any(entry.seen for entry in store.images.values())
    trained_on = [set(run.facts()["trained_persons"]) for run in trained.folds.runs()]
    everyone = set.union(*trained_on)
    assert len(everyone) == 6
    assert sorted(p for people in trained_on for p in everyone - people) == sorted(everyone)


def test_the_runs_and_the_store_are_those_of_ordinary_commands(trained, tmp_path):
    alone = hb("train", trained.recipe, "--fold", 1, *SHORT, "-o", tmp_path / "run")
    assert alone.code == 0, alone.err
    one, other = tmp_path / "run", trained.folds.run(1).path
    assert (one / "recipe.toml").read_bytes() == (other / "recipe.toml").read_bytes()
    assert (one / "best.safetensors").read_bytes() == (other / "best.safetensors").read_bytes()
    predicted = {}
    for run in trained.folds.runs():
        store = tmp_path / run.path.name
        assert hb("predict", run.path, "-i", "val", "-o", store).code == 0
        assert not predicted.keys() & images(store).keys()
        predicted |= images(store)
    assert predicted == images(trained.folds.store)


def test_the_store_says_what_it_depends_on(trained):
    from handbone_cli.files import file_digest

    settings = Store.open(trained.folds.store).manifest["settings"]
    assert settings["weights"] == [file_digest(run.best) for run in trained.folds.runs()]
    assert settings["data"]["fold"] == "all"
    assert settings["model"] == "tiny"


def test_what_is_finished_is_not_done_again(trained, copied):
    assert hb("train", "--resume", copied.path).out == (
        f"{copied.path}: done already, out-of-fold mean Dice {copied.facts()['mean_dice']:.4f}\n"
    )
    shutil.rmtree(copied.store)
    times = {run.path: run.best.stat().st_mtime_ns for run in copied.runs()}
    copied.run(0).last.unlink()  # of a finished run nobody needs it
    again = hb("train", "--resume", copied.path)
    assert again.code == 0, again.err
    assert {run.path: run.best.stat().st_mtime_ns for run in copied.runs()} == times
    assert images(copied.store) == images(trained.folds.store)


@pytest.mark.slow  # 2 s: all folds in two parts
def test_ctrl_c_in_a_fold_and_resume_give_the_same(trained, tmp_path, monkeypatch):
    folds = CrossValidation(tmp_path / "all")
    runs = []

    def watch(self, position, steps, loss, images):
        runs.extend([1] * (position.step == 1))
        if (len(runs), position.step) == (2, 3):
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(TrainingTable, "step", watch)
        stopped = hb(*trained.command(folds.path))
    assert stopped.code == 130
    said = f"stopped; continue with `hb train --resume {folds.path}`.\n"
    assert stopped.err.endswith(said)
    assert folds.facts()["status"] == "stopped"
    assert folds.run(1).facts()["status"] == "stopped"
    assert not folds.run(2).path.exists()
    first = folds.run(0).best.stat().st_mtime_ns
    resumed = hb("train", "--resume", folds.path)
    assert resumed.code == 0, resumed.err
    assert f"{folds.run(0).path}: trained already\n" in resumed.err
    assert folds.run(0).best.stat().st_mtime_ns == first
    assert unlike(folds, trained.folds) == []
    assert folds.facts()["mean_dice"] == trained.folds.facts()["mean_dice"]


def test_ctrl_c_while_predicting_keeps_what_is_there(trained, copied, monkeypatch):
    shutil.rmtree(copied.store)
    predict, calls = Predictor.begin, []

    def sixth_is_stopped(self, prepared):
        calls.append(prepared)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return predict(self, prepared)

    monkeypatch.setattr(Predictor, "begin", sixth_is_stopped)
    stopped = hb("train", "--resume", copied.path)
    assert (stopped.code, copied.facts()["status"]) == (130, "stopped")
    assert len(images(copied.store)) == 5
    assert hb("train", "--resume", copied.path).code == 0
    assert len(calls) == 6 + 7
    assert unlike(copied, trained.folds) == []


def test_killed_between_a_folds_first_weights_and_its_first_state(trained, copied):
    """After kill -9 there is run.json of a dead process and best.safetensors, and nothing else."""
    shutil.rmtree(copied.store)
    run = copied.run(2)
    run.last.unlink()
    dead = {**describe_process(), "since": "1"}
    run.update_facts(status="running", process=dead)
    copied.update_facts(status="running", process=dead)
    run.best.write_bytes(b"of an epoch that is lost")
    done = hb("train", "--resume", copied.path)
    assert done.code == 0, done.err
    assert unlike(copied, trained.folds) == []


def test_one_fold_alone_is_resumed_as_any_run(copied):
    run = copied.run(1)
    run.update_facts(status="stopped")
    assert hb("train", "--resume", run.path).code == 0
    assert run.facts()["status"] == "finished"


def test_other_views_go_into_a_store_of_their_own(trained, tmp_path):
    done = hb("predict", trained.path, "-i", "val", "--tta", "hflip", "-o", tmp_path / "flipped")
    assert (done.code, done.out) == (0, f"{tmp_path / 'flipped'}: 12 images\n"), done.err
    flipped = Store.open(tmp_path / "flipped")
    assert flipped.manifest["settings"]["tta"] == [{"name": "hflip"}]
    assert images(flipped.path).keys() == images(trained.folds.store).keys()
    assert images(flipped.path) != images(trained.folds.store)


@pytest.mark.slow  # 30 s: three processes that import torch
def test_two_processes_predict_whom_the_folds_left_out_as_one_does(trained, tmp_path):
    store = tmp_path / "out_of_fold"
    words = ("predict", trained.path, "-i", "val", "--devices", 2, "-o", store)
    done = hb(*words, process=True)
    assert (done.code, done.out) == (0, f"{store}: 12 images\n"), done.err
    assert images(store) == images(trained.folds.store)
    assert (store / "manifest.json").read_bytes() == (
        trained.folds.store / "manifest.json"
    ).read_bytes()


def test_weights_chosen_out_of_fold_are_not_for_the_model_of_one_fold(trained, tmp_path):
    other, decision, test = tmp_path / "flipped", tmp_path / "d.toml", tmp_path / "test"
    hb("predict", trained.path, "-i", "val", "--tta", "hflip", "-o", other)
    chosen = hb("ensemble", "optimize", trained.folds.store, other, "-o", decision)
    assert chosen.code == 0, chosen.err
    assert hb("evaluate", decision).code == 0
    hb("predict", trained.folds.run(0).path, "-i", "test", "-o", test)
    refused = hb("evaluate", decision, "--on", test, "--on", test)
    assert refused.code == 1
    assert "were chosen for the models of 3 folds" in refused.err


@pytest.mark.parametrize(
    ("words", "said"), [(("submit",), "of 12 images"), (("visualize", "--limit", 1), "1 overlays")]
)
def test_the_store_is_one_like_any_other(trained, tmp_path, words, said):
    done = hb(*words, trained.folds.store, "-o", tmp_path / "out.csv")
    assert done.code == 0, done.err
    assert said in done.out


@pytest.mark.slow  # 2 s: all folds once more
def test_a_split_by_a_file_and_another_one_since(tiny_data, tmp_path):
    people = "\n".join(f"ID{person:03d} = {person % 3}" for person in range(1, 7))
    split = tmp_path / "folds.toml"
    split.write_text(f"format = 1\nfolds = 3\nseed = 1\nbalanced = []\n[people]\n{people}\n")
    folds = CrossValidation(tmp_path / "all")
    sets = (*SHORT, "--set", f"data.folds_file={split}")
    done = hb("train", tiny_data.recipe, "--fold", "all", *sets, "-o", folds.path)
    assert done.code == 0, done.err
    assert set(folds.run(1).facts()["trained_persons"]) == {"ID002", "ID003", "ID005", "ID006"}
    split.write_text(split.read_text().replace("ID001 = 1", "ID001 = 2"))
    shutil.rmtree(folds.store)
    refused = hb("train", "--resume", folds.path)
    assert refused.err == (
        f"hb: {folds.run(2).path}: was trained on ID001, whom fold 2 leaves out now: the data or "
        "data.folds_file is not as it was; bring it back, or start anew with another -o.\n"
    )


def test_an_image_that_cannot_be_read_is_named_and_the_rest_scored(tmp_path, monkeypatch):
    from handbone_cli.errors import UnreadableImageError
    from handbone_cli.testing import write_tiny_hands

    root = write_tiny_hands(tmp_path / "hands", people=2)
    data = {"folds": 2, "fold": 0}
    (tmp_path / "tiny.toml").write_text(tiny_recipe(root, data=data))
    folds = CrossValidation(tmp_path / "runs" / "tiny")
    prepare, calls = filling.prepare_one, []

    def third_is_torn(job, has):
        calls.append(job)
        if len(calls) == 3:
            raise UnreadableImageError("film.png: the PNG is cut off.")
        return prepare(job, has)

    with monkeypatch.context() as patched:
        patched.setattr(filling, "prepare_one", third_is_torn)
        done = hb("train", "tiny.toml", "--fold", "all", *SHORT, cwd=tmp_path)
    assert done.code == 1
    assert done.err.endswith(
        "hb: film.png: the PNG is cut off. The other 3 of 4 are in runs/tiny/out_of_fold.\n"
    )
    assert done.out.splitlines()[-1].endswith("3 images")
    listed = hb("runs", "list", cwd=tmp_path).out
    assert "runs/tiny: film.png: the PNG is cut off." in listed
    assert folds.facts()["status"] == "failed"
    mended = hb("train", "--resume", "runs/tiny", cwd=tmp_path)
    assert mended.out.splitlines()[-1] == "runs/tiny/out_of_fold: 4 images"
    assert (folds.facts()["status"], folds.facts()["said"]) == ("finished", "")


def test_what_hb_runs_says(trained, copied):
    listed = hb("runs", "list", trained.path).out.splitlines()
    assert [line.split()[0] for line in listed[1:]] == [
        str(trained.path), *(str(run.path) for run in trained.folds.runs())
    ]  # fmt: skip
    assert listed[1].split()[1:4] == ["finished", "3/3", "folds"]
    shown = hb("runs", "show", trained.path)
    assert shown.err == (
        f"hb: {trained.path}: a cross-validation, of which every fold is a run; name one of them, "
        f"for example {trained.path / 'fold0'}.\n"
    )
    stopped = hb("runs", "stop", trained.path)
    assert stopped.err == f"hb: {trained.path}: does not run (finished).\n"
    quiet = hb("runs", "logs", trained.path)
    assert f"`hb runs list {trained.path}` has its state" in quiet.err
    copied.log.write_text("what was said\n")
    assert hb("runs", "logs", "-f", copied.path).out == "what was said\n"
    assert len(hb("runs", "list", copied.path).out.splitlines()) == 1 + 4


def test_what_may_change_on_resuming_does_change(copied, monkeypatch):
    run = copied.run(2)
    shutil.rmtree(run.path)
    shutil.rmtree(copied.store)
    asked = []
    monkeypatch.setattr(
        "handbone_cli.commands.wiring.execution.execute",
        lambda recipe, run, registry, resume: asked.append((recipe, resume)),
    )
    hb("train", "--resume", copied.path, "--set", "tracking.trackers=[]")
    ((recipe, resume),) = asked
    assert (recipe.data.fold, recipe.tracking.trackers, resume) == (2, (), False)


def changed(**facts):
    return lambda p: CrossValidation(p["all"]).update_facts(**facts)


MISTAKES = [
    ("the same again", ("train", "RECIPE", "--fold", "all", "-o", "ALL"), None,
     "all: holds a cross-validation already; go on with --resume, or choose another -o."),
    ("one run in its folder", ("train", "RECIPE", "-o", "ALL"), None,
     "all: the folder has files but no run; choose another -o."),
    ("all folds in a run", ("train", "RECIPE", "--fold", "all", "-o", "ALL/fold0"), None,
     "all/fold0: the folder has files but no cross-validation; choose another -o."),
    ("another recipe", ("train", "--resume", "ALL", "--set", "optimizer.lr=0.5"), None,
     "all: was trained with another recipe: optimizer.lr (0.02 then, 0.5 now); resume it"),
    ("the recipe without its --set", ("train", "RECIPE", "--resume", "ALL"), None,
     "all: was trained with another recipe: train.epochs (1 then, 2 now)"),
    ("one fold of all", ("train", "--resume", "ALL", "--fold", "1"), None,
     "all: a cross-validation of all folds; resume it without --fold, or one run of it with "),
    ("all folds of one", ("train", "--resume", "ALL/fold0", "--fold", "all"), None,
     "fold0: not the folder of a cross-validation; leave out --fold all to resume one run."),
    ("nothing there", ("train", "--resume", "none", "--fold", "all"), None, "none: not the folder"),
    ("fewer people than folds",
     ("train", "RECIPE", "--fold", "all", "--set", "data.folds=7", "-o", "new"), None,
     "data.folds = 7, but the data has 6 people"),
    ("nobody is left out",
     ("train", "RECIPE", "--fold", "all", "--on", "all", "-o", "new"), None,
     '--fold all leaves everybody out once, and train.on = "all" nobody'),
    ("an unknown optimizer",
     ("train", "RECIPE", "--fold", "all", "--set", "optimizer.name=adamm", "-o", "new"), None,
     "adamm"),
    ("a fold file of other folds",
     ("train", "RECIPE", "--fold", "all", "--set", "data.folds_file=none.toml", "-o", "new"), None,
     "none.toml: no such file"),
    ("it runs already", ("train", "--resume", "ALL"),
     changed(status="running", process=describe_process()), "all: runs already, as process "),
    ("a fold runs already", ("train", "--resume", "ALL"),
     lambda p: (shutil.rmtree(p["all"] / "out_of_fold"), CrossValidation(p["all"]).run(1)
                .update_facts(status="running", process=describe_process())),
     "all/fold1: runs already, as process "),
    ("facts that are not JSON", ("train", "--resume", "ALL"),
     lambda p: (p["all"] / "cross_validation.json").write_text("{"), "not JSON"),
    ("facts of another form", ("train", "--resume", "ALL"),
     lambda p: (p["all"] / "cross_validation.json").write_text("{}"),
     "cross_validation.json: not what `hb train --fold all` writes"),
    ("another fold's recipe", ("train", "--resume", "ALL"),
     lambda p: (shutil.rmtree(p["all"] / "out_of_fold"), shutil.rmtree(p["all"] / "fold1"),
                shutil.copytree(p["all"] / "fold0", p["all"] / "fold1")),
     "fold1: was trained on"),
    ("weights that are cut off", ("train", "--resume", "ALL"),
     lambda p: (shutil.rmtree(p["all"] / "out_of_fold"),
                (p["all"] / "fold1/best.safetensors").write_bytes(b"")),
     "fold1/best.safetensors: not a checkpoint of handbone, or cut off"),
    ("another store in its place", ("train", "--resume", "ALL"),
     lambda p: (changed(status="stopped")(p), shutil.rmtree(p["all"] / "out_of_fold"),
                shutil.copytree(p["val"], p["all"] / "out_of_fold")),
     "out_of_fold: holds a store of another prediction: data.fold (2 then, all now)"),
    ("a fold without weights", ("predict", "ALL", "-i", "val", "-o", "new"),
     lambda p: (p["all"] / "fold2/best.safetensors").unlink(), "best.safetensors: no such file"),
    ("the whole as a store", ("evaluate", "ALL"), None,
     "all: not a store, but a cross-validation; its store is "),
    ("a file in the way", ("train", "RECIPE", "--fold", "all", "-o", "RECIPE/x"), None,
     "a part of that path is a file"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "spoil", "sentence"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES]
)
def test_mistakes(trained, trained_run, copied, tmp_path, words, spoil, sentence):
    if spoil is not None:
        spoil({"all": copied.path, "val": trained_run.val})
    names = {"ALL": str(copied.path), "RECIPE": str(trained.recipe)}
    said = []
    for word in words:
        for name, path in names.items():
            word = word.replace(name, path)  # noqa: PLW2901
        said.append(word)
    done = hb(*said, cwd=tmp_path)
    assert done.code == 1, done
    lines = [line for line in done.err.splitlines() if line.startswith("hb: ")]
    assert len(lines) == 1
    assert sentence in lines[0]
    assert not (tmp_path / "new").exists()


def test_a_fold_is_a_number_or_all(trained):
    done = hb("train", trained.recipe, "--fold", "some")
    assert done.code == 2
    assert "'some' is neither the number of a fold nor all." in done.err


@pytest.mark.slow  # 10 s: a process that imports torch
def test_in_the_background_it_is_followed_and_stopped(tiny_data, tmp_path):
    (tmp_path / "tiny.toml").write_text(tiny_recipe(tiny_data.root, train={"epochs": 300}))
    begun = hb("train", "tiny.toml", "--fold", "all", "--bg", cwd=tmp_path)
    assert begun.out.startswith("runs/tiny: runs in the background as process ")

    def state():
        return {row["path"]: row for row in
                json.loads(hb("runs", "list", "--json", cwd=tmp_path).out)}  # fmt: skip

    def until(there):
        deadline = time.monotonic() + 120
        while not there(state()):
            assert time.monotonic() < deadline, hb("runs", "logs", "runs/tiny", cwd=tmp_path)
            time.sleep(0.2)

    until(lambda rows: rows.get("runs/tiny/fold0", {"epoch": 0})["epoch"] > 0)
    assert state()["runs/tiny"]["state"] == "running"
    assert hb("runs", "stop", "runs/tiny", cwd=tmp_path).code == 0
    assert {row["state"] for row in state().values()} == {"stopped"}
    log = hb("runs", "logs", "-f", "runs/tiny", cwd=tmp_path).out
    assert log.endswith("stopped; continue with `hb train --resume runs/tiny`.\n")
