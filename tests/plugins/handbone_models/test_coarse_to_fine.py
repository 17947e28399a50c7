"""The geometry between the two passes: what the fine one says returns to where it looked."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from handbone_cli import ModelContext
from handbone_datasets.scene import draw_scene
from handbone_models import coarse_to_fine
from handbone_models.coarse_to_fine import NOTHING, CoarseToFine, build
from handbone_models.compact_options import CoarseToFineOptions

SIZE = 240
LIGHT = CoarseToFineOptions(
    coarse_size=96, fine_size=192, coarse_features=(4, 4), fine_features=(4, 4), refuse=False
)


class Told(nn.Module):
    """A coarse pass that knows the truth (29, h, w)."""

    divisor = 4

    def __init__(self, truth):
        super().__init__()
        self.truth = truth

    def forward(self, images):
        size = tuple(images.shape[-2:])
        return nn.functional.interpolate(self.truth[None] * 20 - 10, size, mode="area")


class Echo(nn.Module):
    """A fine pass that says what it sees, for every class."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, images):
        self.seen.append(images[0, 0].numpy())
        return images[:, :1].expand(-1, 29, -1, -1)


def a_film(seed, size=(SIZE, SIZE)):
    """The masks (29, h, w) of the hands on a film, and their union blurred as the film."""
    side = max(size)
    planes = np.zeros((29, side, side), np.uint8)
    hands = draw_scene((seed,), side, "film")
    for placed in hands:
        for bone, outline in enumerate(placed.outlines()):
            cv2.fillPoly(planes[bone], [np.rint((outline - 0.5) * 16).astype(np.int32)], 1, 8, 4)
    planes = planes[:, : size[0], : size[1]]
    film = cv2.GaussianBlur(planes.max(axis=0).astype(np.float32), (0, 0), 3)
    return torch.from_numpy(planes.astype(np.float32)), torch.from_numpy(film), hands


def with_passes(truth):
    model = CoarseToFine(LIGHT, 1, 29).eval()
    model.coarse, model.fine = Told(truth), Echo()
    return model


@pytest.mark.parametrize("seed", [0, 2, 3, 8])
def test_what_the_fine_pass_sees_comes_back_to_its_place(seed):
    truth, film, hands = a_film(seed)
    model = with_passes(truth)
    with torch.inference_mode():
        logits = model(film[None, None])[0]
    assert len(model.fine.seen) == len(hands)
    palm = truth[[2, 6, 10, 14, 18, *range(19, 27)]].amax(dim=0) > 0
    near = torch.from_numpy(cv2.dilate(palm.numpy().astype(np.uint8), np.ones((25, 25)))) > 0
    together = np.corrcoef(logits[0][near].numpy(), film[near].numpy())[0, 1]
    assert together > 0.97


def test_the_fine_pass_sees_a_right_hand_upright_whatever_lies_on_the_film():
    seen, films = [], []
    for seed in (0, 2, 3):
        truth, film, _ = a_film(seed)
        films.append(film.numpy().ravel())
        model = with_passes(truth)
        with torch.inference_mode():
            model(film[None, None])
        seen.append(model.fine.seen[0].ravel())
    assert np.corrcoef(films).min() < 0.2
    assert np.corrcoef(seen).min() > 0.35  # different hands in one pose


def test_a_mirrored_film_shows_the_fine_pass_the_same():
    truth, film, _ = a_film(0)
    seen = []
    for flip in (False, True):
        model = with_passes(truth.flip(-1) if flip else truth)
        with torch.inference_mode():
            model((film.flip(-1) if flip else film)[None, None])
        seen.append(model.fine.seen[0])
    np.testing.assert_allclose(seen[0], seen[1], atol=0.05)


def test_exposure_does_not_matter():
    truth, film, _ = a_film(3)
    model = with_passes(truth)
    with torch.inference_mode():
        first, second = model(film[None, None]), model(film[None, None] * 7 + 3)
    torch.testing.assert_close(first, second, atol=2e-3, rtol=0)


def test_no_hand_no_bones_and_no_fault():
    model = with_passes(torch.zeros(29, SIZE, SIZE))
    with torch.inference_mode():
        logits = model(torch.zeros(2, 1, 96, 120))
    assert logits.shape == (2, 29, 96, 120)
    assert torch.isfinite(logits).all()


def test_what_the_fine_pass_does_not_outline_as_a_hand_is_refused(monkeypatch):
    truth, film, hands = a_film(0)
    model = with_passes(truth)
    with torch.inference_mode():
        kept = model(film[None, None])
        model.refuses = True
        refused = model(film[None, None])  # an echo has every bone everywhere
        assert (refused == NOTHING).all()
        monkeypatch.setattr(coarse_to_fine, "shows_hand", lambda _shares: True)
        torch.testing.assert_close(model(film[None, None]), kept)
    assert len(hands) == 1


def test_of_two_hands_one_may_be_refused(monkeypatch):
    seed = next(s for s in range(100) if len(draw_scene((s,), SIZE, "film")) == 2)
    truth, film, _ = a_film(seed)
    model = with_passes(truth)
    model.refuses = True
    answers = iter([True, False])
    monkeypatch.setattr(coarse_to_fine, "shows_hand", lambda _shares: next(answers))
    blended = []
    monkeypatch.setattr(
        coarse_to_fine, "_blended", lambda whole, fine, _squares: blended.append(fine) or whole
    )
    with torch.inference_mode():
        model(film[None, None])
    assert len(model.fine.seen) == 2
    assert len(blended[0]) == 1


def test_only_the_29_bones_are_refused_and_not_in_training():
    assert CoarseToFineOptions().refuse
    options = LIGHT.model_copy(update={"refuse": True})
    assert not CoarseToFine(options, 1, 5).refuses
    model = CoarseToFine(options, 1, 29).train()
    assert model.refuses
    assert model(torch.zeros(1, 1, 64, 64)).requires_grad


def test_training_leaves_the_coarse_pass_alone():
    model = build(LIGHT, ModelContext(classes=5, in_channels=2)).train()
    before = {name: value.clone() for name, value in model.coarse.state_dict().items()}
    model(torch.randn(2, 2, 64, 48)).square().mean().backward()
    assert all(
        torch.equal(before[name], value) for name, value in model.coarse.state_dict().items()
    )
    assert all(each.grad is None for each in model.coarse.parameters())
    assert all(each.grad is not None for each in model.fine.parameters())


def test_a_square_is_whole_pixels():
    with pytest.raises(ValueError, match="multiple of 32, not 100"):
        CoarseToFineOptions(fine_size=100)
