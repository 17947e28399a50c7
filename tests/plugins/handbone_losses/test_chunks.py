"""What holds for every loss that is evaluated in chunks of classes."""

from __future__ import annotations

import pytest
import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from handbone_cli import unpack_labels
from handbone_losses.chunks import ClassLoss, unpack_part, weighted_sum

LOSSES = {
    "bce": {},
    "focal": {"gamma": 1.5, "alpha": 0.3},
    "dice": {},
    "generalized_dice": {},
    "jaccard": {"batch": False},
    "tversky": {},
    "focal_tversky": {},
    "lovasz": {},
    "pixel_weighted_bce": {"sigma": 1.0},
    "boundary": {"reach": 3},
    "overlap": {},
}
every_loss = pytest.mark.parametrize(("name", "options"), LOSSES.items(), ids=LOSSES)


class LiveTensors(TorchDispatchMode):
    """Counts the bytes of all tensors made under it that are alive, and their peak."""

    def __init__(self, *given):
        super().__init__()
        self.given = {tensor.untyped_storage()._cdata for tensor in given}
        self.alive, self.peak = {}, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for each in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(each, torch.Tensor):
                storage = each.untyped_storage()
                if storage._cdata not in self.given:  # views of the logits are no copies
                    self.alive[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
        self.alive = {key: kept for key, kept in self.alive.items() if not kept[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self.alive.values()))
        return result


def gradient_of(loss, logits, labels):
    leaf = logits.clone().requires_grad_()
    value = loss(leaf, labels)
    value.backward()
    return value.detach(), leaf.grad


def plainly(loss, logits, labels):
    """The same by autograd alone, all classes at once."""
    leaf = logits.clone().requires_grad_()
    if isinstance(loss, ClassLoss):
        targets = unpack_labels(labels, logits.shape[1], logits.dtype)
        known = loss.prepare(labels, logits.shape[1])
        value = loss.value(loss.measure(leaf, targets, known))
    else:
        probabilities, truth = leaf.sigmoid(), unpack_labels(labels, logits.shape[1]).bool()
        both = [truth[:, a] & truth[:, b] for a, b in loss.pairs]
        lower = [torch.minimum(probabilities[:, a], probabilities[:, b]) for a, b in loss.pairs]
        missing = [(loss.confidence - p[here]).relu() for p, here in zip(lower, both, strict=True)]
        value = torch.stack([each.mean() for each in missing]).mean()
    value.backward()
    return value.detach(), leaf.grad


@every_loss
def test_value_and_gradient_are_those_of_plain_autograd(build, batch, pack, name, options):
    logits, targets = batch
    loss, labels = build(name, **options), pack(targets)
    value, gradient = gradient_of(loss, logits, labels)
    expected, slopes = plainly(loss, logits, labels)
    assert torch.allclose(value, expected, rtol=1e-6)
    assert torch.allclose(gradient, slopes, rtol=1e-4, atol=1e-8)
    assert gradient.abs().sum() > 0


@every_loss
def test_gradcheck(build, batch, pack, name, options):
    if name == "lovasz":
        pytest.skip("smp computes it in float32")
    logits, labels = batch[0][:, :, :3, :3].double(), pack(batch[1][:, :, :3, :3])
    loss = build(name, **options)
    leaf = logits.clone().requires_grad_()
    assert loss(leaf, labels).dtype == torch.float64
    assert torch.autograd.gradcheck(lambda x: 3 * loss(x, labels), leaf)


@every_loss
@pytest.mark.parametrize("chunk", [1, 2 * 8 * 6 * 4, 10**9])
def test_the_chunk_changes_nothing(build, batch, pack, name, options, chunk):
    if name == "overlap":
        pytest.skip("it goes through pairs, not chunks")
    logits, targets = batch
    loss, labels = build(name, **options), pack(targets)
    value, gradient = gradient_of(loss, logits, labels)
    loss.chunk = chunk
    other, slopes = gradient_of(loss, logits, labels)
    assert torch.allclose(value, other, rtol=1e-6)
    assert torch.allclose(gradient, slopes, rtol=1e-5, atol=1e-9)


@every_loss
@pytest.mark.parametrize("truth", [0, 1])
@pytest.mark.parametrize("logit", [-60000.0, -15.0, 0.0, 15.0, 60000.0])
def test_empty_and_full_masks_at_the_ends_of_float16(build, pack, name, options, truth, logit):
    labels = pack(torch.full((2, 9, 4, 3), truth))
    logits = torch.full((2, 9, 4, 3), logit, dtype=torch.float16)
    value, gradient = gradient_of(build(name, **options), logits, labels)
    assert (value.dtype, gradient.dtype) == (torch.float32, torch.float16)
    assert value.isfinite()
    assert gradient.isfinite().all()
    away = (-1 if truth else 1) * gradient.float()  # descent goes to the truth or nowhere
    assert (away >= 0).all()


@every_loss
def test_bfloat16_under_autocast_is_computed_in_float32(build, batch, pack, name, options):
    logits, labels = batch[0].bfloat16(), pack(batch[1])
    loss = build(name, **options)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value, gradient = gradient_of(loss, logits, labels)
    expected, slopes = gradient_of(loss, logits.float(), labels)
    assert gradient.dtype == torch.bfloat16
    assert torch.equal(value, expected)
    assert torch.equal(gradient, slopes.bfloat16())


def test_a_scaled_gradient_does_not_underflow_in_float16(build, pack):
    logits = torch.zeros(1, 9, 64, 64, dtype=torch.float16, requires_grad=True)
    loss = build("bce")(logits, pack(torch.zeros(1, 9, 64, 64)))
    (loss * 2.0**-10).backward()
    assert logits.grad.abs().max() == 0  # 0.5 / 36864 / 1024 is under half of float16's least
    logits.grad = None
    (build("bce")(logits, pack(torch.zeros(1, 9, 64, 64))) * 2.0**10).backward()
    assert torch.allclose(logits.grad.float(), torch.tensor(512 / 36864), rtol=1e-3)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_any_layout(build, batch, pack, layout):
    logits = batch[0].clone().contiguous(memory_format=layout).requires_grad_()
    build("dice")(logits, pack(batch[1])).backward()
    assert logits.grad.is_contiguous(memory_format=layout)
    expected = gradient_of(build("dice"), batch[0], pack(batch[1]))[1]
    assert torch.allclose(logits.grad, expected, rtol=1e-5, atol=1e-9)


def test_parts_of_packed_labels(batch, pack):
    labels = pack(batch[1])
    for part in (slice(0, 3), slice(6, 9), slice(8, 9)):
        expected = batch[1][:, part].float()
        assert torch.equal(unpack_part(labels, part, torch.float32), expected)


def test_terms_are_added_with_their_weights_into_one_gradient(build, batch, pack):
    logits, labels = batch[0].requires_grad_(), pack(batch[1])
    terms = [(0.4, build("dice")), (2.0, build("bce")), (0.3, build("overlap"))]
    value = weighted_sum(terms, logits, labels)
    (gradient,) = torch.autograd.grad(5 * value, logits)
    single = [(w, *gradient_of(loss, logits.detach(), labels)) for w, loss in terms]
    assert value.item() == pytest.approx(sum(w * v.item() for w, v, _ in single))
    assert torch.allclose(gradient, 5 * sum(w * g for w, _, g in single), rtol=1e-5, atol=1e-9)


def measured(loss, labels, classes=29, side=64):
    """Copies of the logits at the peak of forward and backward, logits and gradient included."""
    logits = torch.randn(2, classes, side, side, requires_grad=True)
    with LiveTensors(logits, labels) as live:
        loss(logits, labels).backward()
    return 1 + live.peak / (4 * logits.numel())


ONE_CLASS = 2 * 64 * 64
COMBINED = [{"name": "focal"}, {"name": "dice"}, {"name": "overlap", "pairs": [["c0", "c1"]]}]


@pytest.mark.parametrize(
    ("name", "options"),
    [*LOSSES.items(), ("combined", {"terms": COMBINED})],
    ids=[*LOSSES, "combined"],
)
def test_peak_memory_is_logits_gradient_and_a_chunk(build, monkeypatch, name, options):
    monkeypatch.setattr(ClassLoss, "chunk", ONE_CLASS)
    labels = torch.zeros(2, 64, 64, 4, dtype=torch.uint8)
    labels[:, 20:30, 30:36] = 255
    assert 2 <= measured(build(name, **options), labels) <= 2.6


def test_the_meter_sees_the_copies_of_plain_autograd():
    from segmentation_models_pytorch import losses

    targets = torch.randint(0, 2, (2, 29, 64, 64))
    assert measured(losses.DiceLoss("multilabel"), targets) > 4
