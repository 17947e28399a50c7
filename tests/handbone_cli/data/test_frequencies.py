from __future__ import annotations

import numpy as np
import pytest

from handbone_cli.data.frequencies import class_frequencies, polygon_area
from handbone_cli.data.prepared import PreparedImages
from handbone_cli.data.preprocessing import Preprocessing
from handbone_cli.host.interfaces import Sample
from handbone_cli.masks import PackedMask
from handbone_cli.recipe.schema import Data

SQUARE = np.array([(0, 0), (10, 0), (10, 4), (0, 4)], np.float32)


def test_the_shoelace():
    assert polygon_area(SQUARE) == polygon_area(SQUARE[::-1]) == 40
    assert polygon_area(np.array([(0, 0), (6, 0), (0, 6)], np.float32)) == 18


def test_the_mean_share_of_the_pixels():
    def sample(size, labels):
        return Sample("a", "a", lambda: np.zeros(size, np.uint8), lambda: labels)

    images = PreparedImages(Preprocessing(Data(clahe=False)))

    samples = [sample((20, 20), {0: [SQUARE, SQUARE]}), sample((40, 20), {2: [SQUARE]})]
    assert class_frequencies(samples, images, 3) == pytest.approx([0.1, 0, 0.025])
    assert class_frequencies([], images, 2).tolist() == [0, 0]
    mask = PackedMask.from_polygons({1: [SQUARE]}, (20, 20), 3)
    assert class_frequencies([sample((20, 20), mask)], images, 3) == pytest.approx([0, 55 / 400, 0])
