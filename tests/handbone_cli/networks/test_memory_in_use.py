from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from handbone_cli.networks import memory_in_use as module
from handbone_cli.networks.memory_in_use import memory_in_use

CPU = torch.device("cpu")


def gib():
    return float(re.fullmatch(r"process (\d+\.\d) GiB", memory_in_use(CPU))[1])


@pytest.mark.skipif(not module.STATISTICS.exists(), reason="no /proc")
def test_what_the_process_holds_now():
    before = gib()
    block = np.empty(2**28, np.uint8)  # 1/4 GiB of addresses
    assert abs(gib() - before) < 0.15
    block.fill(1)
    assert before + 0.15 < gib() < before + 0.35
    del block
    assert abs(gib() - before) < 0.15


def test_where_the_system_tells_the_most_alone_it_is_called_so(monkeypatch):
    monkeypatch.setattr(module, "STATISTICS", Path("/nowhere"))
    assert re.fullmatch(r"process at most \d+\.\d GiB", memory_in_use(CPU))


def test_a_gpu(monkeypatch):
    gibs = {"memory_reserved": 12.34, "max_memory_allocated": 11}
    for name, value in gibs.items():
        monkeypatch.setattr(torch.cuda, name, lambda _device, value=value: int(value * 2**30))
    whole = SimpleNamespace(total_memory=80 * 2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: whole)
    line = memory_in_use(torch.device("cuda"))
    assert line == "GPU 12.3 of 80.0 GiB, tensors at most 11.0"


def test_what_is_free_is_the_less_of_machine_and_container(monkeypatch, tmp_path):
    machine, container = tmp_path / "meminfo", tmp_path / "cgroup"
    monkeypatch.setattr(module, "MACHINE", machine)
    monkeypatch.setattr(module, "CONTAINER", container)
    assert module.available() is None
    machine.write_text("MemTotal: 9000 kB\nMemAvailable:    5000 kB\n")
    assert module.available() == 5000 * 1024
    container.mkdir()
    (container / "memory.current").write_text("1000000\n")
    for limit, free in (("max", 5000 * 1024), ("3000000", 2000000), ("900000", 0)):
        (container / "memory.max").write_text(f"{limit}\n")
        assert module.available() == free
