"""`hb ensemble rules` on a store of the truth with specks, and what then reads its decision."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from handbone_cli.commands.wiring.datasets import all_samples, open_named_dataset
from handbone_cli.commands.wiring.labels import SampleLabels
from handbone_cli.decision import document
from handbone_cli.host.registry import installed
from handbone_cli.recipe.load import parse_toml
from handbone_cli.store.boxes import BoxedProbabilities
from handbone_cli.store.store import ImageEntry, StoreWriter
from handbone_cli.testing import BONES, hb


@pytest.fixture(scope="session")
def specked(tiny_data, tmp_path_factory):
    """A store of the truth of all people, with 4 px more of the first bone in a corner."""
    path = tmp_path_factory.mktemp("specked") / "store"
    dataset = open_named_dataset(str(tiny_data.recipe), installed())
    samples = [sample for sample in all_samples(dataset) if sample.read_labels]
    labels = SampleLabels(samples, len(BONES))
    writer = StoreWriter(path, BONES, {"weights": "w"}, [s.image_id for s in samples], None)
    for sample in samples:
        height, width = sample.read_image().shape
        dense = labels.mask(sample.image_id, (height, width)).dense()
        dense[0, -3:-1, -3:-1] = True
        planes, box = (dense * 240).astype(np.uint8), (0, height, 0, width)
        boxed = BoxedProbabilities.from_planes(
            len(BONES), (height, width), lambda c, planes=planes, box=box: (planes[c], box)
        )
        entry = ImageEntry(sample.person, height, width, str(sample.path), "aa", seen=False)
        writer.write(sample.image_id, boxed, entry)
    writer.close()
    return path


def mean_dice(masks, tiny_data):
    done = hb("evaluate", masks, "--labels", tiny_data.recipe, "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)["mean_dice"]


def test_rules_that_gain_are_kept_for_their_bones(specked, tiny_data, tmp_path):
    path = tmp_path / "cleaned.toml"
    tried = ("--rule", "remove_small:min_area=[2,5]", "--rule", "fill_holes:max_area=1")
    done = hb("ensemble", "rules", specked, *tried, "--labels", tiny_data.recipe, "-o", path)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    gain = (1 - mean_dice(specked, tiny_data)) * len(BONES)
    first = f"in-sample gain {gain / 4:+.5f}, on people left out {gain / 4:+.5f} +- "
    assert lines[0].startswith(f"remove_small: {first}")
    assert lines[0].endswith(": kept for 1 of 4 bones")
    assert lines[1].split("  ")[0] == "bone"
    assert lines[2].split() == [BONES[0], "min_area=5", f"{gain:+.4f}", f"{gain:+.4f}"]
    assert lines[3] == (
        "fill_holes: in-sample gain +0.00000, on people left out +0.00000 +- 0.00000: refused"
    )
    together = f"all rules together: in-sample gain {gain / 4:+.5f}, on people left out "
    assert lines[4].startswith(f"{together}{gain / 4:+.5f} +- ")
    assert lines[4].endswith(": kept")
    assert lines[5:] == [str(path)]
    decision = document.load(path)
    assert decision.postprocess == ({"name": "remove_small", "min_area": 5, "classes": [BONES[0]]},)
    assert [(each["name"], each["kept"]) for each in decision.scores["rules"]] == [
        ("remove_small", True), ("fill_holes", False), ("all rules together", True)]  # fmt: skip
    assert mean_dice(path, tiny_data) == 1


def test_a_decision_goes_on_where_another_stopped(specked, tiny_data, tmp_path):
    first, then = tmp_path / "first.toml", tmp_path / "then.toml"
    tail = ("--labels", tiny_data.recipe, "-o")
    small = ("--rule", "remove_small:min_area=5")
    assert hb("ensemble", "rules", specked, *small, *tail, first).code == 0
    done = hb("ensemble", "rules", first, *small, "--rule", "closing:radius=1", *tail, then)
    assert done.code == 0, done.err
    assert done.out.splitlines()[0].endswith("+0.00000 +- 0.00000: refused")
    old, new = document.load(first), document.load(then)
    assert old.postprocess == new.postprocess
    assert len(new.scores["rules"]) == 5


def test_a_decision_on_other_stores_and_all_in(specked, tiny_data, tmp_path):
    first, then, other = tmp_path / "first.toml", tmp_path / "then.toml", tmp_path / "other"
    shutil.copytree(specked, other)
    tail = ("--labels", tiny_data.recipe, "-o")
    assert hb("ensemble", "rules", specked, "--rule", "closing:radius=1", *tail, first).code == 0
    done = hb("ensemble", "rules", first, "--on", other, "--rule", "remove_small:min_area=5",
              "--all-in", *tail, then)  # fmt: skip
    assert done.code == 0, done.err
    assert document.load(then).members == (other,)
    assert document.load(then).scores["rules"][-1]["all_in"] is True
    refused = hb("ensemble", "rules", specked, "--on", other, "--rule", "closing", *tail, then)
    assert "--on goes with a decision" in refused.err


def test_the_rules_own_grid_is_tried(specked, tiny_data, tmp_path):
    path = tmp_path / "d.toml"
    tried = ("--rule", "remove_small")  # 100 px and more, which removes no bone of these hands
    done = hb("ensemble", "rules", specked, *tried, "--labels", tiny_data.recipe, "-o", path)
    assert done.code == 0, done.err
    (rule,) = document.load(path).postprocess
    assert rule["min_area"] in (100, 200)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("remove_smal", "no post-processor is named 'remove_smal'. Did you mean 'remove_small'?"),
        (
            "remove_small:3",
            (
                "--rule remove_small:3: expected NAME or NAME:KEY=VALUE, for example "
                "closing:radius=[2,4]."
            ),
        ),
        ("closing:radius=[2,0]", "post-processor 'closing', option 'radius': "),
        ("closing:radius=[]", "--rule closing:radius=[]: radius has no value to try."),
        ("closing:width=2", "post-processor 'closing', option 'width': "),
        (
            "closing:classes=Radius",
            "--rule closing:classes=Radius: classes is what will be chosen; leave it out.",
        ),
    ],
)
def test_mistakes_are_said_before_anything_is_read(specked, tmp_path, rule, message):
    path = tmp_path / "d.toml"
    done = hb("ensemble", "rules", specked, "--rule", rule, "-o", path)
    assert done.code == 1
    assert message in done.err
    assert not path.exists()


def test_a_decision_is_toml_and_needs_labels(specked, tmp_path):
    command = ("ensemble", "rules", specked, "--rule", "closing", "-o")
    done = hb(*command, tmp_path / "d.csv")
    assert done.code == 1
    assert "a decision is a .toml file; give -o such a name." in done.err
    done = hb(*command, tmp_path / "d.toml")
    assert done.code == 1
    assert "none of its images has labels; see --labels." in done.err


def test_bones_of_a_rule_in_a_recipe_hold_in_all_masks(specked, tiny_data, tmp_path):
    """As a recipe says it, and a store remembers it."""

    def store_with(classes):
        folder = tmp_path / "-".join(classes)
        shutil.copytree(specked, folder)
        manifest = json.loads((folder / "manifest.json").read_text())
        rule = {"name": "remove_small", "min_area": 10**6, "classes": classes}
        manifest["settings"]["postprocess"] = [rule]
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return folder

    done = hb("evaluate", store_with([BONES[1]]), "--labels", tiny_data.recipe, "--json")
    assert done.code == 0, done.err
    per_bone = json.loads(done.out)["per_class"]
    assert per_bone[BONES[1]] == 0
    assert min(per_bone[name] for name in BONES if name != BONES[1]) > 0.9
    done = hb("evaluate", store_with(["Radios"]), "--labels", tiny_data.recipe)
    assert done.code == 1
    assert "post-processor 'remove_small', classes: no bone is called 'Radios'." in done.err


def test_a_recipe_names_bones_beside_a_rules_own_options(tiny_data, tmp_path):
    said = "postprocess=[{name='remove_small', min_area=5, classes=['Radius']}]"
    shown = hb("recipes", "show", tiny_data.recipe, "--set", said)
    assert shown.code == 0, shown.err
    path = tmp_path / "shown.toml"
    path.write_text(shown.out)
    rule = {"name": "remove_small", "classes": ["Radius"], "min_area": 5}
    assert parse_toml(path)["postprocess"] == [rule]
    wrong = hb("recipes", "validate", tiny_data.recipe, "--set", said.replace("['Radius']", "[]"))
    assert wrong.code == 1
    assert "postprocess.0.classes = []" in wrong.err + wrong.out
