"""`Limits`: what clients may cost the process that serves them."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass

if sys.platform != "win32":
    import resource

__all__ = ["Limits", "most_descriptors"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What clients may cost. Durations are in seconds.

    The memory is at most `pages` pages of metrics and the one that is being made, and for each connection
    twice `head_bytes`, and `piece`. TLS holds twice `head_bytes` more, two of its records, and what OpenSSL needs;
    where clients must have a certificate, 100 KiB more until they have shown it.

    Attributes:
        head: how long the head of a request may take to arrive.
        head_bytes: how many bytes it may have.
        page: how long a client waits for its page to be made. Then it gets a status 503.
        response: how long a client may take to receive a response and, after the last one, to close.
        idle: how long a connection may wait between requests. More than 60, Prometheus's usual interval.
        connections: how many may be open. Beyond, the one whose client has done nothing for longest is closed:
            sent no request, taken no piece of a response. Those that wait for a page go last, while they are no more than half.
        share: of the descriptors that the process may have, which connections may take. What is free stays the application's.
        pages: how many pages of metrics may be in the middle of being sent, each to any number of clients.
        hold: how long a client may certainly receive a page. After that, a new page may take the place of the oldest.
        piece: how many bytes of a response a connection holds for itself. The rest is in a page that many may share.
        close: how long closing waits for a page that is being made.
        viewers: how many may look at the live page. They are no more than half of the connections. What they are being sent is
            at most `pages` documents, and those of `hold` seconds. A viewer who takes nothing for as long as a `response` may
            take loses the connection; one that takes longer than `page` for one document is no longer sent any.
        heartbeat: after how long without anything to send viewers are sent a comment, so that proxies keep the connection.
        retry: how long a browser waits before it connects again.
    """

    head: float = 10.0
    head_bytes: int = 16 * 1024
    page: float = 60.0
    response: float = 10.0
    idle: float = 75.0
    connections: int = 256
    share: float = 0.25
    pages: int = 4
    hold: float = 5.0
    piece: int = 64 * 1024
    close: float = 5.0
    viewers: int = 100
    heartbeat: float = 15.0
    retry: float = 2.0


def most_descriptors() -> float:
    """Return how many descriptors the system allows this process now; infinity if it does not say."""
    if sys.platform == "win32":
        return math.inf
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return math.inf if soft == resource.RLIM_INFINITY else soft
