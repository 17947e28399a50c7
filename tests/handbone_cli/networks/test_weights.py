from __future__ import annotations

import hashlib
import json
import pickle

import pytest
import safetensors.torch
import torch
from torch import nn

from handbone_cli.errors import HandboneError
from handbone_cli.files import file_digest
from handbone_cli.networks.weights import (
    DTYPES,
    load_tensors,
    open_tensors,
    own_tensors,
    restore_tensors,
    save_tensors,
)

TORCH = (
    "a file of torch.save, and only safetensors are read; `hb weights import PATH` makes one of it."
)


class Tied(nn.Module):
    def __init__(self, width=3):
        super().__init__()
        self.first = nn.Linear(width, width)
        self.second = self.first
        self.norm = nn.BatchNorm1d(width)


def test_round_trip(tmp_path):
    path = tmp_path / "w.safetensors"
    tensors = {"a": torch.rand(3, 4).T, "b/c": torch.tensor(7), "h": torch.ones(2).half()}
    save_tensors(path, tensors, {"name": "x", "scores": [0.1, None]})
    read, header = load_tensors(path)
    assert header == {"name": "x", "scores": [0.1, None]}
    assert read.keys() == tensors.keys()
    assert all(torch.equal(read[name], tensors[name]) for name in tensors)
    assert read["h"].dtype == torch.float16
    assert len(file_digest(path)) == 64


def test_tied_tensors_are_kept_once(tmp_path):
    model, other = Tied(), Tied()
    path = tmp_path / "w.safetensors"
    save_tensors(path, own_tensors(model), {})
    restore_tensors(other, load_tensors(path)[0], path)
    assert torch.equal(other.second.weight, model.first.weight)
    assert sorted(own_tensors(model)) == [
        "first.bias",
        "first.weight",
        "norm.bias",
        "norm.num_batches_tracked",
        "norm.running_mean",
        "norm.running_var",
        "norm.weight",
    ]


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.99])
def test_cut_off(tmp_path, share):
    path = tmp_path / "w.safetensors"
    save_tensors(path, {"a": torch.rand(100)}, {"name": "x"})
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(HandboneError) as caught:
        load_tensors(path)
    assert str(caught.value).startswith(f"{path}: not a checkpoint of handbone, or cut off (")


@pytest.mark.parametrize("header", [{}, {"__metadata__": {}}, {"__metadata__": {"handbone": "x"}}])
def test_a_file_of_another_program(tmp_path, header):
    path = tmp_path / "w.safetensors"
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    with pytest.raises(HandboneError, match="not a checkpoint of handbone"):
        load_tensors(path)


def test_another_network_is_named(tmp_path):
    tensors = own_tensors(Tied(4))
    with pytest.raises(HandboneError) as caught:
        restore_tensors(Tied(3), tensors, tmp_path / "w")
    assert str(caught.value) == (
        f"{tmp_path / 'w'}: is of another network than its recipe builds: first.bias is (4,) in "
        "the file and (3,) in the network."
    )
    del tensors["norm.weight"]
    with pytest.raises(HandboneError, match=r"norm.weight is absent in the file and \(4,\)"):
        restore_tensors(Tied(4), tensors, tmp_path / "w")


def test_the_file_is_byte_for_byte_what_safetensors_would_write(tmp_path):
    tensors = {f"of_{n}": torch.zeros(2, 3).to(dtype) for n, dtype in enumerate(DTYPES)}
    tensors |= {"empty": torch.zeros(0, 3), "ü": torch.rand(()), "turned": torch.rand(3, 4).T}
    path = tmp_path / "w.safetensors"
    save_tensors(path, tensors, {"name": "ü"})
    ready = {name: tensor.contiguous() for name, tensor in tensors.items()}
    theirs = safetensors.torch.save(ready, metadata={"handbone": json.dumps({"name": "ü"})})
    assert path.read_bytes() == theirs
    assert file_digest(path) == hashlib.sha256(theirs).hexdigest()


@pytest.mark.parametrize(
    ("tensor", "kind"),
    [
        (torch.zeros(2, dtype=torch.complex64), "complex64, strided"),
        (torch.zeros(2, 2).to_sparse(), "float32, sparse_coo"),
    ],
)
def test_what_safetensors_does_not_hold_is_refused_before_anything_is_written(
    tmp_path, tensor, kind
):
    path = tmp_path / "w.safetensors"
    with pytest.raises(HandboneError) as caught:
        save_tensors(path, {"good": torch.zeros(2), "a": tensor}, {})
    assert str(caught.value) == (
        f"{path}: a is {kind}, which safetensors does not hold; convert it first."
    )
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_opened_without_its_tensors(tmp_path):
    path = tmp_path / "w.safetensors"
    tensors = {"a": torch.rand(3, 4), "h": torch.ones(2).half()}
    save_tensors(path, tensors, {"class_names": ["x", "y"]})
    file = open_tensors(path)
    assert file.shapes == {"a": (3, 4), "h": (2,)}
    assert file.dtypes == {"a": "F32", "h": "F16"}
    assert (file.class_names, file.parameters) == (("x", "y"), 14)
    assert file.weights == {"a": "a", "h": "h"}
    with file.reading() as read:
        assert torch.equal(read("a"), tensors["a"])


def test_of_a_resumable_state_the_model_alone_counts(tmp_path):
    path = tmp_path / "last.safetensors"
    save_tensors(path, {"model/a": torch.rand(3), "optimizer/0/exp_avg": torch.rand(3)}, {})
    file = open_tensors(path)
    assert file.weights == {"a": "model/a"}
    assert file.parameters == 3


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}, {"handbone": "x"}, {"handbone": "3"}])
def test_a_file_of_another_program_has_no_header(tmp_path, metadata):
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file({"a": torch.zeros(1)}, path, metadata=metadata)
    file = open_tensors(path)
    assert (file.header, file.class_names, file.shapes) == ({}, None, {"a": (1,)})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty; use another file."),
        (b"hello, this is a text", "not a safetensors file, or cut off; use another file."),
        (b"\xff" * 20, "not a safetensors file, or cut off; use another file."),
        (pickle.dumps({}, protocol=2), TORCH),
        (b"PK\x03\x04...", TORCH),
    ],
)
def test_what_is_no_safetensors_file_is_said(tmp_path, content, said):
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(HandboneError) as caught:
        open_tensors(path)
    assert str(caught.value) == f"{path}: {said}".replace("PATH", str(path))


@pytest.mark.parametrize("share", [0.01, 0.3, 0.99])
def test_a_file_that_is_cut_off_cannot_be_opened(tmp_path, share):
    path = tmp_path / "w.safetensors"
    save_tensors(path, {"a": torch.rand(100)}, {"name": "x"})
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(HandboneError, match="not a safetensors file, or cut off"):
        open_tensors(path)


def test_a_missing_file_has_no_digest(tmp_path):
    with pytest.raises(HandboneError, match="there is no such file or folder"):
        file_digest(tmp_path / "none")
    with pytest.raises(HandboneError, match="there is no such file or folder"):
        open_tensors(tmp_path / "none")


def test_a_table_of_any_length_is_read(tmp_path):
    """The first byte of the file is its table's length, and 128 is also how a pickle begins."""
    path, firsts = tmp_path / "w.safetensors", set()
    for length in range(8, 270, 8):
        save_tensors(path, {"a": torch.zeros(1)}, {"x": "x" * length})
        firsts.add(path.read_bytes()[0])
        assert open_tensors(path).header == {"x": "x" * length}
    assert 0x80 in firsts
