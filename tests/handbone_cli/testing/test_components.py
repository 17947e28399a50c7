"""Every first-party component that is quick to build does what its kind must do."""

from __future__ import annotations

import pytest

from handbone_cli.host.interfaces import ModelContext, PostContext, TtaContext
from handbone_cli.host.registry import installed
from handbone_cli.testing import check_loss, check_model, check_postprocessor, check_tta


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
