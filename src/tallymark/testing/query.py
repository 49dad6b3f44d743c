"""`Query`: a metric and tags that a test asks for, and the messages for an unexpected answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from tallymark.metric.registry import Registry
from tallymark.metric.validation import CENSUS, REJECTED
from tallymark.testing.current import DEFAULT
from tallymark.testing.series import RecordedSeries
from tallymark.testing.suggestions import SHOWN, differences, nearest

__all__ = ["Query"]


@dataclass(frozen=True)
class Query:
    """A metric and tags that a test asks for.

    Attributes:
        name: of the metric.
        asked: the tags, as the test gives them.
        series: all series of the registry.
        registry: where they are from.
        partly: True if they hold only what was recorded since a mark.
    """

    name: str
    asked: Mapping[str, str]
    series: Sequence[RecordedSeries]
    registry: Registry
    partly: bool

    @cached_property
    def common(self) -> Mapping[str, str]:
        """The tags that the registry adds to all series."""
        return self.registry._tags

    @cached_property
    def wanted(self) -> Mapping[str, str]:
        """The tags that a series must have."""
        return {**self.common, **self.asked}

    def answer(self) -> RecordedSeries | None:
        """Return the series with exactly these tags."""
        return next((series for series in self.series if series.name == self.name and series.tags == self.wanted), None)

    def matches(self) -> tuple[RecordedSeries, ...]:
        """Return the series that have all these tags."""
        wanted = self.wanted.items()
        return tuple([series for series in self.series if series.name == self.name and wanted <= series.tags.items()])

    # Messages

    def missing(self, expected: object) -> str:
        """Return a message: there is no such series, and which are near."""
        own = {CENSUS, REJECTED} - {self.name}  # the registry's own metrics
        rows = [series for series in self.series if series.name not in own]
        return self._text(expected, "there is no such series", self._near(rows) or self._names(rows))

    def other(self, found: RecordedSeries, expected: object) -> str:
        """Return a message: the series holds something else, and what the others of the metric hold."""
        rows = [series for series in self.series if series.name == self.name and series.tags != found.tags]
        return self._text(expected, f"it is {_amount(found)}", self._near(rows))

    def unwanted(self, found: Sequence[RecordedSeries]) -> str:
        """Return a message: what was recorded, where nothing should have been."""
        rows = [self._row(series) for series in found[:SHOWN]]
        return self._text("nothing", "there is:", [*rows, *_rest(found)])

    def _text(self, expected: object, instead: str, lines: Iterable[str]) -> str:
        what = _number(expected) if isinstance(expected, float) else str(expected)
        since = " since the mark" if self.partly else ""
        head = f"{self._label(self.name, self.asked)}: expected {what}{since}, but {instead}"
        return "\n".join([head, *lines, *self._rejected(), *self._elsewhere()])

    def _label(self, name: str, tags: Mapping[str, str]) -> str:
        shown = [f'{key}="{value}"' for key, value in tags.items() if self.common.get(key) != value]
        return f"{name}{{{', '.join(shown)}}}"

    def _row(self, series: RecordedSeries) -> str:
        return f"  {self._label(series.name, series.tags)} = {_amount(series)}"

    def _near(self, rows: Sequence[RecordedSeries]) -> list[str]:
        near = nearest(rows, self.name, self.wanted)
        if not near:
            return []
        labels = [self._row(series) for series in near[:SHOWN]]
        width = max(map(len, labels))
        why = [differences(self.name, self.wanted, series) for series in near[:SHOWN]]
        lines = [f"{label:{width}}  ({text})" for label, text in zip(labels, why, strict=True)]
        return ["near:", *lines, *_rest(near)]

    def _names(self, rows: Sequence[RecordedSeries]) -> list[str]:
        names = list(dict.fromkeys([series.name for series in rows]))
        return ["metrics that are there:", *[f"  {name}" for name in names[:SHOWN]], *_rest(names)] if names else []

    def _rejected(self) -> list[str]:
        rows = [row for row in self.series if row.name == REJECTED and row.tags["metric"] == self.name and row.value]
        return [f"rejected: {_amount(row)} ({row.tags['reason']})" for row in rows]

    def _elsewhere(self) -> list[str]:
        """Point to the default registry, if the metric is only there: the instrument is older than the test."""
        if self.registry is DEFAULT or any(series.name == self.name for series in self.series):
            return []
        if self.name not in DEFAULT.snapshot():
            return []
        return [f"the default registry has {self.name}: instruments made on import record there (fixture `default_metrics`)"]


def _amount(series: RecordedSeries) -> str:
    number = _number(series.amount)
    return number if hasattr(series, "value") else f"{number} observations"


def _number(value: float) -> str:
    return str(int(value)) if abs(value) < 1e15 and value == int(value) else repr(value)


def _rest(rows: Sequence[object]) -> list[str]:
    more = len(rows) - SHOWN
    return [f"  and {more} more"] if more > 0 else []
