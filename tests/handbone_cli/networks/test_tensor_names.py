from __future__ import annotations

import pytest

from handbone_cli.networks.tensor_names import common_prefix, pair_names

OURS = ("core.encoder.weight", "core.head.weight", "bias")


@pytest.mark.parametrize(
    ("names", "prefix"),
    [
        ([], ""),
        (["a", "b"], ""),
        (["module.a", "module.b"], "module."),
        (["module.a", "b"], ""),
        (["module.model.net.a", "module.model.net.b"], "module.model.net."),
        (["module.a", "module.model.b"], "module."),
        (["modules.a"], ""),
    ],
)
def test_only_what_all_names_share_is_a_prefix(names, prefix):
    assert common_prefix(names) == prefix


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "module.",
        "model.",
        "network.",
        "net.",
        "_orig_mod.",
        "module.model.",
        "model._orig_mod.",
    ],
)
@pytest.mark.parametrize("core", ["", "core."])
def test_names_meet_whatever_wrappers_a_network_was_saved_in(prefix, core):
    theirs = {name: name.replace("core.", f"{prefix}{core}") for name in OURS[:2]}
    if core:
        theirs["bias"] = f"{prefix}bias"
    assert pair_names([*theirs.values(), "n_averaged"], OURS) == theirs


def test_a_part_that_was_compiled_alone():
    theirs = ["encoder._orig_mod.weight", "head.weight"]
    assert pair_names(theirs, OURS) == {
        "core.encoder.weight": "encoder._orig_mod.weight",
        "core.head.weight": "head.weight",
    }


def test_a_network_whose_own_names_begin_like_a_wrappers():
    ours = ["core.model.a", "core.model.b", "bias"]
    for theirs in (["model.a", "model.b"], ["a", "b"], ["module.model.a", "module.model.b"]):
        assert pair_names(theirs, ours) == dict(zip(ours, theirs, strict=False))


def test_the_names_that_most_agree_win():
    theirs = ["encoder.weight", "model.encoder.weight", "model.head.weight"]
    assert pair_names(theirs, OURS) == {
        "core.encoder.weight": "model.encoder.weight",
        "core.head.weight": "model.head.weight",
    }


def test_nothing_in_common():
    assert pair_names(["a.b", "c.d"], OURS) == {}
    assert pair_names([], OURS) == {}
