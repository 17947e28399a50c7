"""Conditional random fields on one bone: pixels near each other, or alike in grey, agree.

Krähenbühl and Koltun, "Efficient inference in fully connected CRFs with Gaussian edge potentials",
NeurIPS 2011; Teichmann and Cipolla, "Convolutional CRFs for semantic segmentation", BMVC 2019.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field, field_validator

from handbone_cli import Options
from handbone_postprocess.pairwise import GridFilter, SpatialFilter, WindowFilter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from handbone_cli import Bone, PostContext
    from handbone_postprocess.pairwise import Filter

LEAST = 0.5 / 255
"""A store's probabilities are no surer than this."""
CHANNELS = 3
"""A grey radiograph is taken for a colour image of three equal channels, as the source does."""


class DenseCrfOptions(Options):
    """Options of dense_crf; the defaults are those of the winning team."""

    gaussian_sxy: float = Field(3.0, gt=0, le=100)
    """SD of the smoothing kernel, in px."""
    gaussian_compat: float = Field(3.0, ge=0)
    """Weight of the smoothing kernel."""
    bilateral_sxy: float = Field(10.0, ge=1, le=100)
    """SD in space of the kernel that looks at grey values, in px."""
    bilateral_srgb: float = Field(3.0, gt=0)
    """SD in colour of that kernel, in grey levels of three equal channels."""
    bilateral_compat: float = Field(6.0, ge=0)
    """Weight of that kernel."""
    iterations: int = Field(5, ge=1, le=100)
    """Of the mean field."""

    grid: ClassVar[Mapping[str, Sequence[float]]] = {"bilateral_compat": (2.0, 6.0)}


class ConvCrfOptions(DenseCrfOptions):
    """Options of conv_crf."""

    filter_size: int = Field(11, ge=3, le=61)
    """Side of the window beyond which pixels do not see each other, in px; odd."""

    @field_validator("filter_size")
    @classmethod
    def _is_odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError("must be odd, so that the window has a middle")
        return value


@dataclass(frozen=True)
class CrfRule:
    """A CRF of two classes, the bone and the rest, in the bone's box."""

    options: DenseCrfOptions

    def refine(self, bone: Bone) -> NDArray[np.bool_]:
        """A bone -> its mask by the mean field (h, w); the box ends the field."""
        if not bone.mask.any():
            return bone.mask.copy()
        odds = unary(bone.read_probabilities(), bone.threshold, bone.mask)
        terms = pairwise_terms(self.options, np.ascontiguousarray(bone.read_grey()))
        return np.asarray(mean_field(odds, terms, self.options.iterations) > 0, np.bool_)


def unary(
    probabilities: NDArray[np.float32], threshold: float, mask: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Log-odds (h, w) of the bone, on the mask's side of 0 everywhere.

    Counted from the threshold, so that a field without pairwise terms gives the mask. Where an
    earlier rule changed the mask, it is as sure of that as the models were of the contrary.
    """
    p = np.clip(probabilities, LEAST, 1 - LEAST)
    odds = np.abs(np.log(p / (1 - p)) - np.log(threshold / (1 - threshold)))
    return np.asarray(np.where(mask, odds, -odds), np.float32)


def pairwise_terms(options: DenseCrfOptions, grey: NDArray[np.uint8]) -> list[tuple[float, Filter]]:
    """The smoothing and the bilateral term: a weight and a filter each."""
    tone = options.bilateral_srgb / CHANNELS**0.5
    smoothing: Filter
    bilateral: Filter
    if isinstance(options, ConvCrfOptions):
        reach = options.filter_size // 2
        smoothing = SpatialFilter(options.gaussian_sxy, reach)
        bilateral = WindowFilter(grey, options.bilateral_sxy, tone, reach)
    else:
        smoothing = SpatialFilter(options.gaussian_sxy)
        bilateral = GridFilter(grey, options.bilateral_sxy, tone)
    terms = [(options.gaussian_compat, smoothing), (options.bilateral_compat, bilateral)]
    return [(weight, each) for weight, each in terms if weight > 0]


def mean_field(
    odds: NDArray[np.float32], terms: Sequence[tuple[float, Filter]], iterations: int
) -> NDArray[np.float32]:
    """Log-odds (h, w) after so many updates of a Potts model with two classes.

    Kernels are normalised on both sides by the root of their sums, as in the authors' code.
    """
    ones = np.ones_like(odds)
    scales = [1 / np.sqrt(np.maximum(each(ones), 1e-12)) for _, each in terms]
    now = odds
    for _ in range(iterations):
        sign = np.tanh(now / 2)  # Q(bone) - Q(rest)
        now = odds.copy()
        for (weight, each), scale in zip(terms, scales, strict=True):
            now += weight * scale * each(np.asarray(scale * sign, np.float32))
    return now


def build_dense_crf(options: DenseCrfOptions, context: PostContext) -> CrfRule:
    """The CRF in which all pixels of a box see each other."""
    return CrfRule(options)


def build_conv_crf(options: ConvCrfOptions, context: PostContext) -> CrfRule:
    """The CRF in which pixels see each other in a window."""
    return CrfRule(options)
