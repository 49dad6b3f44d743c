"""Evaluates the expressions of an instrumented op: measures each, notes what it worked on, and repeats those of one site."""

from __future__ import annotations

import io
import operator
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from tallymark.bench.measure.initialisation.instrument import tells
from tallymark.bench.measure.initialisation.meters import Meter
from tallymark.bench.measure.initialisation.objects import reaches

VISITS = 6
MOST = 4000  # events of an op
REPEATED = 20  # events of a site that are repeated in an op: the first ones stand for all


@dataclass
class Event:
    """One evaluation of an expression."""

    site: int
    kind: str
    function: Any
    target: Any  # what a method belongs to
    given: tuple[Any, ...]
    parent: int
    named: frozenset[int]  # the ids of those that were given by keyword
    transparent: bool  # a function of the benchmark's file: its own events tell what it does
    result: Any = None
    streams: list[Any] = field(default_factory=list)  # that it was given, and its result keeps
    threads: int = field(default_factory=threading.active_count)  # how many more run after it

    @property
    def is_command(self) -> bool:
        """Whether it tells its subject something, and asks it nothing."""
        return self.kind == "call" and self.result is None and bool(self.given)

    @property
    def subjects(self) -> list[Any]:
        """What the event may work on: as with a method, the first argument of a function."""
        plain = getattr(self.function, "__module__", "") == "builtins" and self.function not in (eval, exec)
        first = self.given[:1] if self.kind == "call" and not plain and not self.transparent else ()
        return [one for one in (self.target, self.function, *first) if one is not None]


@dataclass
class Visits:
    """What the events of one site cost in one op: each first, and each when repeated; of many, the first ones."""

    events: int = 0
    first: float = 0
    again: float = 0
    outcomes: list[list[Any]] = field(default_factory=list)  # of each event, the results of its visits
    sizes: list[list[int]] = field(default_factory=list)  # of each event, what its subject held before and after each


class TooManyEventsError(Exception):
    """An op evaluates more than can be looked at."""


class Recorder:
    """What an instrumented op calls. It reads a meter around each event, and never what it does itself."""

    def __init__(self, measure: Callable[[Iterable[Any]], int]) -> None:
        self._size = measure
        self._here = threading.local()
        self._here.on = True
        self.active = False
        self.keeps = False
        self.meter: Meter | None = None
        self.repeated: int | None = None
        self.begin()

    def begin(self) -> None:
        """Forget the last op."""
        self.events: list[Event] = []
        self.costs: dict[int, float] = {}  # of each site, without what is counted for another
        self.counts: dict[int, int] = {}
        self.total = 0.0
        self.visits = Visits()
        self.repeating = False
        self.broken = False  # an event could not be repeated
        self._inner = [0.0]
        self._stack = [-1]
        self._count = 0

    def resume(self) -> None:
        if self.meter is not None:
            self.meter.mark(0)

    def pause(self) -> None:
        if self.meter is not None:
            self.meter.mark(1)
            self.total += max(0.0, self.meter.spent())

    def failed(self) -> bool:
        """Return True if an op may end by an error: events in it are repeated."""
        return self.active and self.repeated is not None

    # What stands in the place of expressions.

    def call(self, site: int, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        if function is _asyncio_run():
            return self._runner(site, *args)
        return self._event(site, "call", function, args, kwargs)

    def method(self, site: int, target: Any, name: str, /, *args: Any, **kwargs: Any) -> Any:
        if not self._is_on():
            return getattr(target, name)(*args, **kwargs)
        self.pause()
        function = getattr(target, name)
        self.resume()
        return (
            self._runner(site, *args)
            if function is _asyncio_run()
            else self._event(site, "call", function, args, kwargs, target)
        )

    def _runner(self, site: int, coroutine: Any) -> Any:
        """Do what `asyncio.run` does: it makes an event loop, which a service makes once."""
        with self.managed(site, self.call(site, sys.modules["asyncio"].Runner)) as runner:
            return self.method(site, runner, "run", coroutine)

    def attribute(self, site: int, target: Any, name: str, /) -> Any:
        if isinstance(target, ModuleType):
            return getattr(target, name)
        return self._event(site, "attribute", getattr, (target, name), {}, target)

    def item(self, site: int, target: Any, key: Any, /) -> Any:
        return self._event(site, "item", _item, (target, key), {}, target)

    def contains(self, site: int, item: Any, container: Any, /) -> Any:
        return self._event(site, "call", operator.contains, (container, item), {}, container)

    def decorator(self, site: int, function: Any, /) -> Any:
        return lambda decorated: self._event(site, "call", function, (decorated,), {})

    def managed(self, site: int, manager: Any, /) -> Any:
        return _Managed(self, site, manager) if self._is_on() else manager

    def defined(self, site: int, /) -> Any:
        """Begin the definition of a class; what is returned ends it."""
        if not self._is_on():
            return lambda made: made
        self.pause()
        index = self._begin(site, "class", type, None, ())
        before = self.total
        self.resume()

        def ended(made: Any) -> Any:
            self.pause()
            self._end(site, index, before, made)
            self.resume()
            return made

        return ended

    def _is_on(self) -> bool:
        return self.active and getattr(self._here, "on", False)

    def _event(self, site: int, kind: str, function: Any, args: Any, kwargs: Any, target: Any = None) -> Any:
        if not self._is_on():
            return function(*args, **kwargs)
        self.pause()
        looks_up = kind != "call" or function is operator.contains  # its first argument is the target
        given = (*(args[1:] if target is not None and looks_up else args), *kwargs.values())
        index = self._begin(site, kind, function, _receiver(function, target), given, kwargs)
        before, result, changed = self.total, None, self._changed
        looks = site == self.repeated and self.meter is None
        sizes = [self._size(changed)] if looks else []
        self.resume()
        try:
            result = function(*args, **kwargs)
        finally:
            self.pause()
            self._end(site, index, before, result)
        if site == self.repeated and not self.broken and self.visits.events < REPEATED:
            self.visits.events += 1
            self.visits.first += self.total - before
            self._repeat(partial(function, *args, **kwargs), changed, result, sizes)
        self.resume()
        return result

    def _begin(
        self, site: int, kind: str, function: Any, target: Any, given: tuple[Any, ...], named: dict[str, Any] | None = None
    ) -> int:
        index, self._count = self._count, self._count + 1
        if index > MOST:
            raise TooManyEventsError
        if self.keeps:
            own = kind == "call" and tells(function)
            by_name = frozenset(map(id, (named or {}).values()))
            self.events.append(Event(site, kind, function, target, given, self._stack[-1], by_name, own))
        self._changed = (target,) if target is not None else (function, *given[:1])
        self._stack.append(index)
        self._inner.append(0.0)
        return index

    def _end(self, site: int, index: int, before: float, result: Any) -> None:
        spent = self.total - before
        self._stack.pop()
        inner = self._inner.pop()
        self._inner[-1] += spent
        self.costs[site] = self.costs.get(site, 0.0) + spent - inner
        self.counts[site] = self.counts.get(site, 0) + 1
        if self.keeps:
            event = self.events[index]
            event.result, event.threads = result, threading.active_count() - event.threads
            event.streams = [one for one in event.given if isinstance(one, io.IOBase) and reaches(result, one)]

    def _repeat(self, call: Callable[[], Any], changed: tuple[Any, ...], result: Any, sizes: list[int]) -> None:
        """Evaluate an event again, with nothing else recorded meanwhile."""
        outcomes, before, total = [result], self.total, self.total
        self.repeating = True
        self.active = False
        try:
            for _ in range(VISITS - 1):
                if self.meter is None:
                    sizes.append(self._size(changed))
                before = self.total
                self.resume()
                outcomes.append(call())
                self.pause()
        except (Exception, SystemExit):
            self.broken = True
            return
        finally:
            self.active = True
            self.total, again = total, self.total - before
        self.visits.again += again
        if self.meter is None:
            sizes.append(self._size(changed))
            self.visits.outcomes.append(outcomes)
            self.visits.sizes.append(sizes)


def _asyncio_run() -> Any:
    return getattr(sys.modules.get("asyncio"), "run", _item)


def _item(target: Any, key: Any) -> Any:
    return target[key]


def _receiver(function: Any, target: Any) -> Any:
    """Return the object that a method is bound to, or that is called itself; None for functions, classes and modules."""
    bound = getattr(function, "__self__", None)
    if function is getattr or function is _item or function is operator.contains:
        return target
    if bound is not None and not isinstance(bound, ModuleType | type):
        return bound
    if target is not None and not isinstance(target, ModuleType):
        return target
    if isinstance(function, BuiltinFunctionType):
        return None
    return function if not isinstance(function, type | FunctionType) else None


class _Managed:
    """A context manager whose beginning and end are events."""

    def __init__(self, recorder: Recorder, site: int, manager: Any) -> None:
        self._recorder, self._site, self._manager = recorder, site, manager

    def __enter__(self) -> Any:
        return self._recorder._event(self._site, "enter", type(self._manager).__enter__, (self._manager,), {}, self._manager)

    def __exit__(self, *error: Any) -> Any:
        leave = type(self._manager).__exit__
        return self._recorder._event(self._site, "exit", leave, (self._manager, *error), {}, self._manager)
