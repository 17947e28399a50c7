from __future__ import annotations

import json

import pytest

from handbone_cli.recipe.load import parse_toml, shipped_folder
from handbone_cli.testing import hb

SHIPPED = sorted(
    path.relative_to(shipped_folder()).with_suffix("").as_posix()
    for path in shipped_folder().rglob("*.toml")
)


def test_list():
    done = hb("recipes", "list")
    lines = done.out.splitlines()
    assert done.code == 0
    assert lines[0].split() == ["recipe", "what", "it", "is"]
    assert [line.split()[0] for line in lines[1:]] == SHIPPED
    assert all(len(line.split()) > 3 for line in lines[1:])


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_recipe_is_valid(name):
    assert hb("recipes", "validate", name).out == f"{name}: valid\n"


def test_show_is_a_recipe_again(tmp_path):
    shown = hb("recipes", "show", "quickstart", "--set", "train.epochs=7")
    assert shown.code == 0
    (tmp_path / "again.toml").write_text(shown.out)
    assert parse_toml(tmp_path / "again.toml")["train"]["epochs"] == 7
    assert hb("recipes", "show", tmp_path / "again.toml").out == shown.out


def test_schema():
    schema = json.loads(hb("recipes", "schema").out)
    assert {"name", "data", "model", "loss", "extends"} <= set(schema["properties"])
    assert schema["additionalProperties"] is False


def test_copy(tmp_path):
    done = hb("recipes", "copy", "nnunet", "-o", tmp_path)
    assert (done.code, done.out) == (0, f"{tmp_path / 'nnunet.toml'}\n")
    assert (tmp_path / "nnunet.toml").read_text() == (shipped_folder() / "nnunet.toml").read_text()
    again = hb("recipes", "copy", "nnunet", "-o", tmp_path)
    assert (again.code, again.err) == (
        1,
        f"hb: {tmp_path / 'nnunet.toml'}: is there already; remove it, or name another folder.\n",
    )


def test_show_has_every_option_of_the_plugins(tmp_path):
    sets = ("--set", "tta=[{name='rot90'}]", "--set", "postprocess=[{name='remove_small'}]")
    (tmp_path / "shown.toml").write_text(hb("recipes", "show", "quickstart", *sets).out)
    shown = parse_toml(tmp_path / "shown.toml")
    assert shown["model"] == {
        "name": "nnunet",
        "features": [16, 32, 48, 64, 96, 128],
        "plan": False,
        "norm": "instance",
        "deep_supervision": False,
        "convs_per_stage": 2,
    }
    assert shown["loss"]["terms"] == [
        {"name": "dice", "weight": 1.0, "batch": True, "smooth": 1.0},
        {"name": "bce", "weight": 10.0},
    ]
    assert shown["tta"] == [{"name": "rot90", "turns": 1}]
    assert shown["postprocess"] == [{"name": "remove_small", "min_area": 900}]
    assert len(shown["data"]["class_names"]) == 29
