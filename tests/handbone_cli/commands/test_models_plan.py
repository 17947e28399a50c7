from __future__ import annotations

import json

import pytest

from handbone_cli.host.registry import Component, Registry, installed
from handbone_cli.recipe.load import load_recipe
from handbone_cli.testing import hb

PLAN = """\
# nnunet for images of 2048 x 2048 px and a GPU of 8 GB
# classes: 29
# stages: 9
# last stage px: 4
# feature map values: 358924288
# estimated memory gb: 8.4
# largest batch within memory: 2

[data]
patch = 1024

[model]
name = "nnunet"
features = [32, 64, 128, 256, 512, 512, 512, 512, 512]

[train]
batch_size = 3

[predict]
window = 1024
stride = 512
"""


def plan(*words):
    return hb("models", "plan", *words)


def test_a_plan():
    done = plan("nnunet", "--image", "2048x2048", "--memory", 8)
    assert (done.code, done.out, done.err) == (0, PLAN, "")


@pytest.mark.parametrize("model", ["nnunet", "nnunet_resenc"])
def test_what_is_printed_is_the_rest_of_a_recipe(model, tmp_path):
    done = plan(model, "--image", "700x900", "--memory", 24, "--classes", 3)
    recipe = tmp_path / "planned.toml"
    recipe.write_text(f'name = "planned"\n[loss]\nname = "dice"\n{done.out}')
    loaded = load_recipe(str(recipe), installed())
    facts = json.loads(
        plan(model, "--image", "700X900", "--memory", 24, "--classes", 3, "--json").out
    )
    assert loaded.model.name == model
    assert loaded.model.options == {"features": facts["recipe"]["model"]["features"]}
    assert loaded.data.patch == loaded.predict.window == 2 * loaded.predict.stride
    assert loaded.train.batch_size == facts["recipe"]["train"]["batch_size"]
    assert facts["facts"]["classes"] == 3
    assert facts["facts"]["stages"] == len(loaded.model.options["features"])


def test_images_limit_the_batch():
    few, many = (
        json.loads(
            plan("nnunet", "--image", "512x512", "--memory", 8, "--images", images, "--json").out
        )
        for images in (50, 5000)
    )
    assert few["recipe"]["train"] == {"batch_size": 2}
    assert many["recipe"]["train"] == {"batch_size": 11}


def test_height_comes_first(monkeypatch):
    asked = {}

    def planner(**facts):
        asked.update(facts)
        return {"train": {"batch_size": 1}}, {}

    component = Component("models", "mine", "a:b", None, "", 1, "d", "1", planner=planner)
    registry = Registry()
    registry.add(component)
    monkeypatch.setattr("handbone_cli.host.registry.installed", lambda: registry)
    done = plan("mine", "--image", "30x20", "--memory", 0.5)
    assert asked == {"image": (30, 20), "memory": 0.5, "classes": 29, "images": None}
    assert done.out == (
        "# mine for images of 30 x 20 px and a GPU of 0.5 GB\n# classes: 29\n\n"
        "[train]\nbatch_size = 1\n"
    )


def test_a_model_without_a_planner():
    done = plan("unet", "--image", "2048x2048", "--memory", 8)
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        "hb: model 'unet' has no plan to make; those with one: nnunet, nnunet_resenc.\n"
    )


def test_an_unknown_model():
    done = plan("nnunett", "--image", "2048x2048", "--memory", 8)
    assert done.code == 1
    assert done.err.startswith("hb: no model is named 'nnunett'. Did you mean 'nnunet'? Known: ")


def test_no_patch_fits():
    done = plan("nnunet", "--image", "20x900", "--memory", 8)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("hb: images of 20 x 900 px and 8 GB leave patches of 20 px, ")


@pytest.mark.parametrize("size", ["2048", "2048x", "0x5", "-1x5", "2048x1500x3", "axb"])
def test_a_size_is_height_and_width(size):
    done = plan("nnunet", "--image", size, "--memory", 8)
    assert (done.code, done.out) == (2, "")
    assert f"'{size}': expected HEIGHTxWIDTH in px, such as 2048x1500." in done.err


@pytest.mark.parametrize("words", [("--memory", 0), ("--memory", 8, "--classes", 0), ()])
def test_wrong_or_missing_numbers(words):
    assert plan("nnunet", "--image", "64x64", *words).code == 2
