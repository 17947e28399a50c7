from __future__ import annotations

import errno
import functools
import os
import shutil
import signal
import threading
from dataclasses import dataclass, field

import numpy as np
import pytest

from handbone_cli import files
from handbone_cli.commands.wiring.filling import predict_all, write_all
from handbone_cli.data.sources import from_files
from handbone_cli.errors import HandboneError, InterruptedRunError
from handbone_cli.host.interfaces import Sample
from handbone_cli.prediction.predictor import Prepared, boxed
from handbone_cli.store.store import Store, StoreWriter
from handbone_cli.testing.tiny import draw_tiny_hand, write_png

COUNT = 7


@dataclass
class Threshold:
    """A predictor: an image's two halves of grey are its bones."""

    device: list[int] = field(default_factory=list)
    predicted: list[np.ndarray] = field(default_factory=list)
    boxing: list[str] = field(default_factory=list)
    before: object = None

    def prepare(self, grey):
        height, width = grey.shape
        return Prepared(grey[None].copy(), (height, width), (0, height, 0, width))

    def begin(self, prepared):
        self.device.append(threading.get_ident())
        self.predicted.append(prepared)
        if self.before:
            self.before(len(self.predicted))
        return functools.partial(self.box, prepared)

    def box(self, prepared):
        self.boxing.append(threading.current_thread().name)
        return boxed(np.concatenate([prepared.image, 255 - prepared.image]), prepared)


@pytest.fixture
def films(tmp_path):
    for number in range(COUNT):
        write_png(tmp_path / "films" / f"{number}.png", draw_tiny_hand(number, 0, 64, 4)[0])
    return tmp_path / "films"


def fill(films, store, predictor, workers, samples=None):
    samples = samples or from_files(str(films))
    order = [sample.image_id for sample in samples]
    writer = StoreWriter(store, ("light", "dark"), {"model": "threshold"}, order, None)
    jobs = ((sample, predictor, False) for sample in samples)
    return write_all(writer, jobs, len(samples), workers)


def content(folder):
    return {p.name: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("workers", [1, 3])
def test_a_store_made_in_threads_is_the_one_made_without_to_the_byte(films, tmp_path, workers):
    (films / "3.png").write_bytes(b"")
    (films / "5.png").write_bytes((films / "5.png").read_bytes()[:-20])
    said = [fill(films, tmp_path / name, Threshold(), n) for name, n in (("a", 0), ("b", workers))]
    assert said[0] == said[1]
    assert [line.split(": ")[0] for line in said[1]] == [str(films / n) for n in ("3.png", "5.png")]
    first = content(tmp_path / "a")
    assert len(first) == COUNT - 2 + 1
    assert content(tmp_path / "b") == first
    assert not [t for t in threading.enumerate() if t.name.startswith(("ahead", "behind"))]


def test_the_device_is_used_by_one_thread_and_nothing_is_done_twice(films, tmp_path):
    one = Threshold()
    fill(films, tmp_path / "s", one, 2)
    assert set(one.device) == {threading.get_ident()}
    assert len(one.predicted) == COUNT
    write_png(films / "2.png", draw_tiny_hand(9, 0, 64, 4)[0])
    again = Threshold()
    assert fill(films, tmp_path / "s", again, 2) == []
    assert len(again.predicted) == 1


@pytest.mark.parametrize("workers", [0, 2])
def test_ctrl_c_finishes_the_image_and_the_same_again_goes_on(films, tmp_path, workers):
    def press(count):
        if count == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(InterruptedRunError, match=r"^stopped after 3 of 7 images; run the same"):
        fill(films, tmp_path / "s", Threshold(before=press), workers)
    assert list(Store.open(tmp_path / "s").images) == ["0", "1", "2"]
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == ["images", "manifest.json"]
    rest = Threshold()
    fill(films, tmp_path / "s", rest, workers)
    assert len(rest.predicted) == 4
    fill(films, tmp_path / "whole", Threshold(), 0)
    assert content(tmp_path / "s") == content(tmp_path / "whole")


def test_a_second_ctrl_c_breaks_off_and_keeps_what_is_done(films, tmp_path):
    def press(count):
        if count == 3:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fill(films, tmp_path / "s", Threshold(before=press), 1)
    assert list(Store.open(tmp_path / "s").images) == ["0", "1"]
    assert not (tmp_path / "s" / "writer.lock").exists()


@pytest.mark.parametrize("workers", [0, 1])
def test_a_full_disk_stops_at_once_and_keeps_what_was_written(
    films, tmp_path, monkeypatch, workers
):
    real = files.write_bytes
    written = []

    def full(path, data):
        if path.suffix == ".npz" and len(written) == 2:
            raise files.explain(OSError(errno.ENOSPC, "full"), path, "write it")
        written.append(path)
        real(path, data)

    monkeypatch.setattr("handbone_cli.store.boxes.write_bytes", full)
    predictor = Threshold()
    with pytest.raises(HandboneError, match=r"2\.npz: cannot write it: the disk is full"):
        fill(films, tmp_path / "s", predictor, workers)
    assert len(predictor.predicted) <= 6
    assert list(Store.open(tmp_path / "s").images) == ["0", "1"]
    monkeypatch.undo()
    fill(films, tmp_path / "s", Threshold(), workers)
    assert Store.open(tmp_path / "s").image_ids == [str(n) for n in range(COUNT)]


def test_only_a_few_images_are_in_memory(films, tmp_path):
    """Reading waits for the device: two ahead and the one that is next."""
    samples, read = from_files(str(films)), []

    def noted(sample):
        def read_image():
            read.append(sample.image_id)
            return sample.read_image()

        return Sample(sample.image_id, sample.person, read_image, path=sample.path)

    most = []
    predictor = Threshold(before=lambda count: most.append(len(read) - count))
    fill(films, tmp_path / "s", predictor, 1, [noted(sample) for sample in samples])
    assert max(most) <= 2


@pytest.mark.parametrize("workers", [0, 1])
def test_boxes_are_made_off_the_devices_thread_but_not_far_behind(films, tmp_path, workers):
    gate, waiting = threading.Event(), []

    class Slow(Threshold):
        def box(self, prepared):
            if workers:
                assert gate.wait(10)
            return super().box(prepared)

    def begun(count):
        waiting.append(count - 1 - len(predictor.boxing))
        if workers and count == 3:  # two images are on the device while the first is boxed
            gate.set()

    predictor = Slow(before=begun)
    assert fill(films, tmp_path / "s", predictor, workers) == []
    name = "behind_0" if workers else threading.main_thread().name
    assert predictor.boxing == [name] * COUNT
    assert max(waiting) == (2 if workers else 0)


def test_what_the_boxes_raise_stops_all(films, tmp_path):
    class Broken(Threshold):
        def box(self, prepared):
            if len(self.boxing) == 1:
                raise HandboneError("it cannot be done.")
            return super().box(prepared)

    with pytest.raises(HandboneError, match="it cannot be done"):
        fill(films, tmp_path / "s", Broken(), 1)
    assert list(Store.open(tmp_path / "s").images) == ["0"]


def test_shares_of_the_jobs_are_the_whole(films):
    """What several processes would do, each with its part of the samples."""
    samples, predictor = from_files(str(films)), Threshold()
    jobs = [(sample, predictor, False) for sample in samples]
    alone = list(predict_all(jobs, lambda *_: False, 0))
    shares = [list(predict_all(jobs[rank::2], lambda *_: False, 1)) for rank in range(2)]
    for number, one in enumerate(alone):
        other = shares[number % 2][number // 2]
        assert other.entry((64, 64)) == one.entry((64, 64))
        assert np.array_equal(other.boxes().boxes, one.boxes().boxes)


def test_what_stops_a_reader_stops_the_whole(films, tmp_path):
    def broken(_grey):
        raise HandboneError("preprocess: it cannot be done.")

    predictor = Threshold()
    predictor.prepare = broken
    shutil.rmtree(tmp_path / "s", ignore_errors=True)
    with pytest.raises(HandboneError, match="it cannot be done"):
        fill(films, tmp_path / "s", predictor, 2)
    assert not (tmp_path / "s").exists()
