from __future__ import annotations

import json

from handbone_cli.host.hookspecs import KINDS
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
        "convs_per_stage",
        "norm",
    ]
    assert hb("plugins", "show", "hflip").out.endswith("no options\n")


def test_unknown_names():
    done = hb("plugins", "show", "nnunett")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("hb: no plugin is named 'nnunett'. Did you mean 'nnunet'? Known: ")
    kind = hb("plugins", "list", "--kind", "model")
    assert kind.err.startswith("hb: no kind of plugin is called 'model'. Did you mean 'models'?")
