from __future__ import annotations

import pytest

from handbone_cli import ranks
from handbone_cli.commands.wiring import memory_plan
from handbone_cli.commands.wiring.members import find_images, open_member
from handbone_cli.commands.wiring.memory_plan import (
    activation_bytes,
    first_image,
    image_bytes,
    parse_memory,
    plan_memory,
)
from handbone_cli.commands.wiring.prediction_options import with_options
from handbone_cli.commands.wiring.summing import Ensemble
from handbone_cli.decision import document
from handbone_cli.errors import HandboneError
from handbone_cli.host.registry import installed
from handbone_cli.networks import memory_in_use
from handbone_cli.testing import hb

MIB = 2**20


@pytest.mark.parametrize(
    ("text", "size"),
    [("8G", 8 * 2**30), ("500M", 500 * MIB), ("1.5 GiB", 3 * 2**29), ("64kb", 65536), ("7", 7)],
)
def test_sizes(text, size):
    assert parse_memory(text, "--max-ram") == size


@pytest.mark.parametrize("text", ["", "much", "-1G", "0", "8 X", "1e9", "G"])
def test_what_is_no_size(text):
    with pytest.raises(HandboneError, match="expected a size above 0 such as 8G or 500M"):
        parse_memory(text, "--max-ram")


@pytest.fixture(scope="module")
def members(trained_run, tmp_path_factory):
    """About 3 s: one run of the tiny recipe, and one of eight times its width."""
    wide = tmp_path_factory.mktemp("wide") / "run"
    sets = ("name=wide", "model.features=[32,64,64]", "train.epochs=1", "train.patches_per_image=1")
    words = [word for each in sets for word in ("--set", each)]
    done = hb("train", trained_run.data.recipe, *words, "-o", wide)
    assert done.code == 0, done.err
    return [open_member(path, installed(), lambda recipe: recipe)
            for path in (trained_run.run, wide)]  # fmt: skip


def ensemble_of(members):
    images = find_images("test", members, installed())
    paths, models = [m.path for m in members], [m.model for m in members]
    decision = document.uniform(members[0].class_names, paths, models, [[], []])
    return Ensemble(members, images, decision, installed()), images.samples


def test_together_while_there_is_room_then_in_turn_then_not_at_all(members, monkeypatch):
    ensemble, samples = ensemble_of(members)
    sizes = [member.runs[0].best.stat().st_size for member in members]
    monkeypatch.setattr(memory_in_use, "resident", lambda: 100 * MIB)

    monkeypatch.setattr(memory_plan, "image_bytes", lambda *_: 10 * MIB)
    needed = 110 * MIB + 2 * max(sizes) + 2 * 2 * 64 * 64

    def plan(cap):
        return plan_memory(ensemble, members, samples, cap, installed())

    with pytest.raises(
        HandboneError, match=r"one model and one image take about 11. MiB"
    ) as caught:
        plan(needed - 1)
    said = str(caught.value)
    assert "100 MiB for the process as it is" in said
    assert "10 MiB for an image of 64 x 64 px" in said
    assert plan(needed) == (False, 0)
    assert plan(needed + min(sizes) - 1) == (False, min(sizes) - 1)
    assert plan(needed + min(sizes)).together is True
    monkeypatch.setattr(ranks, "local_count", lambda: 2)
    assert plan(2 * needed) == (False, 0)
    with pytest.raises(HandboneError, match=r"MiB, 11. MiB for each of 2 processes: one model"):
        plan(2 * needed - 2)


def test_without_a_cap_it_is_what_is_free_and_nothing_is_refused(members, monkeypatch):
    ensemble, samples = ensemble_of(members)
    for free, together in ((None, True), (64 * 2**30, True), (0, False)):
        monkeypatch.setattr(memory_in_use, "available", lambda free=free: free)
        assert plan_memory(ensemble, members, samples, None, installed()).together is together


def test_wider_windows_and_models_need_more(members):
    ensemble, samples = ensemble_of(members)
    prepared = next(iter(first_image(ensemble, samples).values()))
    narrow, wide = (image_bytes(member, prepared, installed()) for member in members)
    assert wide > narrow
    tiny = members[0]
    recipe = with_options(tiny.recipe, installed(), {"window": 256, "stride": 128}, ())
    larger = type(tiny)(tiny.path, tiny.runs, recipe, tiny.class_names, tiny.digests)
    assert image_bytes(larger, prepared, installed()) > 4 * narrow
    assert activation_bytes(tiny, (2, 1, 64, 64), installed()) == pytest.approx(
        2 * activation_bytes(tiny, (1, 1, 64, 64), installed()), rel=0.1
    )


def test_without_an_image_that_can_be_read_prediction_says_why(members, tmp_path):
    (tmp_path / "bad.png").write_text("hello")
    ensemble, _ = ensemble_of(members)
    images = find_images(str(tmp_path), members, installed())
    assert plan_memory(ensemble, members, images.samples, 1, installed()).together is True
