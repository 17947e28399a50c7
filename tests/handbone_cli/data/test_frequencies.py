from __future__ import annotations

import numpy as np
import pytest

from handbone_cli.data.frequencies import class_frequencies, polygon_area
from handbone_cli.host.interfaces import Sample

SQUARE = np.array([(0, 0), (10, 0), (10, 4), (0, 4)], np.float32)


def test_the_shoelace():
    assert polygon_area(SQUARE) == polygon_area(SQUARE[::-1]) == 40
    assert polygon_area(np.array([(0, 0), (6, 0), (0, 6)], np.float32)) == 18


def test_the_mean_share_of_the_pixels():
    def sample(size, polygons):
        return Sample("a", "a", lambda: np.zeros(size, np.uint8), lambda: polygons)

    samples = [sample((20, 20), {0: [SQUARE, SQUARE]}), sample((40, 20), {2: [SQUARE]})]
    assert class_frequencies(samples, 3) == pytest.approx([0.1, 0, 0.025])
    assert class_frequencies([], 2).tolist() == [0, 0]
