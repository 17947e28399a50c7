from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from handbone_cli.results.dataset_page import sentences


def test_areas(dataset_figures):
    assert sentences.of_areas(dataset_figures) == (
        "Radius is 38 times as large as <b>&x: a loss that counts pixels hardly sees the small "
        "ones. <b>&x varies most (SD 3 % of its mean)."
    )
    for image in dataset_figures.labelled:
        image.areas[:] = (0, 100, 110, 0)
    dataset_figures.labelled[0].areas[2] = 120
    assert sentences.of_areas(dataset_figures) == (
        "Radius varies most (SD 3 % of its mean). Never labelled: finger-1, <b>&x."
    )


def test_centroids_count_straight_hands(dataset_figures, plain_figures):
    found = sentences.of_centroids(dataset_figures)
    assert found.startswith("The middle of the hand moves by 0.7 % of the image across and 0.7 %")
    assert found.endswith("Left hands are mirrored. Bent wrists are pale and do not count here.")
    assert sentences.of_centroids(plain_figures).endswith("within what this data shows.")


def test_overlaps(dataset_figures):
    assert sentences.of_frequency(dataset_figures) == (
        "Pairs that share a pixel: 2 of 6 in some image, 1 in 90 % of the images or more; one "
        "label a pixel cannot describe these."
    )
    assert sentences.of_iou(dataset_figures) == (
        "Capitate and Radius share most (IoU 0.40). Pairs of an IoU of 0.05 or more: 1; the others "
        "hardly overlap."
    )
    assert sentences.of_layers(dataset_figures) == (
        "On average 75.0 % of the pixels are background and 0.81 % carry two or more."
    )
    none = replace(dataset_figures.overlaps, iou=np.eye(4))
    assert sentences.of_iou(replace(dataset_figures, overlaps=none)) == "No two bones overlap."


def test_grey(dataset_figures):
    grey = dataset_figures.grey
    assert sentences.of_grey(grey) == (
        "Bone and background have 0 % of their grey values in common: a threshold finds much of "
        "the bone. Medians: background 19, one bone 149, overlap 199."
    )
    same = replace(grey, shares=np.tile(grey.shares[1], (3, 1)))
    assert "100 % of their grey values in common: grey alone does not" in sentences.of_grey(same)


def test_pose(dataset_figures):
    assert (
        sentences.of_pose(dataset_figures)
        == "Bent wrists are 50 % of train and 50 % of test images."
    )
    straight = [replace(image, bent=image.split == "test") for image in dataset_figures.labelled]
    assert sentences.of_pose(replace(dataset_figures, images=tuple(straight))) == (
        "Bent wrists are 0 % of train and 100 % of test images; the splits differ, so validate on "
        "poses as the test has them."
    )


def test_height(dataset_figures):
    bodies = dataset_figures.bodies
    assert sentences.of_height(bodies) == (
        "The area of all bones without Radius goes with height by r = 0.80 (95 % interval 0.50 to "
        "0.90, 3 people)."
    )
    unsure = replace(bodies, of_area={"height": bodies.of_area["weight"]}, left_out=())
    assert sentences.of_height(unsure).endswith("3 people); the interval includes 0.")
    nothing = replace(bodies, of_area={"height": None})
    assert sentences.of_height(nothing).startswith("Too few people")


@pytest.mark.parametrize(
    ("certain", "start"),
    [
        (0, "No bone has a relation that"),
        (1, "1 of 9 bones (b0) has a relation that"),
        (7, "7 of 9 bones (b0, b1, b2, b3, b4, b5, ...) have a relation that"),
    ],
)
def test_findings(dataset_figures, certain, start):
    yes, no = dataset_figures.bodies.of_height[:2]
    names = [f"b{i}" for i in range(10)]
    found = [*[yes] * certain, *[no] * (9 - certain), None]
    assert sentences.of_findings(names, found, "a relation").startswith(start)
