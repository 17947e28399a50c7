from __future__ import annotations

import hashlib

import pytest
import torch

from handbone_cli.networks.match import Match, few
from handbone_cli.networks.weights import open_tensors, save_tensors

NETWORK = {"bias": (3,), "core.a": (4, 5), "core.b": (7,), "core.head": (3, 4)}


@pytest.fixture
def make(tmp_path):
    def make(class_names=("x", "y"), **changes):
        path = tmp_path / "w.safetensors"
        save_tensors(path, {"t": torch.zeros(1)}, {"class_names": class_names})
        given = {
            "file": open_tensors(path),
            "class_names": ("x", "y", "z"),
            "network": NETWORK,
            "whole": {"core.a": "core.a", "core.b": "core.b"},
            "rows": {"core.head": ("core.head", (0,))},
            "heads": frozenset({"bias", "core.head"}),
            "sources": (0, 1, None),
            "brought": (True, True, False),
            "bias": "bias",
            "missing": (),
            "extra": (),
            "other_shape": {},
        }
        return Match(**given | changes)

    return make


def test_counts_and_the_report_of_classes_by_name(make):
    match = make()
    assert match.tensors == (4, 4)
    assert match.share == pytest.approx((20 + 7 + 8 + 2) / (3 + 20 + 7 + 12))
    assert match.complete
    assert match.report() == (
        f"{match.file.path}: 4 of 4 tensors loaded, 88.1 % of the parameters\n"
        "  2 of 3 classes by name: x, y\n"
        "  from the data's prior: z"
    )


def test_a_file_that_brings_all_is_one_line(make):
    whole = {name: name for name in NETWORK if name != "bias"}
    all_of_them = {"rows": {}, "whole": whole, "sources": (0, 1, 2), "brought": (True,) * 3}
    match = make(("x", "y", "z"), **all_of_them)
    assert match.report() == f"{match.file.path}: 4 of 4 tensors loaded, 100.0 % of the parameters"
    bare = make((), **all_of_them, bias=None)
    assert (bare.tensors, bare.share) == ((3, 3), 1.0)
    assert bare.report() == (
        f"{bare.file.path}: 3 of 3 tensors loaded, 100.0 % of the parameters\n"
        "  the file names no classes: they are taken to be this dataset's, in order"
    )


def test_the_report_of_what_is_left_out(make):
    match = make(
        whole={"core.a": "core.a"},
        rows={},
        brought=(False,) * 3,
        missing=("core.b",),
        extra=tuple(f"e{n}" for n in range(10)),
        other_shape={"core.head": (9, 4)},
    )
    assert match.tensors == (1, 4)
    assert not match.complete
    assert match.report() == (
        f"{match.file.path}: 1 of 4 tensors loaded, 47.6 % of the parameters\n"
        "  2 of 3 classes by name: x, y\n"
        "  not in the file: core.b\n"
        "  not in the network: e0, e1, e2, e3, e4, e5, e6, e7 and 2 more\n"
        "  other shape: core.head (9, 4) in the file, (3, 4) in the network\n"
        "  from the data's prior: x, y, z"
    )
    assert match.mismatch() == (
        "1 of its 4 tensors not in the file (core.b), 10 in the file alone (e0, e1, e2 and 7 more),"
        " 1 of another shape (core.head (9, 4) in the file, (3, 4) in the network)"
    )


def test_nearly_all_is_not_all(make):
    big = {**NETWORK, "core.a": (1000, 1000)}
    assert "99.9 % of the parameters" in make(network=big).report()


def test_what_is_of_a_class_alone_may_be_missing_and_the_rest_is_complete(make):
    assert make(rows={}, missing=("core.head",)).complete
    assert make(rows={}, other_shape={"core.head": (9, 4)}).complete
    assert not make(missing=("core.b",)).complete
    assert not make(other_shape={"core.b": (9, 4)}).complete


def test_what_run_json_keeps(make):
    match = make(missing=("core.b",), extra=("e",), other_shape={"core.c": (9, 4)})
    assert match.facts() == {
        "file": str(match.file.path),
        "sha256": hashlib.sha256(match.file.path.read_bytes()).hexdigest(),
        "loaded": 4,
        "tensors": 4,
        "share": 0.881,
        "class_names": ["x", "y"],
        "missing": ["core.b"],
        "extra": ["e"],
        "other_shape": {"core.c": [9, 4]},
    }


def test_few_names():
    assert few(["a", "b"], 2) == "a, b"
    assert few(["a", "b", "c"], 2) == "a, b and 1 more"
