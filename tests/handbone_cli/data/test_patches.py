from __future__ import annotations

import numpy as np
import pytest

from handbone_cli.data import augmentation, geometry
from handbone_cli.data.patches import TrainingPatches
from handbone_cli.host.interfaces import Sample
from handbone_cli.masks import PackedMask
from handbone_cli.recipe.schema import Recipe
from handbone_cli.testing.tiny import draw_tiny_hand

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


def test_a_patch_follows_from_seed_epoch_and_index():
    """Neither the order of calls nor the cache (here: none) has a say."""
    cached = TrainingPatches(samples(), recipe(), 9)
    bare = TrainingPatches(samples(), recipe(cache_mb=0), 9)
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
    drawn = TrainingPatches(samples(), recipe(), 9).patch(0, 0)
    assert (drawn.image.shape, drawn.image.dtype) == ((1, 32, 32), np.float32)
    assert (drawn.labels.shape, drawn.labels.dtype) == ((32, 32, 2), np.uint8)


@pytest.mark.parametrize("resize", [None, 48, 200])
@pytest.mark.parametrize("elastic", [0.0, 4.0])
def test_labels_are_those_of_the_whole_mask_warped(resize, elastic):
    """Filling only the rectangle that a patch needs loses nothing."""
    setting = recipe(augment={**STRONG, "elastic": elastic}, resize=resize)
    hands = samples(1, bones=29)
    source = TrainingPatches(hands, setting, 29)
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
    drawn = TrainingPatches(hands, recipe(patch=64, augment={}), 9).patch(0, 0)
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
    source = TrainingPatches([sample], setting, 1)
    for index in range(10):
        drawn = source.patch(0, index)
        bright = drawn.image[0] * 0.226 + 0.449 > 0.5
        assert np.count_nonzero(bright != (drawn.labels[..., 0] > 0)) <= 14


def test_an_unlabelled_sample_is_a_mistake_of_ours():
    source = TrainingPatches([Sample("a", "a", lambda: None)], recipe(), 1)
    with pytest.raises(ValueError, match="a has no labels"):
        source.patch(0, 0)
