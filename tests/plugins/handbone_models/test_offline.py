from __future__ import annotations

import contextlib
import socket
import threading
import time
import urllib.request
from urllib.error import URLError

import pytest
import timm
import torch
from huggingface_hub import constants, hf_hub_download
from huggingface_hub.utils import LocalEntryNotFoundError
from safetensors.torch import save_file

from handbone_models import offline
from handbone_models.offline import answers, first_hop, quick_downloads

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def listening():
    """The port of a server on this machine."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def closed():
    """A port of this machine where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
def hub_at(monkeypatch):
    def at(port):
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{port}")
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)

    return at


def seconds(action):
    started = time.monotonic()
    result = action()
    return result, time.monotonic() - started


def test_a_host_that_listens_answers_at_once(listening):
    answer, took = seconds(lambda: answers("127.0.0.1", listening))
    assert answer is True
    assert took < 0.3


def test_a_closed_port_and_a_name_that_nobody_has(closed, monkeypatch):
    assert answers("127.0.0.1", closed) is False
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: raise_(socket.gaierror()))
    assert answers("huggingface.co", 443) is False
    assert answers("", 443) is False


def raise_(error):
    raise error


def test_a_silent_resolver_is_not_waited_for(monkeypatch):
    never = threading.Event()
    monkeypatch.setattr(offline, "PATIENCE", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: never.wait(20) and [])
    answer, took = seconds(lambda: answers("huggingface.co", 443))
    never.set()
    assert answer is False
    assert took < 1


def test_a_silent_address_is_not_waited_for_and_another_one_wins(monkeypatch, listening):
    """A full queue of connections is as silent as a wall that drops packets."""
    monkeypatch.setattr(offline, "PATIENCE", 0.3)
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        silent = full.getsockname()
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(silent)
        answer, took = seconds(lambda: answers(*silent))
        if answer:
            pytest.skip("this system takes more connections than it was told to")
        assert 0.25 < took < 1
        both = [(socket.AF_INET, 1, 6, "", at) for at in (silent, ("127.0.0.1", listening))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
        assert answers("huggingface.co", 443) is True


def test_no_way_to_any_address_is_no_answer(monkeypatch):
    """A socket that refused to connect at once is not taken for one that did."""
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *_, **__: [(socket.AF_INET, 1, 6, "", ("255.255.255.255", 9))]
    )
    assert answers("huggingface.co", 443) is False


@pytest.mark.parametrize(
    ("environment", "url", "hop"),
    [
        ({}, "https://huggingface.co", ("huggingface.co", 443)),
        ({}, "http://mirror.here:8080/hub", ("mirror.here", 8080)),
        ({"https_proxy": "http://proxy:3128"}, "https://huggingface.co", ("proxy", 3128)),
        ({"https_proxy": "proxy:3128"}, "https://huggingface.co", ("proxy", 3128)),
        ({"http_proxy": "http://proxy:3128"}, "https://huggingface.co", ("huggingface.co", 443)),
        ({"all_proxy": "socks5://proxy"}, "https://huggingface.co", ("proxy", 1080)),
        (
            {"https_proxy": "http://proxy:3128", "no_proxy": "mirror.here"},
            "https://mirror.here",
            ("mirror.here", 443),
        ),
    ],
)
def test_the_first_hop_is_the_host_or_a_proxy(monkeypatch, environment, url, hop):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert first_hop(url) == hop


def test_a_hub_that_answers_is_left_as_it_is(hub_at, listening):
    hub_at(listening)
    with quick_downloads() as why:
        assert (why, constants.HF_HUB_OFFLINE) == ("", False)


def test_a_hub_that_is_silent_is_not_asked_in_the_block(hub_at, closed, tmp_path):
    hub_at(closed)
    with quick_downloads() as why:
        assert (why, constants.HF_HUB_OFFLINE) == ("127.0.0.1 cannot be reached", True)
        with pytest.raises(LocalEntryNotFoundError):
            hf_hub_download("a/b", "c", cache_dir=tmp_path)
    assert constants.HF_HUB_OFFLINE is False


def test_the_hub_is_asked_again_after_a_failure(hub_at, closed):
    hub_at(closed)
    with pytest.raises(ValueError), quick_downloads():
        raise ValueError
    assert constants.HF_HUB_OFFLINE is False


def test_a_user_who_wants_no_network_gets_no_knock(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(offline, "answers", lambda *_: pytest.fail("knocked"))
    with quick_downloads() as why:
        assert why == "HF_HUB_OFFLINE is set"
    assert constants.HF_HUB_OFFLINE is True


def test_weights_in_the_cache_need_no_network(hub_at, closed, monkeypatch, tmp_path):
    """As timm has them: by the branch `main`, whose commit the hub would be asked for."""
    hub_at(closed)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    made = timm.create_model("test_resnet")
    tag = made.pretrained_cfg["hf_hub_id"].replace("/", "--")
    repository = tmp_path / f"models--{tag}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    (repository / "snapshots" / ("0" * 40)).mkdir(parents=True)
    save_file(made.state_dict(), repository / "snapshots" / ("0" * 40) / "model.safetensors")
    with quick_downloads() as why:
        model = timm.create_model("test_resnet", pretrained=True)
        assert why
    assert torch.equal(model.conv1[0].weight, made.conv1[0].weight)


def test_torchs_hub_gives_up_at_once_and_reads_its_cache(monkeypatch, closed, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    url = f"http://127.0.0.1:{closed}/weights.pth"
    with quick_downloads():
        with pytest.raises(URLError) as caught:
            torch.hub.load_state_dict_from_url(url, progress=False)
        assert caught.value.reason == "127.0.0.1 cannot be reached"
        torch.save({"a": torch.ones(1)}, tmp_path / "hub" / "checkpoints" / "weights.pth")
        assert torch.hub.load_state_dict_from_url(url)["a"] == 1


def test_urlopen_knocks_at_the_proxy_and_is_put_back(monkeypatch, listening, closed):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed}")
    before = object()
    monkeypatch.setattr(urllib.request, "_opener", before)
    knocks = []
    monkeypatch.setattr(offline, "answers", lambda *at: knocks.append(at))
    with quick_downloads():
        for url in ("http://a.b/c", f"https://127.0.0.1:{listening}/c"):
            with pytest.raises(URLError):
                urllib.request.urlopen(url)
    assert knocks == [("127.0.0.1", closed), ("127.0.0.1", listening)]
    assert urllib.request._opener is before


def test_a_download_that_works_still_works(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        port = server.getsockname()[1]
        with quick_downloads():
            torch.hub.download_url_to_file(
                f"http://127.0.0.1:{port}/x", str(tmp_path / "x"), progress=False
            )
    assert (tmp_path / "x").read_bytes() == b"weights"


def serve(server):
    """Answer one request; a knock connects and asks for nothing."""
    while True:
        client, _ = server.accept()
        with client:
            if client.recv(1000):
                client.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\nweights")
                return
