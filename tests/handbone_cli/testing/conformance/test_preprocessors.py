from __future__ import annotations

import numpy as np
import pytest

from handbone_cli.errors import HandboneError
from handbone_cli.testing import check_preprocessor


class Step:
    """The whole image, to be spoilt."""

    def __call__(self, image):
        return image.copy(), (0, image.shape[0], 0, image.shape[1])

    def channels(self, given):
        return given


class Doubled(Step):
    def __call__(self, image):
        made, box = super().__call__(image)
        return made.repeat(2, axis=0), box


class Outside(Step):
    def __call__(self, image):
        made, (y0, y1, x0, x1) = super().__call__(image)
        return made, (y0 - 1, y1 - 1, x0, x1)


class Floats(Step):
    def __call__(self, image):
        made, box = super().__call__(image)
        return made / 255, box


class Changing(Step):
    def __call__(self, image):
        image[0] = 0
        return super().__call__(image)


class Restless(Step):
    calls = 0

    def __call__(self, image):
        Restless.calls += 1
        made, box = super().__call__(image)
        return made ^ np.uint8(Restless.calls & 1), box


class Wandering(Step):
    """The same pixels from another place."""

    calls = 0

    def __call__(self, image):
        Wandering.calls += 1
        y = Wandering.calls % 2
        height, width = image.shape[:2]
        return np.zeros_like(image[1:]), (y, height - 1 + y, 0, width)


class Grey(Step):
    """Says that it keeps what it is given, and makes one."""

    def __call__(self, image):
        made, box = super().__call__(image)
        return made if made.ndim == 2 else made[..., 0], box


class Miscounted(Step):
    def channels(self, given):
        return given + 1


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (Doubled, r"the box \(0, 96, 0, 64\) came with \(192, 64\) pixels"),
        (Outside, r"the box \(-1, 95, 0, 64\) is not inside an image of \(96, 64\)"),
        (Floats, "the image came back as float64, not uint8"),
        (Changing, "the preprocessor changed the image it was given"),
        (Restless, "one image gave two results"),
        (Wandering, "one image gave two results"),
        (Grey, "it says 2 channels for 2, made 1"),
        (Miscounted, "it says 2 channels for 1, made 1"),
    ],
)
def test_what_is_wrong_is_said(step, words):
    with pytest.raises(AssertionError, match=words):
        check_preprocessor(step())


class One(Step):
    def __call__(self, image):
        if image.ndim != 2:
            raise HandboneError("one channel only")
        return super().__call__(image)


@pytest.mark.parametrize("step", [Step, One])
def test_what_is_right_passes(step):
    check_preprocessor(step())
