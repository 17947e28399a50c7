from __future__ import annotations

import hashlib
import json

import pytest
import torch

from handbone_cli.networks.weights import load_tensors, save_tensors
from handbone_cli.testing import BONES, hb

WEIGHTS = {"encoder.weight": torch.rand(3, 2), "head.weight": torch.rand(4, 3)}
CONTENT = {"state_dict": {f"module.{n}": t for n, t in WEIGHTS.items()}, "epoch": 3}


@pytest.fixture
def old(tmp_path):
    torch.save(CONTENT, tmp_path / "old.pt")
    return tmp_path / "old.pt"


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_import_writes_beside_the_old_file_and_says_what(old, tmp_path):
    done = hb("weights", "import", old)
    new = tmp_path / "old.safetensors"
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        f"{new}: 2 tensors, 18 parameters of old.pt (key state_dict, prefix module. taken away, "
        "no class names)\n"
    )
    tensors, header = load_tensors(new)
    assert all(torch.equal(tensors[name], each) for name, each in WEIGHTS.items())
    assert header["imported"] == {
        "source": "old.pt", "sha256": sha256(old), "key": "state_dict", "prefix": "module.",
        "second_names": 0, "skipped": 0,
    }  # fmt: skip
    assert hb("weights", "import", old).code == 0


def test_import_as_json(old, tmp_path):
    done = hb("weights", "import", old, "-o", tmp_path / "new.st", "--class-names", "a,b,c,d",
              "--json")  # fmt: skip
    assert json.loads(done.out) == {
        "file": str(tmp_path / "new.st"), "tensors": 2, "parameters": 18, "source": "old.pt",
        "sha256": sha256(old), "key": "state_dict", "prefix": "module.", "second_names": 0,
        "skipped": 0, "class_names": ["a", "b", "c", "d"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("bones.txt", "a\n b \n\nc\nd\n"),
        ("bones.json", '["a", "b", "c", "d"]'),
        ("bones", "a\nb\nc\nd"),
    ],
)
def test_class_names_from_a_file(old, tmp_path, name, content):
    (tmp_path / name).write_text(content)
    done = hb("weights", "import", old, "--class-names", tmp_path / name)
    assert done.code == 0, done.err
    assert load_tensors(tmp_path / "old.safetensors")[1]["class_names"] == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("a,b,a", "--class-names a,b,a: names 'a' twice."),
        (" , ", "--class-names  , : names no class."),
        ("none.txt", "none.txt: cannot read it: there is no such file or folder."),
        ("none.json", "none.json: cannot read it: there is no such file or folder."),
        ("odd.json", "--class-names odd.json: expected a list of names."),
        (
            "a,b",
            (
                "--class-names: names 2 classes, and no tensor of old.pt has 2 rows; give as many "
                "as the model has outputs, the background too if it has one."
            ),
        ),
    ],
)
def test_class_names_that_cannot_be(old, tmp_path, names, said):
    (tmp_path / "odd.json").write_text('{"a": 1}')
    done = hb("weights", "import", "old.pt", "--class-names", names, cwd=tmp_path)
    assert (done.code, done.out, done.err) == (1, "", f"hb: {said}\n")
    assert not (tmp_path / "old.safetensors").exists()


def test_classes_that_the_file_lists_are_kept_where_they_fit(tmp_path):
    for names, kept in ((list(BONES), list(BONES)), (["a", "b"], None)):
        torch.save(CONTENT | {"class_names": names}, tmp_path / "old.pt")
        assert hb("weights", "import", tmp_path / "old.pt").code == 0
        header = load_tensors(tmp_path / "old.safetensors")[1]
        assert header.get("class_names") == kept


def test_a_key_chooses(tmp_path):
    torch.save({**CONTENT, "model_ema": WEIGHTS}, tmp_path / "old.pt")
    done = hb("weights", "import", tmp_path / "old.pt")
    assert (done.code, done.err) == (
        1,
        (
            f"hb: {tmp_path / 'old.pt'}: holds weights in several places, state_dict (2 tensors), "
            "model_ema (2 tensors); choose by --key.\n"
        ),
    )
    assert hb("weights", "import", tmp_path / "old.pt", "--key", "model_ema").code == 0


def test_a_file_of_something_else_is_not_written_over(old, trained_run, tmp_path):
    (tmp_path / "old.safetensors").write_text("mine")
    save_tensors(tmp_path / "run.safetensors", WEIGHTS, {"class_names": list(BONES)})
    for name in ("old.safetensors", "run.safetensors", "old.pt"):
        before = (tmp_path / name).read_bytes()
        done = hb("weights", "import", old, "-o", tmp_path / name)
        assert (done.code, done.out) == (1, "")
        assert done.err == (
            f"hb: {tmp_path / name}: is there already and is not an imported checkpoint that hb "
            "wrote; choose another -o, or remove that file first.\n"
        )
        assert (tmp_path / name).read_bytes() == before


def test_kinds_that_safetensors_does_not_hold(tmp_path):
    torch.save({"a.b": torch.zeros(2, dtype=torch.complex64)}, tmp_path / "old.pt")
    done = hb("weights", "import", tmp_path / "old.pt")
    assert done.err.endswith("a.b is complex64, strided, which safetensors does not hold; convert "
                             "it first.\n")  # fmt: skip
    assert not (tmp_path / "old.safetensors").exists()


def test_show_a_run(trained_run):
    done = hb("weights", "show", trained_run.run)
    best = trained_run.run / "best.safetensors"
    score = json.loads((trained_run.run / "run.json").read_text())
    lines = done.out.splitlines()
    assert (done.code, done.err) == (0, "")
    assert lines[:4] == [
        f"{best}: 27 tensors, 2,856 parameters, F32, 0.0 MiB",
        f"sha256 {sha256(best)}",
        f"trained as tiny, mean Dice {score['best_dice']:.4f} in epoch {score['best_epoch']}",
        "4 classes: finger-1, Capitate, Radius, Ulna",
    ]
    assert lines[4].split() == ["tensor", "shape", "dtype"]
    assert lines[5].split() == ["bias", "4", "F32"]
    assert len(lines) == 5 + 27


def test_show_an_imported_file(old, tmp_path):
    hb("weights", "import", old)
    done = hb("weights", "show", tmp_path / "old.safetensors")
    assert done.out.splitlines()[2:] == [
        f"imported from old.pt (sha256 {sha256(old)[:8]}...)",
        "no class names",
        "tensor          shape  dtype",
        "encoder.weight  3 x 2  F32",
        "head.weight     4 x 3  F32",
    ]


def test_show_as_json(old, tmp_path):
    hb("weights", "import", old, "--class-names", "a,b,c,d")
    new = tmp_path / "old.safetensors"
    shown = json.loads(hb("weights", "show", new, "--json").out)
    assert shown.pop("header")["imported"]["source"] == "old.pt"
    assert shown == {
        "file": str(new), "bytes": new.stat().st_size, "sha256": sha256(new), "parameters": 18,
        "dtypes": ["F32"], "class_names": ["a", "b", "c", "d"],
        "tensors": [
            {"name": "encoder.weight", "shape": [3, 2], "dtype": "F32"},
            {"name": "head.weight", "shape": [4, 3], "dtype": "F32"},
        ],
    }  # fmt: skip


@pytest.mark.parametrize("classes", [(), ("--classes", 4)])
def test_show_what_a_recipe_would_take(trained_run, tiny_data, classes):
    command = ("weights", "show", trained_run.run, "--recipe", tiny_data.recipe, *classes)
    best = trained_run.run / "best.safetensors"
    said = f"{best}: 27 of 27 tensors loaded, 100.0 % of the parameters"
    assert hb(*command).out.splitlines()[4] == said
    match = json.loads(hb(*command, "--json").out)["match"]
    assert (match["all"], match["loaded"], match["said"]) == (True, 27, said)


def test_show_what_a_recipe_would_take_in_part(trained_run, tiny_data):
    best = trained_run.run / "best.safetensors"
    command = ("weights", "show", trained_run.run, "--recipe", tiny_data.recipe)
    assert hb(*command, "--classes", 2).out.splitlines()[4:8] == [
        (
            f"{best}: was trained for 4 classes (finger-1, Capitate, Radius and 1 more), this "
            "dataset has 2 (class 1, class 2); set model.partial = true to take over what the two "
            "share."
        ),
        f"with model.partial = true: {best}: 24 of 27 tensors loaded, 99.6 % of the parameters",
        "  0 of 2 classes by name",
        "  from the data's prior: class 1, class 2",
    ]
    match = json.loads(hb(*command, "--set", "model.features=[5, 7, 9]", "--json").out)["match"]
    assert match["all"] is False
    assert match["said"].startswith(f"{best}: does not match the network of model 'nnunet': ")


@pytest.mark.slow  # 6 s: timm is imported and a large network built
def test_show_that_a_recipe_would_take_nothing(trained_run, tiny_data):
    best = trained_run.run / "best.safetensors"
    command = ("weights", "show", trained_run.run, "--recipe", tiny_data.recipe)
    other = json.loads(hb(*command, "--set", "model.name=hrnet_w18", "--json").out)["match"]
    assert (other["all"], other["loaded"]) == (False, 0)
    assert other["said"].startswith(f"{best}: no tensor of it matches the network of model 'hrnet")


def test_options_of_the_recipe_need_one(trained_run):
    for words in (("--classes", 3), ("--set", "seed=1")):
        done = hb("weights", "show", trained_run.run, *words)
        assert done.code == 2
        assert "--classes and --set go with --recipe." in done.err


def test_show_what_is_no_file_of_weights(old, tmp_path):
    for name, said in (
        ("old.pt", "a file of torch.save"),
        ("none", "no such file or folder"),
        (".", "not a run directory"),
    ):
        done = hb("weights", "show", tmp_path / name)
        assert (done.code, done.out) == (1, "")
        assert said in done.err
