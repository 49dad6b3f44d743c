"""`Instruments`: the methods of a registry that make instruments."""

from __future__ import annotations

from tallymark.engine.lock import slow_path
from tallymark.engine.text import as_tags
from tallymark.metric.validation import MetricRequest, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any, Literal, TypeAlias

    from tallymark.engine import Counter, Family, Gauge, Histogram, Instrument, TagSet, Timer
    from tallymark.engine.options import TagLimits
    from tallymark.metric.callback import Callback
    from tallymark.metric.state import State

    Aggregate: TypeAlias = Literal["last", "sum", "max", "min"]

__all__ = ["Instruments"]

_ATTEMPTS = 4
"""A signal handler may tell other facts while ours are told, and remove ours: so all begins anew. In the handler itself, what
it interrupted may not be removable yet, and is not waited for: the interrupted call removes what the handler told."""

_AGGREGATES = (None, "", "last", "sum", "max", "min")


class Instruments:
    """Gets or creates instruments: the same name gives the same object. A `Registry` keeps their families."""

    _exponential = False
    """True if histograms and timers for which no buckets are named get exponential ones."""

    def _family(self, wanted: MetricRequest) -> Family:
        """Get or create the family that a request is for."""
        raise NotImplementedError

    def _add_callback(self, instrument: Any, callback: Callback) -> None:
        """Have a callback return the value of a counter or gauge."""
        raise NotImplementedError

    def _tags_of_others(self, name: str, tags: TagSet) -> list[TagSet]:
        """Return the tags of all series of a metric but the one with `tags`, where other processes may have made them."""
        raise NotImplementedError

    def counter(
        self,
        name: str,
        *,
        description: str = "",
        unit: str = "",
        tags: Mapping[str, object] | None = None,
        tag_keys: Iterable[str] | None = None,
        ttl: float | None = None,
        limits: TagLimits | None = None,
        callback: Callback | None = None,
    ) -> Counter:
        """Get or create a counter: a total that only goes up.

        Args:
            name: starts with a letter, `_` or `:`, goes on with letters, digits and `_ . : / -`; up to 255 characters.
            description: what it counts. The first that is not empty stays.
            unit: of what it counts, such as `"bytes"`; exporters append it to the name.
            tags: return the series with these tags, instead of the one without.
            tag_keys: declare the keys that series have, such as `("method", "status")`: another key raises `TagError`, one may
                be omitted, and `with_tags("GET", "200")` takes the values of all by position.
            ttl: seconds after which a series that did not change is removed (see `expire`).
            limits: on the tags and series of this metric, instead of the registry's. As with `ttl`, the first request decides.
            callback: called whenever the registry is read. Returns the total, or pairs of tags and total, one for each series.
                Where processes share the registry, it is called in the process that is read and returns that one's total;
                the counter is the sum of all.

        Raises:
            MetricConflictError: the name belongs to another kind, unit or set of keys. Omitted options match anything.
            ValueError: the name is not valid, or `ttl` is not positive.
            TagError: a tag key is not valid or not allowed, or there are too many tags.
            TypeError: an argument is of the wrong type.
        """
        wanted = MetricRequest("counter", name, description, unit, ttl=ttl, limits=limits, tag_keys=tag_keys)
        found: Any = self._instrument(wanted, tags, callback)
        counter: Counter = found
        return counter

    def gauge(
        self,
        name: str,
        *,
        description: str = "",
        unit: str = "",
        tags: Mapping[str, object] | None = None,
        tag_keys: Iterable[str] | None = None,
        ttl: float | None = None,
        limits: TagLimits | None = None,
        callback: Callback | None = None,
        aggregate: Aggregate | None = None,
    ) -> Gauge:
        """Get or create a gauge: a value that goes up and down. Arguments and errors as for `counter`, and these.

        A callback returns the present value; where processes share the registry, it is called in the process that is read, and
        returns the value of that one.

        Args:
            aggregate: how the values of processes that share a registry combine. `"last"` (the default): all set one value.
                `"sum"`, `"max"` or `"min"`: each has its own, which `value` shows, and a snapshot combines all. The value of a
                process that died leaves a sum; it stays in a maximum or minimum.

        Raises:
            ValueError: also where `aggregate` is none of these.
        """
        if aggregate not in _AGGREGATES:
            raise ValueError(f"gauge {name!r}: aggregate must be 'last', 'sum', 'max' or 'min', not {aggregate!r}")
        wanted = MetricRequest("gauge", name, description, unit, ttl=ttl, limits=limits, aggregate=aggregate, tag_keys=tag_keys)
        found: Any = self._instrument(wanted, tags, callback)
        gauge: Gauge = found
        return gauge

    def histogram(
        self,
        name: str,
        *,
        description: str = "",
        unit: str = "",
        tags: Mapping[str, object] | None = None,
        tag_keys: Iterable[str] | None = None,
        ttl: float | None = None,
        limits: TagLimits | None = None,
        buckets: Iterable[float] | None = None,
        exponential: bool | None = None,
    ) -> Histogram:
        """Get or create a histogram: how values are distributed. Arguments and errors as for `counter`, and these.

        Args:
            buckets: upper bounds, inclusive, ascending. By default `DURATION_BUCKETS` for the unit `"seconds"`, `SIZE_BUCKETS`
                for `"bytes"`, `VALUE_BUCKETS` for others.
            exponential: count in buckets that find their bounds themselves: powers of one base, up to 160 of them, wider only
                where values need it. `False`: the default bounds. By default what the registry was given.

        Raises:
            MetricConflictError: also where the metric has other bounds.
            ValueError: also where the bounds are not valid, or given with `exponential=True`.
        """
        found: Any = self._with_buckets("histogram", name, description, unit, tags, tag_keys, ttl, limits, buckets, exponential)
        histogram: Histogram = found
        return histogram

    def timer(
        self,
        name: str,
        *,
        description: str = "",
        tags: Mapping[str, object] | None = None,
        tag_keys: Iterable[str] | None = None,
        ttl: float | None = None,
        limits: TagLimits | None = None,
        buckets: Iterable[float] | None = None,
        exponential: bool | None = None,
    ) -> Timer:
        """Get or create a timer: a histogram of seconds, with `DURATION_BUCKETS` by default. Otherwise as `histogram`."""
        found: Any = self._with_buckets(
            "timer", name, description, "seconds", tags, tag_keys, ttl, limits, buckets, exponential
        )
        timer: Timer = found
        return timer

    def info(self, name: str, mapping: Mapping[str, object] | None = None, /, **tags: object) -> Gauge:
        """Report facts that seldom change, as the tags of a gauge `name_info` with the value 1. Another call replaces them.

        Raises:
            MetricConflictError: the name belongs to another kind.
            TagError: a tag key is not valid or not allowed, or there are too many tags.
            TypeError: the name is not text.
        """
        name = text("name", name)
        family = self._family(MetricRequest("info", name if name.endswith("_info") else f"{name}_info"))
        gauge: Any = family.root
        series: Gauge = gauge.with_tags(mapping, **tags)
        _set_alone(gauge, series)
        for other in self._tags_of_others(gauge.name, series.tags):
            gauge.with_tags(other).remove()
        return series

    def state(
        self, name: str, states: Iterable[str], *, description: str = "", tags: Mapping[str, object] | None = None
    ) -> State:
        """Get or create a state: which one of `states` something is in. Each is a series of the metric, tagged `state`.

        Raises:
            MetricConflictError: the name belongs to another kind.
            TypeError: `states` is not a collection of `str`.
            ValueError: `states` is empty, or names one twice; or two become one, as they are longer than the limits allow.
        """
        from tallymark.metric.state import State

        names = [] if isinstance(states, str) else list(states)
        if not all(isinstance(state, str) for state in names) or isinstance(states, str):
            raise TypeError(f"state {name!r}: states must be a collection of str")
        if not names or len(set(names)) < len(names):
            raise ValueError(f"state {name!r}: states must be one or more, each named once, not {names!r}")
        gauge: Any = self._family(MetricRequest("stateset", name, description)).root
        return State(gauge, names, tags)

    def _instrument(
        self, wanted: MetricRequest, tags: Mapping[str, object] | None, callback: Callback | None = None
    ) -> Instrument:
        root = self._family(wanted).root
        instrument = root.with_tags(as_tags(tags, {})) if tags else root  # else one text is a value by place
        if callback is not None:
            if not callable(callback):
                raise TypeError(f"metric {wanted.name!r}: callback must be callable, not {type(callback).__name__}")
            self._add_callback(instrument, callback)
        return instrument

    def _with_buckets(
        self,
        kind: str,
        name: str,
        description: str,
        unit: str,
        tags: Mapping[str, object] | None,
        tag_keys: Iterable[str] | None,
        ttl: float | None,
        limits: TagLimits | None,
        buckets: Iterable[float] | None,
        exponential: bool | None,
    ) -> Instrument:
        from tallymark.metric.buckets import check_choice, default_bounds

        bounds = check_choice(f"{kind} {name!r}", unit, buckets, exponential)
        default = () if self._exponential else default_bounds(unit)
        return self._instrument(
            MetricRequest(kind, name, description, unit, bounds, default, ttl, limits, None, tag_keys), tags
        )


def _set_alone(gauge: Gauge, series: Gauge) -> None:
    """Set one series of a gauge to 1, and remove all others, whatever other threads do so at the same time."""
    with slow_path():
        for _ in range(_ATTEMPTS):
            series.set(1.0)
            others = [one for one in gauge.series() if one is not series]
            if not others:
                return
            for one in others:
                one.remove()
