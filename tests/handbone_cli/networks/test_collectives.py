"""Two processes over gloo; what they found is compared with one process that has it all."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from handbone_cli.host.registry import installed
from handbone_cli.networks import collectives
from handbone_cli.networks.build import build_loss
from handbone_cli.runs.launch import environment_of, free_port

SCRIPT = Path(__file__).with_name("two_processes.py")


def load_script():
    spec = importlib.util.spec_from_file_location("two_processes", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


two = load_script()


@pytest.mark.slow  # 8 s: two processes that import torch
def test_two_processes(tmp_path):
    found = run_both(tmp_path)
    for each in found:
        check_losses(each)
        check_sums(each)
        check_memory(each, tmp_path)
        check_refusals(each)
        check_shards(each, tmp_path)
    assert found[0]["short"]["notes"][0].startswith(
        "out of memory with a batch of 4: going on with 2"
    )
    assert [each["files"] for each in found] == [["best.safetensors", "last.safetensors"], []]


def run_both(folder):
    port = free_port()
    started = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), str(folder)],
            env={**environment_of(number, 2, port), "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    for process in started:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    return [json.loads((folder / f"{number}.json").read_text()) for number in range(2)]


def check_losses(found):
    """A loss of two halves is that of the whole batch, and so is its gradient."""
    for table, mine in zip(two.LOSSES, found["losses"], strict=True):
        loss = build_loss(two.recipe_of(table), installed(), list("abc"))
        value, gradient = two.value_and_gradient(loss, *two.batch())
        assert gradient.abs().max() > 0
        assert mine["value"] == pytest.approx(float(value), rel=1e-6), table
        halves = torch.tensor(mine["gradient"]).flatten(0, 1)
        torch.testing.assert_close(halves, gradient, rtol=1e-5, atol=1e-9)


def check_sums(found):
    assert found["averaged"] == [[[1.5] * 5] * 3, [0.5, 0.5]]
    assert found["alike"] == [[0.0, 0.0], [0.0, 0.0]]
    assert found["any"] == [True, False]
    assert found["sum"] == [2.0, 1.0]
    assert found["gathered"] == [0, 1, 2, 3, 4]
    assert found["collected"] == ["a", "b", "c"]
    # d/dS of S^2 in one process and 2 S^2 in the other, S = 3.
    assert found["slope"] == [2 * 3.0 * (1 + 2)]


def check_memory(found, folder):
    """One that is out of memory is heard of, and all go on with the same steps in more parts."""
    assert found["memory"]
    assert found["after"] == [4.0]
    (folder / "alone").mkdir(exist_ok=True)
    alone = two.trained(folder / "alone")
    short = found["short"]
    assert short["losses"] == pytest.approx(alone["losses"], rel=1e-5)
    assert short["images"] == alone["images"] == [4] * 4
    torch.testing.assert_close(torch.tensor(short["weights"]), torch.tensor(alone["weights"]))
    assert short["batch"] == [2, 2]


def check_shards(found, folder):
    """A model spread over both trains as a whole one does, and goes on to the same bits."""
    alone = two.trained(folder / "alone")
    assert found["spread"]["losses"] == pytest.approx(alone["losses"], rel=1e-5)
    torch.testing.assert_close(
        torch.tensor(found["spread"]["weights"]), torch.tensor(alone["weights"])
    )
    assert found["resumed"]["weights"] == found["spread"]["weights"]
    assert len(found["resumed"]["losses"]) == 1


def check_refusals(found):
    assert found["lovasz"].startswith("loss 'lovasz', option 'batch': sorts the pixels")
    assert found["uneven"] == (
        "train.batch_size = 3: 2 devices cannot share it evenly; set it to 4, or take another "
        "number of devices."
    )
    assert found["sync"].startswith("train.sync_batchnorm: PyTorch has SyncBatchNorm for GPUs")


def test_what_each_half_alone_would_give_is_another_loss():
    """So that the test above cannot pass by itself."""
    logits, labels = two.batch()
    for table in two.LOSSES:
        loss = build_loss(two.recipe_of(table), installed(), list("abc"))
        whole = float(loss(logits, labels))
        halves = [float(loss(logits[at], labels[at])) for at in (slice(2), slice(2, 4))]
        over_batch = table["name"] not in {"bce", "focal", "boundary"} and table.get("batch", True)
        assert (sum(halves) / 2 != pytest.approx(whole, rel=1e-4)) == over_batch, table


def test_one_process_alone_meets_nobody():
    leaf = torch.ones(2, requires_grad=True)
    assert collectives.sum_over_ranks(leaf) is leaf
    assert collectives.mean_over_ranks(2.5) == 2.5
    assert collectives.any_rank(True, False) == [True, False]
    assert collectives.gather([1, 2]) == [1, 2]
    network = torch.nn.Linear(1, 1)
    collectives.average_gradients(network.parameters())
    assert network.weight.grad is None
    collectives.join_ranks()
    assert not torch.distributed.is_initialized()


def test_gradients_go_in_buckets_of_one_type():
    parameters = [
        torch.nn.Parameter(torch.zeros(size, dtype=dtype))
        for size, dtype in zip((4, 4, 2, 9), [torch.float32] * 2 + [torch.float64] * 2, strict=True)
    ]
    before = collectives.BUCKET
    collectives.BUCKET = 40
    try:
        sizes = [[len(each) for each in bucket] for bucket in collectives._buckets(parameters)]
    finally:
        collectives.BUCKET = before
    assert sizes == [[4, 4], [2], [9]]
