"""Whole commands over the data engine: loaders, preprocessors, endless hands, faulty files."""

from __future__ import annotations

import json

import pytest

from handbone_cli.testing import hb, tiny_recipe, write_tiny_hands


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_tiny_hands(tmp_path_factory.mktemp("engine") / "hands", people=3)


def train(tmp_path, root, *overrides, **tables):
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(tiny_recipe(root, train={"epochs": 1, "patches_per_image": 4}, **tables))
    settings = [part for text in overrides for part in ("--set", text)]
    return hb("train", recipe, "-o", tmp_path / "run", *settings)


def loss(tmp_path):
    return json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[0])["loss"]


@pytest.mark.slow  # 3 s: importing DALI
def test_loaders_train_alike(tmp_path, root):
    pytest.importorskip("nvidia.dali")
    losses = []
    for name in ("torch", "dali"):
        (tmp_path / name).mkdir()
        done = train(tmp_path / name, root, f"data.loader={name}", "augment.rotate=10")
        assert done.code == 0, done.err
        losses.append(loss(tmp_path / name))
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


@pytest.mark.slow  # 3 s: four runs, one with worker processes
def test_workers_and_caches_do_not_change_a_run(tmp_path, root):
    losses = set()
    for number, setting in enumerate(
        ["data.workers=0", "data.workers=2", "data.cache=false", "data.cache_mb=0"]
    ):
        (tmp_path / str(number)).mkdir()
        done = train(tmp_path / str(number), root, setting)
        assert done.code == 0, done.err
        losses.add(loss(tmp_path / str(number)))
    assert len(losses) == 1


def test_preprocessors_reach_the_network_and_prediction(tmp_path, root):
    steps = [{"name": "hand_crop", "margin": 0.0}, {"name": "edge_channels"}]
    done = train(tmp_path, root, preprocess=steps)
    assert done.code == 0, done.err
    predicted = hb("predict", tmp_path / "run", "-i", "val", "-o", tmp_path / "store")
    assert predicted.code == 0, predicted.err
    assert hb("evaluate", tmp_path / "store").code == 0


def test_dali_refuses_preprocessors(tmp_path, root):
    pytest.importorskip("nvidia.dali")
    done = train(tmp_path, root, "data.loader=dali", preprocess=[{"name": "edge_channels"}])
    assert done.code == 1
    assert done.err.splitlines()[-1] == (
        "hb: data.loader = 'dali': [[preprocess]] plugins are Python, and no Python touches DALI's "
        "pixels; take data.loader = 'torch'."
    )


ENDLESS = """
name = "endless"
data = { dataset = "generated", people = 4, size = 64, endless = true, folds = 2, patch = 64 }
model = { name = "nnunet", features = [4, 8, 8], convs_per_stage = 1 }
loss = { name = "dice" }
train = { epochs = 1, precision = "fp32" }
predict = { window = 64, stride = 64 }
"""


def test_endless_hands(tmp_path, monkeypatch):
    from handbone_datasets.generated import GeneratedDataset

    drawn, draw = [], GeneratedDataset.draw

    def remember(self, number):
        drawn.append(number)
        return draw(self, number)

    monkeypatch.setattr(GeneratedDataset, "draw", remember)
    (tmp_path / "endless.toml").write_text(ENDLESS)
    done = hb("train", tmp_path / "endless.toml", "-o", tmp_path / "run")
    assert done.code == 0, done.err
    assert sorted(drawn) == [0, 1, 2, 3]


def test_a_bad_image_is_quarantined_and_the_run_goes_on(tmp_path):
    own = write_tiny_hands(tmp_path / "hands", people=3)
    images = sorted((own / "train" / "DCM").rglob("*.png"))
    images[0].write_bytes(b"")
    images[3].write_bytes(images[3].read_bytes()[:100])
    done = train(tmp_path, own)
    assert done.code == 0, done.err
    said = [line for line in done.err.splitlines() if line.startswith("quarantined")]
    assert sorted(said) == [
        f"quarantined: {images[0]}: the file is empty.",
        f"quarantined: {images[3]}: the PNG is cut off (it has no end); copy the file again.",
    ]


def test_without_a_sound_image_nothing_begins(tmp_path):
    own = write_tiny_hands(tmp_path / "hands", people=3)
    for image in (own / "train" / "DCM").rglob("*.png"):
        image.write_bytes(b"")
    done = train(tmp_path, own)
    assert done.code == 1
    assert "hb: no image can be read; the first one's fault: " in done.err
    assert not (tmp_path / "run").exists()
