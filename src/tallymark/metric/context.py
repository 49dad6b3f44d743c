"""The current registry, and functions that make its instruments."""

from __future__ import annotations

from _contextvars import ContextVar

from tallymark.metric.registry import Registry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType
    from typing import ParamSpec, TypeAlias, TypeVar

    from tallymark.engine import Counter, Gauge, Histogram, Timer
    from tallymark.engine.options import TagLimits
    from tallymark.metric.callback import Callback
    from tallymark.metric.instruments import Aggregate
    from tallymark.metric.state import State

    Block: TypeAlias = tuple[Registry, "use | None", "Block | None"]  # what holds in it, whose it is, and the block around it
    P = ParamSpec("P")
    R = TypeVar("R")

__all__ = ["counter", "gauge", "histogram", "info", "registry", "state", "timer", "use"]

_default = Registry()
_current: ContextVar[Block] = ContextVar("tallymark_registry", default=(_default, None, None))


def registry() -> Registry:
    """Return the current registry: the one set by `use`, or the default one."""
    return _current.get()[0]


def _without(block: Block, owner: use) -> Block:
    """Return the blocks of a context without the innermost of one owner: all of them if the owner has none there."""
    registry, found, outer = block
    if outer is None:
        return block
    return outer if found is owner else (registry, found, _without(outer, owner))


class use:  # noqa: N801 - read as a function: `with tm.use(registry):`
    """Make a registry the current one within a `with` block, and in the async tasks that are started there.

    As a decorator, it does so for each call of a function.

    Raises:
        TypeError: `registry` is not a `Registry`.
    """

    __slots__ = ("_registry", "_variable")

    def __init__(self, registry: Registry) -> None:
        if not isinstance(registry, Registry):
            raise TypeError(f"use() takes a Registry, not {type(registry).__name__}")
        self._registry = registry
        self._variable = _current

    def __enter__(self) -> Registry:
        self._variable = _current  # the testing kit may have replaced it when the block ends
        self._variable.set((self._registry, self, self._variable.get()))
        return self._registry

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        # The context may be another than the block began in, as in a generator that another task closes; or the block may end
        # before one that began in it.
        self._variable.set(_without(self._variable.get(), self))

    def __call__(self, function: Callable[P, R], /) -> Callable[P, R]:
        """Return `function`, in which the registry is the current one.

        Raises:
            TypeError: `function` cannot be called.
        """
        from tallymark.engine.decorators import scoped

        return scoped(lambda: use(self._registry), function)

    def __repr__(self) -> str:
        return f"<use {self._registry!r}>"


def counter(
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
    """Get or create a counter in the current registry: a total that only goes up.

        requests = tm.counter("http_requests", description="Requests served.")
        requests.inc()                                # add 1
        requests.inc(2, method="GET", status="200")   # add 2 to the series with these tags
        ok = requests.with_tags(method="GET", status="200")   # that series: recording to it directly costs least
        ok.inc()

    The same name returns the same counter, wherever it is called.

    Args:
        name: starts with a letter, `_` or `:`, goes on with letters, digits and `_ . : / -`; up to 255 characters.
        description: what it counts.
        unit: of what it counts, such as `"bytes"`; exporters append it to the name.
        tags: return the series with these tags, instead of the one without.
        tag_keys: declare the keys that series have, such as `("method", "status")`; then `with_tags("GET", "200")` takes their
            values by position, and another key raises `TagError`.
        ttl: seconds after which a series that did not change is removed.
        limits: on the tags and series of this metric, instead of the registry's.
        callback: called whenever the registry is read. Returns the total, or pairs of tags and total.

    Raises:
        MetricConflictError: the name belongs to another kind, unit or set of keys. Omitted options match anything.
        ValueError: the name is not valid, or `ttl` is not positive.
        TagError: a tag key is not valid or not allowed, or there are too many tags.
        TypeError: an argument is of the wrong type.
    """
    return registry().counter(
        name, description=description, unit=unit, tags=tags, tag_keys=tag_keys, ttl=ttl, limits=limits, callback=callback
    )


def gauge(
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
    """Get or create a gauge in the current registry: a value that goes up and down.

        depth = tm.gauge("queue_depth", description="Jobs that wait.")
        depth.set(7)
        depth.inc()
        depth.dec(2, queue="mail")
        with depth.track_in_progress():  # adds 1, and subtracts it at the end
            ...
        tm.gauge("pool_size", callback=lambda: len(pool))   # called when the registry is read

    Arguments and errors as for `counter`, and these.

    Args:
        aggregate: how the values of processes that share a registry combine: `"last"`, `"sum"`, `"max"` or `"min"`; see
            `Registry.gauge`.

    Raises:
        ValueError: also where `aggregate` is none of these.
    """
    return registry().gauge(
        name, description=description, unit=unit, tags=tags, tag_keys=tag_keys, ttl=ttl, limits=limits, callback=callback,
        aggregate=aggregate,
    )  # fmt: skip


def histogram(
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
    """Get or create a histogram in the current registry: how values are distributed.

        size = tm.histogram("response_size", unit="bytes", buckets=tm.exponential_buckets(64, 4, 8))
        size.observe(1432, route="/users")
        size.with_tags(route="/users").snapshot().quantile(0.99)

    Arguments and errors as for `counter`, and these.

    Args:
        buckets: upper bounds, inclusive, ascending. By default `DURATION_BUCKETS` for the unit `"seconds"`, `SIZE_BUCKETS` for
            `"bytes"`, `VALUE_BUCKETS` for others.
        exponential: count in buckets that find their bounds themselves: powers of one base, up to 160 of them, wider only where
            values need it. `False`: the default bounds. By default what the registry was given.

    Raises:
        MetricConflictError: also where the metric has other bounds.
        ValueError: also where the bounds are not valid, or given with `exponential=True`.
    """
    return registry().histogram(
        name, description=description, unit=unit, tags=tags, tag_keys=tag_keys, ttl=ttl, limits=limits, buckets=buckets,
        exponential=exponential,
    )  # fmt: skip


def timer(
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
    """Get or create a timer in the current registry: a histogram of seconds.

        latency = tm.timer("request_duration")
        with latency.time(route="/users"):
            ...

        @latency.time(route="/users")      # functions, coroutines, generators and async generators
        def handler(): ...

        latency.record(0.012)

    Arguments and errors as for `histogram`; the default bounds are `DURATION_BUCKETS`.
    """
    return registry().timer(
        name, description=description, tags=tags, tag_keys=tag_keys, ttl=ttl, limits=limits, buckets=buckets,
        exponential=exponential,
    )  # fmt: skip


def info(name: str, mapping: Mapping[str, object] | None = None, /, **tags: object) -> Gauge:
    """Report facts that seldom change, in the current registry: `tm.info("service", version="1.2")`. See `Registry.info`."""
    return registry().info(name, mapping, **tags)


def state(name: str, states: Iterable[str], *, description: str = "", tags: Mapping[str, object] | None = None) -> State:
    """Get or create a state in the current registry: which one of `states` something is in. See `Registry.state`.

    worker = tm.state("worker", ["starting", "running", "stopped"])
    worker.set("running")
    """
    return registry().state(name, states, description=description, tags=tags)
