from __future__ import annotations

from itertools import pairwise

import numpy as np

from handbone_cli.results.palette import BONES, colours

RAYS = [
    (1, 2, 3),
    (4, 5, 6, 7),
    (8, 9, 10, 11),
    (12, 13, 14, 15),
    (16, 17, 18, 19),
    (3, 7, 11, 15, 19),
]
WRIST = """
Trapezium-Trapezoid Trapezoid-Capitate Capitate-Hamate Scaphoid-Trapezium Scaphoid-Trapezoid
Scaphoid-Capitate Scaphoid-Lunate Lunate-Capitate Lunate-Triquetrum Triquetrum-Hamate
Triquetrum-Pisiform Hamate-Pisiform Scaphoid-Radius Lunate-Radius Triquetrum-Ulna Radius-Ulna
"""
JOINTS = [
    (3, "Trapezium"),
    (7, "Trapezoid"),
    (7, "Trapezium"),
    (11, "Capitate"),
    (15, "Hamate"),
    (19, "Hamate"),
]


def neighbours():
    for ray in RAYS:
        yield from ((f"finger-{a}", f"finger-{b}") for a, b in pairwise(ray))
    yield from (tuple(pair.split("-")) for pair in WRIST.split())
    yield from ((f"finger-{a}", b) for a, b in JOINTS)


def lab(rgb):
    """SRGB 0 to 255 -> OKLab."""
    value = np.asarray(rgb, float) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    to_cones = [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
    to_lab = [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
    return np.cbrt(linear @ np.transpose(to_cones)) @ np.transpose(to_lab)


def distances(rgb):
    points = lab(rgb)
    return np.linalg.norm(points[:, None] - points[None], axis=2)


def test_there_are_29_bones():
    assert len(BONES) == 29
    assert colours(list(BONES)).shape == (29, 3)
    assert colours(list(BONES)).dtype == np.uint8


def test_neighbours_are_easily_told_apart_and_all_others_too():
    names = list(BONES)
    apart = distances(colours(names))
    for one, other in neighbours():
        assert apart[names.index(one), names.index(other)] > 0.12, (one, other)
    assert (apart + np.eye(29)).min() > 0.035


def test_every_bone_shows_on_black():
    assert lab(colours(list(BONES)))[:, 0].min() > 0.55


def test_a_bone_keeps_its_colour_wherever_it_stands():
    assert (colours(["Ulna", "x", "Radius"])[2] == colours(["Radius"])[0]).all()


def test_other_classes_have_colours_of_their_own():
    names = [f"class-{number}" for number in range(40)]
    rgb = colours(names)
    assert np.array_equal(rgb, colours(names))
    assert (distances(rgb) + np.eye(40)).min() > 0.015
    assert np.linalg.norm(np.diff(lab(rgb), axis=0), axis=1).min() > 0.12


def test_no_class_no_colour():
    assert colours([]).shape == (0, 3)
