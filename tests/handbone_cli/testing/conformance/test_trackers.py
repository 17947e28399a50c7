from __future__ import annotations

import json

import pytest

from handbone_cli.testing import check_tracker


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
    ],
)
def test_what_is_wrong_is_said(tracker, words):
    with pytest.raises((AssertionError, KeyError), match=words):
        check_tracker(lambda _options, context: tracker(context))


def test_what_is_right_passes():
    check_tracker(lambda _options, context: Lines(context))
