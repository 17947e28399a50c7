from __future__ import annotations

import numpy as np
import pytest

from handbone_cli.bone_groups import NO_GROUPS
from handbone_cli.errors import HandboneError
from handbone_cli.masks import PackedMask
from handbone_cli.results.evaluation import Evaluation, evaluate, is_score_csv

NAMES = ["Radius", "Ulna"]


class Masks:
    class_names = NAMES

    def __init__(self, planes, people=None):
        self.planes, self.image_ids, self.people = planes, list(planes), people or {}

    def mask(self, image_id, size=None):
        return PackedMask.from_dense(np.array(self.planes[image_id], bool)[:, None, :])

    def person(self, image_id):
        return self.people.get(image_id, image_id)

    def has(self, image_id):
        return image_id in self.planes


PREDICTED = Masks({"a": [[1, 1, 0, 0], [0, 0, 0, 0]], "b": [[1, 1, 1, 1]] * 2, "c": [[0] * 4] * 2},
                  {"a": "p", "b": "q"})  # fmt: skip
TRUTH = Masks({"b": [[1, 1, 1, 0], [0, 0, 0, 0]], "a": [[1, 0, 0, 1], [0, 0, 0, 0]]})


def test_dice_of_the_labelled_images():
    reports = []
    result = evaluate(PREDICTED, TRUTH, lambda *progress: reports.append(progress))
    assert reports == [(1, 2), (2, 2)]
    assert result.image_ids == ["a", "b"]
    assert result.dice == pytest.approx(np.array([[0.5, 1.0], [6 / 7, 0.0]]))
    assert result.mean == pytest.approx((0.5 + 1 + 6 / 7) / 4)
    assert result.per_class.tolist() == pytest.approx([(0.5 + 6 / 7) / 2, 0.5])
    assert result.worst_class == ("Ulna", 0.5)
    means = np.array([0.75, 3 / 7])
    assert result.standard_error == pytest.approx(np.std(means, ddof=1) / np.sqrt(2))


def test_the_summary_of_one_person_has_no_error():
    result = Evaluation(["a"], ["p"], NAMES, np.array([[0.5, 1.0]]))
    assert result.summary() == {
        "mean_dice": 0.75,
        "standard_error": None,
        "images": 1,
        "people": 1,
        "per_class": {"Radius": 0.5, "Ulna": 1.0},
        "per_image": {"a": 0.75},
    }


def bones(*areas):
    """A row of 100 pixels for every class; all begin at the left but the last, at pixel 40."""
    rows = [[1] * area + [0] * (100 - area) for area in areas[:-1]]
    return [*rows, [0] * 40 + [1] * areas[-1] + [0] * (60 - areas[-1])]


FIVE = ["Radius", "Ulna", "Capitate", "Pisiform", "Hamate"]


def test_small_bones_and_overlaps_go_by_the_labels_of_these_images():
    """The labels of `c`, which has no masks, would change both groups."""
    masks, labels = (Masks(dict(zip("ab", both, strict=True))) for both in (
        (bones(50, 2, 3, 4, 0), bones(50, 1, 1, 1, 30)),
        (bones(50, 1, 30, 4, 40), bones(50, 1, 30, 4, 40)),
    ))  # fmt: skip
    masks.class_names = FIVE
    labels.planes["c"] = bones(1, 90, 1, 1, 60)
    result = evaluate(masks, labels, lambda *_: None)
    names = ["Radius+Capitate", "Ulna+Pisiform", "Capitate+Pisiform", "Radius+Hamate"]
    assert result.groups.small_names(FIVE) == ["Ulna"]
    assert result.groups.pair_names(FIVE) == names  # IoU 30 / 50, 1 / 4, 4 / 30, 10 / 80
    expected = [
        (2 * 3 / 33 + 2 * 1 / 31) / 2,
        (2 * 1 / 3 + 1) / 2,
        (2 * 3 / 7 + 2 * 1 / 5) / 2,
        (0 + 1) / 2,
    ]
    assert result.per_overlap == pytest.approx(np.array(expected))
    assert result.overlap_dice.shape == (2, 4)
    said = result.summary()
    assert said["small_bones"] == pytest.approx((2 / 3 + 1) / 2, abs=1e-5)
    assert said["small_bone_names"] == ["Ulna"]
    rounded = [round(value, 5) for value in expected]
    assert said["overlap_pairs"] == dict(zip(names, rounded, strict=True))


def test_two_bones_apart_and_one_alone_have_no_groups():
    assert evaluate(PREDICTED, TRUTH, lambda *_: None).groups == NO_GROUPS
    one = Masks({"a": [[1, 1, 0, 0]]})
    one.class_names = ["Radius"]
    alone = evaluate(one, one, lambda *_: None)
    assert (alone.mean, alone.groups) == (1, NO_GROUPS)
    assert not {"small_bones", "small_bone_names", "overlap_pairs"} & alone.summary().keys()


def test_the_error_is_over_people_not_images():
    dice = np.array([[0.5], [0.7], [0.9]])
    result = Evaluation(["a", "b", "c"], ["p", "p", "q"], ["Radius"], dice)
    assert result.standard_error == pytest.approx(0.4 / 3)
    assert result.summary()["people"] == 2


def test_the_csv(tmp_path):
    evaluate(PREDICTED, TRUTH, lambda *_: None).write_csv(tmp_path / "dice.csv")
    assert (tmp_path / "dice.csv").read_text() == (
        "image_id,person,mean,Radius,Ulna\n"
        "a,p,0.750000,0.500000,1.000000\n"
        "b,q,0.428571,0.857143,0.000000\n"
    )


def test_no_labels_and_other_sizes():
    with pytest.raises(HandboneError, match="none of the 3 images has labels; name the labels"):
        evaluate(PREDICTED, Masks({}), lambda *_: None)
    with pytest.raises(HandboneError, match=r"a: the masks are \(1, 4\), the labels \(1, 3\) px"):
        evaluate(PREDICTED, Masks({"a": [[0] * 3] * 2}), lambda *_: None)


def test_a_csv_of_scores_is_known_by_its_head(tmp_path):
    one = Evaluation(["a"], ["ID1"], ["Radius"], np.array([[0.5]]))
    one.write_csv(tmp_path / "scores.csv")
    assert is_score_csv((tmp_path / "scores.csv").read_bytes())
    assert not is_score_csv(b"image_name,class,rle\n")
    assert not is_score_csv(b"image_id\n")
