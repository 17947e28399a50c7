"""The dataset `generated`: hands drawn from the shape model, in memory or as files."""

from __future__ import annotations

import csv
import dataclasses
import functools
import io
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np
from pydantic import Field, ValidationInfo, field_validator

from handbone_cli import (
    HAND_BONES,
    Options,
    PackedMask,
    Sample,
    atomic_write,
    claim_folder,
    write_json,
)
from handbone_datasets.film_cut import FilmCut
from handbone_datasets.hand_rendering import render
from handbone_datasets.hand_shapes import Hand, HandShapes
from handbone_datasets.scene import View, draw_scene
from handbone_datasets.varied_film import render_any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from handbone_cli import DatasetContext

SIDES = ("left", "right")
SUBPIXEL = 6  # bits of a vertex' fraction in cv2's fixed point
BODY, SHAPE, PICTURE, META, CUT = range(5)
SETTINGS = "generated.json"
VERSION = 1
ANY_VERSION = 2
"""Of the drawings; part of what stands for a hand in the cache of prepared images."""


class GeneratedOptions(Options):
    """Options of the dataset `generated`; every person has a left and a right hand."""

    people: int = Field(40, ge=1, description="people to train on")
    test_people: int = Field(0, ge=0, description="people for the test part")
    size: int = Field(2048, ge=64, le=8192, description="side of the square images, px")
    generator_seed: int = Field(1, ge=0, description="the same seed gives the same hands")
    endless: bool = Field(
        default=False, description="training draws new hands for ever; `people` counts an epoch"
    )
    films: Literal["study", "any"] = Field(
        "study", description="study: as in the competition; any: whatever a user may bring"
    )
    view: Literal["film", "frame"] = Field(
        "film", description="frame: an upright right hand alone, as a fine pass sees it"
    )

    @field_validator("view")
    @classmethod
    def _frames_of_any_film(cls, view: str, info: ValidationInfo) -> str:
        if view == "frame" and info.data.get("films") == "study":
            raise ValueError('a frame is cut out of any film; say films = "any" beside it')
        return view


class GeneratedDataset:
    """Hands that never were; every one is a function of (seed, person, side) and the size."""

    class_names = HAND_BONES

    def __init__(self, options: GeneratedOptions) -> None:
        self.options = options

    def samples(self, split: str) -> Sequence[Sample]:
        """Both hands of every person of 'train' or 'test'."""
        first, count = (0, self.options.people)
        if split == "test":
            first, count = self.options.people, self.options.test_people
        return [
            self._sample(person, side)
            for person in range(first, first + count)
            for side in range(len(SIDES))
        ]

    def problems(self) -> Sequence[str]:
        """Nothing is wrong with generated hands."""
        return []

    def _sample(self, person: int, side: int) -> Sample:
        if self.options.films == "any":
            return self._any_sample(person, side)
        place = (self.options.generator_seed, person, side, self.options.size)
        return Sample(
            image_id=f"image{2 * person + side:06d}",
            person=f"ID{person + 1:03d}",
            read_image=functools.partial(draw_image, *place),
            read_labels=functools.partial(draw_outlines, *place),
            key=f"generated {VERSION} {place}",
            side=SIDES[side],
        )

    def _any_sample(self, person: int, number: int) -> Sample:
        place = (self.options.generator_seed, person, number, self.options.size, self.options.view)
        return Sample(
            image_id=f"image{2 * person + number:06d}",
            person=f"ID{person + 1:03d}",
            read_image=functools.partial(draw_any_image, *place),
            read_labels=functools.partial(draw_any_outlines, *place),
            key=f"generated any {ANY_VERSION} {place}",
        )

    @property
    def endless(self) -> bool:
        """Whether training draws new hands."""
        return self.options.endless

    def draw(self, number: int) -> Sample:
        """The hand of a number, of people behind those of both splits; not to be kept."""
        first = self.options.people + self.options.test_people
        sample = self._sample(first + number // len(SIDES), number % len(SIDES))
        return dataclasses.replace(sample, key=None)

    def write(self, root: Path, report: Callable[[int, int], None]) -> None:
        """Lay the hands down in the competition's layout, skipping those that are there.

        Raises:
            HandboneError: `root` holds hands of other options, or other files.
        """
        unsaid = {"endless"} if self.options.films == "any" else {"endless", "films", "view"}
        claim_folder(root, SETTINGS, self.options.model_dump(exclude=unsaid))
        jobs = [(split, s) for split in ("train", "test") for s in self.samples(split)]
        for done, (split, sample) in enumerate(jobs):
            labels = "train" if split == "train" else "test_labels"
            image = root / split / "DCM" / sample.person / f"{sample.image_id}.png"
            outlines = root / labels / "outputs_json" / sample.person / f"{sample.image_id}.json"
            if not outlines.exists():
                write_json(outlines, _annotations(sample))
            if not image.exists():
                _write_png(image, sample.read_image())
            report(done + 1, len(jobs))
        self._write_meta_data(root / "meta_data.csv", [sample for _, sample in jobs])

    def _write_meta_data(self, path: Path, samples: Sequence[Sample]) -> None:
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(["ID", "Age", "Gender", "Weight", "Height"])
        for number in sorted({int(sample.person[2:]) - 1 for sample in samples}):
            rows.writerow([f"ID{number + 1:03d}", *draw_meta(self.options.generator_seed, number)])
        with atomic_write(path) as file:
            file.write(text.getvalue().encode())


def draw_hand(seed: int, person: int, side: int, size: int) -> Hand:
    """The outlines of a hand; both hands of a person share a body."""
    shapes = HandShapes.load()
    body = shapes.draw_body(np.random.default_rng((seed, person, BODY)))
    rng = np.random.default_rng((seed, person, SHAPE, side))
    return shapes.draw(rng, size=size, side=SIDES[side], body=body)


def draw_image(seed: int, person: int, side: int, size: int) -> NDArray[np.uint8]:
    """The radiograph of a hand, (size, size) uint8."""
    rng = np.random.default_rng((seed, person, PICTURE, side))
    return render(draw_hand(seed, person, side, size), rng)


def draw_any_image(seed: int, person: int, number: int, size: int, view: View) -> NDArray[np.uint8]:
    """A film of any kind, (size, size) uint8."""
    hands = draw_scene((seed, person, SHAPE, number), size, view)
    rng = np.random.default_rng((seed, person, PICTURE, number))
    return render_any(hands, size, rng, _cut(seed, person, number))


def draw_any_outlines(
    seed: int, person: int, number: int, size: int, view: View
) -> dict[int, list[NDArray[np.float32]]]:
    """The outlines on it as `draw_outlines` gives them; of two hands where there are two.

    What shutters or bars hide is not annotated.
    """
    seen = _cut(seed, person, number).seen(size)
    found: dict[int, list[NDArray[np.float32]]] = {}
    for placed in draw_scene((seed, person, SHAPE, number), size, view):
        for index, outline in enumerate(placed.outlines()):
            contours = pixel_contours(outline, size, seen)
            if contours:
                found.setdefault(index, []).extend(contours)
    return found


def _cut(seed: int, person: int, number: int) -> FilmCut:
    return FilmCut.draw(np.random.default_rng((seed, person, CUT, number)))


def draw_outlines(
    seed: int, person: int, side: int, size: int
) -> dict[int, list[NDArray[np.float32]]]:
    """The outlines of a hand as annotators give them: pixel contours inside the image.

    Filling such a contour with its border gives back the pixels whose centres the bone covers.
    """
    hand = draw_hand(seed, person, side, size)
    found = (pixel_contours(outline, size) for outline in hand.outlines)
    return {index: contours for index, contours in enumerate(found) if contours}


def pixel_contours(
    outline: NDArray[np.float32], size: int, seen: NDArray[np.uint8] | None = None
) -> list[NDArray[np.float32]]:
    """A continuous outline (n, 2) as the contours of the pixels it covers, of at least 3 points.

    One at most, unless `seen` (size, size) says by 0 where nothing of it is to be seen. cv2 fills
    the border line too, so the outline is first drawn in by half a pixel.
    """
    inner = _inset(outline.astype(np.float64) - 0.5, 0.5)
    low = np.maximum(np.floor(inner.min(axis=0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(inner.max(axis=0)).astype(int) + 2, size)
    if (high <= low).any():
        return []
    canvas = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
    points = np.rint((inner - low) * 2**SUBPIXEL).astype(np.int32)
    cv2.fillPoly(canvas, [points], (1,), lineType=cv2.LINE_8, shift=SUBPIXEL)
    if seen is not None:
        canvas *= seen[low[1] : high[1], low[0] : high[0]]
    found, _ = cv2.findContours(canvas, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if seen is None and found:
        found = (max(found, key=len),)
    contours = (np.asarray(contour.reshape(-1, 2) + low) for contour in found)
    return [contour.astype(np.float32) for contour in contours if len(contour) >= 3]


def _inset(points: NDArray[np.float64], distance: float) -> NDArray[np.float64]:
    """A closed outline moved inward along its normals."""
    ahead = np.roll(points, -1, axis=0) - np.roll(points, 1, axis=0)
    normals = np.stack([ahead[:, 1], -ahead[:, 0]], axis=1)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    x, y = points.T
    clockwise = np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) > 0
    return points - distance * (normals if clockwise else -normals)


def draw_meta(seed: int, person: int) -> tuple[int, str, int, int]:
    """Age, sex, weight and height that nobody has, in plausible ranges."""
    rng = np.random.default_rng((seed, person, META))
    female = bool(rng.random() < 0.5)
    height = rng.normal(161 if female else 174, 6)
    weight = rng.normal(22.5, 2.5) * (height / 100) ** 2
    return int(rng.integers(20, 70)), "F" if female else "M", round(weight), round(height)


def _annotations(sample: Sample) -> dict[str, Any]:
    outlines = sample.read_labels() if sample.read_labels else {}
    assert not isinstance(outlines, PackedMask)
    return {
        "annotations": [
            {
                "id": f"{sample.image_id}-{index}",
                "type": "poly_seg",
                "attributes": {},
                "points": outline.astype(int).tolist(),
                "label": HAND_BONES[index],
            }
            for index, rings in outlines.items()
            for outline in rings
        ],
        "filename": f"{sample.image_id}.png",
    }


def _write_png(path: Path, grey: NDArray[np.uint8]) -> None:
    encoded, content = cv2.imencode(".png", grey, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not encoded:
        raise RuntimeError(f"cv2 could not encode {path}")
    with atomic_write(path) as file:
        file.write(content.tobytes())


def build(options: GeneratedOptions, _context: DatasetContext) -> GeneratedDataset:
    """Build the dataset; it reads no files."""
    return GeneratedDataset(options)
