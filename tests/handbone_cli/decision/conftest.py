"""Stores and labels made in code."""

from __future__ import annotations

import pytest

from handbone_cli.store.boxes import BoxedProbabilities
from handbone_cli.store.store import ImageEntry, Store, StoreWriter


@pytest.fixture
def make_store(tmp_path):
    """(name, {image id: (C, H, W) uint8}) -> an opened store; two images a person."""

    def make(name, images, *, names=None, seen=(), settings=None, sha256="aa"):
        classes = len(next(iter(images.values())))
        names = names or tuple(f"bone{index}" for index in range(classes))
        writer = StoreWriter(tmp_path / name, names, settings or {}, list(images), None)
        for place, (image_id, planes) in enumerate(images.items()):
            height, width = planes.shape[1:]
            boxed = BoxedProbabilities.from_planes(
                classes,
                (height, width),
                lambda c, planes=planes: (planes[c], (0, planes.shape[1], 0, planes.shape[2])),
            )
            person = f"ID{place // 2}"
            entry = ImageEntry(person, height, width, None, sha256, seen=person in seen)
            writer.write(image_id, boxed, entry)
        writer.close()
        return Store.open(tmp_path / name)

    return make


class Labels:
    """Truth from a mapping: a LabelSource."""

    def __init__(self, masks):
        self.masks = masks

    def has(self, image_id):
        return image_id in self.masks

    def mask(self, image_id, size):
        assert self.masks[image_id].size == size
        return self.masks[image_id]


@pytest.fixture
def make_labels():
    """{image id: PackedMask} -> a LabelSource."""
    return Labels
