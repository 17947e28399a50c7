from __future__ import annotations

import pytest
import torch

from handbone_cli.prediction.window_batch import WindowBatch

CPU = torch.device("cpu")


def crops(first, last):
    return torch.arange(float(first), float(last)).view(-1, 1, 1, 1)


def small(most, error, seen):
    """A device with room for so many windows."""

    def model(images):
        seen.append(len(images))
        if len(images) > most:
            raise error
        return images * 2

    return model


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        MemoryError(),
    ],
)
def test_a_batch_without_room_is_halved_and_remembered(error):
    seen, notes = [], []
    batch = WindowBatch(8, notes.append)
    for _ in range(2):  # two images
        made = list(batch.maps(small(3, error, seen), crops, 5, CPU))
        assert [number for number, _ in made] == [0, 1, 2, 3, 4]
        assert [maps.item() for _, maps in made] == [0, 2, 4, 6, 8]
    assert seen == [5, 2, 2, 1, 2, 2, 1]
    assert notes == ["out of memory with 5 windows at a time: going on with 2 (predict.batch_size)"]


def test_no_room_for_one_window_is_an_error():
    seen, notes = [], []
    model = small(0, torch.OutOfMemoryError(), seen)
    with pytest.raises(torch.OutOfMemoryError):
        list(WindowBatch(2, notes.append).maps(model, crops, 2, CPU))
    assert seen == [2, 1]


def test_other_errors_are_not_about_memory():
    seen = []
    with pytest.raises(RuntimeError, match="shapes"):
        list(WindowBatch(4).maps(small(0, RuntimeError("shapes"), seen), crops, 4, CPU))
    assert seen == [4]


def test_a_cpu_takes_one_window_at_a_time():
    seen = []
    list(WindowBatch().maps(small(9, MemoryError(), seen), crops, 3, CPU))
    assert seen == [1, 1, 1]
