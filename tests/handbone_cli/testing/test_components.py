"""Every first-party component does what its kind must do, as far as `hb plugins check` tries it."""

from __future__ import annotations

import pytest

from handbone_cli.host.hookspecs import KINDS
from handbone_cli.host.interfaces import ModelContext
from handbone_cli.host.registry import installed
from handbone_cli.testing import check_model, checks_of
from handbone_cli.testing.cases import MODULE, run

SLOW = {"losses", "loaders", "trackers"}
ELSEWHERE = {"models"}
"""Tried in tests/plugins/handbone_models/test_zoo.py."""
CASES: dict[tuple[str, str], list] = {}
for case in checks_of("handbone"):
    if case.kind not in ELSEWHERE:
        CASES.setdefault((case.kind, case.name), []).append(case)
SKIPPED = (
    "no GPU here",
    "it judges each bone by the others",
    "pydicom is not installed",
    "loader 'dali': ",
    "tracker '",
)


def parameters():
    for kind, name in CASES:
        marks = [pytest.mark.slow] if kind in SLOW else []  # 2 s each, wandb 15 s, 45 s in all
        yield pytest.param(kind, name, marks=marks, id=f"{kind}-{name}")


@pytest.mark.parametrize(("kind", "name"), [*parameters()])
def test_component(kind, name):
    results = list(run(CASES[kind, name]))
    failed = {c.check.__name__: r.reason for c, r in results if r.outcome == "failed"}
    assert failed == {}
    skipped = [result.reason for _, result in results if result.outcome == "skipped"]
    assert all(reason.startswith(SKIPPED) for reason in skipped), skipped
    assert any(result.outcome == "passed" for _, result in results)


def test_the_list_is_that_of_the_registry():
    registry = installed()
    ours = {
        (kind, name)
        for kind in set(KINDS) - ELSEWHERE
        for name in registry.names(kind)
        if registry.get(kind, name).distribution == "handbone"
    }
    assert {key for key in CASES if key[0] != MODULE} == ours
    newer = "generalized_dice jaccard tversky focal_tversky lovasz pixel_weighted_bce boundary"
    assert {("losses", name) for name in [*newer.split(), "overlap", "combined"]} <= ours


@pytest.mark.slow  # 3 s
def test_nnunet_on_a_small_scale():
    registry = installed()
    component = registry.get("models", "nnunet")
    small = registry.parse_options(component, {"features": (4, 8, 8), "convs_per_stage": 1})
    check_model(component.builder(), small, ModelContext(3, 1, (32, 32)), divisor=4)
