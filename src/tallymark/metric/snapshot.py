"""`Snapshot`: frozen, columnar data read from a registry at one moment: the only thing that exporters see."""

from __future__ import annotations

from tallymark.engine.columns import Columns
from tallymark.engine.description import labelled, number_text
from tallymark.frozen import Frozen
from tallymark.metric.data import (
    ExponentialHistogramData,
    GaugeData,
    HistogramData,
    InfoData,
    StateSetData,
    SumData,
    SummaryData,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tallymark.engine import TagSet
    from tallymark.engine.exemplar import Exemplar
    from tallymark.engine.histogram_snapshot import HistogramSnapshot
    from tallymark.metric.data import Data

__all__ = ["FamilySnapshot", "SeriesView", "Snapshot"]

_set = object.__setattr__


class FamilySnapshot(Frozen):
    """All series of one metric. Iterating yields a `SeriesView` each; exporters read the columns of `data` instead.

    Attributes:
        name: the metric's name, as it was given to the registry.
        kind: `"counter"`, `"gauge"`, `"histogram"`, `"timer"`, `"info"`, `"stateset"` or `"summary"`.
        description: what the metric counts or measures; may be empty.
        unit: the unit of values, sums and bounds; may be empty.
        data: the series, in columns whose type defines what their numbers mean.
        exposition_name: the metric's name in Prometheus' formats. Empty in a family that is not from a registry: an exporter
            then makes one.
    """

    __slots__ = ("data", "description", "exposition_name", "kind", "name", "unit")

    name: str
    kind: str
    description: str
    unit: str
    data: Data
    exposition_name: str

    def __init__(self, name: str, kind: str, description: str, unit: str, data: Data, exposition_name: str = "") -> None:
        _set(self, "name", name)
        _set(self, "kind", kind)
        _set(self, "description", description)
        _set(self, "unit", unit)
        _set(self, "data", data)
        _set(self, "exposition_name", exposition_name)

    @property
    def columns(self) -> Columns:
        """The series as an engine reads them, whatever they mean; columns that `data` does not have are empty."""
        return Columns(**{name: getattr(self.data, name, ()) for name in Columns.__match_args__})

    @property
    def bounds(self) -> tuple[float, ...]:
        """Upper bounds of the buckets, inclusive, ascending; empty where the data has no explicit bounds."""
        return self.data.bounds if isinstance(self.data, HistogramData) else ()

    def __len__(self) -> int:
        return len(self.data.tags)

    def __iter__(self) -> Iterator[SeriesView]:
        return (SeriesView(self, row) for row in range(len(self)))

    def __repr__(self) -> str:
        unit = f" in {self.unit}" if self.unit else ""
        return f"<FamilySnapshot {self.kind} {self.name}{unit}: {len(self)} series>"

    def _repr_html_(self) -> str:
        from tallymark.metric.html import table

        return table((self,))


class SeriesView(Frozen):
    """One series in a snapshot: row `row` of `family`."""

    __slots__ = ("family", "row")

    family: FamilySnapshot
    row: int

    def __init__(self, family: FamilySnapshot, row: int) -> None:  # written out for speed: one is made for each series
        _set(self, "family", family)
        _set(self, "row", row)

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
        return self.family.data.tags[self.row]

    @property
    def created(self) -> float:
        """When the series was created, in seconds since the epoch; 0 if unknown."""
        return self.family.data.created[self.row]

    @property
    def value(self) -> float:
        """The value of a series that holds one number. `AttributeError` for others."""
        match self.family.data:
            case SumData() | GaugeData() | InfoData() | StateSetData() as data:
                return data.values[self.row]
        raise AttributeError(f"{self.kind} {self.name!r} has no single value; read .histogram, or .count and .sum")

    @property
    def histogram(self) -> HistogramSnapshot:
        """The distribution of a series that has buckets. `AttributeError` for others."""
        match self.family.data:
            case HistogramData() | ExponentialHistogramData() as data:
                return data.row(self.row)
        remedy = ".count and .sum" if isinstance(self.family.data, SummaryData) else ".value"
        raise AttributeError(f"{self.kind} {self.name!r} has no distribution; read {remedy}")

    @property
    def count(self) -> int:
        """Number of observations. `AttributeError` for a series that holds one number."""
        data = self.family.data
        return data.counts[self.row] if isinstance(data, SummaryData) else self.histogram.count

    @property
    def sum(self) -> float:
        """Sum of the observations, of a timer in seconds. `AttributeError` for a series that holds one number."""
        match self.family.data:
            case SummaryData() | HistogramData() | ExponentialHistogramData() as data:
                return data.sums[self.row]
        return self.histogram.sum

    @property
    def exemplars(self) -> Sequence[Exemplar]:
        """Records that identify themselves, such as by their trace: the last of a counter, or of each bucket; may be empty."""
        column: Sequence[Sequence[Exemplar]] = getattr(self.family.data, "exemplars", ())
        return column[self.row] if column else ()

    def __repr__(self) -> str:
        match self.family.data:
            case SumData() | GaugeData() | InfoData() | StateSetData() as data:
                held = number_text(data.values[self.row])
            case _:
                held = f"count={self.count} sum={number_text(self.sum)}"
        return f"<{type(self).__name__} {self.kind} {labelled(self.name, self.tags)} {held}>"


class Snapshot(Frozen):
    """What a registry held at one moment. Iterating yields a `SeriesView` for each series of each family.

    Attributes:
        families: a `FamilySnapshot` for each metric, in the order of their creation.
        time: when it was taken, in seconds since the epoch.
    """

    __slots__ = ("families", "time")

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

    def __repr__(self) -> str:
        series = sum([len(family) for family in self.families])
        return f"<Snapshot of {len(self.families)} metrics, {series} series, at {self.time:.3f}>"

    def _repr_html_(self) -> str:
        from tallymark.metric.html import table

        return table(self.families)
