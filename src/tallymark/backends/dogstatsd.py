"""`DogStatsD`: the StatsD server of the Datadog Agent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallymark.backends.statsd_lines import PORT, StatsDLines
from tallymark.export.statsd_dialects import DOGSTATSD

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["DogStatsD"]


class DogStatsD(StatsDLines):
    """Reports to the Datadog Agent. Timers and histograms become distributions; durations are in seconds.

    Args:
        address: `unix:///PATH` is a Unix socket for datagrams, `unixstream:///PATH` one for a stream; `HOST:PORT` and
            `udp://HOST:PORT` are for UDP.
        datagram_bytes: the size that no datagram exceeds; None: 1,432 over UDP, else 8,192, which is what the Agent reads at
            once. A longer line is left out.
        prefix: begins each metric's name.
        include: globs of names; only these metrics are sent. Empty: all.
        exclude: globs of names; these are not sent. They win over `include`.
        tags: for all series; a series' own win.

    Raises:
        ValueError: the address or another argument is not valid.
        TypeError: an argument has another type.
    """

    kind = "dogstatsd"
    has_lengths = True

    def __init__(
        self,
        address: str = f"127.0.0.1:{PORT}",
        *,
        datagram_bytes: int | None = None,
        prefix: str = "",
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        tags: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(
            address, DOGSTATSD, datagram_bytes, prefix=prefix, include=include, exclude=exclude, tags=tags
        )  # fmt: skip
