from __future__ import annotations

import csv
import json
import re

import numpy as np
import pytest

from handbone_cli.commands.wiring.datasets import all_samples, open_named_dataset
from handbone_cli.host.registry import installed
from handbone_cli.masks import PackedMask
from handbone_cli.results.submission import write_submission
from handbone_cli.testing import BONES, hb
from handbone_cli.testing.dicom import write_dicom
from handbone_cli.testing.tiny import draw_tiny_hand


@pytest.fixture(scope="module")
def summary(trained_run):
    done = hb("evaluate", trained_run.val, "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_the_table(trained_run, summary):
    done = hb("evaluate", trained_run.val)
    lines = done.out.splitlines()
    assert lines[0] == "val"
    assert lines[1].split() == ["bone", "mean", "Dice", "lowest"]
    ordered = sorted(BONES, key=lambda bone: summary["per_class"][bone])
    assert [line.split()[0] for line in lines[2:6]] == ordered
    assert lines[2].split()[1] == f"{summary['per_class'][ordered[0]]:.4f}"
    assert re.fullmatch(
        rf"mean Dice {summary['mean_dice']:.4f} \+- 0\.\d{{4}} \(standard error over 2 people\), "
        "4 images",
        lines[6],
    )
    assert len(lines) == 7


def test_the_run_and_its_store_agree(trained_run, summary):
    """Validation in training is what prediction gives: windows, no TTA, one half."""
    facts = json.loads((trained_run.run / "run.json").read_text())
    assert summary["mean_dice"] == pytest.approx(facts["best_dice"], abs=1e-9)
    assert (summary["images"], summary["people"]) == (4, 2)


def test_small_bones_and_overlaps(overlapping_run):
    """These labels and those trained on have the same groups, so the run said the same figures."""
    (logged,) = [json.loads(line) for line in (overlapping_run.run / "metrics.jsonl").open()]
    said = json.loads(hb("evaluate", overlapping_run.val, "--json").out)
    assert said["small_bones"] == logged["small_bones"]
    assert said["overlap_pairs"] == logged["overlap_pairs"]
    lines = hb("evaluate", overlapping_run.val).out.splitlines()
    overlap, both = said["overlap_pairs"]["Radius+Ulna"], said["per_class"]
    assert lines[6].split() == ["overlap", "its", "Dice", "both", "bones"]
    mean = (both["Radius"] + both["Ulna"]) / 2
    assert lines[7].split() == ["Radius+Ulna", f"{overlap:.4f}", f"{mean:.4f}"]
    assert lines[8] == f"small bones {said['small_bones']:.4f} (finger-1)"
    assert lines[9].startswith("mean Dice ")
    assert len(lines) == 10


def test_where_there_are_no_groups_nothing_is_said_of_them(summary):
    assert not {"small_bones", "overlap_pairs"} & summary.keys()


def test_the_csv_of_every_image_and_bone(trained_run, summary, tmp_path):
    done = hb("evaluate", trained_run.val, "--csv", tmp_path / "dice.csv", "--json")
    assert done.code == 0
    rows = list(csv.DictReader((tmp_path / "dice.csv").open()))
    assert [row["image_id"] for row in rows] == list(summary["per_image"])
    mean = sum(float(row["mean"]) for row in rows) / 4
    assert mean == pytest.approx(summary["mean_dice"], abs=1e-5)


def test_labels_can_be_named(trained_run, summary, tmp_path):
    named = hb("evaluate", trained_run.val, "--labels", trained_run.data.recipe, "--json")
    assert json.loads(named.out) == summary


def test_a_submission_scores_like_the_store_it_is_from(trained_run, tmp_path):
    path = tmp_path / "submission.csv"
    assert hb("submit", trained_run.test, "-o", path).code == 0
    store = json.loads(hb("evaluate", trained_run.test, "--json").out)
    done = hb("evaluate", path, "--labels", trained_run.data.recipe, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out) == store
    against_itself = hb("evaluate", trained_run.test, "--labels", path, "--json")
    assert json.loads(against_itself.out)["mean_dice"] == 1


def test_again_replaces_its_own_csv(trained_run, tmp_path):
    command = ("evaluate", trained_run.val, "--csv", tmp_path / "dice.csv")
    assert [hb(*command).code for _ in range(2)] == [0, 0]


def test_where_nothing_overlaps_no_bone_is_called_worst(trained_run, tmp_path):
    """Masks of one corner pixel, where no hand has a bone."""
    path = tmp_path / "corner.csv"
    rows = [f"{image}.png,{bone},1 1" for image in ("image0012", "image0013") for bone in BONES]
    path.write_text("\n".join(["image_name,class,rle", *rows, ""]))
    lines = hb("evaluate", path, "--labels", trained_run.data.recipe).out.splitlines()
    assert [line.split() for line in lines[2:6]] == [[bone, "0.0000", "0.0000"] for bone in BONES]
    assert lines[6] == "no bone of any image overlaps its label: none is worse than another"
    assert lines[7].startswith("mean Dice 0.0000")


def test_metrics_by_bone(trained_run, summary):
    done = hb("evaluate", trained_run.val, "--metrics", "dice,hd95,nsd", "--tolerance", "1,2")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == "val"
    headings = ["bone", "images", "dice", "hd95", "px", "nsd@1px", "nsd@2px"]
    assert lines[1].split()[: len(headings)] == headings
    assert [line.split()[0] for line in lines[2:6]] == list(BONES)
    for line in lines[2:6]:
        bone, images, dice = line.split()[:3]
        assert (images, dice) == ("4", f"{summary['per_class'][bone]:.4f}")
    assert lines[6].startswith(f"mean dice {summary['mean_dice']:.4f} +- ")
    assert lines[7].startswith("mean hd95 px ")
    assert lines[9].startswith("mean nsd@2px ")


def test_tables_and_values_on_disk_say_what_is_printed(trained_run, summary, tmp_path):
    table, values = tmp_path / "table.json", tmp_path / "values.csv"
    written = ("-o", table, "--csv", values)
    done = hb("evaluate", trained_run.val, "--by", "bone,bone+group", *written, "--json")
    assert done.code == 0, done.err
    rows = json.loads(done.out)
    assert rows == json.loads(table.read_text())["rows"]
    assert {row["by"] for row in rows} == {"bone", "bone+group", "all"}
    (overall,) = [row for row in rows if row["by"] == "all" and row["metric"] == "dice"]
    assert overall["mean"] == pytest.approx(summary["mean_dice"])
    dice = [float(row["dice"]) for row in csv.DictReader(values.open())]
    assert sum(dice) / len(dice) == pytest.approx(summary["mean_dice"], abs=1e-5)
    assert len(dice) == 4 * len(BONES)
    again = hb("evaluate", trained_run.val, "-o", table, "--csv", values)  # replaces its own files
    assert again.code == 0, again.err


def test_millimetres_are_pixels_times_the_spacing(trained_run):
    def mean(*options):
        done = hb(
            "evaluate", trained_run.val, "--metrics", "assd", "--penalise", "--json", *options
        )
        assert done.code == 0, done.err
        return json.loads(done.out)[-1]

    pixels, mm = mean(), mean("--spacing", "0.25")
    assert mm["mean"] == pytest.approx(pixels["mean"] / 4)
    assert (pixels["unit"], mm["unit"]) == ("px", "mm")


def test_millimetres_of_dicom_are_those_of_its_pixels(tmp_path):
    """Masks a row below the truth, of films whose rows are 0.3 mm and columns 0.1 mm apart."""
    pytest.importorskip("pydicom")
    for person in range(2):
        image, outlines = draw_tiny_hand(person, 0, 64, len(BONES))
        facts = {"PatientID": f"P{person}", "ImagerPixelSpacing": [0.3, 0.1]}
        path = write_dicom(tmp_path / "films" / f"F{person}.dcm", image, **facts)
        shapes = [
            {"label": bone, "points": outline.tolist(), "shape_type": "polygon"}
            for bone, outline in zip(BONES, outlines, strict=True)
        ]
        facts = {"imagePath": path.name, "imageData": None, "imageHeight": 64, "imageWidth": 64}
        path.with_suffix(".json").write_text(json.dumps({"shapes": shapes, **facts}))
    recipe = tmp_path / "r.toml"
    recipe.write_text(
        'name = "r"\n[data]\ndataset = "dicom"\nroot = "films"\n[model]\nname = "nnunet"\n'
        '[loss]\nname = "dice"\n'
    )
    films = open_named_dataset(str(recipe), installed())
    truth = {
        sample.image_id: PackedMask.from_labels(sample.read_labels(), (64, 64), 4)
        for sample in all_samples(films)
    }
    lower = {
        name: PackedMask.from_dense(np.roll(mask.dense(), 1, axis=1))
        for name, mask in truth.items()
    }
    write_submission(tmp_path / "lower.csv", list(lower), films.class_names, lower.__getitem__)
    words = ("evaluate", tmp_path / "lower.csv", "--labels", recipe, "--json", "--metrics")
    done = hb(*words, "centroid,hd", "--mm")
    assert done.code == 0, done.err
    found = {row["metric"]: (row["mean"], row["unit"]) for row in json.loads(done.out)}
    assert found == {"centroid": (pytest.approx(0.3), "mm"), "hd": (pytest.approx(0.3), "mm")}


def corner_masks(path, bones=BONES):
    """A submission with a pixel in the corner, where no hand has a bone."""
    rows = [f"{image}.png,{bone},1 1" for image in ("image0012", "image0013") for bone in bones]
    path.write_text("\n".join(["image_name,class,rle", *rows, ""]))
    return path


def test_missing_bones_are_left_out_of_distances_or_penalised(trained_run, tmp_path):
    path = corner_masks(tmp_path / "corner.csv", BONES[:1])
    command = ("evaluate", path, "--labels", trained_run.data.recipe, "--metrics", "missing,hd")
    rows = json.loads(hb(*command, "--json").out)
    overall = {row["metric"]: row for row in rows if row["by"] == "all"}
    assert overall["missing"]["mean"] == pytest.approx(1 - 1 / len(BONES))
    counted = overall["hd"]["count"], overall["hd"]["left_out"]
    assert counted == (2, 2 * (len(BONES) - 1))
    assert "6 bones are in the masks or in the labels alone" in hb(*command).out
    (penalised,) = [
        row
        for row in json.loads(hb(*command, "--penalise", "--json").out)
        if (row["by"], row["metric"]) == ("all", "hd")
    ]
    height = 64 * 2**0.5
    assert (penalised["count"], penalised["left_out"]) == (8, 0)
    assert penalised["highest"] == pytest.approx(height)


@pytest.mark.slow  # 5 s: draws ten hands
def test_by_what_is_known_of_hands_and_people(tmp_path):
    """Hands as drawn, scored by their own outlines; ages and sexes lie beside them."""
    from handbone_cli.commands.wiring.datasets import open_named_dataset
    from handbone_cli.host.registry import installed
    from handbone_cli.masks import PackedMask
    from handbone_cli.results.submission import write_submission

    drawn = hb(
        "data",
        "generate",
        "-o",
        tmp_path / "data",
        "--people",
        5,
        "--test-people",
        0,
        "--size",
        128,
    )
    assert drawn.code == 0, drawn.err
    dataset = open_named_dataset(str(tmp_path / "data"), installed())
    samples = {sample.image_id: sample for sample in dataset.samples("train")}

    def mask(image_id):
        return PackedMask.from_labels(samples[image_id].read_labels(), (128, 128), 29)

    path = tmp_path / "truth.csv"
    write_submission(path, list(samples), dataset.class_names, mask)
    done = hb("evaluate", path, "--labels", tmp_path / "data", "--by", "side,pose,sex,age,region",
              "--metrics", "all", "--json")  # fmt: skip
    assert done.code == 0, done.err
    rows = json.loads(done.out)
    sexes = [row["Gender"] for row in csv.DictReader((tmp_path / "data/meta_data.csv").open())]
    images = {(row["by"], row[row["by"]]): row["images"] for row in rows if row["by"] != "all"}
    assert (images["side", "left"], images["side", "right"]) == (5, 5)
    assert sum(count for (by, _), count in images.items() if by == "age") == 10
    assert all(re.fullmatch(r"\d0-\d9", age) for by, age in images if by == "age")
    assert images["sex", "female"] == 2 * sexes.count("F")
    assert {name for by, name in images if by == "region"} >= {"thumb", "carpals", "forearm"}
    perfect = {"dice": 1, "iou": 1, "boundary_iou": 1, "nsd": 1, "overlap_dice": 1, "missing": 0}
    for row in rows:
        if row["metric"] != "extra":
            assert row["mean"] == perfect.get(row["metric"], 0), row


@pytest.mark.slow  # 15 s: two processes begin
def test_two_processes_find_what_one_finds(trained_run, monkeypatch):
    from handbone_cli.commands.wiring import metrics

    monkeypatch.setattr(metrics, "FEW_IMAGES", 0)
    command = ("evaluate", trained_run.val, "--metrics", "all", "--by", "bone+group", "--json")
    one, two = (hb(*command, "--workers", count) for count in (1, 2))
    assert one.code == two.code == 0, two.err
    assert one.out == two.out


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--metrics", "hd59"], "--metrics: no metric is called 'hd59'."),
        (["--by", "bones"], "--by: nothing is called 'bones'. Did you mean 'bone'"),
        (["--mm"], "its source does not say how large a pixel is; give --spacing"),
        (["--by", "sex"], "--by sex: nobody's is known; name a table"),
        (["--metrics", "dice", "--tolerance", "2"], "--tolerance goes with nsd, which --metrics"),
        (["--boundary", "0.1"], "--boundary goes with boundary_iou, which"),
        (["--meta", "people.csv"], "--meta goes with sex or age, which --by does not name."),
    ],
)
def test_mistakes_are_one_sentence(trained_run, options, sentence):
    done = hb("evaluate", trained_run.val, *options)
    assert done.code == 1
    assert sentence in done.err
    assert "Traceback" not in done.err


def test_other_files_are_not_written_over(trained_run, tmp_path):
    path = tmp_path / "notes.csv"
    path.write_text("mine\n")
    for option in ("-o", "--csv"):
        done = hb("evaluate", trained_run.val, "--metrics", "dice", option, path)
        assert done.code == 1
        assert "is there already and is not a" in done.err
    assert path.read_text() == "mine\n"
