"""Images that are nearly the same though they should have nothing to do with each other."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from handbone_cli.data.preprocessing import to_uint8
from handbone_cli.errors import HandboneError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

    from numpy.typing import NDArray

GREY = 256  # side of the copy that is kept of an image
COARSE = 128  # of the one that is aligned
HASHED = 64  # of the one that is hashed
FREQUENCIES = 16  # along each side; the mean is left out

FAR = 64
"""Most differing bits, of 255, of a pair that is looked at."""

HOPELESS, CERTAIN = 0.65, 0.90
"""Correlations of a pair after a shift, at `COARSE`, below and above which nothing is aligned."""

ALIKE = 0.82
"""Least correlation of an aligned pair, at `GREY`, that is called nearly the same.

Of 1 998 000 pairs of 2000 generated hands, no hand twice, none is called so: they reach 0.86 after
a shift and 0.70 aligned; the pairs of 24 real hands reach 0.81 and 0.74.
"""

THREADS = 4  # that read images; decoding and resizing leave Python's lock
BLOCK = 512  # images whose hashes are compared with all others at a time
MARGIN = 8  # px at `COARSE` that the search shifts by
DETAIL = {COARSE: 4.0, GREY: 3.0}  # SD in px of the blur that is taken away
OUTLIER = 6.0  # medians of |detail| where a marker's edges are cut off
LEAST_OVERLAP = 0.6  # of the image's area after alignment
WHOLE = np.full((COARSE, COARSE), 255, np.uint8)
ECC = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-3)


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """What is kept of an image to compare it with others.

    Attributes:
        digest: of its size and pixels.
        signs: (255,) -1 or 1, of the lowest frequencies.
        grey: (256, 256) uint8.
    """

    digest: bytes
    signs: NDArray[np.float32]
    grey: NDArray[np.uint8]

    @cached_property
    def coarse(self) -> NDArray[np.float32]:
        """The details of a reduced copy, (128, 128); kept, for an image is in many close pairs."""
        return _details(cv2.resize(self.grey, (COARSE, COARSE), interpolation=cv2.INTER_AREA))


@dataclass(frozen=True)
class Duplicate:
    """Two images, by their places in the list, that are the same or nearly.

    Attributes:
        first: the earlier one.
        second: the later one.
        kind: 'identical' pixel by pixel, 'similar', or 'mirrored' and similar.
        correlation: of their details, -1 to 1.
    """

    first: int
    second: int
    kind: str
    correlation: float


def take_fingerprint(image: NDArray[Any]) -> Fingerprint:
    """The fingerprint of a grey image (H, W) of 8 or 16 bit.

    The hash is the signs of the lowest DCT coefficients of the reduced image (as pHash: Zauner,
    "Implementation and benchmarking of perceptual image hash functions", 2010).
    """
    content = np.ascontiguousarray(image)
    digest = hashlib.blake2b(content.data, digest_size=16, person=str(image.shape).encode()[:16])
    grey = cv2.resize(to_uint8(content), (GREY, GREY), interpolation=cv2.INTER_AREA)
    tiny = cv2.resize(grey, (HASHED, HASHED), interpolation=cv2.INTER_AREA)
    lowest = cv2.dct(tiny.astype(np.float32))[:FREQUENCIES, :FREQUENCIES].ravel()[1:]
    signs = np.where(lowest > 0, np.float32(1), np.float32(-1))
    return Fingerprint(digest.digest(), signs, np.asarray(grey, np.uint8))


def read_fingerprints(
    readers: Sequence[Callable[[], NDArray[Any]]], report: Callable[[int, int], None]
) -> tuple[dict[int, Fingerprint], list[str]]:
    """Read images on a few threads: place in the list -> fingerprint, and what is wrong elsewhere.

    Args:
        readers: each gives a grey image.
        report: told how many have been read.
    """
    prints: dict[int, Fingerprint] = {}
    faults: list[str] = []
    pool = ThreadPoolExecutor(THREADS)
    try:
        jobs = [pool.submit(_read, read) for read in readers]
        for place, job in enumerate(jobs):
            try:
                prints[place] = job.result()
            except HandboneError as error:
                faults.append(str(error))
            report(place + 1, len(jobs))
    finally:  # Ctrl-C does not wait for the rest
        pool.shutdown(wait=False, cancel_futures=True)
    return prints, faults


def _read(read: Callable[[], NDArray[Any]]) -> Fingerprint:
    return take_fingerprint(read())


def find_duplicates(
    prints: Sequence[Fingerprint],
    places: Sequence[Hashable],
    report: Callable[[int, int], None],
) -> list[Duplicate]:
    """Pairs of images of different places (folds, the test part) that are the same or nearly.

    Found are copies, also mirrored, re-encoded, brightened, with other contrast, CLAHE, blur,
    moderate noise, a marker, a shift of up to 6 % of the side, or a few degrees or per cent of
    rotation or scale. The images are hashed; pairs of close hashes are aligned (ECC: Evangelidis
    and Psarakis, PAMI 2008) and their details compared.

    Args:
        prints: of the images.
        places: of each, where it is used; pairs of one place do not matter.
        report: told how many of the close pairs have been compared.
    """
    same = {
        pair
        for members in _by_digest(prints).values()
        for pair in combinations(members, 2)
        if places[pair[0]] != places[pair[1]]
    }
    close = [
        pair
        for pair in _close_pairs(prints)
        if places[pair[0]] != places[pair[1]] and pair[:2] not in same
    ]
    found = {pair: Duplicate(*pair, "identical", 1.0) for pair in same}
    for done, (first, second, mirrored) in enumerate(close):
        value = correlation(prints[first], prints[second], mirrored=mirrored)
        known = found.get((first, second))
        if value and (known is None or value > known.correlation):
            kind = "mirrored" if mirrored else "similar"
            found[first, second] = Duplicate(first, second, kind, value)
        report(done + 1, len(close))
    return [found[pair] for pair in sorted(found)]


def _by_digest(prints: Sequence[Fingerprint]) -> dict[bytes, list[int]]:
    members: dict[bytes, list[int]] = defaultdict(list)
    for place, each in enumerate(prints):
        members[each.digest].append(place)
    return members


def _close_pairs(prints: Sequence[Fingerprint]) -> Iterator[tuple[int, int, bool]]:
    """(first, second, whether mirrored) of hashes that differ in `FAR` bits or fewer."""
    if not prints:
        return
    signs = np.stack([each.signs for each in prints])
    flat = np.array([each.grey.min() == each.grey.max() for each in prints])
    # A mirror turns the sign of the odd horizontal frequencies, and of nothing else.
    turn = np.where(np.arange(1, FREQUENCIES**2) % FREQUENCIES % 2, np.float32(-1), np.float32(1))
    least = signs.shape[1] - 2 * FAR
    for mirrored in (False, True):
        turned = signs * turn if mirrored else signs
        for start in range(0, len(prints), BLOCK):
            agreement = turned[start : start + BLOCK] @ signs.T
            for row, second in np.argwhere(agreement >= least):
                first = start + int(row)
                if first < second and not flat[first] and not flat[second]:
                    yield first, int(second), mirrored


def correlation(one: Fingerprint, other: Fingerprint, *, mirrored: bool = False) -> float | None:
    """How alike the details of two images are, -1 to 1; None where they are not.

    Args:
        one: stays.
        other: is aligned with it.
        mirrored: whether to turn `other` round first.
    """
    turn = -1 if mirrored else 1
    coarse, moving = one.coarse, np.ascontiguousarray(other.coarse[:, ::turn])
    inner = moving[MARGIN:-MARGIN, MARGIN:-MARGIN]
    _, best, _, corner = cv2.minMaxLoc(cv2.matchTemplate(coarse, inner, cv2.TM_CCOEFF_NORMED))
    if not HOPELESS < best < CERTAIN:
        return float(best) if best >= CERTAIN else None
    warp = np.array([[1, 0, MARGIN - corner[0]], [0, 1, MARGIN - corner[1]]], np.float32)
    try:
        _, found = cv2.findTransformECC(coarse, moving, warp, cv2.MOTION_AFFINE, ECC, WHOLE, 3)
    except cv2.error:  # it does not converge: they have nothing in common
        return None
    value = _aligned(one.grey, np.ascontiguousarray(other.grey[:, ::turn]), np.asarray(found))
    return value if value >= ALIKE else None


def _aligned(one: NDArray[np.uint8], other: NDArray[np.uint8], warp: NDArray[np.float64]) -> float:
    """The correlation of details after a warp (2, 3) found at `COARSE`; 0 with little overlap."""
    scale = GREY // COARSE
    matrix = warp.astype(np.float64)
    matrix[:, 2] = scale * warp[:, 2] + (scale - 1) / 2 * (warp[:, :2].sum(axis=1) - 1)
    flags = cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(_details(other), matrix, (GREY, GREY), flags=flags | cv2.INTER_LINEAR)
    there = cv2.warpAffine(
        np.ones((GREY, GREY), np.uint8), matrix, (GREY, GREY), flags=flags | cv2.INTER_NEAREST
    )
    inside = there > 0
    if inside.mean() < LEAST_OVERLAP:
        return 0.0
    a, b = (image[inside].astype(np.float64) for image in (_details(one), moved))
    a, b = a - a.mean(), b - b.mean()
    return float((a @ b) / max(np.sqrt((a @ a) * (b @ b)), 1e-9))


def _details(grey: NDArray[Any]) -> NDArray[np.float32]:
    """What a blur takes away: what is common to all hands goes, the edges of markers are cut."""
    image = grey.astype(np.float32)
    detail = image - cv2.GaussianBlur(image, (0, 0), DETAIL[len(grey)])
    limit = OUTLIER * float(np.median(np.abs(detail))) + 1
    return np.asarray(np.clip(detail, -limit, limit), np.float32)
