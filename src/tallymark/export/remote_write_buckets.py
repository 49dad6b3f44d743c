"""Distributions with explicit bounds as messages `TimeSeries`: one for each bucket, for the sum, and for the count."""

from __future__ import annotations

from bisect import bisect_left
from functools import lru_cache
from itertools import accumulate
from math import inf

from tallymark.export.protobuf_labels import NAME, label_field, newest
from tallymark.export.remote_write_labels import named, place
from tallymark.export.remote_write_wire import Prefixes, doubles, series_message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tallymark.engine.exemplar import Exemplar
    from tallymark.export.remote_write_report import Report

__all__ = ["BucketSeries"]

_LE = b"le"


class BucketSeries:
    """Writes the series of distributions that have one name and the same bounds.

    Args:
        name: of the family.
        bounds: upper bounds, ascending; one more bucket holds what is above the last.
    """

    def __init__(self, name: str, bounds: Sequence[float], report: Report) -> None:
        self._bucket, self._sum, self._count = [label_field(NAME, name + end) for end in ("_bucket", "_sum", "_count")]
        self._bounds = bounds
        self._edges = [_edge("+Inf" if bound == inf else repr(bound)) for bound in (*bounds, inf)]
        self._report = report
        self._prefixes = Prefixes(b"", report.moment.size)

    def distribution(self, labels: bytes, counts: Sequence[int], total: float, exemplars: Sequence[Exemplar] = ()) -> bytes:
        """Return the series of one distribution, from the counts of its buckets, not cumulative."""
        cumulative = [*accumulate(counts)]
        values = doubles([*cumulative, total, cumulative[-1]])
        new = self._report.exemplars(exemplars) if exemplars else ()
        return self._series(labels, values, self._exemplar_fields(new) if new else {})

    def _series(self, labels: bytes, values: bytes, exemplars: dict[int, bytes]) -> bytes:
        """Return the series of one distribution, from eight bytes for each bucket, then for sum and count.

        Args:
            labels: without the name.
            values: the bytes.
            exemplars: what follows the value of a bucket, by its place.
        """
        at = place(labels, _LE)
        start, end = named(self._bucket, labels[:at]), labels[at:] + self._report.moment.before
        after, prefixes = self._report.moment.after, self._prefixes
        size = len(start) + len(labels) - at
        made = [
            b"".join((prefixes[size + len(edge)], start, edge, end, values[at : at + 8], after))
            for edge, at in zip(self._edges, range(0, len(values), 8), strict=False)
        ]
        for bucket, field in exemplars.items():
            value = values[bucket * 8 : bucket * 8 + 8]
            made[bucket] = series_message(start, self._edges[bucket], end, value, after, field)
        for name, value in ((self._sum, values[-16:-8]), (self._count, values[-8:])):
            made.append(series_message(named(name, labels), self._report.moment.before, value, after))
        return b"".join(made)

    def identities(self, labels: bytes) -> list[bytes]:
        """Return the labels of the series of one distribution, with their names."""
        at = place(labels, _LE)
        start, end = named(self._bucket, labels[:at]), labels[at:]
        return [*[start + edge + end for edge in self._edges], *[named(name, labels) for name in (self._sum, self._count)]]

    def _exemplar_fields(self, exemplars: Sequence[Exemplar]) -> dict[int, bytes]:
        """Return the newest exemplar of each bucket that has one, as a field."""
        found: dict[int, list[Exemplar]] = {}
        for one in exemplars:
            found.setdefault(bisect_left(self._bounds, one.value), []).append(one)
        return {at: self._report.exemplar_field(newest(some)) for at, some in found.items()}


@lru_cache(maxsize=4096)
def _edge(bound: str) -> bytes:
    """Return the label of a bucket. It is kept by its text: 0.0 and -0.0 are equal as numbers."""
    return label_field("le", bound)
