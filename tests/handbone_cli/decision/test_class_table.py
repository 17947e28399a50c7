from __future__ import annotations

import numpy as np
import pytest

from handbone_cli.decision import class_table
from handbone_cli.decision.class_table import ClassTable
from handbone_cli.decision.decide import DecidedMasks
from handbone_cli.decision.document import Decision
from handbone_cli.decision.tabulation import ImageFile, Tabulation, count_images, jobs_of
from handbone_cli.decision.thresholds import grid
from handbone_cli.masks import PackedMask
from handbone_cli.scores import dice_per_class

SIZE, IMAGES = (40, 44), [f"i{number}" for number in range(7)]


def blob(seed, absent):
    """A soft bone somewhere, in values that many members share; one image in which it is not."""
    draw = np.random.default_rng(seed)
    planes = np.zeros((2, *SIZE), np.uint8)
    for plane in planes[: 1 if absent else 2]:
        y, x = draw.integers(0, 18, 2)
        steps = draw.choice([0, 30, 51, 90, 127, 128, 153, 204, 255], (20, 20))
        plane[y : y + 20, x : x + 20] = steps
    return planes


def setting(make_store, make_labels, members):
    """Stores, labels, and a table of every class as it comes back from the disk."""
    images = [
        {name: blob((member, place), absent=place == 3) for place, name in enumerate(IMAGES)}
        for member in range(members)
    ]
    stores = [make_store(f"m{place}", each) for place, each in enumerate(images)]
    truth = {name: PackedMask.from_dense(blob((99, place), absent=place in {3, 5}) > 90)
             for place, name in enumerate(IMAGES)}  # fmt: skip
    return stores, make_labels(truth)


def tables_of(stores, labels, folder, limits=(0.2, 0.8)):
    work = Tabulation(labels, limits, folder)
    files = count_images(jobs_of(stores, IMAGES), work, map, lambda done, total: None)
    opened = [ImageFile.open(path) for path in files]
    return [ClassTable.load(opened, index) for index in (0, 1)]


@pytest.mark.slow  # 4 s each: many masks are decided
@pytest.mark.parametrize(
    ("members", "rows_at_a_time"), [(1, 2**15), (2, 2**15), (3, 100), (10, 2**15)]
)
def test_dice_is_that_of_the_masks_that_are_decided(
    make_store, make_labels, tmp_path, members, rows_at_a_time, monkeypatch
):
    monkeypatch.setattr(class_table, "ROWS_AT_A_TIME", rows_at_a_time)
    stores, labels = setting(make_store, make_labels, members)
    tables = tables_of(stores, labels, tmp_path / "statistics")
    draw = np.random.default_rng(members)
    thresholds = grid()
    every = [
        np.full(members, 1 / members),
        np.eye(members)[0],
        *draw.dirichlet(np.ones(members), 2),
    ]
    for weights in every:
        scores = [table.dice(weights, thresholds) for table in tables]
        for place in (0, 76, len(thresholds) - 1, int(draw.integers(0, len(thresholds)))):
            chosen = np.full(2, thresholds[place])
            made = Decision(("a", "b"), np.stack([weights] * 2), chosen, ())
            masks = DecidedMasks(made, stores)
            for image, name in enumerate(IMAGES):
                expected = dice_per_class(masks.mask(name), labels.masks[name])
                assert [each[image, place] for each in scores] == expected.tolist()
                alone = [t.dice(weights, thresholds[[place]])[image, 0] for t in tables]
                assert alone == expected.tolist()


def test_a_threshold_between_those_of_the_grid_is_refused(make_store, make_labels, tmp_path):
    table = tables_of(*setting(make_store, make_labels, 1), tmp_path)[0]
    with pytest.raises(ValueError, match="not of the grid"):
        table.dice(np.ones(1), np.array([0.5, 0.6]))


def test_soft_dice_is_that_of_the_planes(make_store, make_labels, tmp_path):
    stores, labels = setting(make_store, make_labels, 3)
    weights = np.array([0.5, 0.2, 0.3])
    for index, table in enumerate(tables_of(stores, labels, tmp_path, (0.5, 0.5))):
        expected = []
        for name in IMAGES:
            members = [s.load(name).crop(index, (0, SIZE[0], 0, SIZE[1])) for s in stores]
            p = sum(w * q / 255 for w, q in zip(weights, members, strict=True))
            g = labels.masks[name].dense()[index]
            both = p.sum() + g.sum()
            expected.append(1.0 if both == 0 else 2 * (p * g).sum() / both)
        assert table.soft_dice(weights) == pytest.approx(expected)
