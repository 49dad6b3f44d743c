"""What was recorded between two snapshots of one registry, as a snapshot."""

from __future__ import annotations

from dataclasses import replace
from math import inf, nan

from tallymark.engine.columns import Columns
from tallymark.engine.histogram_snapshot import HistogramSnapshot
from tallymark.metric.snapshot import FamilySnapshot, SeriesView, Snapshot

__all__ = ["difference"]


def difference(now: Snapshot, before: Snapshot) -> Snapshot:
    """Return `now`, less what `before` held already. A series that is gone by now is left out."""
    earlier = {family.name: family for family in before.families}
    return Snapshot(tuple([_less(family, earlier.get(family.name)) for family in now.families]), now.time)


def _less(family: FamilySnapshot, earlier: FamilySnapshot | None) -> FamilySnapshot:
    if earlier is None or (earlier.kind, earlier.bounds) != (family.kind, family.bounds):
        return family
    # A series that was removed and came back was created anew: it has started from nothing.
    known = {(series.tags, series.created): series for series in earlier}
    pairs = [(series, known.get((series.tags, series.created))) for series in family]
    tags, created = family.columns.tags, family.columns.created
    if not family.bounds:
        return replace(family, columns=Columns(tags, created, tuple([_gained(*pair) for pair in pairs])))
    parts = [_observed(*pair) for pair in pairs]
    columns = Columns(
        tags, created, (), *zip(*[(part.bucket_counts, part.sum, part.min, part.max) for part in parts], strict=True)
    )
    return replace(family, columns=columns)


def _gained(now: SeriesView, then: SeriesView | None) -> float:
    if then is None:
        return now.value
    return 0.0 if now.value == then.value else now.value - then.value  # infinities are equal too


def _observed(now: SeriesView, then: SeriesView | None) -> HistogramSnapshot:
    whole = now.histogram
    if then is None:
        return whole
    counts = tuple([late - early for late, early in zip(whole.bucket_counts, then.histogram.bucket_counts, strict=True)])
    changed = [bucket for bucket, count in enumerate(counts) if count]
    if not changed:
        return HistogramSnapshot(whole.bounds, counts, 0.0, nan, nan)
    # The extremes are known where they are new; otherwise the edge of the outermost bucket is the best bound there is.
    edges = (-inf, *whole.bounds, inf)
    least, most = max(edges[changed[0]], whole.min), min(edges[changed[-1] + 1], whole.max)
    return HistogramSnapshot(whole.bounds, counts, whole.sum - then.histogram.sum, least, most)
