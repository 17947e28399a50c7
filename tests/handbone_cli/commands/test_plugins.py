from __future__ import annotations

import json
import re

import pytest

from handbone_cli.host.hookspecs import KINDS
from handbone_cli.host.registry import installed
from handbone_cli.testing import hb


def test_list():
    done = hb("plugins", "list")
    lines = done.out.splitlines()
    assert (done.code, done.err) == (0, "")
    assert lines[0].split() == ["kind", "name", "from", "summary"]
    assert {line.split()[0] for line in lines[1:]} <= set(KINDS)
    assert any(line.split()[:3] == ["models", "nnunet", "handbone"] for line in lines)


def test_one_kind_as_json():
    found = json.loads(hb("plugins", "list", "--kind", "tta", "--json").out)
    names = [each["name"] for each in found]
    assert names == sorted(names)
    assert {"hflip", "vflip", "scale"} <= set(names)
    assert {each["kind"] for each in found} == {"tta"}


def test_show():
    done = hb("plugins", "show", "nnunet")
    lines = done.out.splitlines()
    assert done.code == 0
    assert lines[0] == "models nnunet: plain U-Net as nnU-Net plans it"
    assert lines[1].startswith("from handbone ")
    assert [line.split()[0] for line in lines[2:]] == [
        "option",
        "features",
        "plan",
        "norm",
        "deep_supervision",
        "convs_per_stage",
    ]
    assert hb("plugins", "show", "hflip").out.endswith("no options\n")


def test_show_says_types_and_defaults_as_a_recipe_has_them():
    lines = hb("plugins", "show", "nnunet").out.splitlines()
    cells = [re.split(r"  +", line) for line in lines[2:]]
    assert [row[:3] for row in cells] == [
        ["option", "type", "default"],
        ["features", "list of whole numbers or none", "none"],
        ["plan", "true or false", "false"],
        ["norm", "instance | batch", "instance"],
        ["deep_supervision", "true or false", "false"],
        ["convs_per_stage", "whole number", "2"],
    ]
    assert "  true or false  false  " in hb("plugins", "show", "hrnet_w18").out
    assert "  number  required  " in hb("plugins", "show", "scale").out


@pytest.mark.parametrize("kind", KINDS)
def test_every_option_of_ours_is_described(kind):
    for component in installed().components[kind].values():
        if component.distribution == "handbone":
            for key, option in component.options_type().model_fields.items():
                assert option.description, (component.name, key)


def test_unknown_names():
    done = hb("plugins", "show", "nnunett")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("hb: no plugin is named 'nnunett'. Did you mean 'nnunet'? Known: ")
    kind = hb("plugins", "list", "--kind", "modle")
    assert kind.err.startswith("hb: no kind of plugin is called 'modle'. Did you mean 'models'?")
    assert hb("plugins", "show", "hflip", "--kind", "tat").err.startswith("hb: no kind of plugin")


def test_a_kind_may_be_said_in_the_singular():
    assert hb("plugins", "list", "--kind", "model") == hb("plugins", "list", "--kind", "models")
    assert hb("plugins", "show", "dice", "--kind", "loss").out.startswith("losses dice: ")
    done = hb("plugins", "show", "dice", "--kind", "tta")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("hb: no TTA transform is named 'dice'. Known: ")


def test_a_kind_may_stand_before_the_name():
    assert hb("plugins", "show", "tta", "hflip") == hb("plugins", "show", "hflip", "--kind", "tta")
    assert hb("plugins", "show", "model", "fpn").out.startswith("models fpn: ")
    assert hb("plugins", "show", "fpn", "model").err.startswith("hb: no kind of plugin is called")
    for words in (("tta", "hflip", "--kind", "tta"), ("a", "b", "c"), ()):
        assert hb("plugins", "show", *words).code == 2
