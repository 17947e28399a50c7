"""RUN/pictures: the pictures of the newest validations and of the best one, as PNG."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from handbone_cli.results.pictures import write_png

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

NEWEST = 3
"""Validations whose pictures are kept beside those of the best one."""
OURS = re.compile(r"epoch_(\d{4,})_.+\.png")


class Gallery:
    """A tracker that keeps pictures: `epoch_0005_IMAGE.png`, and `best_IMAGE.png`.

    Args:
        folder: made when the first picture comes.
        newest: validations that are kept; what a resumed run left of later epochs goes, too.
    """

    def __init__(self, folder: Path, newest: int = NEWEST) -> None:
        self._folder, self._newest = folder, newest

    def log(self, event: str, values: Mapping[str, Any]) -> None:
        """Figures are kept elsewhere."""

    def picture(
        self,
        name: str,  # noqa: ARG002  the interface's; a file is called by the image alone
        rgb: NDArray[np.uint8],
        values: Mapping[str, Any],
    ) -> None:
        """Write a picture, and take away what has become old."""
        image = re.sub(r"[/\\]", "_", str(values["image_id"]))
        epoch = int(values["epoch"])
        write_png(self._folder / f"epoch_{epoch:04d}_{image}.png", rgb)
        if values["best"]:
            write_png(self._folder / f"best_{image}.png", rgb)
        self._tidy(epoch)

    def close(self) -> None:
        """Nothing is open between pictures."""

    def _tidy(self, now: int) -> None:
        found = [
            (int(m[1]), path) for path in self._folder.iterdir() if (m := OURS.match(path.name))
        ]
        kept = sorted({epoch for epoch, _ in found if epoch <= now})[-self._newest :]
        for epoch, path in found:
            if epoch not in kept:
                path.unlink(missing_ok=True)
