"""`StatsD`: the StatsD server, and others that speak as it does: Telegraf, statsd_exporter, Vector, gostatsd."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallymark.backends.statsd_lines import PORT, StatsDLines
from tallymark.export.statsd_dialects import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["StatsD"]


class StatsD(StatsDLines):
    """Reports to a StatsD server.

    Args:
        address: `HOST:PORT` and `udp://HOST:PORT` are for UDP; `tcp://HOST:PORT`; `unix:///PATH` is a Unix socket for
            datagrams, `unixstream:///PATH` one for a stream.
        dialect: how the server is told tags: `"influxdb"` (Telegraf), `"graphite"`, `"datadog"` (for the Datadog Agent itself,
            use `DogStatsD`); `"none"`: keys and values become parts of the name, as in `requests.method.GET`.
        datagram_bytes: the size that no datagram exceeds; None: 1,432 over UDP, else 8,192. A longer line is left out.
        prefix: begins each metric's name.
        include: globs of names; only these metrics are sent. Empty: all.
        exclude: globs of names; these are not sent. They win over `include`.
        tags: for all series; a series' own win.

    Raises:
        ValueError: the address or another argument is not valid.
        TypeError: an argument has another type.
    """

    kind = "statsd"

    def __init__(
        self,
        address: str = f"127.0.0.1:{PORT}",
        *,
        dialect: str = "none",
        datagram_bytes: int | None = None,
        prefix: str = "",
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        tags: Mapping[str, str] | None = None,
    ) -> None:
        if dialect not in DIALECTS:
            raise ValueError(f"no dialect of StatsD is called {dialect!r}; there are {', '.join(map(repr, sorted(DIALECTS)))}")
        super().__init__(
            address, DIALECTS[dialect], datagram_bytes, prefix=prefix, include=include, exclude=exclude, tags=tags
        )  # fmt: skip
