from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest
from pydantic import ValidationError

from handbone_cli.host.interfaces import (
    ModelContext,
    NoOptions,
    Options,
    Sample,
    TrackerContext,
    WritableDataset,
)


class SizeOptions(Options):
    size: int = 3


def test_options_refuse_unknown_keys_and_never_change():
    with pytest.raises(ValidationError):
        SizeOptions(sise=3)
    with pytest.raises(ValidationError):
        NoOptions(size=3)
    options = SizeOptions()
    with pytest.raises(ValidationError):
        options.size = 4
    assert options.size == 3


def read_nothing():
    return np.zeros((1, 1), np.uint8)


def test_a_sample_is_frozen_and_can_go_to_a_worker():
    sample = Sample("image1", "ID1", read_nothing)
    assert (sample.read_labels, sample.path) == (None, None)
    assert [field.name for field in fields(sample)][:2] == ["image_id", "person"]
    with pytest.raises(FrozenInstanceError):
        sample.person = "ID2"
    assert pickle.loads(pickle.dumps(sample)) == sample


def test_context_defaults():
    assert ModelContext(29) == ModelContext(classes=29, in_channels=1, patch=(256, 256))
    assert TrackerContext(None, "run").recipe == {}


def test_a_dataset_is_writable_if_it_can_write():
    class Readable:
        def samples(self, split):
            return []

    class Writable(Readable):
        def write(self, root, report):
            pass

    assert isinstance(Writable(), WritableDataset)
    assert not isinstance(Readable(), WritableDataset)
