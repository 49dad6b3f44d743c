"""`Snapshot`: frozen, columnar data read from a registry at one moment. All that exporters see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tallymark.engine import TagSet
from tallymark.engine.columns import Columns
from tallymark.engine.histogram_snapshot import HistogramSnapshot

__all__ = ["FamilySnapshot", "HistogramSnapshot", "SeriesView", "Snapshot", "TagSet"]


@dataclass(frozen=True, slots=True)
class FamilySnapshot:
    """All series of one metric. Iterating yields a `SeriesView` each; exporters read the columns instead.

    Attributes:
        name: the metric's name, as it was given to the registry.
        kind: `"counter"`, `"gauge"`, `"histogram"` or `"timer"`.
        description: what the metric counts or measures; may be empty.
        unit: the unit of values, sums and bounds; may be empty.
        bounds: upper bounds of the buckets, inclusive, ascending; empty unless the kind has buckets.
        columns: the series. Row `i` of every column belongs to one series.
    """

    name: str
    kind: str
    description: str
    unit: str
    bounds: tuple[float, ...]
    columns: Columns

    def __len__(self) -> int:
        return len(self.columns.tags)

    def __iter__(self) -> Iterator[SeriesView]:
        return (SeriesView(self, row) for row in range(len(self)))


@dataclass(frozen=True, slots=True)
class SeriesView:
    """One series in a snapshot: row `row` of `family`."""

    family: FamilySnapshot
    row: int

    @property
    def name(self) -> str:
        """The metric's name."""
        return self.family.name

    @property
    def kind(self) -> str:
        """The metric's kind."""
        return self.family.kind

    @property
    def tags(self) -> TagSet:
        """The series' tags."""
        return self.family.columns.tags[self.row]

    @property
    def created(self) -> float:
        """When the series came to be, in seconds since the epoch."""
        return self.family.columns.created[self.row]

    @property
    def value(self) -> float:
        """The value of a counter or gauge. `AttributeError` for kinds with buckets."""
        if self.family.bounds:
            raise AttributeError(f"{self.kind} {self.name!r} has no single value; read .histogram")
        return self.family.columns.values[self.row]

    @property
    def histogram(self) -> HistogramSnapshot:
        """The distribution of a histogram or timer. `AttributeError` for kinds without buckets."""
        family, row = self.family, self.row
        if not family.bounds:
            raise AttributeError(f"{self.kind} {self.name!r} has no distribution; read .value")
        columns = family.columns
        return HistogramSnapshot(
            family.bounds, tuple(columns.bucket_counts[row]), columns.sums[row], columns.mins[row], columns.maxs[row]
        )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a registry held at one moment. Iterating yields a `SeriesView` for each series of each family.

    Attributes:
        families: a `FamilySnapshot` for each metric, in the order of their creation.
        time: when it was taken, in seconds since the epoch.
    """

    families: tuple[FamilySnapshot, ...]
    time: float

    def __iter__(self) -> Iterator[SeriesView]:
        return (series for family in self.families for series in family)

    def __getitem__(self, name: str) -> FamilySnapshot:
        """Return the family with this name; `KeyError` where there is none."""
        for family in self.families:
            if family.name == name:
                return family
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return any(family.name == name for family in self.families)

    def find(self, name: str, mapping: Mapping[str, str] | None = None, /, **tags: str) -> SeriesView | None:
        """Return the series of metric `name` with exactly these tags, or None."""
        wanted = {**(mapping or {}), **tags}
        return next((series for series in self if series.name == name and series.tags == wanted), None)
