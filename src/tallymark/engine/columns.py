"""What an engine reads out of a family: parallel columns, a row for each live series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tallymark.engine.reference import TagSet

__all__ = ["Columns"]


class Columns(NamedTuple):
    """Row `i` of every column belongs to one series.

    Counters and gauges fill `values`; histograms and timers fill `bucket_counts` (a sequence per series: its bounds and
    one bucket above them, not cumulative), `sums`, `mins` and `maxs` (NaN where nothing was observed). `created` is in
    seconds since the epoch.
    """

    tags: Sequence[TagSet]
    created: Sequence[float]
    values: Sequence[float] = ()
    bucket_counts: Sequence[Sequence[int]] = ()
    sums: Sequence[float] = ()
    mins: Sequence[float] = ()
    maxs: Sequence[float] = ()
