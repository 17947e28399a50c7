from __future__ import annotations

import json
import unittest

import pytest

from handbone_cli.errors import HandboneError
from handbone_cli.host.registry import Component, Registry
from handbone_cli.testing import check_tracker
from handbone_cli.testing.conformance.trackers import prepare
from handbone_cli.testing.trial import Trial


class Lines:
    """A sound tracker, to be spoilt."""

    name = "lines.txt"

    def __init__(self, context):
        self.path = context.run_directory / self.name

    def log(self, event, values):
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{event} {self.text(values)}\n")

    def text(self, values):
        return dict(values)

    def close(self):
        pass


class Changing(Lines):
    def text(self, values):
        values["epoch"] = 0
        return values


class Deep(Lines):
    def text(self, values):
        values.get("dice", {}).clear()
        return values


class Figures(Lines):
    """Takes what has all figures."""

    def text(self, values):
        return f"{values['mean_dice']:.3f}"


class Rounding(Lines):
    def text(self, values):
        return int(values.get("loss") or 0)


class Json(Lines):
    name = "lines.jsonl"

    def log(self, event, values):
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"event": event, **values}) + "\n")


class Open(Lines):
    def __init__(self, context):
        super().__init__(context)
        self.file = self.path.open("a")

    def log(self, event, values):
        self.file.write(event)

    def __del__(self):
        self.file.close()


class NeedsAnEpoch(Lines):
    def close(self):
        assert self.path.exists(), "nothing was logged"


class Afresh(Lines):
    def __init__(self, context):
        super().__init__(context)
        self.path.write_text("")


class Painting(Lines):
    def picture(self, name, rgb, values):
        rgb[0] = 0


class Renaming(Lines):
    def picture(self, name, rgb, values):
        values["name"] = name


class Folders(Lines):
    """Takes a picture's name for a file's."""

    def picture(self, name, rgb, values):
        (self.path.parent / "validation").mkdir(exist_ok=True)
        (self.path.parent / name).write_bytes(rgb.tobytes())


class Once(Lines):
    """Does not expect a picture of the same image at another epoch."""

    def picture(self, name, rgb, values):
        with self.path.with_name(f"{values['image_id'].replace('/', '_')}.raw").open("xb") as file:
            file.write(rgb.tobytes())


@pytest.mark.parametrize(
    ("tracker", "words"),
    [
        (Changing, "log changed the values it was given"),
        (Deep, "log changed the values it was given"),
        (Figures, "mean_dice"),
        (Rounding, r"log\('epoch', .*nan.*\) raised ValueError: cannot convert float NaN"),
        (Json, "lines.jsonl: not JSON: NaN stands in it"),
        (Open, "after close.. these files are still open: lines.txt"),
        (NeedsAnEpoch, "nothing was logged"),
        (Afresh, "lines.txt: a tracker of the resumed run cut what was there"),
        (Painting, "read-only"),
        (Renaming, "picture changed the values it was given"),
        (Folders, "oben"),
        (Once, "image1.raw"),
    ],
)
def test_what_is_wrong_is_said(tracker, words):
    with pytest.raises((AssertionError, KeyError, ValueError, OSError), match=words):
        check_tracker(lambda _options, context: tracker(context))


def test_what_is_right_passes():
    check_tracker(lambda _options, context: Lines(context))


class Asking:
    """A factory that sends people away first."""

    @staticmethod
    def check(options):
        raise HandboneError("log in first.")


def test_one_whose_factory_asks_for_something_first_is_skipped():
    registry = Registry()
    component = Component("trackers", "asking", Asking, None, "", 1, "test", "0")
    registry.add(component)
    with pytest.raises(unittest.SkipTest, match="log in first"):
        prepare(Trial(component, registry))
