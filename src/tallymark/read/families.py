"""Samples as Prometheus text has them, put together to families with the data types of snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tallymark.engine import TagSet
from tallymark.metric.data import GaugeData, InfoData, SumData, SummaryData
from tallymark.read.distributions import Distributions, family_of, whole
from tallymark.read.headers import UNTYPED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import TypeAlias

    from tallymark.metric.snapshot import FamilySnapshot
    from tallymark.read.headers import Header

    Add: TypeAlias = Callable[[TagSet, str, float], None]

__all__ = ["Families"]

_SUFFIXES = {
    "counter": ("_total", "_created"),
    "histogram": ("_bucket", "_count", "_sum", "_created"),
    "summary": ("_count", "_sum", "_created"),
    "info": ("_info",),
}
"""What the samples of a type add to the name of their metric."""


class Builder(Protocol):
    """Takes the samples of one metric, and makes families of them."""

    def adder(self, suffix: str) -> Add:
        """Return what takes the samples whose name ends so."""

    def built(self) -> Iterator[FamilySnapshot]:
        """Yield the family, if it has a series."""


class Families:
    """The families of one page, in the order of their first samples.

    Args:
        headers: what the page tells of each metric.
    """

    def __init__(self, headers: Mapping[str, Header]) -> None:
        self._headers = headers
        self._builders: dict[str, Builder] = {}
        self._adders: dict[str, Add] = {}

    def adder(self, sample: str) -> Add:
        """Return what takes samples with this name."""
        found = self._adders.get(sample)
        if found is None:
            found = self._adders[sample] = self._found(sample)
        return found

    def built(self) -> tuple[FamilySnapshot, ...]:
        """Return all families. Of two with one name, which differ in a snapshot, the first."""
        families: dict[str, FamilySnapshot] = {}
        for builder in self._builders.values():
            for family in builder.built():
                families.setdefault(family.name, family)
        return tuple(families.values())

    def _found(self, sample: str) -> Add:
        name, suffix = self._metric(sample)
        builder = self._builders.get(name)
        if builder is None:
            builder = self._builders[name] = _builder(name, self._headers.get(name, UNTYPED))
        return builder.adder(suffix)

    def _metric(self, sample: str) -> tuple[str, str]:
        if sample not in self._headers:
            stem, line, word = sample.rpartition("_")
            suffix = line + word
            if stem in self._headers and suffix in _SUFFIXES.get(self._headers[stem].type, ()):
                return stem, suffix
        return sample, ""


def _builder(name: str, header: Header) -> Builder:
    match header.type:
        case "histogram":
            return Distributions(name, header)
        case "summary":
            return _Summaries(name, header)
    return _Numbers(name, header)


class _Numbers:
    """Series of one number each. What has no type is taken for a counter if its name ends as theirs do, else for a gauge."""

    def __init__(self, name: str, header: Header) -> None:
        self._name = self._header_name = name
        self._header = header
        self._values: dict[TagSet, float] = {}
        self._created: dict[TagSet, float] = {}

    def adder(self, suffix: str) -> Add:
        into = self._created if suffix == "_created" else self._values
        if suffix in ("_total", "_info"):  # OpenMetrics names a metric without it
            self._name = self._header_name + suffix

        def add(tags: TagSet, edge: str, value: float) -> None:
            into[TagSet({**tags, "le": edge}) if edge else tags] = value

        return add

    def built(self) -> Iterator[FamilySnapshot]:
        tags, values = tuple(self._values), tuple(self._values.values())
        created = tuple([self._created.get(one, 0.0) for one in tags])
        told = self._header.type
        if not tags:  # only times of creation
            return
        if told == "counter" or (told not in ("gauge", "info", "stateset") and self._name.endswith("_total")):
            yield family_of(self._name, "counter", self._header, SumData(tags, created, values, True))
        elif told == "info":
            yield family_of(self._name, "info", self._header, InfoData(tags, created))
        else:
            yield family_of(self._name, "gauge", self._header, GaugeData(tags, created, values))


class _Summaries:
    """Summaries. One that tells quantiles alone is a gauge for each."""

    def __init__(self, name: str, header: Header) -> None:
        self._name = name
        self._header = header
        self._parts: dict[str, dict[TagSet, float]] = {suffix: {} for suffix in ("", *_SUFFIXES["summary"])}

    def adder(self, suffix: str) -> Add:
        into = self._parts[suffix]

        def add(tags: TagSet, edge: str, value: float) -> None:
            into[tags] = value

        return add

    def built(self) -> Iterator[FamilySnapshot]:
        counts, sums, created = self._parts["_count"], self._parts["_sum"], self._parts["_created"]
        told = self._parts[""]
        tags = tuple(counts | sums)
        if tags:
            columns = [tuple([column.get(one, 0.0) for one in tags]) for column in (created, counts, sums)]
            data = SummaryData(tags, columns[0], tuple(map(whole, columns[1])), columns[2], _quantiles(tags, told))
            yield family_of(self._name, "summary", self._header, data)
        elif told:
            gauges = GaugeData(tuple(told), (0.0,) * len(told), tuple(told.values()))
            yield family_of(self._name, "gauge", self._header, gauges)


def _quantiles(tags: Sequence[TagSet], told: Mapping[TagSet, float]) -> tuple[tuple[tuple[float, float], ...], ...]:
    """Return the quantiles of each series, in order; nothing at all if none tells one."""
    found: dict[TagSet, list[tuple[float, float]]] = {}
    for one, value in told.items():
        quantile = _quantile(one.get("quantile", ""))
        if quantile is not None:
            others = TagSet({key: text for key, text in one.items() if key != "quantile"})
            found.setdefault(others, []).append((quantile, value))
    return tuple([tuple(sorted(found.get(one, ()))) for one in tags]) if found else ()


def _quantile(text: str) -> float | None:
    """Return a quantile, which is from 0 to 1; None if it is none."""
    try:
        quantile = float(text)
    except ValueError:
        return None
    return quantile if 0.0 <= quantile <= 1.0 else None
