from __future__ import annotations

import json

import numpy as np
import pytest

from handbone_cli.masks import PackedMask
from handbone_cli.results.forest_plot import is_forest
from handbone_cli.results.submission import write_submission
from handbone_cli.testing import BONES, hb, write_tiny_hands

IDS = [f"image{i:04d}" for i in range(16)]
LEVELS = {"good": (0.0, 0.0, 0.0, 0.0), "same": (0.0, 0.0, 0.0, 0.0), "bad": (0.3, 0.0, 0.0, 0.0)}


@pytest.fixture(scope="module")
def hands(tmp_path_factory):
    """Eight people's hands, a recipe for them, and submissions; `bad` is bad on finger-1."""
    from handbone_cli.commands.wiring.datasets import all_samples, open_named_dataset
    from handbone_cli.host.registry import installed
    from handbone_cli.testing import tiny_recipe

    folder = tmp_path_factory.mktemp("hands")
    root = write_tiny_hands(folder / "hands", people=7)
    recipe = folder / "tiny.toml"
    recipe.write_text(tiny_recipe(root))
    samples = all_samples(open_named_dataset(str(recipe), installed()))
    truth = {
        s.image_id: PackedMask.from_labels(s.read_labels(), (64, 64), len(BONES)) for s in samples
    }
    for place, (name, rates) in enumerate(LEVELS.items()):
        masks = {i: spoil(mask, rates, (place, int(i[5:]))) for i, mask in truth.items()}
        write_submission(folder / f"{name}.csv", IDS, BONES, masks.__getitem__)
    write_submission(folder / "truth.csv", IDS, BONES, truth.__getitem__)
    return folder


def spoil(mask, rates, seed):
    """Drop some of the pixels: 5 % and more as the rates say."""
    rng = np.random.default_rng(seed)
    dense = mask.dense()
    kept = rng.random(dense.shape) > 0.05 + np.array(rates)[:, None, None]
    return PackedMask.from_dense(dense & kept)


def compare(hands, a, b, *words):
    named = () if "--labels" in words else ("--labels", hands / "tiny.toml")
    return hb("compare", hands / a, hands / b, *named, *words)


def test_one_that_is_better(hands):
    done = compare(hands, "good.csv", "bad.csv")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[:2] == ["a: good.csv", "b: bad.csv"]
    assert " ".join(lines[2].split()) == "bone a b a - b 95 % interval p (Holm)"
    first = lines[3].split()
    assert first[0] == "finger-1"
    assert float(first[3]) == pytest.approx(float(first[1]) - float(first[2]), abs=2e-4)
    assert first[-2:] == ["0.031", "*"]  # 4 bones times 2 of 256 flips
    assert not any(line.endswith("*") for line in lines[4:7])
    assert "(16 images, 8 people)" in lines[7]
    assert lines[8].endswith("p = 0.008: good.csv is better")
    assert lines[9] == "1 bone differs after Holm's correction"
    assert lines[10].startswith("smallest true difference that such tests show 4 times in 5: 0.0")
    assert lines[11].startswith("on a leaderboard of 288 images (144 people) chance moves a score")
    assert len(lines) == 12


def test_a_tie(hands):
    done = compare(hands, "good.csv", "same.csv", "--json")
    told = json.loads(done.out)
    assert told["better"] == "tie"
    assert told["p"] > 0.05
    low, high = told["interval"]
    assert low < 0 < high
    assert (told["images"], told["people"], told["exact"]) == (16, 8, True)
    assert list(told["bones"]) == list(BONES)
    assert told["leaderboard"]["people"] == 144
    shown = compare(hands, "good.csv", "same.csv").out
    assert ": a tie: two equally good ones are as far apart in" in shown


def test_distances_are_better_where_they_are_less(hands):
    done = compare(hands, "good.csv", "bad.csv", "--metric", "assd", "--json")
    said = json.loads(done.out)
    assert (said["metric"], said["better"]) == ("assd px", "good.csv")
    assert said["difference"] < 0
    millimetres = ("--metric", "assd", "--spacing", "0.5")
    other = json.loads(compare(hands, "good.csv", "bad.csv", *millimetres, "--json").out)
    assert other["metric"] == "assd mm"
    assert other["difference"] == pytest.approx(said["difference"] / 2)
    lines = compare(hands, "good.csv", "bad.csv", "--metric", "assd").out.splitlines()
    assert lines[3].split()[0] == "finger-1"  # what A gains most on


def test_a_bone_that_is_missing_is_the_diagonal_away(hands, tmp_path):
    known = (hands / "good.csv").read_text().splitlines()
    dropped = [
        line.rpartition(",")[0] + "," if "finger-1" in line.split(",") else line for line in known
    ]
    (tmp_path / "lost.csv").write_text("\n".join(dropped) + "\n")
    done = compare(hands, "good.csv", tmp_path / "lost.csv", "--metric", "hd", "--json")
    said = json.loads(done.out)
    assert said["bones"]["finger-1"]["means"][1] == pytest.approx(64 * 2**0.5)
    nsd = compare(
        hands, "good.csv", tmp_path / "lost.csv", "--metric=nsd", "--tolerance=3", "--json"
    )
    said = json.loads(nsd.out)
    assert said["metric"] == "nsd@3px"
    kept, lost = said["bones"]["finger-1"]["means"]
    assert kept > 0.5
    assert lost == 0
    missing = compare(hands, "good.csv", tmp_path / "lost.csv", "--metric", "missing", "--json")
    assert json.loads(missing.out)["better"] == "good.csv"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--metric", "hd59"], "no metric is called 'hd59'. Did you mean 'hd95'?"),
        (["--metric", "overlap_dice"], "no metric is called 'overlap_dice'."),
        (["--tolerance", "2"], "--tolerance goes with nsd; --metric is dice."),
        (["--metric", "nsd", "--tolerance", "1,2"], "compared by one; name one."),
        (["--metric", "iou", "--spacing", "0.1"], "--spacing goes with distances and nsd"),
        (["--metric", "hd", "--spacing", "0"], "expected the millimetres of a pixel"),
    ],
)
def test_metrics_that_are_none(hands, words, sentence):
    done = compare(hands, "good.csv", "bad.csv", *words)
    assert done.code == 1
    assert sentence in done.err


def test_another_leaderboard(hands):
    told = json.loads(compare(hands, "good.csv", "bad.csv", "--images", 16, "--json").out)
    assert told["leaderboard"]["people"] == 8
    assert told["leaderboard"]["difference_error"] == pytest.approx(told["standard_error"])


def test_the_plot(hands, tmp_path):
    plot = tmp_path / "forest.svg"
    for _ in range(2):  # our own is written over
        assert compare(hands, "good.csv", "bad.csv", "--plot", plot).code == 0
    assert is_forest(plot.read_bytes())
    plot.write_text("<svg/>")
    assert compare(hands, "good.csv", "bad.csv", "--plot", plot).err.startswith(f"hb: {plot}: is")
    png = tmp_path / "forest.png"
    assert compare(hands, "good.csv", "bad.csv", "--plot", png).err == (
        f"hb: {png}: the plot is an .svg; give --plot such a name.\n"
    )


def test_labels_in_a_csv_say_nothing_of_people(hands):
    """Dice is the same without sizes; each image counts as a person, which is said."""
    by_recipe = json.loads(compare(hands, "good.csv", "bad.csv", "--json").out)
    done = compare(hands, "good.csv", "bad.csv", "--labels", hands / "truth.csv", "--json")
    by_csv = json.loads(done.out)
    assert by_csv["means"] == pytest.approx(by_recipe["means"])
    assert by_csv["people"] == 16
    assert "nobody says whose the images are, so each counts as a person" in done.err


def test_labels_against_a_csv(hands):
    """A recipe names its own truth as masks, which is perfect."""
    told = json.loads(compare(hands, "good.csv", "tiny.toml", "--json").out)
    assert told["means"][1] == 1
    assert told["better"] == "tiny.toml"


def test_stores_bring_their_truth(trained_run, second_run):
    done = hb("compare", trained_run.val, second_run.val, "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    means = [
        json.loads(hb("evaluate", store, "--json").out)["mean_dice"]
        for store in (trained_run.val, second_run.val)
    ]
    assert told["means"] == pytest.approx(means)
    assert (told["a"], told["b"]) == (str(trained_run.val), str(second_run.val))
    assert hb("compare", trained_run.val, second_run.val).out.splitlines()[-1] == (
        "2 people are too few: p cannot be below 0.5"
    )


def test_a_decision_on_other_stores(weighed, trained_run, second_run):
    on = ("--on", trained_run.test, "--on", second_run.test)
    done = hb("compare", weighed.decision, trained_run.test, *on, "--json")
    assert done.code == 1  # two hands of one person
    assert done.err.endswith("a comparison needs two people or more.\n")
    told = json.loads(hb("compare", weighed.decision, trained_run.val, "--json").out)
    assert (told["images"], told["people"]) == (4, 2)


def test_images_of_one_side_are_left_out_with_a_line(hands, tmp_path):
    lines = (hands / "good.csv").read_text().splitlines(keepends=True)
    part = tmp_path / "part.csv"
    part.write_text("".join(lines[: 1 + 4 * 14]))
    done = hb("compare", part, hands / "bad.csv", "--labels", hands / "tiny.toml")
    assert (
        f"{hands / 'bad.csv'}: 2 of 16 images are not compared, since the other has no masks of "
        "them or there are no labels" in done.err
    )
    assert "(14 images, 7 people)" in done.out


def test_mistakes_in_one_sentence(hands, trained_run, tmp_path):
    good, bad = hands / "good.csv", hands / "bad.csv"

    def fails(*words):
        done = hb("compare", *words)
        assert (done.code, done.out) == (1, "")
        return done.err.removeprefix("hb: ").removesuffix("\n")

    assert fails(good, bad) == (
        "neither of the two says where its truth is; name it with --labels."
    )
    assert fails(good, good) == f"{good}: is named twice; compare it with another."
    assert fails(good, bad, "--on", trained_run.val) == (
        "--on goes with a decision (.toml); neither of the two is one."
    )
    assert fails(good, tmp_path / "none").startswith(f"{tmp_path / 'none'}: no such file")
    assert fails(good, trained_run.run).startswith(f"{trained_run.run}: ")
    assert fails(good, bad, "--labels", tmp_path / "none").startswith(f"{tmp_path / 'none'}: ")
    empty = tmp_path / "empty.csv"
    empty.write_bytes(b"")
    assert fails(good, empty, "--labels", hands / "truth.csv").startswith(f"{empty}, line 1: ")
    other = tmp_path / "other.csv"
    other.write_text(bad.read_text().replace("image00", "film00"))
    assert fails(good, other, "--labels", hands / "truth.csv") == (
        "the two have no image in common."
    )
    torn = tmp_path / "torn.csv"
    torn.write_text(bad.read_text().rpartition("Ulna")[0])
    assert fails(good, torn, "--labels", hands / "truth.csv") == (
        f"{torn}, line 65: 2 fields; expected image_name, class, rle."
    )
