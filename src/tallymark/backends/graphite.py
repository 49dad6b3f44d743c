"""`Graphite`: sends reports to carbon, or to what speaks its plain text, over TCP."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, ClassVar

from tallymark.backends.transports import send_whole
from tallymark.client.address import Address, looks_like_host, without_secrets
from tallymark.client.connect import connect, trouble
from tallymark.client.deadline import DeadlineSocket
from tallymark.client.errors import AddressError
from tallymark.export.graphite import QUANTILES, parts, series_texts
from tallymark.metric.data import ExponentialHistogramData, HistogramData
from tallymark.metric.delta import delta
from tallymark.metric.shared.printable import printable
from tallymark.metric.snapshot import Snapshot
from tallymark.metric.validation import check_type
from tallymark.report.backend import Backend
from tallymark.report.errors import SendError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tallymark.client.deadline import Deadline

__all__ = ["Graphite"]


class Graphite(Backend):
    """Sends each report to Graphite: a line for each number, over a connection of its own.

    Graphite answers nothing. So a report counts as arrived when Graphite has closed the connection after us: it has read all of
    it by then. If it has not, the report is sent again; the same numbers at the same time make no difference.

    Args:
        address: host and port, such as `"127.0.0.1:2003"`.
        tagged: tell tags as tags, which Graphite knows since 1.1; else as parts of the path.
        quantiles: of each distribution, what is told of what was observed since the report before: 0.99 as `p99`.
        prefix: begins each metric's name; a dot ends it, if it is to be a folder.
        include: globs of names; only these metrics are sent. Empty: all.
        exclude: globs of names; these are not sent.
        tags: for all series; a series' own win.

    Raises:
        TypeError: an argument has another type.
        ValueError: the address is none, a quantile is not within 0 and 1, or the prefix is not valid. `TagError` for a tag.
    """

    kind: ClassVar[str] = "graphite"

    def __init__(
        self,
        address: str,
        *,
        tagged: bool = True,
        quantiles: Iterable[float] = QUANTILES,
        prefix: str = "",
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        tags: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(prefix=prefix, include=include, exclude=exclude, tags=tags)
        self._address = _parsed(address)
        self._tagged = bool(tagged)
        self._quantiles = _checked(quantiles)
        self._texts = series_texts(self.tags, tagged=self._tagged)
        self._before = Snapshot((), 0.0)

    @property
    def address(self) -> str:
        """Host and port."""
        host = f"[{self._address.host}]" if ":" in self._address.host else self._address.host
        return f"{host}:{self._address.port}"

    def encode(self, snapshot: Snapshot, since: float) -> Iterator[bytes]:
        """Yield lines."""
        spread = (HistogramData, ExponentialHistogramData)
        now = Snapshot(tuple([family for family in snapshot.families if isinstance(family.data, spread)]), snapshot.time)
        before, self._before = self._before, now
        return parts(
            snapshot, self._texts, prefix=self.prefix, tagged=self._tagged, quantiles=self._quantiles,
            recent={family.name: family.data for family in delta(before, now).families}, dropped=self.dropped,
        )  # fmt: skip

    def send(self, parts: Sequence[bytes], deadline: Deadline) -> int:
        """Send lines over a new connection. Return how many bytes they have when Graphite has read them all.

        Raises:
            SendError: they did not arrive; nobody knows whether they did; or this is not Graphite.
        """
        body = b"".join(parts)  # many of them are small, and would be packets of their own
        try:
            with connect(self._address, deadline) as sock:
                send_whole(sock, body, deadline)
                sock.shutdown(socket.SHUT_WR)
                with DeadlineSocket(sock, deadline).makefile("rb") as answer:
                    self._check_end(answer.read1(200))
        except TimeoutError:
            raise SendError(f"{self.address} has not read all in time; is it overloaded?") from None
        except (ConnectionResetError, BrokenPipeError):
            raise SendError(f"{self.address} closed the connection before it had read all") from None
        except OSError as error:
            if error.errno == errno.ENOTCONN:  # told by `shutdown`
                raise SendError(f"{self.address} closed the connection before it had read all") from None
            raise SendError(f"{self.address} {trouble(self._address, error)}") from error
        return len(body)

    def _check_end(self, answer: bytes) -> None:
        """Return if a connection ended without a word, as Graphite ends it."""
        if answer:
            words = printable(answer.decode("utf-8", "replace").splitlines()[0])
            raise SendError(
                f"{self.address} answers {words!r}, and Graphite answers nothing; is it the port for plain text, 2003?",
                again=False,
            )


def _checked(quantiles: Iterable[float]) -> tuple[float, ...]:
    if isinstance(quantiles, str) or not hasattr(quantiles, "__iter__"):
        raise TypeError(f"quantiles must be a list of numbers such as [0.5, 0.99], not {type(quantiles).__name__}")
    found = tuple(quantiles)
    for quantile in found:
        if not isinstance(quantile, int | float):
            raise TypeError(f"each of quantiles must be a number, not {type(quantile).__name__}")
        if not 0.0 <= quantile <= 1.0:
            raise ValueError(f"each of quantiles must be within 0 and 1, not {quantile!r}")
    return found


def _parsed(address: str) -> Address:
    check_type("address", address, str)
    try:
        if looks_like_host(address):
            found = Address.parse(address)
            if found.port and not found.target:
                return found
    except AddressError:
        pass
    raise ValueError(f"{without_secrets(address)!r} is not the address of a Graphite server: write it as '127.0.0.1:2003'")
