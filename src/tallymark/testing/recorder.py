"""`Recorder`: queries for what a registry recorded. `RecordingRegistry`: a registry that has these queries itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from tallymark.engine import TagSet
from tallymark.metric import context
from tallymark.metric.delta import delta
from tallymark.metric.registry import Registry
from tallymark.metric.snapshot import Snapshot
from tallymark.testing.query import Query
from tallymark.testing.series import RecordedSeries, recorded_series

__all__ = ["Recorder", "RecordingRegistry"]

_Tags = Mapping[str, object] | None


class Recorder:
    """Queries for what a registry recorded. Each takes a new snapshot.

    Tags are given as to an instrument: keywords, a mapping, or both. Those that the registry adds to all series
    (`Registry(tags=...)`) need not be repeated.

    Args:
        registry: the one to ask; by default the current one.
        since: a mark; what was recorded before is omitted.
    """

    def __init__(self, registry: Registry | None = None, *, since: Snapshot | None = None) -> None:
        self._asked = context.registry() if registry is None else registry
        self._since = since

    @property
    def registry(self) -> Registry:
        """The registry that is asked."""
        return self._asked

    def mark(self) -> Snapshot:
        """Return a mark of the present moment, for `since`."""
        return self.registry.snapshot()

    def since(self, mark: Snapshot, /) -> Recorder:
        """Return a recorder that omits what was recorded before `mark`. The value of a gauge is then its change.

        If a series has earlier observations, the `min` and `max` of its `histogram` are only as exact as its buckets.
        """
        return Recorder(self.registry, since=mark)

    def recorded(self, name: str, mapping: _Tags = None, /, **tags: object) -> RecordedSeries:
        """Return the series of metric `name` with exactly these tags.

        Raises:
            AssertionError: there is none; the message names those that are near.
            TagError: a tag key is not valid.
        """
        __tracebackhide__ = True
        query = self._query(name, mapping, tags)
        found = query.answer()
        if found is None:
            raise AssertionError(query.missing("a series"))
        return found

    def matching(self, name: str, mapping: _Tags = None, /, **tags: object) -> tuple[RecordedSeries, ...]:
        """Return the series of metric `name` that have all these tags. `TagError` as for `recorded`."""
        return self._query(name, mapping, tags).matches()

    def total(self, name: str, mapping: _Tags = None, /, **tags: object) -> float:
        """Return the sum of the series that have all these tags; 0 if there is none.

        It sums the values of counters and gauges, and the numbers of observations of histograms and timers. `TagError` as for
        `recorded`.
        """
        return sum([series.amount for series in self.matching(name, mapping, **tags)])

    def assert_recorded(self, name: str, value: object = None, mapping: _Tags = None, /, **tags: object) -> None:
        """Check that the series with exactly these tags was recorded to.

        Args:
            name: of the metric.
            value: what a counter or gauge must hold, or how many observations a histogram or timer must have. Anything that
                compares to a number, such as `pytest.approx(0.3)`. By default: any but 0.
            mapping: tags, in addition to the keywords.

        Raises:
            AssertionError: it was not; the message shows what differs, and which series are near.
            TagError: a tag key is not valid.
            TypeError: `value` is a mapping.
        """
        __tracebackhide__ = True
        if isinstance(value, Mapping):
            raise TypeError(
                f"a mapping of tags comes after the value, which may be None: assert_recorded({name!r}, None, {value!r})"
            )
        query = self._query(name, mapping, tags)
        found = query.answer()
        if found is None:
            raise AssertionError(query.missing("a record" if value is None else value))
        if not (found.amount if value is None else found.amount == value):
            raise AssertionError(query.other(found, "a record" if value is None else value))

    def assert_not_recorded(self, name: str, mapping: _Tags = None, /, **tags: object) -> None:
        """Check that nothing was recorded to any series that has these tags, whatever other tags it has.

        A series that is there, but holds 0 or no observations, was not recorded to.

        Raises:
            AssertionError: something was; the message lists it.
            TagError: a tag key is not valid.
        """
        __tracebackhide__ = True
        query = self._query(name, mapping, tags)
        found = [series for series in query.matches() if series.amount]
        if found:
            raise AssertionError(query.unwanted(found))

    def _query(self, name: str, mapping: _Tags, tags: Mapping[str, object]) -> Query:
        now = self.registry.snapshot()
        if self._since is not None:
            now = delta(self._since, now)
        asked = TagSet(mapping, **tags)
        return Query(name, asked, tuple(recorded_series(now)), self.registry, self._since is not None)


class RecordingRegistry(Registry, Recorder):
    """A registry with the queries of `Recorder`.

    Args:
        strict: raise for bad data too. Unlike elsewhere, this is the default.
        options: as for `Registry`.
    """

    def __init__(self, *, strict: bool = True, **options: Any) -> None:
        Registry.__init__(self, strict=strict, **options)
        self._since = None

    @property
    def registry(self) -> Self:
        """This registry."""
        return self
