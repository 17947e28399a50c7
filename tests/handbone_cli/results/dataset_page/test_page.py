from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from handbone_cli.dataset_figures import Outlier
from handbone_cli.results.dataset_page.page import GENERATOR, dataset_page
from handbone_cli.results.dataset_page.sections import MOST_CARDS, worst_of_images

VOID = {"meta", "img", "br", "link"}


class Reader(HTMLParser):
    """Headings, links, ids and attributes of a page; asserts that elements close in order."""

    def __init__(self, page):
        super().__init__()
        self.open, self.attributes, self.words, self.headings = [], [], [], []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.attributes += [(tag, *pair) for pair in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)
        if self.open and self.open[-1] in {"h1", "h2"}:
            self.headings.append(data)


def test_every_section_is_there_and_linked(dataset_figures):
    read = Reader(dataset_page(dataset_figures, {}))
    assert read.headings == [
        "<my> data",
        "1 file left out",
        "Area of the bones",
        "Where the bones are",
        "Overlaps",
        "Grey values",
        "Bodies and bones",
        "Pose",
        "Outliers",
    ]
    ids = {value for tag, name, value in read.attributes if (tag, name) == ("section", "id")}
    links = {value for tag, name, value in read.attributes if (tag, name) == ("a", "href")}
    assert links == {f"#{key}" for key in ids - {"problems"}}
    assert "a<b>.png: the file is empty." in read.words


def test_what_there_are_no_figures_for_is_left_out(plain_figures):
    page = dataset_page(plain_figures, {})
    assert Reader(page).headings == [
        "<my> data",
        "Area of the bones",
        "Where the bones are",
        "Overlaps",
        "Grey values",
        "Outliers",
    ]
    assert "area, % of the image" in page
    assert "Look at these" not in page


def test_one_size_is_drawn_in_pixels(dataset_figures):
    page = dataset_page(dataset_figures, {})
    assert "area, px" in page
    assert "Look at these labels first" in page


def test_the_page_needs_nothing_from_outside(dataset_figures):
    page = dataset_page(dataset_figures, {"image1": "data:image/jpeg;base64,AAAA"})
    read = Reader(page)
    sources = [v for _, name, v in read.attributes if name in {"src", "href", "data", "srcset"}]
    assert all(value.startswith(("#", "data:image/jpeg;base64,")) for value in sources)
    assert "<script" not in page
    assert "url(" not in page
    assert "@import" not in page
    assert GENERATOR in page[:400]


def test_names_are_escaped(dataset_figures):
    page = dataset_page(dataset_figures, {})
    assert "<my>" not in page
    assert "<b>" not in page
    assert "&lt;b&gt;&amp;x" in page


def test_cards_show_the_worst_bone_of_an_image_and_name_the_others(dataset_figures):
    assert [(o.image_id, o.index) for o in worst_of_images(dataset_figures)] == [
        ("image1", 3),
        ("image2", 1),
    ]
    page = dataset_page(dataset_figures, {"image1": "data:image/jpeg;base64,AAAA"})
    words = " ".join(Reader(page).words)
    assert page.count("<img") == 1
    assert "area z -6.0, 1.1 % off its place (z 0.2)" in words
    assert "Also finger-1" in words
    assert "area z ?, 5.0 % off its place (z 5.0)" in words
    assert "-0.0" not in words


def test_long_lists_are_cut_and_say_so(dataset_figures):
    outliers = tuple(Outlier(f"image{n}", 0, 9.0, 0.1, 1.0) for n in range(70))
    problems = tuple(f"file{n}: broken." for n in range(60))
    figures = replace(dataset_figures, outliers=outliers, problems=problems)
    assert len(worst_of_images(figures)) == MOST_CARDS
    page = dataset_page(figures, {})
    assert "The worst 60 of 70" in page
    assert "and 10 more, which <code>--json</code> lists" in page
    assert "file49: broken." in page
    assert "file50: broken." not in page


def test_one_bone_has_no_heat_map(plain_figures):
    for image in plain_figures.labelled:
        image.areas[1:] = 0
        image.centroids[1:] = np.nan
    nothing = np.full((4, 4), np.nan)
    nothing[0, 0] = 1
    seen = np.zeros((4, 4), int)
    seen[0, 0] = 6
    overlaps = replace(plain_figures.overlaps, together=seen, sharing=seen, iou=nothing)
    page = dataset_page(replace(plain_figures, overlaps=overlaps), {})
    assert "How often" not in page
    assert "Never labelled: Capitate, Radius" in page


@pytest.mark.parametrize("unknown", ["height", "area"])
def test_a_table_without_heights_has_no_scatter(dataset_figures, unknown):
    bodies = dataset_figures.bodies
    nothing = np.full(3, np.nan)
    measures = {**bodies.measures, **({"height": nothing} if unknown == "height" else {})}
    area = nothing if unknown == "area" else bodies.area
    none = replace(
        bodies, measures=measures, area=area, of_area=dict.fromkeys(bodies.of_area),
        of_height=(None,) * 4, of_sex=(None,) * 4,
    )  # fmt: skip
    page = dataset_page(replace(dataset_figures, bodies=none), {})
    assert "Too few people have both" in page
    assert "height against area" not in page.split("<details>")[0]
    assert "Bones and height" not in page
