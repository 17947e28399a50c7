"""The bounds are those of the design: 2 grey levels for an operator, a mean of .25 for a chain."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from handbone_cli import HandboneError, LoaderContext, PatchForm
from handbone_cli.data.patches import TrainingPatches
from handbone_cli.data.prepared import PreparedImages
from handbone_cli.data.preprocessing import Preprocessing
from handbone_cli.host.interfaces import Sample
from handbone_cli.recipe.schema import Recipe
from handbone_cli.testing.tiny import draw_tiny_hand, write_png
from handbone_loaders import dali_loader, torch_loader

pytest.importorskip("nvidia.dali")

CHAIN = {
    "shift": 0.05, "scale": 0.2, "rotate": 30, "hflip": 0.5, "blur": 1.5, "gamma": 0.3,
    "contrast": 0.2, "brightness": 0.1, "noise": 0.05, "random_resized_crop": 0.4,
}  # fmt: skip


FILES = [("png", 160), ("jpg", 160), ("png", 160), ("png", 133)]


@pytest.fixture(scope="module")
def hands(tmp_path_factory):
    """Four hands as files: PNG, JPEG, 16 bit and of another size."""
    folder = tmp_path_factory.mktemp("hands")
    samples = []
    for person, (suffix, size) in enumerate(FILES):
        image, outlines = draw_tiny_hand(person, 0, size, 9)
        image = cv2.GaussianBlur(image, (3, 3), 0.8)
        path = folder / f"image{person}.{suffix}"
        write_png(path, image.astype(np.uint16) * 200 if person == 2 else image)
        labels = {index: [outline.astype(np.float32)] for index, outline in enumerate(outlines)}

        def read(path=path):
            return cv2.imread(str(path), cv2.IMREAD_ANYDEPTH | cv2.IMREAD_GRAYSCALE)

        samples.append(Sample(path.stem, path.stem, read, lambda found=labels: found, path=path))
    return samples


def source_of(samples, augment=None, **data):
    recipe = Recipe.model_validate({
        "name": "r", "seed": 5, "model": {"name": "m"}, "loss": {"name": "l"},
        "data": {"patch": 96, "clahe": False, **data},
        "augment": augment or {}, "train": {"patches_per_image": 3},
    })  # fmt: skip
    images = PreparedImages(Preprocessing(recipe.data), cache_mb=64)
    return TrainingPatches(samples, images, recipe, [f"bone-{index}" for index in range(9)])


def epoch(module, source, number=0, start=0, notes=None):
    said = [] if notes is None else notes
    context = LoaderContext(source, 4, 0, 7, "cpu", said.append)
    return list(module.build(None, context).epoch(number, start))


def grey_levels(samples, augment, data):
    """Differences in grey levels of the two loaders' images, (n,); labels are the same."""
    ours = epoch(torch_loader, source_of(samples, augment, **data))
    theirs = epoch(dali_loader, source_of(samples, augment, **data))
    assert len(ours) == len(theirs) == 3
    for (_, ours_labels), (_, their_labels) in zip(ours, theirs, strict=True):
        assert torch.equal(ours_labels, their_labels)
    stacks = [torch.cat([images for images, _ in batches]) for batches in (ours, theirs)]
    assert stacks[0].shape == stacks[1].shape == (12, 1, 96, 96)
    assert stacks[0].dtype == stacks[1].dtype == torch.float32
    assert stacks[0].std() > 0.1
    unit = 1 / (255 * 0.226) if data.get("normalize", "imagenet") == "imagenet" else 1 / 255
    return ((stacks[0] - stacks[1]).abs() / unit).flatten()


@pytest.mark.parametrize(
    ("augment", "data"),
    [
        ({}, {}),
        ({}, {"clahe": {"clip_limit": 2.0, "tiles": 8}}),
        ({}, {"clahe": {"clip_limit": 4.0, "tiles": 3}}),
        ({}, {"resize": 70}),
        ({}, {"resize": 50}),
        ({}, {"resize": 300}),
        ({"shift": 0.1}, {}),
        ({"scale": 0.3}, {}),
        ({"rotate": 180}, {}),
        ({"hflip": 0.5}, {}),
        ({"random_resized_crop": 0.3}, {}),
        ({"blur": 3.0}, {}),
        ({"gamma": 0.5}, {}),
        ({"contrast": 0.5}, {}),
        ({"brightness": 0.4}, {}),
        ({"noise": 0.1}, {}),
    ],
    ids=str,
)
def test_each_operator_alone(hands, augment, data):
    assert grey_levels(hands, augment, data).max() <= 2.01


@pytest.mark.parametrize(
    "data",
    [{"clahe": {"clip_limit": 2.0}}, {"clahe": {"clip_limit": 2.0}, "resize": 75}],
    ids=str,
)
def test_chains(hands, data):
    differ = grey_levels(hands, CHAIN, data)
    assert differ.mean() <= 0.25
    assert (differ > 2.01).double().mean() <= 0.005


@pytest.mark.parametrize("normalize", ["zscore", "percentile"])
def test_an_images_own_statistics(hands, normalize):
    ours = epoch(torch_loader, source_of(hands, normalize=normalize))
    theirs = epoch(dali_loader, source_of(hands, normalize=normalize))
    for (images, _), (others, _) in zip(ours, theirs, strict=True):
        assert torch.allclose(images, others, atol=0.03)


def test_an_epoch_can_be_taken_up_in_the_middle_and_comes_again(hands):
    source = source_of(hands, CHAIN)
    context = LoaderContext(source, 4, 0, 7)
    loader = dali_loader.build(None, context)
    first, second = list(loader.epoch(0)), list(loader.epoch(1))
    assert not torch.equal(first[0][0], second[0][0])
    again = list(loader.epoch(0, start=1))
    assert len(again) == 2
    for (images, labels), (others, truths) in zip(first[1:], again, strict=True):
        assert torch.equal(images, others)
        assert torch.equal(labels, truths)


def test_an_epoch_may_be_left(hands):
    loader = dali_loader.build(None, LoaderContext(source_of(hands), 4, 0, 7))
    whole = list(loader.epoch(0))
    for _ in loader.epoch(1):
        break
    assert torch.equal(next(iter(loader.epoch(0)))[0], whole[0][0])


def test_a_truncated_image_is_quarantined_before_dali_sees_it(hands, tmp_path):
    torn = tmp_path / "torn.png"
    torn.write_bytes(hands[0].path.read_bytes()[:-40])
    bad = Sample("torn", "torn", hands[0].read_image, hands[0].read_labels, path=torn)
    notes = []

    def fresh():
        return source_of([hands[3], bad, hands[1]])

    batches = epoch(dali_loader, fresh(), notes=notes)
    assert len(batches) == 2
    assert len(notes) == 1
    assert notes[0].startswith(f"quarantined: {torn}: the PNG is cut off")


def test_the_culprit_of_a_batch_is_found(hands, tmp_path):
    """A JPEG whose segments are in order but whose tables are not: only decoding can tell."""
    content = bytearray(hands[1].path.read_bytes())
    huffman = content.index(b"\xff\xc4")
    content[huffman + 5 : huffman + 21] = b"\xff" * 16
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(content)
    bad = Sample("broken", "b", hands[1].read_image, hands[1].read_labels, path=broken)
    notes = []
    batches = epoch(dali_loader, source_of([hands[0], bad, hands[3]]), notes=notes)
    assert len(batches) == 2
    assert len(notes) == 1
    assert notes[0] == (
        "quarantined: broken: its header is right but DALI cannot decode its pixels."
    )
    sound = source_of([hands[0], bad, hands[3]])
    sound.quarantine("broken", "known from the start")
    for (images, _), (others, _) in zip(batches, epoch(dali_loader, sound), strict=True):
        assert torch.equal(images, others)


@pytest.mark.parametrize(
    ("form", "device", "words"),
    [
        (PatchForm(96, distorted=True), "cpu", "on a GPU only"),
        (PatchForm(96, plugins=True), "cuda", r"no Python touches DALI's pixels"),
        (PatchForm(96, channels=3), "cuda", r"no Python touches DALI's pixels"),
    ],
)
def test_what_dali_cannot_do_is_refused(form, device, words):
    class Source:
        def __init__(self):
            self.form, self.faults = form, {}

        def __len__(self):
            return 4

    with pytest.raises(HandboneError, match=rf"^data.loader = 'dali': .*{words}.*'torch'\.$"):
        dali_loader.build(None, LoaderContext(Source(), 4, 0, 7, device))
    assert dali_loader.refuse(PatchForm(96, distorted=True), "cuda") is None


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ModuleNotFoundError("nvidia"), "pip install 'handbone[dali]'"),
        (ImportError("libcuda is too old"), r"cannot be imported (libcuda is too old)"),
    ],
)
def test_without_dali(monkeypatch, error, words):
    def fail(_name):
        raise error

    monkeypatch.setattr(dali_loader.importlib, "import_module", fail)
    assert words in dali_loader.refuse(PatchForm(96), "cuda")


def test_the_map_of_a_distorted_patch_is_that_of_the_cpu(hands):
    """DALI remaps on a GPU only; what it would be given is checked here."""
    from handbone_cli.data import geometry
    from handbone_loaders.dali_pipeline import absolute_map

    source = source_of(hands[:1], {**CHAIN, "elastic": 3.0, "grid_distortion": 0.1})
    raw = source.raw(0, 0)
    indexed = geometry.on_pixel_centres(raw.matrix)
    expected = geometry.dense_map(indexed, (96, 96), raw.displacement)
    for ours, theirs in zip(absolute_map(raw), expected, strict=True):
        assert ours.dtype == np.float32
        assert np.abs(ours - theirs).max() < 1e-3
