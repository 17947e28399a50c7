from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from handbone_cli.errors import HandboneError
from handbone_cli.networks.weights import (
    file_digest,
    load_tensors,
    own_tensors,
    restore_tensors,
    save_tensors,
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
