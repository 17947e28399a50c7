from __future__ import annotations

import gzip

import numpy as np
import pytest

from handbone_cli.errors import HandboneError
from handbone_cli.masks import PackedMask
from handbone_cli.results.submission import SubmissionMasks, verify_submission, write_submission
from handbone_cli.results.submission_rows import is_submission

NAMES = ("Radius", "Ulna", "a, b")
SIZE = (5, 6)


@pytest.fixture
def masks():
    draw = np.random.default_rng(7)
    made = {name: draw.random((3, *SIZE)) < 0.4 for name in ("left", "right", "a.b")}
    made["right"][1] = False
    return {name: PackedMask.from_dense(dense) for name, dense in made.items()}


@pytest.fixture
def path(tmp_path, masks):
    path = tmp_path / "submission.csv"
    write_submission(path, list(masks), NAMES, masks.__getitem__)
    return path


def read(tmp_path, text, sizes=SIZE, class_names=NAMES):
    path = tmp_path / "given.csv"
    path.write_text(text)
    return SubmissionMasks(path, sizes, class_names)


def refusal(action, *arguments, **options):
    with pytest.raises(HandboneError) as caught:
        action(*arguments, **options)
    return str(caught.value)


def test_the_whole_file(tmp_path):
    dense = np.zeros((2, 2, 3), bool)
    dense[0, 0, 1:] = dense[0, 1, 0] = True
    path, reports = tmp_path / "s.csv", []
    write_submission(
        path,
        ["b", "a"],
        ["Radius", "Ulna"],
        lambda _: PackedMask.from_dense(dense),
        report=lambda done, total: reports.append((done, total)),
    )
    assert path.read_bytes() == (
        b"image_name,class,rle\nb.png,Radius,2 3\nb.png,Ulna,\na.png,Radius,2 3\na.png,Ulna,\n"
    )
    assert reports == [(1, 2), (2, 2)]


def test_what_is_written_is_read(path, masks):
    found = SubmissionMasks(path, SIZE)
    assert found.image_ids == ("left", "right", "a.b")
    assert found.class_names == NAMES
    assert found.ordered
    assert found.problems() == []
    for name, mask in masks.items():
        assert np.array_equal(found.mask(name).planes, mask.planes)
    verify_submission(path, list(masks), NAMES, masks.__getitem__)


def test_gzip_says_the_same_and_always_the_same_bytes(tmp_path, path, masks):
    packed = [tmp_path / "one.csv.gz", tmp_path / "two.csv.gz"]
    for target in packed:
        write_submission(target, list(masks), NAMES, masks.__getitem__)
    assert packed[0].read_bytes() == packed[1].read_bytes()
    assert gzip.decompress(packed[0].read_bytes()) == path.read_bytes()
    verify_submission(packed[0], list(masks), NAMES, masks.__getitem__)


@pytest.mark.parametrize("name", ["s.csv", "s.csv.gz"])
def test_a_failure_leaves_the_old_file(tmp_path, name, masks):
    path = tmp_path / name
    path.write_text("old")
    with pytest.raises(KeyError):
        write_submission(path, ["left", "nobody"], NAMES, masks.__getitem__)
    assert [file.read_text() for file in tmp_path.iterdir()] == ["old"]


def test_masks_of_other_classes_are_refused(tmp_path, path, masks):
    message = "the mask of image 'left' has 3 classes; expected 2."
    arguments = (["left"], NAMES[:2], masks.__getitem__)
    assert refusal(write_submission, tmp_path / "s.csv", *arguments) == message


def test_columns_in_any_order_blank_lines_windows_line_ends_and_a_byte_order_mark(tmp_path):
    text = "\ufeffn,rle,class,image_name\r\n0,1 2,Ulna,x.dcm\r\n\r\n1,,Radius,x.dcm\r\n"
    found = read(tmp_path, text)
    assert found.image_ids == ("x",)
    assert found.mask("x").areas().tolist() == [0, 2, 0]
    assert not found.ordered


def test_an_rle_longer_than_csv_takes_by_default(tmp_path):
    dense = np.zeros((1, 400, 401), bool)
    dense[0, :, ::2] = True
    mask = PackedMask.from_dense(dense)
    path = tmp_path / "long.csv"
    write_submission(path, ["x"], ["Ulna"], lambda _: mask)
    assert path.stat().st_size > 131072
    verify_submission(path, ["x"], ["Ulna"], lambda _: mask)


def test_sizes_by_image(tmp_path):
    text = "image_name,class,rle\nx.png,Ulna,7 1\ny.png,Ulna,7 1\n"
    found = read(tmp_path, text, sizes={"x": (3, 3), "y": (1, 7)})
    assert [found.mask(name).size for name in "xy"] == [(3, 3), (1, 7)]


HEADER = "image_name,class,rle\n"
FILE_ERRORS = [
    ("", ", line 1: there is no column 'image_name'; expected image_name, class, rle."),
    ("image_name,rle\n", ", line 1: there is no column 'class'; expected image_name, class, rle."),
    (HEADER + "x.png,Ulna\n", ", line 2: 2 fields; expected image_name, class, rle."),
    (
        HEADER + "x.png,Ulna,\nx.png,Una,\n",
        ", line 3: no class is called 'Una'. Did you mean 'Ulna'? Known: Radius, Ulna, a, b.",
    ),
    (
        HEADER + "x.png,Ulna,\n\nx.png,Ulna,1 2\n",
        ", line 4: Ulna of image 'x' stands in line 2 already.",
    ),
    (HEADER + "z.png,Ulna,\n", ", line 2: image 'z' is none of the images given."),
]


@pytest.mark.parametrize(("text", "message"), FILE_ERRORS)
def test_what_is_wrong_with_a_file_is_told_with_its_line(tmp_path, text, message):
    assert refusal(read, tmp_path, text, {"x": SIZE}) == f"{tmp_path / 'given.csv'}{message}"


def test_a_wrong_rle_is_told_with_its_line(tmp_path):
    found = read(tmp_path, HEADER + "x.png,Radius,1 1\nx.png,Ulna,1 2 3\n")
    what = "line 3: Ulna of image 'x': the RLE has 3 numbers, an odd count; expected pairs."
    assert refusal(found.mask, "x") == f"{found.path}, {what}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x1f\x8b\x08\x00", "the gzip file is cut off or damaged."),
        (gzip.compress(HEADER.encode() * 9, mtime=0)[:-12], "the gzip file is cut off or damaged."),
        (b"\xff\xfe\x00", "not a CSV (it is not UTF-8 text)."),
    ],
)
def test_what_is_no_csv(tmp_path, content, message):
    path = tmp_path / "s.csv"
    path.write_bytes(content)
    assert refusal(SubmissionMasks, path) == f"{path}: {message}"


def test_missing_rows_are_problems_and_empty_masks(tmp_path):
    found = read(tmp_path, HEADER + "x.png,Ulna,1 2\ny.png,Ulna,\n")
    assert found.mask("x").areas().tolist() == [0, 2, 0]
    assert found.problems(["x", "z"]) == [
        f"{found.path}: there is no row for Radius, a, b of image 'x'.",
        f"{found.path}: there is no row for image 'z'.",
        f"{found.path}: image 'y' should not be there.",
    ]
    assert refusal(found.mask, "z") == f"{found.path}: there is no row for image 'z'."


def test_many_missing_rows_make_one_sentence(tmp_path):
    names = [f"finger-{number}" for number in range(1, 9)]
    found = read(tmp_path, HEADER + "x.png,finger-2,\n", class_names=names)
    listing = "finger-1, finger-3, finger-4 and 4 more"
    assert found.problems() == [f"{found.path}: there is no row for {listing} of image 'x'."]


def test_verification_finds_one_pixel(path, masks):
    masks["right"].planes[2, 3, 0] ^= 2
    message = refusal(verify_submission, path, list(masks), NAMES, masks.__getitem__)
    assert message == f"{path}: the mask of image 'right' differs in Ulna."


def test_verification_finds_what_is_missing_or_out_of_order(path, masks):
    images = [*masks, "more"]
    arguments = (NAMES, masks.__getitem__)
    assert refusal(verify_submission, path, images, *arguments) == (
        f"{path}: there is no row for image 'more'."
    )
    disorder = f"{path}: its rows are not in the order of the images and classes."
    assert refusal(verify_submission, path, images[2::-1], *arguments) == disorder
    swapped = (("Ulna", "Radius", "a, b"), masks.__getitem__)
    assert refusal(verify_submission, path, images[:3], *swapped) == disorder


@pytest.mark.parametrize("name", ["s.csv", "s.csv.gz"])
def test_a_submission_is_known_by_its_head(tmp_path, name):
    write_submission(tmp_path / name, [], ["Radius"], lambda _: None)
    content = (tmp_path / name).read_bytes()
    assert is_submission(content)
    assert not is_submission(content[1:])


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"name = 'x'\n",
        b"image_name,class,rle,note\n",
        gzip.compress(b"x", mtime=0),
        b"\x1f\x8bx",
    ],
)
def test_what_is_no_submission(head):
    assert not is_submission(head)
