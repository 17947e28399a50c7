"""Downloads of weights that give up at once where there is plainly no network."""

from __future__ import annotations

import contextlib
import errno
import selectors
import socket
import threading
import time
import urllib.request
from typing import TYPE_CHECKING, Any, cast
from urllib.error import URLError
from urllib.parse import urlsplit

from huggingface_hub import constants, utils

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 2.5
"""Seconds that a host may take to answer; one that is there takes a tenth of one."""
UNDER_WAY = (0, errno.EINPROGRESS, errno.EWOULDBLOCK)
"""What a connection that is not waited for gives at first; anything else is a refusal."""
PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


@contextlib.contextmanager
def quick_downloads() -> Iterator[str]:
    """In this block a download fails at once where its host, or the proxy on the way, is silent.

    The Hugging Face hub tries a file for half a minute, torch's hub one for minutes. Files in
    their caches are found as ever. Gives why the Hugging Face hub is left alone, '' if it is not.
    """
    with _quick_urlopen(), contextlib.ExitStack() as stack:
        host = urlsplit(constants.ENDPOINT).hostname or constants.ENDPOINT
        if constants.HF_HUB_OFFLINE:
            yield "HF_HUB_OFFLINE is set"
        elif answers(*first_hop(constants.ENDPOINT)):
            yield ""
        else:
            stack.enter_context(_hub_offline())
            yield f"{host} cannot be reached"


@contextlib.contextmanager
def _hub_offline() -> Iterator[None]:
    """The hub as HF_HUB_OFFLINE=1 has it: its cache is read and nothing is asked."""
    # Releases before 1.0 keep sessions that know what they were opened under.
    forget = getattr(utils, "reset_sessions", lambda: None)
    constants.HF_HUB_OFFLINE = True
    forget()
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = False
        forget()


@contextlib.contextmanager
def _quick_urlopen() -> Iterator[None]:
    """`urlopen`, by which torch.hub downloads, knocks before it connects."""
    before = vars(urllib.request).get("_opener")
    urllib.request.install_opener(urllib.request.build_opener(_Knock))
    try:
        yield
    finally:
        urllib.request.install_opener(before)


class _Knock(urllib.request.BaseHandler):
    """Between urllib's handler of proxies, which may change the host, and those that connect."""

    handler_order = 300

    def http_open(self, request: urllib.request.Request) -> None:
        """Go on to the next handler, or fail."""
        host, port = first_hop(f"{request.type}://{request.host}", proxies=False)
        if not answers(host, port):
            raise URLError(f"{host} cannot be reached")

    https_open = http_open


def first_hop(url: str, *, proxies: bool = True) -> tuple[str, int]:
    """Host and port that a request for a URL connects to: the URL's own, or a proxy's."""
    parts = urlsplit(url)
    known = urllib.request.getproxies() if proxies else {}
    proxy = known.get(parts.scheme) or known.get("all")
    if proxy and not urllib.request.proxy_bypass(parts.hostname or ""):
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return parts.hostname or "", parts.port or PORTS.get(parts.scheme, 443)


def answers(host: str, port: int) -> bool:
    """Whether a host has a name and takes a connection within PATIENCE."""
    deadline = time.monotonic() + PATIENCE
    found: list[Any] = []

    def look_up() -> None:
        with contextlib.suppress(OSError, UnicodeError):
            found.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))

    # A resolver that nobody answers cannot be told to hurry.
    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return _any_connects([(family, address) for family, *_, address in found], deadline)


def _any_connects(addresses: list[tuple[int, Any]], deadline: float) -> bool:
    """All at once, for a host may have an IPv6 address that leads nowhere from here."""
    with contextlib.ExitStack() as stack:
        waiting = stack.enter_context(selectors.DefaultSelector())
        for family, address in addresses:
            with contextlib.suppress(OSError):
                opened = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
                opened.settimeout(0)
                if opened.connect_ex(address) in UNDER_WAY:
                    waiting.register(opened, selectors.EVENT_WRITE)
        while waiting.get_map() and (left := deadline - time.monotonic()) > 0:
            for key, _ in waiting.select(left):
                tried = cast("socket.socket", key.fileobj)
                if tried.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                    return True
                waiting.unregister(tried)
        return False
