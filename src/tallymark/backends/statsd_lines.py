"""What the backends for StatsD servers of all kinds have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tallymark.backends.socket_address import SocketAddress
from tallymark.backends.transports import Datagrams, Stream
from tallymark.export.statsd import parts
from tallymark.export.statsd_dialects import TagTexts
from tallymark.metric.validation import check_type
from tallymark.report.backend import Backend

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Literal

    from tallymark.client.deadline import Deadline
    from tallymark.export.statsd_dialects import Dialect
    from tallymark.metric.snapshot import Snapshot

__all__ = ["PORT", "StatsDLines"]

PORT = 8125
_SIZES = {"udp": 1432, "unixgram": 8192, "unixstream": 8192, "tcp": 8192}
"""Bytes. Of UDP, what a frame of Ethernet holds; of Unix sockets, what Datadog's server reads at once."""
_LEAST, _MOST = 64, 65507


class StatsDLines(Backend):
    """Sends what was added, in lines, to a server that answers nothing: so what is lost is lost, and nothing counts twice.

    Attributes:
        has_lengths: True if a stream to a Unix socket has the length of each datagram, rather than lines that end.
    """

    has_lengths: ClassVar[bool] = False
    at_least_once = False
    temporality: Literal["cumulative", "delta"] = "delta"

    def __init__(
        self,
        address: str,
        dialect: Dialect,
        datagram_bytes: int | None,
        *,
        prefix: str,
        include: Iterable[str],
        exclude: Iterable[str],
        tags: Mapping[str, str] | None,
    ) -> None:
        super().__init__(prefix=prefix, include=include, exclude=exclude, tags=tags)
        self._address = SocketAddress.parse(address, PORT)
        self._bytes = _checked_size(datagram_bytes, _SIZES[self._address.kind])
        has_lengths = self._address.kind == "unixstream" and self.has_lengths
        self._end = b"\n" if self._address.is_stream and not has_lengths else b""
        # The first StatsD reads seven bits of each byte that arrives in a stream: others could be taken for the end of a line.
        self._texts = TagTexts(dialect, self.tags, only_ascii=self._end != b"")
        self._transport: Datagrams | Stream
        if self._address.is_stream:
            self._transport = Stream(self._address, has_lengths=has_lengths)
        else:
            self._transport = Datagrams(self._address)

    @property
    def address(self) -> str:
        """Where reports go."""
        return self._address.text

    def encode(self, snapshot: Snapshot, since: float) -> Iterator[bytes]:
        """Yield datagrams, of whole lines."""
        return parts(
            snapshot, self._texts, prefix=self.prefix, most_bytes=self._bytes, end=self._end, dropped=self.dropped
        )  # fmt: skip

    def send(self, parts: Sequence[bytes], deadline: Deadline) -> int:
        """Send datagrams, and return how many bytes that took. Nobody knows whether they arrive.

        Raises:
            SendError: some were not sent.
        """
        return self._transport.send(parts, deadline)


def _checked_size(size: int | None, default: int) -> int:
    if size is None:
        return default
    check_type("datagram_bytes", size, int)
    if not _LEAST <= size <= _MOST:
        raise ValueError(f"datagram_bytes must be within {_LEAST} and {_MOST}, not {size}")
    return size
