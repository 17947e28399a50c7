from __future__ import annotations

import csv
import gzip
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from handbone_cli.commands.wiring.voting import make_ballot
from handbone_cli.errors import HandboneError
from handbone_cli.masks import PackedMask
from handbone_cli.results.submission import SubmissionMasks, write_submission
from handbone_cli.testing import BONES, hb

SIZE = (40, 56)
IDS = ("image0007", "image0002")
HALF = Fraction(1, 2)
SHARED = Path("/work/shared/data")


def draw(seed, bones=BONES, ids=IDS, size=SIZE):
    """Image id -> masks; a third of them reach the right border and begin the next row."""
    rng = np.random.default_rng(seed)
    found = {}
    for image_id in ids:
        dense = np.zeros((len(bones), *size), bool)
        dense[:, 8:30, 10:40] = rng.random((len(bones), 22, 30)) < 0.6
        dense[0, 20:24] = rng.random((4, size[1])) < 0.7
        found[image_id] = PackedMask.from_dense(dense)
    return found


def write(path, masks, bones=BONES, suffix=".png"):
    write_submission(path, list(masks), bones, masks.__getitem__, suffix=suffix)
    return path


@pytest.fixture
def three(tmp_path):
    """a.csv, b.csv.gz and c.csv with their masks."""
    masks = [draw(seed) for seed in range(3)]
    paths = [tmp_path / name for name in ("a.csv", "b.csv.gz", "c.csv")]
    return [write(path, each) for path, each in zip(paths, masks, strict=True)], masks


def read(path, size=SIZE, bones=BONES):
    found = SubmissionMasks(path, size, bones)
    return {name: found.mask(name).dense() for name in found.image_ids}


def counted(masks, image_id, weights=(1, 1, 1)):
    pairs = zip(masks, weights, strict=True)
    return sum(each[image_id].dense() * weight for each, weight in pairs)


def test_a_majority_of_csvs_needs_no_size(three, tmp_path):
    paths, masks = three
    output = tmp_path / "vote.csv"
    done = hb("ensemble", "vote", *paths, "-o", output)
    assert (done.code, done.out) == (0, f"{output}: 8 rows of 2 images, read back and equal\n")
    voted = read(output)
    assert tuple(voted) == IDS
    for image_id in IDS:
        np.testing.assert_array_equal(voted[image_id], counted(masks, image_id) > 1)
    sized = tmp_path / "sized.csv"
    assert hb("ensemble", "vote", *paths, "--size", "40x56", "-o", sized).code == 0
    assert output.read_bytes() == sized.read_bytes()


def test_names_and_order_are_the_first_file_s(three, tmp_path):
    (_, second, third), masks = three
    turned = {name: masks[0][name] for name in reversed(IDS)}
    first = write(tmp_path / "first.csv.gz", turned, suffix=".JPG")
    output = tmp_path / "vote.csv.gz"
    assert hb("ensemble", "vote", first, second, third, "-o", output).code == 0
    rows = list(csv.reader(gzip.decompress(output.read_bytes()).decode().splitlines()))[1:]
    assert [row[:2] for row in rows] == [[f"{i}.JPG", bone] for i in turned for bone in BONES]
    bare = write(tmp_path / "bare.csv", turned, suffix="")
    assert hb("ensemble", "vote", bare, second, third, "-o", tmp_path / "o.csv").code == 0
    assert (tmp_path / "o.csv").read_text().splitlines()[1].startswith("image0002,finger-1,")


def test_weights_and_share(three, tmp_path):
    paths, masks = three
    output = tmp_path / "vote.csv"
    options = ("--weights", "2,1,0.5", "--share", "4/7")
    assert hb("ensemble", "vote", *paths, *options, "-o", output).code == 0
    for image_id, voted in read(output).items():
        votes = counted(masks, image_id, (4, 2, 1))
        np.testing.assert_array_equal(voted, votes > 4)
        assert (votes == 4).any()


def test_exceptions_by_bone_and_group(three, tmp_path):
    """A bone's own line overrules its group's, wherever it stands."""
    paths, masks = three
    plan = tmp_path / "votes.toml"
    plan.write_text("[share]\nUlna = 0\nforearm = 0.9\n[weights]\ncarpals = [1, 5, 1]\n")
    output = tmp_path / "vote.csv"
    assert hb("ensemble", "vote", *paths, "--by-bone", plan, "-o", output).code == 0
    assert BONES == ("finger-1", "Capitate", "Radius", "Ulna")
    for image_id, voted in read(output).items():
        votes = counted(masks, image_id)
        expected = np.stack([votes[0] > 1, masks[1][image_id].dense()[1], votes[2] > 2, votes[3]])
        np.testing.assert_array_equal(voted, expected.astype(bool))


def test_bones_from_another_file(three, tmp_path):
    paths, masks = three
    other = draw(9)
    replaced = f"thumb,Ulna={write(tmp_path / 'other.csv', other)}"
    output = tmp_path / "vote.csv"
    done = hb("ensemble", "vote", *paths, "--replace", replaced, "-o", output)
    assert done.code == 0, done.err
    for image_id, voted in read(output).items():
        expected = counted(masks, image_id) > 1
        expected[[0, 3]] = other[image_id].dense()[[0, 3]]
        np.testing.assert_array_equal(voted, expected)


def test_one_file_with_bones_of_others(three, tmp_path):
    paths, masks = three
    output = tmp_path / "mixed.csv"
    replace = ("--replace", f"Ulna={paths[1]}", "--replace", f"Capitate={paths[2]}")
    assert hb("ensemble", "vote", paths[0], *replace, "-o", output).code == 0
    for image_id, voted in read(output).items():
        expected = masks[0][image_id].dense()
        expected[3], expected[1] = masks[1][image_id].dense()[3], masks[2][image_id].dense()[1]
        np.testing.assert_array_equal(voted, expected)


def test_staple(three, tmp_path):
    paths, _ = three
    output = tmp_path / "staple.csv"
    done = hb("ensemble", "vote", *paths, "--staple", "--size", "40x56", "-o", output)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == f"{output}: 8 rows of 2 images, read back and equal"
    assert lines[1].split() == ["file", "sensitivity", "specificity"]
    assert [line.split()[0] for line in lines[2:]] == list(map(str, paths))
    assert all(0 < float(cell) < 1 for line in lines[2:] for cell in line.split()[1:])


def test_stores_and_csvs_vote_together(trained_run, second_run, tmp_path):
    """A submission of a store says the same as the store: two of three are the second run's."""
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    for store, path in ((trained_run.test, one), (second_run.test, two)):
        assert hb("submit", store, "-o", path).code == 0
    output = tmp_path / "vote.csv"
    done = hb("ensemble", "vote", trained_run.test, two, second_run.test, "-o", output)
    assert done.code == 0, done.err
    assert output.read_bytes() == two.read_bytes() != one.read_bytes()


def test_sizes_from_labels(trained_run, tmp_path):
    masks = [draw(seed, ids=("image0012", "image0013"), size=(64, 64)) for seed in range(2)]
    paths = [write(tmp_path / f"{i}.csv", each) for i, each in enumerate(masks)]
    outputs = [tmp_path / "labels.csv", tmp_path / "size.csv"]
    sizes = (("--labels", trained_run.data.recipe), ("--size", 64))
    for output, size in zip(outputs, sizes, strict=True):
        done = hb("ensemble", "vote", *paths, "--staple", *size, "-o", output)
        assert done.code == 0, done.err
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


def test_a_decision_votes(weighed, trained_run, second_run, tmp_path):
    output = tmp_path / "vote.csv"
    members = (weighed.decision, trained_run.val, second_run.val)
    done = hb("ensemble", "vote", *members, "-o", output)
    assert done.code == 0, done.err
    assert done.out == f"{output}: 16 rows of 4 images, read back and equal\n"


def fails(*words):
    done = hb("ensemble", "vote", *words)
    assert (done.code, done.out) == (1, "")
    return done.err.removeprefix("hb: ").removesuffix("\n")


def test_files_that_lack_something(three, tmp_path):
    (a, b, _), masks = three
    output = ("-o", tmp_path / "o.csv")
    short = write(tmp_path / "short.csv", {IDS[0]: masks[0][IDS[0]]})
    assert fails(a, short, *output) == (
        f"{short}: lacks image 'image0002', which {a} has; all that vote need the same images and "
        "classes."
    )
    lines = a.read_text().splitlines(keepends=True)
    torn = tmp_path / "torn.csv"
    torn.write_text("".join(lines[:4] + lines[5:-2]))
    assert fails(b, torn, *output) == (
        f"{torn}: there is no row for Ulna of image 'image0007'. The same goes for 1 more image."
    )
    three_bones = write(tmp_path / "bones.csv", draw(1, BONES[:3]), BONES[:3])
    assert fails(a, three_bones, *output) == (
        f"{three_bones}: there is no row for Ulna of image 'image0007'. "
        "The same goes for 1 more image."
    )
    assert fails(three_bones, a, *output).startswith(
        f"{a}, line 5: no class is called 'Ulna'. Known: "
    )
    assert not output[1].exists()


def test_files_that_are_no_masks(three, tmp_path):
    (a, b, _), _ = three
    output = ("-o", tmp_path / "o.csv")
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    assert fails(a, empty, *output) == (
        f"{empty}, line 1: there is no column 'image_name'; expected image_name, class, rle."
    )
    bare = tmp_path / "bare.csv"
    bare.write_text("image_name,class,rle\n")
    assert fails(bare, a, *output) == f"{bare}: there is no image with masks in it."
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(b.read_bytes()[:-40])
    assert fails(a, cut, *output) == f"{cut}: the gzip file is cut off or damaged."
    absent = tmp_path / "absent"
    assert fails(a, absent, *output) == (
        f"{absent}: no such file or folder; expected a store, a decision (.toml), a submission "
        "(.csv, .csv.gz), or a folder or recipe of labels."
    )
    far = tmp_path / "far.csv"
    far.write_text(a.read_text().rstrip("\n") + " 5000000000 7\n")
    assert fails(far, b, *output).endswith("its RLE is wrong.")
    odd = tmp_path / "odd.csv"
    odd.write_text(a.read_text().replace(",Ulna,", ",Ulna,x ", 1))
    assert fails(b, odd, *output) == (
        f"{odd}, line 5: Ulna of image 'image0007': the RLE holds 'x', which is no whole number."
    )


def test_options_that_are_wrong(three, tmp_path):
    (a, b, c), _ = three
    output = ("-o", tmp_path / "o.csv")
    assert fails(a, *output) == f"{a}: one file has nobody to vote with; name two or more."
    assert (
        fails(a, a, *output) == "the same file is named twice; give it more votes with --weights."
    )
    assert fails(a, b, "-o", tmp_path / "o") == (
        f"{tmp_path / 'o'}: a submission is a .csv or .csv.gz; give -o such a name."
    )
    assert fails(a, b, "--weights", "1", *output) == (
        "--weights 1: 1 weights; expected 2, one for each file."
    )
    assert fails(a, b, "--weights", "1,much", *output) == "--weights 1,much: 'much' is no number."
    assert fails(a, b, "--weights", "1,nan", *output) == "--weights 1,nan: 'nan' is no number."
    assert fails(a, b, "--share", "1", *output).startswith("a share of 1; expected")
    assert fails(a, b, "--share", "1/0", *output) == "--share 1/0: '1/0' is no number."
    assert fails(a, b, "--size", "40", *output).startswith(f"{a}, line ")  # 40 x 40 is too small
    assert fails(a, b, "--size", "0x3", *output) == (
        "--size 0x3: expected ROWSxCOLUMNS, as 2048x1600."
    )
    assert fails(a, b, "--replace", "Ulna", *output) == (
        "--replace Ulna: expected BONES=FILE, as Triquetrum,Pisiform=b.csv."
    )
    assert fails(a, b, "--replace", f"Ulnar={c}", *output).startswith(
        f"--replace {c}: no bone or group is called 'Ulnar'. Did you mean 'Ulna'?"
    )
    assert fails(a, b, "--staple", *output) == (
        "--staple needs the size of image 'image0007', which a CSV does not say; give "
        "--size ROWSxCOLUMNS, or --labels with a recipe or folder that has the images."
    )
    foreign = tmp_path / "notes.csv"
    foreign.write_text("my notes")
    assert fails(a, b, "-o", foreign).startswith(f"{foreign}: is there already")
    assert hb("ensemble", "vote", a, b, "--staple", "--weights", "1,1", *output).code == 2
    assert not output[1].exists()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[shares]\nUlna = 0.5\n", "no table is called 'shares'. Did you mean 'share'? Known: "),
        ("share = 0.5\n", "share is no table; expected [share] with bones below it."),
        ("[share]\nUlnar = 0.5\n", "share.Ulnar: no bone or group is called 'Ulnar'. Did you mean"),
        ("[share]\nlittle = 0.5\n", "share.little: no bone or group is called 'little'."),
        ("[share]\nUlna = true\n", "share.Ulna: 'True' is no number."),
        ("[weights]\nUlna = [1]\n", "weights.Ulna: expected a list of 2 weights, one a file."),
        ("[weights]\nUlna = 2\n", "weights.Ulna: expected a list of 2 weights, one a file."),
    ],
)
def test_wrong_exceptions(text, sentence, tmp_path):
    path = tmp_path / "votes.toml"
    path.write_text(text)
    with pytest.raises(HandboneError) as caught:
        make_ballot(BONES, [Fraction(1)] * 2, HALF, path)
    assert str(caught.value).startswith(f"{path}: {sentence}")


def test_the_empty_and_the_torn_file_of_exceptions(tmp_path):
    path = tmp_path / "votes.toml"
    path.write_text("")
    assert make_ballot(BONES, [Fraction(1)] * 2, HALF, path).votes.tolist() == [[1, 1]] * 4
    path.write_text("[share]\nUlna =")
    with pytest.raises(HandboneError, match=r"votes\.toml"):
        make_ballot(BONES, [Fraction(1)] * 2, HALF, path)


@pytest.mark.slow  # 5 s
@pytest.mark.skipif(not (SHARED / "predictions").exists(), reason="needs /work/shared")
def test_five_real_models_give_the_labels_that_are_their_majority(tmp_path):
    """The outlines of shared/data/hands were made as the majority of these very masks."""
    files = []
    for path in sorted((SHARED / "predictions").glob("*.csv.gz")):
        lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
        files.append(tmp_path / path.name.removesuffix(".gz"))
        files[-1].write_bytes(b"".join(lines[: 1 + 4 * 29]))
    output = tmp_path / "vote.csv"
    assert hb("ensemble", "vote", *files, "-o", output).code == 0
    scored = hb("evaluate", output, "--labels", SHARED / "hands")
    assert scored.out.splitlines()[-1].startswith("mean Dice 1.0000 ")
    assert scored.out.splitlines()[-1].endswith(", 4 images")
