"""Metrics as prometheus_client has them, with a sample for each number, as families with the data types of snapshots."""

from __future__ import annotations

import re
from math import inf, isnan, nan
from typing import TYPE_CHECKING, Any

from tallymark.engine.exemplar import Exemplar
from tallymark.frozen import replace
from tallymark.metric.data import GaugeData, HistogramData, StateSetData, SumData
from tallymark.read.families import Families
from tallymark.read.headers import Header
from tallymark.read.text import tags_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import TypeAlias

    from tallymark.engine import TagSet
    from tallymark.metric.snapshot import FamilySnapshot

    Key: TypeAlias = tuple[tuple[str, Any], ...]
    Noted: TypeAlias = dict[TagSet, list[tuple[float, Exemplar]]]  # by series, each with the bound of its bucket

__all__ = ["Series", "families_of"]

_GAUGES = ("unknown", "untyped", "gauge", "gaugehistogram")
"""Types whose samples may go up and down. A snapshot has no other type for them."""


class Series:
    """The tags of all series of one reading. To make them anew each time would cost more than to read the rest.

    Args:
        known: those of the reading before. What this one does not have is forgotten.

    Attributes:
        read: those of this reading.
    """

    def __init__(self, known: Mapping[Key, TagSet]) -> None:
        self._known = known
        self.read: dict[Key, TagSet] = {}

    def tags(self, labels: Mapping[str, Any]) -> TagSet:
        """Return labels as tags."""
        key = tuple(labels.items())
        found = self.read.get(key)
        if found is None:
            found = self.read[key] = self._known.get(key) or tags_of(labels)
        return found


_EXACT = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*", re.ASCII)


def families_of(metric: Any, series: Series) -> Iterator[FamilySnapshot]:
    """Yield the families that a `Metric` is: one, but of a gauge histogram one for each name of its samples.

    Args:
        series: knows the tags of earlier readings.

    Raises:
        Exception: of any type: the metric is not what prometheus_client could show.
    """
    kind, name = str(metric.type), _allowed(str(metric.name))
    header = Header("gauge" if kind in _GAUGES else kind, str(metric.documentation), str(metric.unit or ""))
    families = Families({name: header, **_parts(name, kind, header)})
    noted: Noted = {}
    for sample in metric.samples:
        if getattr(sample, "native_histogram", None) is not None:  # they have it beside buckets, if at all
            continue
        labels = dict(sample.labels)
        edge = str(labels.pop("le", "")) if sample.name.endswith("_bucket") else ""
        if edge and isnan(float(edge)):
            raise ValueError(f"{sample.name} has a bucket whose bound is {edge}")
        tags = series.tags(labels)
        families.adder(_allowed(str(sample.name)))(tags, edge, float(sample.value))
        if sample.exemplar is not None:
            noted.setdefault(tags, []).append((float(edge or inf), _exemplar(sample.exemplar)))
    for family in families.built():
        yield _with_exemplars(_as_states(family, name) if kind == "stateset" else family, noted)


def _allowed(name: str) -> str:
    """Return a name as prometheus_client writes it for who takes no other: what is not allowed becomes `_`."""
    if _EXACT.fullmatch(name):
        return name
    return "".join([c if re.fullmatch(r"[a-zA-Z_:]" if i == 0 else r"[\w:]", c, re.ASCII) else "_" for i, c in enumerate(name)])


def _parts(name: str, kind: str, header: Header) -> dict[str, Header]:
    if kind != "gaugehistogram":
        return {}
    return {f"{name}{suffix}": replace(header, unit="") for suffix in ("_bucket", "_gcount", "_gsum")}


def _as_states(family: FamilySnapshot, name: str) -> FamilySnapshot:
    """Return the states of an enumeration, which the label with the name of the metric tells."""
    data = family.data
    if not isinstance(data, GaugeData) or not all(name in tags for tags in data.tags) or not set(data.values) <= {0.0, 1.0}:
        return family
    return replace(family, kind="stateset", data=StateSetData(data.tags, data.created, data.values, name))


def _exemplar(theirs: Any) -> Exemplar:
    labels = tuple([(str(name), str(value)) for name, value in theirs.labels.items()])
    return Exemplar(labels, float(theirs.value), nan if theirs.timestamp is None else float(theirs.timestamp))


def _with_exemplars(family: FamilySnapshot, noted: Noted) -> FamilySnapshot:
    if not noted or not isinstance(family.data, SumData | HistogramData):
        return family
    found: Sequence[tuple[Exemplar, ...]] = [
        tuple([one for _, one in sorted(noted.get(tags, ()), key=lambda pair: pair[0])]) for tags in family.data.tags
    ]
    return replace(family, data=replace(family.data, exemplars=tuple(found)))
