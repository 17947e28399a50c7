from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest

from handbone_cli.results.dataset_page import bodies, centroids, grey, overlaps, pose

COLOURS = ["#111111", "#222222", "#333333", "#444444"]


def words(root):
    return [element.text for element in root.iter("text")]


def kinds(root, kind):
    return [e for e in root.iter() if kind in (e.get("class") or "").split()]


def test_centroids_have_a_dot_an_image_and_bent_ones_are_pale(dataset_figures):
    images = [replace(image, bent=n == 2) for n, image in enumerate(dataset_figures.labelled)]
    figures = replace(dataset_figures, images=tuple(images))
    root = ET.fromstring(centroids.centroid_chart(figures, COLOURS))
    dots = [(e.get("class"), e.get("d").count("h0")) for e in kinds(root, "centroid")]
    assert dots == [("centroid", 5), ("centroid pale", 1)] * 4
    assert len(kinds(root, "outline")) == 4
    assert set(words(root)) == {"1", "Capitate", "Radius", "<b>&x"}
    assert kinds(root, "outline")[0].get("style") == "--c:#111111"


def test_a_name_without_room_stands_beside_with_a_leader(dataset_figures):
    small = {**dataset_figures.outlines, 1: dataset_figures.outlines[1] / 10}
    figures = replace(dataset_figures, outlines=small)
    root = ET.fromstring(centroids.centroid_chart(figures, COLOURS))
    assert len(kinds(root, "leader")) == 1
    assert set(words(root)) == {"1", "Capitate", "Radius", "<b>&x"}


def test_of_two_names_in_one_place_one_stands_beside(dataset_figures):
    for image in dataset_figures.labelled:
        image.centroids[2] = image.centroids[1] + 2
    root = ET.fromstring(centroids.centroid_chart(dataset_figures, COLOURS))
    assert len(kinds(root, "leader")) == 1
    assert set(words(root)) == {"1", "Capitate", "Radius", "<b>&x"}


def test_a_bone_that_is_nowhere_is_not_drawn(dataset_figures):
    for image in dataset_figures.labelled:
        image.centroids[1] = np.nan
    root = ET.fromstring(centroids.centroid_chart(dataset_figures, COLOURS))
    assert "Capitate" not in words(root)
    assert len(kinds(root, "outline")) == 3


def test_a_heat_map_names_its_pairs(dataset_figures):
    values = dataset_figures.overlaps.iou
    root = ET.fromstring(overlaps.heat_map(dataset_figures.class_names, values, "IoU"))
    cells = kinds(root, "cell")
    assert len(cells) == 2
    assert [e.text for e in root.iter("title")] == [
        "Capitate and Radius: 40 % IoU",
        "Radius and <b>&x: 0.2 % IoU",
    ]
    assert float(cells[0].get("fill-opacity")) == 1
    assert float(cells[1].get("fill-opacity")) < 0.25
    assert words(root).count("40") == 1
    assert words(root).count("Capitate") == 2
    assert not any(word.startswith("0") for word in words(root))


def test_of_very_many_bones_only_those_that_overlap_are_shown():
    values = np.eye(60)
    values[3, 40] = values[40, 3] = 0.5
    assert overlaps.overlapping(values) == [3, 40]
    few = np.eye(5)
    few[2, 2] = np.nan
    assert overlaps.overlapping(few) == [0, 1, 3, 4]


def test_layers_have_a_box_a_number_of_labels(dataset_figures):
    root = ET.fromstring(overlaps.layer_chart(dataset_figures))
    assert [w for w in words(root) if "label" in w] == ["1 label", "2 labels"]
    assert [e.text for e in root.iter("title")] == [
        "1 label: in 6 of 6 images, median 24.2 % of the pixels",
        "2 labels: in 6 of 6 images, median 0.812 % of the pixels",
    ]
    shares = overlaps.layer_shares(dataset_figures)
    np.testing.assert_allclose(shares[0], (9000 / 12000, 2900 / 12000, 100 / 12000))


def test_grey_histograms_are_cut_where_they_would_hide_the_bones(dataset_figures):
    root = ET.fromstring(grey.grey_chart(dataset_figures.grey))
    assert len([e for e in root.iter("path") if "grey-" in e.get("class")]) == 3
    assert not any("up to" in word for word in words(root))
    spiked = dataset_figures.grey.shares.copy()
    spiked[0] = 0
    spiked[0, 0] = 1
    cut = ET.fromstring(grey.grey_chart(replace(dataset_figures.grey, shares=spiked)))
    assert "background: up to 100 %" in words(cut)


def test_without_overlaps_there_is_no_histogram_of_them(dataset_figures):
    shares = dataset_figures.grey.shares.copy()
    shares[2] = 0
    none = replace(dataset_figures.grey, shares=shares, images=np.array([6, 6, 0]))
    assert "overlap" not in words(ET.fromstring(grey.grey_chart(none)))


def test_height_has_a_mark_a_person_by_sex_and_a_line(dataset_figures):
    root = ET.fromstring(bodies.height_chart(dataset_figures.bodies))
    assert [len(kinds(root, kind)) for kind in ("female", "male", "unknown")] == [2, 2, 2]
    assert len(kinds(root, "fitted")) == 1
    assert next(e.text for e in root.iter("title")) == "p0: 160 cm, 11.00 %"
    marks = [float(e.get("cy")) for e in kinds(root, "female")]
    assert len(set(marks)) == 2
    assert {"women", "men", "unknown"} <= set(words(root))


def test_rows_leave_out_bones_without_a_finding(dataset_figures):
    names, found = dataset_figures.class_names, dataset_figures.bodies
    height = ET.fromstring(bodies.height_rows(names, found.of_height))
    assert [e.text for e in height.iter("title")] == [
        "finger-1: r 0.80 (0.50 to 0.90), 3 people",
        "Capitate: r 0.10 (-0.40 to 0.50), 3 people",
        "Radius: r 0.10 (-0.40 to 0.50), 3 people",
    ]
    sex = ET.fromstring(bodies.sex_rows(names, found.of_sex))
    assert [e.text for e in sex.iter("title")] == [
        "finger-1: men / women 1.20 (1.10 to 1.30), 4 men, 3 women",
        "Radius: men / women 1.00 (0.90 to 1.10), 4 men, 3 women",
    ]


@pytest.mark.parametrize("furthest", [0.0, 22.0, 25.99, 26.0, 54.0, -70.0])
def test_every_pose_is_in_a_bar_on_its_side_of_the_limit(dataset_figures, furthest):
    images = [
        replace(image, bend=furthest if n == 5 else 3.0 * n)
        for n, image in enumerate(dataset_figures.labelled)
    ]
    root = ET.fromstring(pose.pose_chart(images))
    told = [e.find("title").text for e in kinds(root, "bar")]
    assert sum(int(t.split(": ")[1].split()[0]) for t in told) == 6
    bent = [e for e in kinds(root, "bar") if "bent" in e.get("class")]
    assert len(bent) == (abs(furthest) >= 22)
    captions = [word for word in words(root) if "images" in word]
    assert captions[0] == "train: 4 images, 0 bent (0 %); share, %"
    assert captions[1].startswith(f"test: 2 images, {int(abs(furthest) >= 22)} bent")
