"""Every first-party component that is quick to build does what its kind must do."""

from __future__ import annotations

import functools

import pytest

from handbone_cli.host.interfaces import DatasetContext, ModelContext, PostContext, TtaContext
from handbone_cli.host.registry import installed
from handbone_cli.testing import (
    BONES,
    check_dataset,
    check_loss,
    check_model,
    check_postprocessor,
    check_tta,
)


def options(kind, name, **given):
    registry = installed()
    return registry.parse_options(registry.get(kind, name), given)


def test_nnunet():
    component = installed().get("models", "nnunet")
    small = options("models", "nnunet", features=(4, 8, 8), convs_per_stage=1)
    check_model(component.builder(), small, ModelContext(3, 1, (32, 32)), divisor=4)


@pytest.mark.parametrize("name", ["dice", "bce", "focal", "combined"])
def test_losses(name, tiny_data):
    from handbone_cli.host.interfaces import LossContext

    def build(name, given):
        return installed().build("losses", name, given, LossContext(("a", "b", "c"), build))

    given = {"terms": [{"name": "dice"}, {"name": "focal"}]} if name == "combined" else {}
    check_loss(build(name, given))


@pytest.mark.parametrize(
    ("name", "given", "exact"),
    [
        ("hflip", {}, True),
        ("vflip", {}, True),
        ("rot90", {"turns": 3}, True),
        ("scale", {"factor": 1.0}, True),
        ("scale", {"factor": 0.6}, False),
    ],
)
def test_views(name, given, exact):
    check_tta(installed().build("tta", name, given, TtaContext()), exact=exact)


@pytest.mark.parametrize("name", ["remove_small", "largest_component"])
def test_rules(name):
    check_postprocessor(installed().build("postprocessors", name, {}, PostContext()))


def test_datasets_of_files_and_drawn_ones(tiny_data):
    build = functools.partial(installed().build, "datasets")
    check_dataset(build("competition", {"class_names": BONES}, DatasetContext(tiny_data.root)))
    drawn = {"people": 1, "test_people": 1, "size": 64}
    check_dataset(build("generated", drawn, DatasetContext(None)), most=1)
