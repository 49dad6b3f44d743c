"""`Packer`: lines into datagrams of bounded size, of which each is whole lines."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["TOGETHER", "Packer"]

TOGETHER = "\0"
"""What is between lines that one datagram must hold, in their order: datagrams may arrive in another one."""


class Packer:
    """Packs as many lines into each datagram as there is room for. A line is never cut.

    Args:
        most_bytes: of a datagram.
        end: what its last line ends with, too.

    Attributes:
        too_long: lines that were left out: a datagram does not hold one of them.
    """

    def __init__(self, most_bytes: int, end: bytes = b"") -> None:
        self._most = most_bytes - len(end)
        self._end = end
        self._rest = b""
        self.too_long = 0

    def add(self, lines: str | bytes) -> Iterator[bytes]:
        """Yield the datagrams that are full. Lines have a newline between them."""
        if not lines:
            return
        data = lines.encode() if isinstance(lines, str) else lines
        if self._rest:
            data = b"\n".join((self._rest, data))
        start = 0
        while len(data) - start > self._most:
            at = data.rfind(b"\n", start, start + self._most + 1)
            if at < 0:
                self.too_long += 1
                at = data.find(b"\n", start)
                if at < 0:
                    start = len(data)
                    break
            else:
                yield self._whole(data[start:at])
            start = at + 1
        self._rest = data[start:]

    def finish(self) -> Iterator[bytes]:
        """Yield what is left."""
        if self._rest:
            yield self._whole(self._rest)
            self._rest = b""

    def _whole(self, lines: bytes) -> bytes:
        return lines.replace(b"\0", b"\n") + self._end
