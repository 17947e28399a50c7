"""Figures and pictures of a run as TensorBoard's event files."""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING, Any

import cv2

from handbone_cli import make_folder
from handbone_trackers.extras import require_package
from handbone_trackers.scalars import STEP, scalars

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from handbone_cli import TrackerContext
    from handbone_trackers.options import TensorBoardOptions

FILES = "events.out.tfevents."
"""What TensorBoard looks for; the second that the file was begun follows, and says the order."""
QUALITY = 88
"""Of JPEG, 0 to 100: a picture 1024 px wide takes about 200 kB."""


class TensorBoardTracker:
    """Appends to a file of its own, which is open only while something is written.

    The records are those of torch.utils.tensorboard, whose writer would write them in a thread of
    its own, where a full disk goes unnoticed, and import TensorFlow where that is installed.
    """

    def __init__(self, options: TensorBoardOptions, context: TrackerContext) -> None:
        require_package("tensorboard")
        self._options, self._recipe = options, context.recipe
        self._folder = make_folder(context.run_directory / "tensorboard")
        self._file: Path | None = None

    @staticmethod
    def check(options: TensorBoardOptions) -> None:
        """TensorBoard is installed."""
        require_package("tensorboard")

    def log(self, event: str, values: Mapping[str, Any]) -> None:
        """A point of every curve: loss, mean_dice, dice/Radius."""
        if STEP in values:
            points = [{"tag": tag, "simple_value": y} for tag, y in scalars(values).items()]
            self._write(int(values[STEP]), points)

    def picture(self, name: str, rgb: NDArray[np.uint8], values: Mapping[str, Any]) -> None:
        """A picture by its name."""
        if not self._options.pictures:
            return
        bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
        _, content = cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, QUALITY))
        height, width = rgb.shape[:2]
        image = {"height": height, "width": width, "colorspace": 3}
        image["encoded_image_string"] = content.tobytes()
        self._write(int(values[STEP]), [{"tag": name, "image": image}])

    def close(self) -> None:
        """Nothing is open between two events."""

    def _write(self, step: int, points: list[dict[str, Any]]) -> None:
        """Append points of a step, in a new file behind a mark that hides what was said of it."""
        events = [{"step": step, "summary": {"value": points}}]
        if self._file is None:
            self._file = self._new_file()
            # A resumed run says some epochs again; START lets TensorBoard forget these and later.
            start = {"step": step, "session_log": {"status": "START"}}
            recipe = {"step": step, "summary": {"value": [_text("recipe", self._recipe)]}}
            events = [{"file_version": "brain.Event:2"}, start, recipe, *events]
        _append(self._file, events)

    def _new_file(self) -> Path:
        """A name that comes after all that are there, in the order TensorBoard reads them."""
        begun = [path.name.removeprefix(FILES)[:10] for path in self._folder.glob(f"{FILES}*")]
        latest = max((int(stamp) for stamp in begun if stamp.isdigit()), default=0)
        stamp = max(int(time.time()), latest + 1)
        return self._folder / f"{FILES}{stamp:010d}.{socket.gethostname()}.{os.getpid()}"


def _append(path: Path, events: list[dict[str, Any]]) -> None:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.record_writer import RecordWriter

    with path.open("ab") as file:
        records = RecordWriter(file)
        for event in events:
            records.write(Event(wall_time=time.time(), **event).SerializeToString())


def _text(tag: str, table: Mapping[str, Any]) -> dict[str, Any]:
    """A table as TOML for TensorBoard's page of texts, which reads Markdown."""
    import tomli_w

    markdown = f"```\n{tomli_w.dumps(table)}```"
    return {
        "tag": tag,
        "metadata": {"plugin_data": {"plugin_name": "text"}},
        "tensor": {
            "dtype": "DT_STRING",
            "string_val": [markdown.encode()],
            "tensor_shape": {"dim": [{"size": 1}]},
        },
    }
