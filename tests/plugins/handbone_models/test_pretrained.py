from __future__ import annotations

import contextlib
from urllib.error import URLError

import pytest
from huggingface_hub import constants

from handbone_cli import HandboneError
from handbone_models import offline
from handbone_models.pretrained import explain_failure

WAYS_OUT = (
    "connect once, copy that folder from a computer that has them, start from a file with "
    "model.weights, or set `pretrained = false`."
)


@pytest.fixture
def hub_says(monkeypatch):
    """What is found of the hub, without asking a network."""

    def say(why):
        monkeypatch.setattr(offline, "quick_downloads", lambda: contextlib.nullcontext(why))

    return say


def test_a_failure_of_the_file_system_is_not_taken_for_the_network():
    with pytest.raises(PermissionError), explain_failure("m", "e", pretrained=False):
        raise PermissionError("denied")


@pytest.mark.parametrize(
    ("error", "reason"), [(KeyError("No weights."), "No weights"), (AssertionError(), "")]
)
def test_other_failures_keep_their_reason(error, reason):
    with pytest.raises(HandboneError) as caught, explain_failure("m", "e", pretrained=False):
        raise error
    assert (
        str(caught.value) == f"model 'm' cannot use encoder 'e': {reason}; choose another encoder."
    )


def test_a_failure_with_pretrained_weights_says_so(hub_says):
    hub_says("")
    with pytest.raises(HandboneError) as caught, explain_failure("m", "e", pretrained=True):
        raise RuntimeError("No pretrained weights exist.")
    assert str(caught.value) == (
        "model 'm' cannot use encoder 'e' with pretrained weights: No pretrained weights exist; "
        "choose another encoder."
    )


def test_a_bug_keeps_its_traceback_and_a_sentence_its_words(hub_says):
    hub_says("")
    with pytest.raises(AttributeError), explain_failure("m", "e", pretrained=True):
        raise AttributeError("x")
    with pytest.raises(HandboneError, match="mine"), explain_failure("m", "e", pretrained=True):
        raise HandboneError("mine")


class ConnectError(Exception):
    """As the hub's client raises it, which is no OSError."""


ConnectError.__module__ = "httpx._exceptions"


@pytest.mark.parametrize(
    ("why", "error", "reason"),
    [
        ("HF_HUB_OFFLINE is set", FileNotFoundError("x"), "HF_HUB_OFFLINE is set"),
        ("", FileNotFoundError("No file.\nSee there."), "FileNotFoundError: No file"),
        ("", ConnectError("reset"), "ConnectError: reset"),
    ],
)
def test_weights_of_the_hugging_face_hub(hub_says, monkeypatch, why, error, reason):
    hub_says(why)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", "/cache/hub")
    with pytest.raises(HandboneError) as caught, explain_failure("m", "e", pretrained=True):
        raise error
    assert str(caught.value) == (
        f"model 'm': the ImageNet weights of 'e' could not be downloaded ({reason}) and are not in "
        f"/cache/hub; {WAYS_OUT}"
    )


def test_weights_of_torchs_hub(hub_says, monkeypatch):
    hub_says("huggingface.co cannot be reached")
    monkeypatch.setenv("TORCH_HOME", "/cache")
    with pytest.raises(HandboneError) as caught, explain_failure("m", "e", pretrained=True):
        raise URLError("download.pytorch.org cannot be reached")
    assert str(caught.value) == (
        "model 'm': the ImageNet weights of 'e' could not be downloaded (download.pytorch.org "
        f"cannot be reached) and are not in /cache/hub/checkpoints; {WAYS_OUT}"
    )


def test_nothing_is_asked_of_a_network_without_pretraining(monkeypatch):
    monkeypatch.setattr(offline, "answers", lambda *_: pytest.fail("asked"))
    with explain_failure("m", "e", pretrained=False):
        pass
