"""The body of an answer as text: whole, decompressed, and not larger than was agreed."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from tallymark.metric.shared.printable import printable
from tallymark.read.errors import ReadError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.client import HTTPResponse

__all__ = ["read_body"]

_CHUNK = 65536
_GZIP = 16 + zlib.MAX_WBITS


def read_body(url: str, response: HTTPResponse, max_bytes: int) -> str:
    """Return the body of a page.

    Raises:
        ReadError: it is cut off, too large, not UTF-8 text, or compressed in a way that was not asked for.
    """
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", ""):
        raise ReadError(f"{url} sends its page compressed by {printable(encoding[:40])}, which was not asked for")
    parts, size = [], 0
    for part in _unzipped(url, response) if encoding == "gzip" else _arriving(response):
        parts.append(part)
        size += len(part)
        if size > max_bytes:
            raise ReadError(f"{url} sends more than {max_bytes:,} bytes; ask it for fewer metrics, or allow more")
    if response.length:
        raise ReadError(f"{url} closed the connection before its page was complete; is it failing?")
    try:
        return b"".join(parts).decode()
    except UnicodeDecodeError:
        raise ReadError(f"{url} sends bytes that are not UTF-8 text; is this the URL of its metrics?") from None


def _arriving(response: HTTPResponse) -> Iterator[bytes]:
    while part := response.read1(_CHUNK):
        yield part


def _unzipped(url: str, response: HTTPResponse) -> Iterator[bytes]:
    """Yield what a gzip body holds, in small parts: a few bytes may stand for very many. It may have several members."""
    unzip = zlib.decompressobj(_GZIP)
    try:
        for part in _arriving(response):
            while part:
                if unzip.eof:
                    unzip = zlib.decompressobj(_GZIP)
                yield unzip.decompress(part, _CHUNK)
                part = unzip.unused_data if unzip.eof else unzip.unconsumed_tail
        yield unzip.flush()
    except zlib.error:
        raise ReadError(f"{url} says that its page is gzip, which it is not") from None
    if not unzip.eof:
        raise ReadError(f"{url} closed the connection before its page was complete; is it failing?")
