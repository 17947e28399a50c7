from __future__ import annotations

import os

import pytest

from handbone_cli.runs.queue.executors.local import visible_gpus


@pytest.mark.parametrize(
    ("said", "gpus"),
    [
        ("", ()),
        ("4,7", ("4", "7")),
        (" 4 , GPU-ab ", ("4", "GPU-ab")),
        ("1,-1,2", ("1",)),
        ("-1", ()),
        ("NoDevFiles", ("NoDevFiles",)),
    ],
)
def test_what_cuda_visible_devices_leaves(said, gpus):
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": said}) == gpus


def test_else_all_that_nvidia_smi_lists(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert visible_gpus({}) == ()
    (tmp_path / "nvidia-smi").write_text(
        "#!/bin/sh\necho 'GPU 0: NVIDIA H200 (UUID: GPU-1)'\necho '  MIG 1g (UUID: MIG-1)'\n"
        "echo 'GPU 1: NVIDIA H200 (UUID: GPU-2)'\n"
    )
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.defpath}")
    assert visible_gpus({}) == ("0", "1")
