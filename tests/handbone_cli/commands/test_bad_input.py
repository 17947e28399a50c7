"""One table: what users get wrong, and the one sentence that they are told."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from handbone_cli.testing import hb, tiny_recipe, write_tiny_hands
from handbone_cli.testing.tiny import write_png

if TYPE_CHECKING:
    from collections.abc import Callable

GREY = np.random.default_rng(1).integers(0, 256, (40, 40)).astype(np.uint8)
THREE = """name = "three"
[data]
root = "hands"
folds = "many"
[model]
name = "nnunett"
[loss]
name = "dice"
[train]
epoch = 4
"""
CSV = "image_name,class,rle\n"


class Place:
    """A folder with outputs from before, beside runs and stores that nobody may touch."""

    def __init__(self, folder, trained, second, decision):
        self.folder, self.trained, self.second, self.decision = folder, trained, second, decision
        self.recipe = trained.data.recipe
        self.file("out.csv", CSV)
        self.file("out.toml", "# Written by `hb ensemble optimize`; from before.\n")
        self.file("out/old.txt", "from before")
        self.file("own.txt", "a user's own")

    def __truediv__(self, name):
        return self.folder / name

    def file(self, name, content):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def image(self, name="film.png", share=1.0, content=None):
        whole = cv2.imencode(Path(name).suffix, GREY)[1].tobytes()
        return self.file(name, whole[: int(len(whole) * share)] if content is None else content)

    def copy(self, source, name):
        shutil.copytree(source, self.folder / name)
        return self.folder / name

    def hands(self, spoil=None, **overrides):
        """A recipe on data of its own, of which one file is spoilt."""
        root = write_tiny_hands(self.folder / "hands", people=3)
        if spoil is not None:
            spoil(root)
        return self.file("own.toml", tiny_recipe(root, **overrides))

    def both(self, **overrides):
        """An ensemble recipe of two members."""
        for name in "ab":
            self.file(f"{name}.toml", tiny_recipe(self.trained.data.root, name=name, **overrides))
        return self.file("both.toml", 'name = "both"\nmembers = ["a.toml", "b.toml"]\n')

    def json(self, path, change):
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))


@dataclass(frozen=True)
class Row:
    """A mistake: its name, the words of the command made from a Place, and what must be said."""

    name: str
    argv: Callable[[Place], list]
    said: str
    code: int = 1


def missing(name, *words):
    """The path `none/NAME` stands in the command and in the sentence."""
    return Row(
        f"missing path: {name}", lambda p: [w(p) if callable(w) else w for w in words], "none"
    )


def at(name):
    return lambda p: p / name


def recipe(p):
    return p.recipe


def run(p):
    return p.trained.run


def store(p):
    return p.trained.val


def decision(p):
    return p.decision


def annotation(content):
    def spoil(root):
        path = root / "train/outputs_json/ID001/image0000.json"
        path.write_text(content)

    return spoil


def film(content):
    def spoil(root):
        for path in (root / "train/DCM").rglob("*.png"):
            path.write_bytes(content)

    return spoil


def train_on(spoil):
    return lambda p: ["train", p.hands(spoil), "-o", p / "run"]


def predict_film(**options):
    return lambda p: ["predict", p.trained.run, "-i", p.image(**options), "-o", p / "s"]


def spoilt_store(change):
    """`hb evaluate` of a copy of a store whose files `change(folder, place)` has altered."""

    def argv(p):
        folder = p.copy(p.trained.val, "spoilt")
        change(folder, p)
        return ["evaluate", folder]

    return argv


def spoilt_run(change, *words):
    def argv(p):
        folder = p.copy(p.trained.run, "spoilt")
        change(folder, p)
        return [*words, folder] if words else ["predict", folder, "-i", "val", "-o", p / "s"]

    return argv


def stopped(change):
    """`hb train --resume` of a run that was stopped, after `change(folder, place)`."""

    def change_both(folder, p):
        p.json(folder / "run.json", lambda facts: facts.update(status="stopped"))
        change(folder, p)

    return spoilt_run(change_both, "train", "--resume")


def cut(name, share=0.5):
    def change(folder, _):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(share * len(content))])

    return change


def written(name, text):
    return lambda folder, _: (folder / name).write_text(text)


def other_classes(name):
    def rename(content):
        content["class_names"] = ["Radius", "Ulna", "Thumb", "Knee"]

    return lambda folder, p: p.json(folder / name, rename)


def against_other_classes(p):
    folder = p.copy(p.second.val, "other")
    other_classes("manifest.json")(folder, p)
    return ["ensemble", "optimize", p.trained.val, folder, "-o", p / "out.toml"]


def scored_by_other_classes(p):
    named = p.file("other.toml", tiny_recipe(p.trained.data.root, data={"class_names": ["Radius"]}))
    return ["evaluate", p.trained.val, "--labels", named]


def first_image(folder):
    return next(iter(sorted((folder / "images").iterdir())))


def cut_image(folder, _):
    path = first_image(folder)
    path.write_bytes(path.read_bytes()[:100])


def lost_image(folder, _):
    first_image(folder).unlink()


def csv_of(text):
    return lambda p: ["evaluate", p.file("given.csv", text), "--labels", p.recipe]


def below_file(*words):
    def argv(p):
        p.file("file.txt", "a regular file")
        return [w(p) if callable(w) else w for w in words]

    return argv


BELOW = at("file.txt/out")
BELOW_TOML, BELOW_CSV = at("file.txt/out.toml"), at("file.txt/out.csv")
PROC = Path("/proc/hb-no")

ROWS = [
    # a path that is not there, for every command that takes one
    missing("train", "train", at("none/r.toml")),
    missing("train, by name", "train", "nonesuch"),
    missing("train, data", "train", recipe, "--set", "data.root=/none"),
    missing("train --resume", "train", "--resume", at("none")),
    missing("predict", "predict", at("none"), "-i", "val", "-o", at("s")),
    missing("predict -i", "predict", run, "-i", at("none"), "-o", at("s")),
    missing("predict -i glob", "predict", run, "-i", at("none*.png"), "-o", at("s")),
    missing("evaluate", "evaluate", at("none")),
    missing("evaluate, csv", "evaluate", at("none.csv"), "--labels", recipe),
    missing("evaluate, decision", "evaluate", at("none.toml")),
    missing("evaluate --labels", "evaluate", store, "--labels", at("none")),
    missing("evaluate --labels csv", "evaluate", store, "--labels", at("none.csv")),
    missing("evaluate --on", "evaluate", decision, "--on", at("none"), "--on", store),
    missing("ensemble optimize", "ensemble", "optimize", store, at("none"), "-o", at("out.toml")),
    missing("ensemble run", "ensemble", "run", at("none.toml"), "-o", at("work")),
    missing("submit", "submit", at("none"), "-o", at("out.csv")),
    missing("submit --on", "submit", decision, "--on", store, "--on", at("none"),
            "-o", at("out.csv")),
    missing("visualize", "visualize", at("none"), "-o", at("out")),
    missing("visualize --labels", "visualize", store, "--labels", at("none"), "-o", at("out")),
    missing("data check", "data", "check", at("none")),
    missing("recipes show", "recipes", "show", at("none.toml")),
    missing("recipes validate", "recipes", "validate", at("none.toml")),
    missing("recipes copy", "recipes", "copy", "nonesuch", "-o", at("out")),
    # a folder or file of another kind
    Row("a folder without images", lambda p: ["predict", run(p), "-i", p / "out", "-o", p / "s"],
        "out: no PNG or JPEG image in this folder"),
    Row("a folder that is no store", lambda p: ["evaluate", p / "out"],
        "there is no manifest.json"),
    Row("a folder that is no run", lambda p: ["predict", p / "out", "-i", "val", "-o", p / "s"],
        "not a run directory, there is no run.json"),
    Row("a folder that is no dataset", lambda p: ["data", "check", p / "out"],
        "not the competition's layout"),
    Row("a text file as an input",
        lambda p: ["predict", run(p), "-i", p / "out.csv", "-o", p / "s"],
        "out.csv: not a PNG or JPEG image"),
    Row("a run as a store", lambda p: ["evaluate", run(p)],
        "run: not a store, but a run; `hb predict "),
    Row("a run among the stores",
        lambda p: ["ensemble", "optimize", store(p), run(p), "-o", p / "out.toml"],
        "run: not a store, but a run; `hb predict "),
    Row("a file as a store", lambda p: ["submit", p / "own.txt", "-o", p / "out.csv"],
        "own.txt: not a store, but a file"),
    Row("a store as a run", lambda p: ["predict", store(p), "-i", "val", "-o", p / "s"],
        "val: a store (what `hb predict` wrote); expected a run directory"),
    Row("a file as a run", lambda p: ["predict", p / "own.txt", "-i", "val", "-o", p / "s"],
        "own.txt: a file; expected a run directory"),
    Row("a store to resume", lambda p: ["train", "--resume", store(p)],
        "val: a store (what `hb predict` wrote); expected a run directory"),
    Row("a submission to submit", lambda p: ["submit", p / "out.csv", "-o", p / "new.csv"],
        "out.csv: a submission; expected a store or a decision"),
    Row("a submission to draw without its images",
        lambda p: ["visualize", p / "out.csv", "-o", p / "pictures"],
        "out.csv: a CSV does not say where its images and their truth are; use --labels."),
    # outputs that would replace what hb did not write
    Row("a recipe in a submission's place", lambda p: ["submit", store(p), "-o", p / "own.txt"],
        "own.txt: is there already and is not a submission that hb wrote; choose another -o"),
    Row("a decision in a submission's place",
        lambda p: ["submit", store(p), "-o", p / "out.toml"],
        "out.toml: is there already and is not a submission"),
    Row("a recipe in a decision's place",
        lambda p: ["ensemble", "optimize", store(p), p.second.val, "-o",
                   p.file("first.toml", THREE)],
        "first.toml: is there already and is not a decision that hb wrote"),
    Row("a submission in the scores' place",
        lambda p: ["evaluate", store(p), "--csv", p / "out.csv"],
        "out.csv: is there already and is not a CSV of scores"),
    Row("a radiograph in a picture's place",
        lambda p: ["visualize", store(p), "-o", p.image("pics/image0006.png").parent],
        "pics/image0006.png: is there already and is not a picture that hb wrote"),
    Row("a folder of other radiographs",
        lambda p: ["visualize", store(p), "-o", p.image("pics/film.jpg").parent],
        "pics/film.jpg: is there already and is not a picture that hb wrote"),
    Row("somebody's contact sheet",
        lambda p: ["visualize", store(p), "-o", p.image("pics/contact_sheet.png").parent],
        "pics/contact_sheet.png: is there already and is not a picture that hb wrote"),
    Row("a folder of recipes for a run", lambda p: ["train", p.recipe, "-o", p / "out"],
        "out: the folder has files but no run; choose another -o"),
    Row("somebody's run.json", lambda p: ["train", p.recipe, "-o",
        p.file("app/run.json", "{}").parent], "run.json: not what `hb train` writes"),
    Row("an ensemble's decision over a recipe",
        lambda p: ["ensemble", "run", p.both(), "-o",
                   p.file("work/ensemble.toml", THREE).parent],
        "ensemble.toml: is there already and is not a decision"),
    Row("an ensemble's pictures among radiographs",
        lambda p: ["ensemble", "run", p.both(), "-o",
                   p.image("work/pictures/film.png").parents[1]],
        "film.png: is there already and is not a picture"),
    Row("an ensemble's submission over a file",
        lambda p: ["ensemble", "run", p.both(), "-o", p.file("work/submission.csv", "x").parent],
        "submission.csv: is there already and is not a submission"),
    Row("an output folder of something else",
        lambda p: ["predict", run(p), "-i", "test", "-o", p / "out"],
        "the folder has files but no"),
    # images
    Row("a cut PNG", predict_film(share=0.6), "film.png: the PNG is cut off"),
    Row("a cut JPEG", predict_film(name="film.jpg", share=0.6), "film.jpg: the JPEG is cut off"),
    Row("text named .png", predict_film(content=b"hello"), "film.png: not a PNG or JPEG image"),
    Row("an empty file named .jpg", predict_film(name="e.jpg", content=b""),
        "e.jpg: the file is empty"),
    Row("training on a text named .png", train_on(film(b"hello")), ".png: not a PNG or JPEG image"),
    # labels
    Row("labels that are not JSON", train_on(annotation("{")), "image0000.json: not JSON (line 1"),
    Row("labels that are not text", train_on(annotation("\ud800".encode("utf-8", "surrogatepass")
        .decode("latin-1"))), "image0000.json: not JSON"),
    Row("labels of another form", train_on(annotation('{"shapes": []}')),
        'image0000.json: expected {"annotations"'),
    Row("a polygon of two points", train_on(annotation(
        '{"annotations": [{"label": "Radius", "points": [[1, 1], [2, 2]]}]}')),
        "image0000.json: 'Radius': expected at least three points"),
    # recipes
    Row("a recipe that is not TOML", lambda p: ["train", p.file("r.toml", "name = ")],
        "r.toml: not TOML"),
    Row("an ensemble recipe that is not TOML",
        lambda p: ["ensemble", "run", p.file("e.toml", "]"), "-o", p / "work"], "e.toml: not TOML"),
    Row("--set without a value", lambda p: ["train", p.recipe, "--set", "train.epochs"],
        "--set train.epochs: expected KEY=VALUE"),
    Row("a key of another section", lambda p: ["train", p.recipe, "--set", "epochs=1"],
        "--set: epochs = 1: there is no such key. Did you mean 'train.epochs'?"),
    Row("a fold below 0", lambda p: ["train", p.recipe, "--fold", -1],
        "--fold: data.fold = -1: expected 0 or more."),
    Row("an ensemble as a recipe", lambda p: ["train", "ensembles/winners"],
        "`hb ensemble run ensembles/winners` takes it"),
    Row("an ensemble to show", lambda p: ["recipes", "show", "ensembles/winners"],
        "`hb ensemble run ensembles/winners` takes it"),
    Row("a recipe as an ensemble", lambda p: ["ensemble", "run", "quickstart", "-o", p / "work"],
        "quickstart: is the recipe of one model; `hb train quickstart` takes it"),
    Row("one person left out", lambda p: ["ensemble", "run", p.both(data={"folds": 6}),
        "-o", p / "work"], "data.folds = 6 leaves one person out in fold 2, and weighing models "
        "takes two at least; lower data.folds or bring more people."),
    Row("an unknown view for an ensemble", lambda p: ["ensemble", "run", p.both(), "--tta", "hflop",
        "-o", p / "work"], "--tta: tta.0.name = 'hflop'"),
    Row("an unknown key", lambda p: ["train", p.recipe, "--set", "train.epoch=1"],
        "--set: train.epoch = 1: there is no such key. Did you mean 'epochs'?"),
    Row("an unknown model", lambda p: ["train", p.hands(model={"name": "nnnet"}), "-o", p / "run"],
        "Did you mean 'nnunet'?"),
    Row("a fold that is not there", lambda p: ["train", p.recipe, "--fold", 9],
        "--fold: data.fold = 9: expected 0 to 2."),
    Row("more folds than people", lambda p: ["train", p.hands(data={"folds": 4})],
        "data.folds = 4, but the data has 3 people"),
    Row("a strange image to exclude",
        lambda p: ["train", p.recipe, "--set", "data.exclude=['image77']"], "image77"),
    Row("gaps between windows",
        lambda p: ["predict", run(p), "-i", "val", "--stride", 65, "-o", p / "s"],
        "--stride: predict: stride 65 leaves gaps between windows of 64"),
    Row("a window that is too small",
        lambda p: ["predict", run(p), "-i", "val", "--window", 5, "-o", p / "s"],
        "--window: predict.window = 5: expected 32 or more."),
    Row("a view's option without a value",
        lambda p: ["predict", run(p), "-i", "val", "--tta", "scale:factor", "-o", p / "s"],
        "--tta scale:factor: expected NAME or NAME:KEY=VALUE, for example scale:factor=0.8."),
    Row("an unknown view",
        lambda p: ["predict", run(p), "-i", "val", "--tta", "hflop", "-o", p / "s"],
        "is named 'hflop'. Did you mean 'hflip'?"),
    Row("a view's wrong option",
        lambda p: ["predict", run(p), "-i", "val", "--tta", "scale:size=2", "-o", p / "s"], "size"),
    Row("an ensemble of one", lambda p: ["ensemble", "run", p.file(
        "e.toml", f'name = "e"\nmembers = ["{p.recipe}"]\n'), "-o", p / "work"], "members"),
    # runs
    Row("a run that is there already", lambda p: ["train", p.recipe, "-o", run(p)],
        "holds a run already; go on with --resume"),
    Row("nothing to resume", stopped(lambda f, _: (f / "last.safetensors").unlink()),
        "nothing to resume"),
    Row("resuming with another recipe",
        lambda p: ["train", "--resume", run(p), "--set", "optimizer.lr=0.5"],
        "run: was trained with another recipe: optimizer.lr (0.02 then, 0.5 now); resume it "
        "without RECIPE and --set, or start a new run with another -o."),
    Row("resuming with another fold", lambda p: ["train", "--resume", run(p), "--fold", 1],
        "was trained with another recipe: data.fold (2 then, 1 now)"),
    Row("resuming with a recipe changed by hand", spoilt_run(lambda f, _: (f / "recipe.toml")
        .write_text((f / "recipe.toml").read_text().replace("epochs = 2", "epochs = 3")),
        "train", "--resume"), "was trained with another recipe: train.epochs (2 then, 3 now)"),
    Row("resuming from a cut checkpoint", stopped(cut("last.safetensors")),
        "last.safetensors: not a checkpoint of handbone, or cut off"),
    Row("a cut checkpoint", spoilt_run(cut("best.safetensors")),
        "best.safetensors: not a checkpoint of handbone, or cut off"),
    Row("a checkpoint cut to nothing", spoilt_run(cut("best.safetensors", 0)),
        "best.safetensors: not a checkpoint of handbone, or cut off"),
    Row("a run without weights", spoilt_run(lambda f, _: (f / "best.safetensors").unlink()),
        "best.safetensors: no such file"),
    Row("run.json that is not JSON", spoilt_run(written("run.json", "{")), "run.json: not JSON"),
    Row("run.json of another form", spoilt_run(written("run.json", "[]")),
        "run.json: not what `hb train` writes"),
    Row("a run of other classes", spoilt_run(other_classes("run.json")),
        "best.safetensors: was trained for 4 classes"),
    Row("a run whose recipe builds another network", spoilt_run(lambda f, _: (f / "recipe.toml")
        .write_text((f / "recipe.toml").read_text().replace("    8,\n", "    6,\n"))),
        "best.safetensors: is of another network than its recipe builds"),
    # stores
    Row("a store of other settings", lambda p: ["predict", run(p), "-i", "val", "--uniform",
        "-o", p.copy(store(p), "copy")],
        "copy: holds a store of another prediction: predict.gaussian (true then, false now); "
        "predict as then to add to it, choose another -o, or delete it."),
    Row("a store with other views", lambda p: ["predict", run(p), "-i", "val", "--tta", "hflip",
        "-o", p.copy(store(p), "copy")], "another prediction: tta (none then, hflip now);"),
    Row("a manifest that is not JSON", spoilt_store(written("manifest.json", "{")),
        "manifest.json: not JSON"),
    Row("a manifest of another form", spoilt_store(written("manifest.json", "[1]")),
        "manifest.json: not a store manifest"),
    Row("a manifest without images", spoilt_store(written("manifest.json", '{"format": 1}')),
        "manifest.json: lacks class_names, images, settings"),
    Row("an image that is cut off", spoilt_store(cut_image), "not a readable part of a store"),
    Row("an image that is lost", spoilt_store(lost_image),
        "missing from the store; predict it again"),
    Row("labels of other classes", scored_by_other_classes, "the labels have other classes"),
    Row("stores of other classes", against_other_classes, "has other classes than"),
    Row("stores without a common image",
        lambda p: ["ensemble", "optimize", store(p), p.trained.test, "-o", p / "out.toml"],
        "have no image in common"),
    Row("one store alone", lambda p: ["ensemble", "optimize", store(p), "-o", p / "out.toml"],
        "one store has nothing to be weighed against; name two or more"),
    Row("one store twice",
        lambda p: ["ensemble", "optimize", store(p), store(p), "-o", p / "out.toml"],
        "the same store is named twice"),
    Row("a store without labels", lambda p: [
        "evaluate", p.trained.val, "--labels", p.file("l.csv", CSV + "other.png,Radius,1 2\n")],
        "none of the 4 images has labels"),
    # decisions
    Row("a decision under another suffix",
        lambda p: ["ensemble", "optimize", store(p), p.second.val, "-o", p / "out.csv"],
        "out.csv: a decision is a .toml file"),
    Row("a decision that is not TOML", lambda p: ["evaluate", p.file("d.toml", "x")],
        "d.toml: not TOML"),
    Row("a recipe as a decision", lambda p: ["evaluate", p.recipe],
        "tiny.toml: not a decision file"),
    Row("too few stores for a decision", lambda p: ["submit", p.decision, "--on", store(p),
        "-o", p / "out.csv"], "the decision has 2 members"),
    Row("--on with a store", lambda p: ["evaluate", store(p), "--on", store(p)],
        "--on goes with a decision"),
    # submissions
    Row("a CSV without --labels", lambda p: ["evaluate", p / "out.csv"], "use --labels"),
    Row("a CSV of other columns", csv_of("image,class,rle\n"), "there is no column 'image_name'"),
    Row("an odd RLE", csv_of(CSV + "image0012.png,Radius,1 2 3\n"),
        "given.csv, line 2: Radius of image 'image0012'"),
    Row("an RLE beyond the image", csv_of(CSV + "image0012.png,Radius,4090 60\n"),
        "given.csv, line 2: Radius of image 'image0012'"),
    Row("an unknown class", csv_of(CSV + "image0012.png,Radios,1 2\n"), "Did you mean 'Radius'?"),
    Row("an unknown image", csv_of(CSV + "image9.png,Radius,1 2\n"),
        "image 'image9' is none of the"),
    Row("a CSV that is not text", csv_of(b"\xff\xfe\x00\x81"), "given.csv: not a CSV"),
    Row("an empty CSV", csv_of(""), "given.csv, line 1: there is no column"),
    # outputs that cannot be written; chmod does not bind root, so a path below a regular file
    *(
        Row(f"no folder to write: {words[0]} {words[1] if isinstance(words[1], str) else ''}",
            below_file(*words), "file.txt")
        for words in (
            ("train", recipe, "-o", BELOW),
            ("predict", run, "-i", "val", "-o", BELOW),
            ("evaluate", store, "--csv", BELOW_CSV),
            ("ensemble", "optimize", store, lambda p: p.second.val, "-o", BELOW_TOML),
            ("submit", store, "-o", BELOW_CSV),
            ("visualize", store, "-o", BELOW),
            ("data", "generate", "--people", "1", "--size", "64", "-o", BELOW),
            ("recipes", "copy", "quickstart", "-o", BELOW),
        )
    ),
    *(
        Row(f"no permission to write: {words[0]}", below_file(*words, "-o", PROC / name),
            "/proc/hb-no")
        for name, *words in (
            ("run", "train", recipe),
            ("store", "predict", run, "-i", "val"),
            ("s.csv", "submit", store),
            ("pictures", "visualize", store),
        )
        if PROC.parent.is_dir()
    ),
]  # fmt: skip


def snapshot(*folders):
    return {
        path: path.read_bytes()
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def place(tmp_path, trained_run, second_run, weighed):
    return Place(tmp_path, trained_run, second_run, weighed.decision)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_one_sentence_exit_one_and_nothing_spoilt(place, row):
    argv = row.argv(place)
    kept = (place.folder, place.trained.run.parent, place.second.run.parent)
    before = snapshot(*kept)
    done = hb(*argv, cwd=place.folder)
    assert done.code == 1, done
    assert "Traceback" not in done.out + done.err
    assert "$ hb " not in done.out  # an ensemble's job is refused before its first command
    lines = done.err.splitlines()
    said = [place for place, line in enumerate(lines) if line.startswith("hb: ")]
    assert len(said) == 1, done.err
    assert row.said in "\n".join(lines[said[0] :])
    rest = lines[said[0] + 1 :]
    assert all(line.startswith("  ") for line in rest)
    assert bool(rest) == ("in the recipe:" in lines[said[0]])
    assert lines[-1].endswith(".")
    after = snapshot(*kept)
    assert {path: after.get(path) for path in before} == before


def test_all_mistakes_of_a_recipe_at_once(place):
    path = place.file("three.toml", THREE)
    for command in (["train", path], ["recipes", "validate", path], ["data", "check", path]):
        done = hb(*command)
        assert done.code == 1
        lines = done.err.splitlines()
        assert lines[0] == "hb: 3 mistakes in the recipe:"
        assert len(lines) == 4
        for key in ("data.folds = 'many'", "model.name = 'nnunett'", "train.epoch = 4"):
            assert sum(key in line for line in lines) == 1, key
        assert all(line.startswith(f"  {path}: ") for line in lines[1:])


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("deep.png", GREY.astype(np.uint16) * 257),
        ("colour.jpg", GREY[..., None].repeat(3, axis=2)),
        ("alpha.png", GREY[..., None].repeat(4, axis=2)),
        ("wide.png", GREY[:13]),
        ("tall.jpeg", GREY[:, :7]),
        ("dot.png", GREY[:1, :1]),
    ],
)
def test_unusual_images_are_no_mistakes(place, name, image):
    write_png(place / name, image)
    done = hb("predict", place.trained.run, "-i", place / name, "-o", place / "store")
    assert (done.code, done.out) == (0, f"{place / 'store'}: 1 images\n"), done.err
    drawn = hb("visualize", place / "store", "-o", place / "out")
    assert drawn.code == 0, drawn.err
