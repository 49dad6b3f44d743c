"""`Hosts`: the names by which clients may ask for the metrics. It keeps web pages from reading them through a browser.

A web page may read only what comes from the name that it came from itself. But whoever owns that name can have it mean this
machine a moment later ("DNS rebinding"): then the browser asks us, and lets the page read the answer. What betrays it is the
`Host` of the request, which is still the name of the page. So names are rejected that a web site can have.

Only connections within this machine are held to that. What other machines reach, they reach by names that we cannot know, and
so can an attacker, without any browser.
"""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING

from tallymark.metric.validation import check_type

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Hosts", "is_loopback"]

_PORT = re.compile(r":[0-9]*\Z")
_IPV6 = re.compile(r"\[[^\[\]]*\]")
_NAME = re.compile(r"[^][,/@:\s]*")
_PRIVATE = frozenset(("localhost", "local", "internal"))
"""Last parts of names that no web site can have: RFC 6761, RFC 6762, and the one that ICANN reserved for private use."""


class Hosts:
    """The names by which clients may ask.

    Args:
        bound: the host that is listened on.
        names: further names; `"*"` stands for all. If given, connections of other machines are held to the names too.

    Raises:
        TypeError: `names` is not a collection of `str`.
        ValueError: a name is not valid.
    """

    def __init__(self, bound: str, names: Iterable[str] | None = None) -> None:
        self._everywhere = names is not None
        self._names = {_name_of(bound), _name_of(socket.gethostname()), *_checked(names)}

    def admits(self, host: str, *, within_machine: bool) -> bool:
        """Return True for a `Host` that a request may have; it is empty where there is none, which no browser sends."""
        if not (within_machine or self._everywhere) or "*" in self._names:
            return True
        name = _name_of(host)
        return name in self._names or _is_no_web_site(name)


def _checked(names: Iterable[str] | None) -> list[str]:
    if isinstance(names, str):
        raise TypeError(f"hosts must be a collection of names, not a str; for one name, hosts=({names!r},)")
    if not (names is None or hasattr(names, "__iter__")):
        raise TypeError(f"hosts must be a collection of names, not {type(names).__name__}")
    found = list(names or ())
    for name in found:
        check_type("a name in hosts", name, str)
        if not name or "/" in name or " " in name:
            raise ValueError(f"{name!r} in hosts is not a name of a host; one looks like 'metrics.example.org'")
    return [_name_of(name) for name in found]


def _name_of(host: str) -> str:
    """Return the name in a `Host`: without the port, in lower case."""
    return _PORT.sub("", host.strip()).removesuffix(".").lower()


def _is_no_web_site(name: str) -> bool:
    """Return True for an address, and for a name that nobody on the internet can own."""
    if not _NAME.fullmatch(name):  # two names, for one
        return _IPV6.fullmatch(name) is not None
    _, dot, last = name.rpartition(".")
    return not dot or last.isdigit() or last in _PRIVATE


def is_loopback(address: str) -> bool:
    """Return True for an address that only this machine can connect to."""
    return address == "::1" or address.removeprefix("::ffff:").startswith("127.")
