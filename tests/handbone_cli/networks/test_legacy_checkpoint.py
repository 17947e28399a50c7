from __future__ import annotations

import argparse
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from handbone_cli.errors import HandboneError
from handbone_cli.networks.legacy_checkpoint import read_legacy_weights

WEIGHTS = {"encoder.weight": torch.rand(3, 2), "encoder.steps": torch.tensor(7)}
MANY = "there are state_dict (2 tensors), ema.model (1 tensor)."


@pytest.fixture
def save(tmp_path):
    def save(content, **options):
        torch.save(content, tmp_path / "old.pt", **options)
        return tmp_path / "old.pt"

    return save


def same(tensors, expected=WEIGHTS):
    assert tensors.keys() == expected.keys()
    assert all(torch.equal(tensors[name], each) for name, each in expected.items())
    return True


def optimizer():
    parameter = nn.Parameter(torch.rand(3))
    parameter.grad = torch.rand(3)
    adam = torch.optim.Adam([parameter])
    adam.step()
    return adam.state_dict()


BY_NAME = {"state": {"a.b": {"exp_avg": torch.rand(3)}}, "param_groups": [{"lr": 0.1}]}
"""The state of an optimizer as distributed training saves it."""


@pytest.mark.parametrize("new_format", [True, False])
@pytest.mark.parametrize(
    "key", ["", "state_dict", "model", "model_state_dict", "net", "network_weights", "a.b.c"]
)
def test_the_state_dict_is_found_where_it_is(save, key, new_format):
    content = WEIGHTS
    for part in reversed(key.split(".")) if key else ():
        content = {"epoch": 3, part: content, "optimizer": optimizer(), "loss": torch.rand(4)}
    found = read_legacy_weights(save(content, _use_new_zipfile_serialization=new_format))
    assert same(found.tensors)
    assert (found.key, found.prefix, found.skipped, found.second_names) == (key, "", 0, 0)


@pytest.mark.parametrize(
    ("before", "prefix"),
    [
        ("module.", "module."),
        ("model.net.", "model.net."),
        ("_orig_mod.", ""),
        ("module._orig_mod.", "module."),
        ("decoder.", ""),
    ],
)
def test_prefixes_of_wrappers_are_taken_away(save, before, prefix):
    found = read_legacy_weights(save({before + name: each for name, each in WEIGHTS.items()}))
    kept = before.replace("_orig_mod.", "").removeprefix(prefix)
    assert same(found.tensors, {kept + name: each for name, each in WEIGHTS.items()})
    assert found.prefix == prefix


def test_what_is_no_tensor_is_skipped_and_counted(save):
    content = {**WEIGHTS, "n_averaged": torch.tensor(3), "version": 2, 7: torch.rand(2), "x": None}
    found = read_legacy_weights(save(content))
    assert same(found.tensors)
    assert found.skipped == 4


def test_a_tensor_with_two_names_is_kept_once(save):
    tied = torch.rand(4)
    halves = torch.rand(4)
    content = {"first.a": tied, "second.a": tied, "half.a": halves[:2], "half.b": halves[2:]}
    content |= {"turned.a": torch.rand(2, 2), "empty.a": torch.zeros(0), "empty.b": torch.zeros(0)}
    content["turned.b"] = content["turned.a"].T
    found = read_legacy_weights(save(content))
    assert same(found.tensors, {n: t for n, t in content.items() if n != "second.a"})
    assert found.second_names == 1


def test_nnunets_second_names_and_its_numpy_log(save):
    weight = torch.rand(4, 1, 3, 3)
    block = "encoder.stages.0.0.convs.0"
    twice = {f"{block}.conv.weight": weight, f"{block}.all_modules.0.weight": weight}
    content = {
        "network_weights": {**twice, **{f"decoder.{n}": t for n, t in twice.items()}},
        "optimizer_state": optimizer(),
        "grad_scaler_state": None,
        "logging": {"mean_fg_dice": [np.float64(0.3)], "ema": np.float32(0.5)},
        "_best_ema": np.float64(0.4),
        "image": np.arange(3),
        "init_args": {"plans": {"patch_size": [64, 64]}},
    }
    found = read_legacy_weights(save(content))
    assert same(found.tensors, {f"{block}.all_modules.0.weight": weight})
    assert (found.key, found.second_names) == ("network_weights", 3)


@pytest.mark.parametrize("beside", [argparse.Namespace(lr=1, out=Path("x")), [Path("x")]])
def test_plain_things_beside_the_weights_are_stepped_over(save, beside):
    assert same(read_legacy_weights(save({"state_dict": WEIGHTS, "args": beside})).tensors)


def test_no_class_in_the_file_is_ever_called(save, monkeypatch):
    path = save({"state_dict": WEIGHTS, "args": argparse.Namespace(lr=1), "best": np.float64(1)})
    called = []
    monkeypatch.setattr(argparse.Namespace, "__init__", lambda *a, **k: called.append(a))
    monkeypatch.setattr(np, "dtype", lambda *a, **k: called.append(a))
    read_legacy_weights(path)
    assert called == []


def test_where_there_are_several_a_key_chooses(save):
    average = {"encoder.weight": torch.rand(3, 2)}
    path = save({"state_dict": WEIGHTS, "ema": {"model": average, "decay": 0.9}})
    with pytest.raises(HandboneError) as caught:
        read_legacy_weights(path)
    assert str(caught.value) == (
        f"{path}: holds weights in several places, state_dict (2 tensors), ema.model (1 tensor); "
        "choose by --key."
    )
    assert same(read_legacy_weights(path, "state_dict").tensors)
    assert same(read_legacy_weights(path, "ema.model").tensors, average)
    with pytest.raises(HandboneError) as caught:
        read_legacy_weights(path, "ema")
    assert str(caught.value) == f"{path}: has no weights under --key ema; {MANY}"
    with pytest.raises(HandboneError, match="there are the whole file"):
        read_legacy_weights(save(WEIGHTS), "model")


def test_kinds_of_numbers_are_kept(save):
    kinds = (torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.int8, torch.bool)
    content = {f"a.{n}": torch.ones(2).to(kind) for n, kind in enumerate(kinds)}
    found = read_legacy_weights(save(content))
    assert [tensor.dtype for tensor in found.tensors.values()] == [*kinds]


def test_a_file_is_mapped_and_not_copied(save):
    found = read_legacy_weights(save({"state_dict": {"a.b": torch.rand(64, 1024)}}))
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("no /proc")
    assert "old.pt" in maps.read_text()
    assert found.tensors["a.b"].shape == (64, 1024)


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ({"class_names": ["a", "b"], "model": WEIGHTS}, ("a", "b")),
        ({"model": WEIGHTS, "meta": {"dataset_meta": {"classes": ("a", "b")}}}, ("a", "b")),
        ({"model": WEIGHTS, "classes": 5}, None),
        ({"model": WEIGHTS, "classes": []}, None),
        ({"model": WEIGHTS, "classes": [1, 2]}, None),
    ],
)
def test_a_list_of_classes_is_found(save, content, names):
    assert read_legacy_weights(save(content)).class_names == names


class Evil:
    def __reduce__(self):
        return (os.mkdir, ("pwned",))


class Odd:
    """A class of some project."""


SAVE = "save the weights alone where it was made: torch.save(model.state_dict(), 'weights.pt')."


@pytest.mark.parametrize("new_format", [True, False])
@pytest.mark.parametrize(
    ("content", "what"),
    [
        ({"state_dict": WEIGHTS, "x": Evil()}, f"a pickled {os.mkdir.__module__}.mkdir"),
        ({"state_dict": WEIGHTS, "x": Odd()}, f"a pickled {Odd.__module__}.Odd"),
        (nn.Sequential(nn.Linear(2, 2)), "a whole network, pickled"),
        ({"model": nn.Linear(2, 2)}, "a whole network, pickled"),
    ],
)
def test_what_could_run_a_program_is_refused(
    save, tmp_path, monkeypatch, content, what, new_format
):
    monkeypatch.chdir(tmp_path)
    path = save(content, _use_new_zipfile_serialization=new_format)
    with pytest.raises(HandboneError) as caught:
        read_legacy_weights(path)
    assert str(caught.value) == (
        f"{path}: holds {what}, which could run any program and is not read; {SAVE}"
    )
    assert not (tmp_path / "pwned").exists()


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_is_refused(tmp_path):
    path = tmp_path / "script.pt"
    torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.rand(1, 2)), path)
    with pytest.raises(HandboneError) as caught:
        read_legacy_weights(path)
    assert str(caught.value) == (
        f"{path}: a TorchScript archive, which is a program and is not read; {SAVE}"
    )


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (optimizer(), "the state of an optimizer and no weights"),
        ({"optimizer": optimizer(), "epoch": 3}, "the state of an optimizer and no weights"),
        (BY_NAME, "the state of an optimizer and no weights"),
        ({"epoch": torch.tensor(3)}, "no weights"),
        (torch.rand(3), "no weights"),
        ([torch.rand(3)], "no weights"),
        ({}, "no weights"),
    ],
)
def test_a_file_without_weights_says_what_it_has(save, content, what):
    path = save(content)
    with pytest.raises(HandboneError) as caught:
        read_legacy_weights(path)
    assert str(caught.value) == (
        f"{path}: holds {what}; expected a state dict, alone or in a table of a checkpoint."
    )


@pytest.mark.parametrize("share", [0.2, 0.7, 0.99])
def test_a_file_that_is_cut_off(save, share):
    path = save({"a.b": torch.rand(500)})
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(HandboneError) as caught:
        read_legacy_weights(path)
    assert str(caught.value) == f"{path}: cut off; copy or download it again."


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_file_of_the_old_format_that_is_cut_off(save, share):
    path = save({"a.b": torch.rand(500)}, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(HandboneError, match=r"old\.pt: cut off, or not a file of torch\.save"):
        read_legacy_weights(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty; use another file."),
        (b"hello", "not a file of torch.save; expected a .pt, .pth or .ckpt."),
        (
            pickle.dumps({"a": 1}),
            "cut off, or not a file of torch.save; copy or download it again.",
        ),
        (b"\x10" + bytes(7) + b"{}", "a safetensors file already; use it as it is."),
        (b"\x80" + bytes(7) + b"{}", "a safetensors file already; use it as it is."),
        (b"PK\x03\x04 and no more", "cut off; copy or download it again."),
    ],
)
@pytest.mark.filterwarnings("error")
def test_a_file_of_something_else(tmp_path, content, said):
    path = tmp_path / "old.pt"
    path.write_bytes(content)
    with pytest.raises(HandboneError) as caught:
        read_legacy_weights(path)
    assert str(caught.value) == f"{path}: {said}"


def test_a_zip_of_something_else_a_folder_and_nothing(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.txt", "a")
    with pytest.raises(HandboneError, match=r"a\.zip: a zip archive, but not of torch\.save\."):
        read_legacy_weights(tmp_path / "a.zip")
    with pytest.raises(HandboneError, match="that is a folder, and a file was expected"):
        read_legacy_weights(tmp_path)
    with pytest.raises(HandboneError, match="there is no such file or folder"):
        read_legacy_weights(tmp_path / "none.pt")
