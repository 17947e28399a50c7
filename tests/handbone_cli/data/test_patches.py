from __future__ import annotations

import cv2
import numpy as np
import pytest

from handbone_cli.data import augmentation, geometry
from handbone_cli.data.images import read_grey
from handbone_cli.data.patches import TrainingPatches, encoded_grey, swap_classes
from handbone_cli.data.prepared import PreparedImages
from handbone_cli.data.preprocessing import Preprocessing
from handbone_cli.errors import HandboneError, UnreadableImageError
from handbone_cli.host.interfaces import Sample
from handbone_cli.masks import PackedMask
from handbone_cli.recipe.schema import Recipe
from handbone_cli.testing.tiny import draw_tiny_hand, write_png

STRONG = {"shift": 0.1, "scale": 0.3, "rotate": 40, "hflip": 0.5, "noise": 0.1}


def recipe(patch=32, cache_mb=8, augment=None, per_image=2, **data):
    return Recipe.model_validate({
        "name": "r", "seed": 5, "model": {"name": "m"}, "loss": {"name": "l"},
        "data": {"patch": patch, "cache_mb": cache_mb, "clahe": False, **data},
        "augment": STRONG if augment is None else augment,
        "train": {"patches_per_image": per_image},
    })  # fmt: skip


def samples(count=3, size=96, bones=9):
    def sample(person):
        image, outlines = draw_tiny_hand(person, 0, size, bones)
        polygons = {index: [outline.astype(np.float32)] for index, outline in enumerate(outlines)}
        return Sample(f"image{person}", f"ID{person}", lambda: image, lambda: polygons)

    return [sample(person) for person in range(count)]


def patches(hands, setting, classes=9, **more):
    images = PreparedImages(Preprocessing(setting.data), cache_mb=setting.data.cache_mb)
    names = [f"bone-{index}" for index in range(classes)]
    return TrainingPatches(hands, images, setting, names, **more)


def test_a_patch_follows_from_seed_epoch_and_index():
    """Neither the order of calls nor the cache (here: none) has a say."""
    cached = patches(samples(), recipe())
    bare = patches(samples(), recipe(cache_mb=0))
    assert len(cached) == 6
    places = [(epoch, index) for epoch in range(2) for index in range(6)]
    forward = {place: cached.patch(*place) for place in places}
    for place in reversed(places):
        other = bare.patch(*place)
        assert np.array_equal(forward[place].image, other.image)
        assert np.array_equal(forward[place].labels, other.labels)
    assert not np.array_equal(forward[0, 0].image, forward[1, 0].image)
    assert not np.array_equal(forward[0, 0].image, forward[0, 3].image)


def test_form():
    drawn = patches(samples(), recipe()).patch(0, 0)
    assert (drawn.image.shape, drawn.image.dtype) == ((1, 32, 32), np.float32)
    assert (drawn.labels.shape, drawn.labels.dtype) == ((32, 32, 2), np.uint8)


@pytest.mark.parametrize("resize", [None, 48, 200])
@pytest.mark.parametrize("elastic", [0.0, 4.0])
def test_labels_are_those_of_the_whole_mask_warped(resize, elastic):
    """Filling only the rectangle that a patch needs loses nothing."""
    setting = recipe(augment={**STRONG, "elastic": elastic}, resize=resize)
    hands = samples(1, bones=29)
    source = patches(hands, setting, 29)
    mask = PackedMask.from_polygons(hands[0].read_labels(), (96, 96), 29)
    target = (resize or 96, resize or 96)
    for index in range(12):
        plan = augmentation.draw(
            augmentation.stream(5, 0, index), setting.augment, target, (32, 32)
        )
        matrix = geometry.compose(geometry.between(target, (96, 96)), plan.matrix)
        whole = geometry.warp(mask.planes, matrix, (32, 32), plan.displacement, nearest=True)
        labels = source.patch(0, index).labels
        # a place is rounded to 1/32 px, before or after the rectangle's corner is taken off
        assert np.count_nonzero(labels != whole) <= (0 if elastic == 0 else 4)


def test_a_patch_larger_than_the_image_has_it_in_the_middle():
    hands = samples(1, size=40)
    drawn = patches(hands, recipe(patch=64, augment={})).patch(0, 0)
    grey = np.rint((drawn.image[0] * 0.226 + 0.449) * 255)
    assert np.abs(grey[12:52, 12:52] - hands[0].read_image()).max() <= 1
    assert grey[:12].max() == grey[:, 52:].max() == 0
    inside = PackedMask.from_polygons(hands[0].read_labels(), (40, 40), 9).planes
    assert np.array_equal(drawn.labels[12:52, 12:52], inside)
    assert not drawn.labels[:12].any()


def test_image_and_labels_stay_together():
    """One bright bone on black: where the patch is bright, its label is."""
    image = np.zeros((130, 130), np.uint8)
    square = np.array([(90, 90), (125, 90), (125, 125), (90, 125)], np.float32)
    image[90:126, 90:126] = 255
    sample = Sample("a", "a", lambda: image, lambda: {0: [square]})
    setting = recipe(augment={"rotate": 30, "scale": 0.2}, resize=32)
    source = patches([sample], setting, 1)
    for index in range(10):
        drawn = source.patch(0, index)
        bright = drawn.image[0] * 0.226 + 0.449 > 0.5
        assert np.count_nonzero(bright != (drawn.labels[..., 0] > 0)) <= 14


def test_an_unlabelled_sample_is_a_mistake_of_ours():
    source = patches([Sample("a", "a", lambda: np.zeros((9, 9), np.uint8))], recipe(), 1)
    with pytest.raises(ValueError, match="a has no labels"):
        source.patch(0, 0)


def broken(name="broken"):
    def read():
        raise UnreadableImageError(f"{name}.png: the file is empty.")

    return Sample(name, name, read, dict)


def test_an_unreadable_image_is_quarantined_and_the_next_takes_its_place():
    hands = samples(3)
    whole, hurt = patches(hands, recipe()), patches([hands[0], broken(), hands[2]], recipe())
    for index in (0, 2, 3, 5):
        assert np.array_equal(hurt.patch(0, index).image, whole.patch(0, index).image)
    assert not hurt.faults
    substitute = hurt.patch(0, 1)
    assert hurt.faults == {"broken": "broken.png: the file is empty."}
    assert len(hurt) == 6
    again = patches([hands[0], broken(), hands[2]], recipe())
    again.quarantine("broken", "known from the start")
    assert np.array_equal(again.patch(0, 1).image, substitute.image)
    assert np.array_equal(hurt.raw(0, 1).labels, substitute.labels)


def test_without_a_sound_image_there_is_an_end():
    source = patches([broken("a"), broken("b")], recipe())
    with pytest.raises(HandboneError, match=r"no image is left to train on.*b\.png: the file is"):
        source.patch(0, 0)


def test_classes_change_places_with_a_flip():
    hands = samples(1)
    setting = recipe(augment={"hflip": 1.0})
    plain = patches(hands, setting).patch(0, 0).labels
    paired = patches(hands, setting, mirror_pairs=[("bone-0", "bone-8"), ("bone-2", "bone-3")])
    bits = np.unpackbits(plain, axis=2, count=9, bitorder="little")
    swapped = np.unpackbits(paired.patch(0, 0).labels, axis=2, count=9, bitorder="little")
    assert np.array_equal(swapped, bits[..., [8, 1, 3, 2, 4, 5, 6, 7, 0]])
    unflipped = patches(hands, recipe(augment={}), mirror_pairs=[("bone-0", "bone-8")])
    as_before = patches(hands, recipe(augment={})).patch(0, 0)
    assert np.array_equal(unflipped.patch(0, 0).labels, as_before.labels)


def test_swapping_twice_changes_nothing():
    planes = np.random.default_rng(1).integers(0, 256, (5, 6, 2), np.uint8)
    before = planes.copy()
    for _ in range(2):
        swap_classes(planes, [(1, 9), (3, 4)])
    assert np.array_equal(planes, before)


def test_an_endless_dataset_gives_a_new_hand_every_epoch():
    asked = []

    def draw(number):
        asked.append(number)
        image, _ = draw_tiny_hand(number + 100, 0, 96, 9)
        return Sample(f"endless{number}", f"endless{number}", lambda: image, dict)

    source = patches(samples(), recipe(per_image=1), draw=draw)
    for epoch in range(2):
        for index in range(len(source)):
            source.patch(epoch, index)
    assert asked == [0, 1, 2, 3, 4, 5]


def test_raw_patches_hold_all_that_a_patch_is_made_of():
    setting = recipe(resize=40, augment={**STRONG, "blur": 2.0, "gamma": 0.3})
    source = patches(samples(1), setting)
    made, raw = source.patch(2, 1), source.raw(2, 1)
    decoded = cv2.imdecode(raw.encoded, cv2.IMREAD_GRAYSCALE)
    assert np.array_equal(decoded, samples(1)[0].read_image())
    assert (raw.block, raw.reduced) == (2, (48, 48))
    assert np.array_equal(made.labels, raw.labels)
    reduced = cv2.resize(decoded, (48, 48), interpolation=cv2.INTER_AREA)
    grey = geometry.warp(reduced, raw.matrix, (32, 32))
    blurred = cv2.GaussianBlur(grey, (raw.blur_window,) * 2, raw.blur)
    levels = ((blurred / 255.0) ** raw.gamma - 0.5) * raw.contrast + 0.5 + raw.brightness
    noisy = np.clip(np.rint(np.clip(levels, 0, 1) * 255) + raw.noise, 0, 255)
    assert np.allclose(made.image[0], (noisy / 255 - raw.mean) / raw.std, atol=1e-5)


@pytest.mark.parametrize(
    ("image", "as_it_is"),
    [
        (np.full((6, 7), 9, np.uint8), True),
        (np.full((6, 7), 9000, np.uint16), False),
        (np.full((6, 7, 3), 9, np.uint8), False),
    ],
)
def test_only_plain_grey_files_are_passed_on_as_they_are(tmp_path, image, as_it_is):
    path = tmp_path / "a.png"
    write_png(path, image)
    sample = Sample("a", "a", lambda: read_grey(path), path=path)
    encoded = encoded_grey(sample)
    assert (encoded.tobytes() == path.read_bytes()) is as_it_is
    decoded = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)
    assert (decoded.dtype, decoded.shape) == (np.uint8, (6, 7))
