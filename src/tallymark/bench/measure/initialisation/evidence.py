"""What is known of an op: its events, what each site costs, which objects the op makes, and what is behind each of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from types import BuiltinFunctionType, CoroutineType, FunctionType, ModuleType
from typing import Any

from tallymark.bench.measure.initialisation.instrument import Site
from tallymark.bench.measure.initialisation.objects import CONTAINERS, Known, cells, is_name, is_service, is_stateful, reaches
from tallymark.bench.measure.initialisation.recorder import Event, Visits

KINDS = ("allocations", "lines", "microseconds")


@dataclass
class Repeats:
    """What the events of a site did when they were repeated."""

    costs: dict[str, tuple[float, float]] = field(default_factory=dict)  # of each kind: first, and again
    works: bool = True  # a repeat gives results of the same types and lengths, and does not let the subject grow
    sets_up: bool = False  # it cannot be repeated, or the subject grew
    accumulates: bool = False  # it lets its subject grow again and again
    gives_new: bool = False  # it gives another object each time
    identical: bool = False  # it gives the same text or container each time

    def look(self, visits: Visits) -> None:
        alike = all(_outline(one) == _outline(each[0]) for each in visits.outcomes for one in each)
        grows = visits.sizes[-1][-1] > visits.sizes[-1][-2]  # a pool of threads is full after some
        self.works = alike and not grows
        grew = sum(sizes[1] > sizes[0] for sizes in visits.sizes)
        self.accumulates = grew > 2
        self.sets_up = grows or any(sizes[1] > sizes[0] for sizes in visits.sizes)
        self.gives_new = all(one is not each[0] for each in visits.outcomes for one in each[1:])
        self.identical = all(
            one is each[0] and isinstance(one, (str, bytes, *CONTAINERS)) for each in visits.outcomes for one in each
        )

    def saves_time(self) -> bool:
        """Return True if a repeat seems to take much less time."""
        first, again = self.costs["microseconds"]
        return first >= 1.5 * again

    def add(self, kind: str, visits: Visits, events: int) -> None:
        """Take what those that were repeated cost, for all events of the site in an op."""
        share = events / visits.events
        first, again = self.costs.get(kind, (math.inf, math.inf))
        self.costs[kind] = min(first, visits.first * share), min(again, visits.again * share)


def _outline(value: Any) -> tuple[type, int | None]:
    return type(value), len(value) if isinstance(value, list | tuple | dict | set | str | bytes) else None


@dataclass
class Evidence:
    """All that is known of an op. Objects are told by their ids: the events keep them alive."""

    sites: list[Site]
    events: list[Event]
    before: list[Event]  # those of another op
    costs: dict[str, dict[int, float]] = field(default_factory=dict)  # of each kind and site, without what is counted elsewhere
    totals: dict[str, float] = field(default_factory=dict)
    repeats: dict[int, Repeats | None] = field(default_factory=dict)  # of each site; None where it cannot be repeated

    @cached_property
    def origins(self) -> dict[int, Event]:
        """Which event first gave each object that the op makes."""
        old = {id(one) for event in self.before for one in (event.result, event.target, *event.given)}
        found: dict[int, Event] = {}
        known = set[int]()
        for event in (self.events[one] for one in self._ended):
            known |= {id(one) for one in (event.target, *event.given)}
            if event.transparent and isinstance(event.result, FunctionType):
                known.discard(id(event.result))  # a function with state, if another function made it
            if id(event.result) not in old and id(event.result) not in known and event.result is not None:
                found.setdefault(id(event.result), event)
        return found

    @cached_property
    def _ended(self) -> list[int]:
        """The events in the order in which they ended: an inner one before what is around it."""
        order, stack = list[int](), list[int]()
        for index, event in enumerate(self.events):
            while stack and stack[-1] != event.parent:
                order.append(stack.pop())
            stack.append(index)
        return order + stack[::-1]

    def root(self, value: Any) -> Any:
        """Return the object that an object was reached through, if the op made it; None if it comes from above the loop."""
        for _ in range(20):
            origin = self.origins.get(id(value))
            if origin is None:
                return None
            giver = origin.target
            if giver is None or isinstance(giver, ModuleType | BuiltinFunctionType):
                return value
            if isinstance(giver, type | FunctionType) and id(giver) not in self.origins:
                return value
            value = giver
        return None

    def subject(self, event: Event) -> Any:
        """Return the object that the op made and that an event works on, or None."""
        for one in event.subjects:
            if (is_stateful(one) or self.is_class(one)) and self.root(one) is not None:
                return one
        return None

    def tables(self) -> Iterator[int]:
        """Yield the events that make a table from constants, in which the op then looks things up that are none."""
        asked = {id(one.target) for one in self.events if one.kind == "item" and not self.sites[one.site].of_constants}
        for index, event in enumerate(self.events):
            makes = event.parent == -1 and event.transparent and self.sites[event.site].of_constants
            if makes and isinstance(event.result, CONTAINERS) and id(event.result) in asked:
                yield index

    def made_of_constants(self) -> Iterator[int]:
        """Yield the events that make an object from tables of the file alone: each op makes the same. A text may be data."""
        for index, event in enumerate(self.events):
            site, made = self.sites[event.site], event.result
            is_new = is_service(made) and self.origins.get(id(made)) is event
            if is_new and site.of_constants and site.names_one and any(isinstance(one, CONTAINERS) for one in event.given):
                yield index

    def is_scope(self, value: Any) -> bool:
        """Return True for what begins and ends in the op, and works for an object that was set up above the loop."""
        root = self.root(value)
        origin = self.origins.get(id(root))
        given = origin.given if origin is not None else ()
        begins = any(event.kind == "enter" and event.target is root for event in self.events)
        return begins and any(id(one) not in self.origins and is_service(one) for one in given)

    def is_of_a_stream(self, value: Any) -> bool:
        """Return True for what reads or writes one stream that the op made: a writer of rows, for example."""
        origin = self.origins.get(id(value))
        return origin is not None and any(id(one) in self.origins for one in origin.streams)

    def is_class(self, value: Any) -> bool:
        """Return True for a class that the op made, or an object of one."""
        if isinstance(value, type):
            return id(value) in self.origins
        known = self._types.get(type(value).__qualname__, set())
        return bool(known) and id(type(value)) not in known

    @cached_property
    def _types(self) -> dict[str, set[int]]:
        found: dict[str, set[int]] = {}
        for event in self.before:
            for one in (event.result, event.target, *event.given):
                found.setdefault(type(one).__qualname__, set()).add(id(type(one)))
        return found

    @cached_property
    def in_loop(self) -> set[int]:
        """Sites whose events work more than once on the same object."""
        seen, found = set[tuple[int, int]](), set[int]()
        for event in self.events:
            key = event.site, id(self.subject(event))
            if key in seen:
                found.add(event.site)
            seen.add(key)
        return found

    def works(self, event: Event) -> bool:
        """Return True if an event did the same when repeated. A coroutine can be awaited but once."""
        repeats, subject = self.repeats.get(event.site), self.subject(event)
        if self.is_of_a_stream(subject):
            return False
        if repeats is None:
            return any(isinstance(one, CoroutineType) for one in event.given)
        if isinstance(subject, FunctionType):  # what lets it grow is its cache
            return repeats.works
        return repeats.works and not (repeats.accumulates and event.site in self.in_loop)

    def behind(self, value: Any, index: int) -> list[int]:
        """Return the events before one that made an object or set it up, and what it is made of in turn."""
        needed = {id(value), id(type(value)), id(self.root(value))}
        asked = not self.events[index].is_command  # then what told its subject something before set it up
        found = list[int]()
        for one in reversed(self._ended):
            event = self.events[one]
            subject = self.subject(event)
            works_on = subject is not None and not needed.isdisjoint((id(subject), id(self.root(subject))))
            if one >= index:
                if event.kind == "exit" and works_on:
                    found.append(one)
                continue
            if (id(event.result) in needed and self.origins.get(id(event.result)) is event) or (
                works_on and (self._sets_up(event) or (asked and event.is_command))
            ):
                found.append(one)
                parts = [
                    part
                    for part in (event.target, event.function, *_parts(event.given), *cells(event.result))
                    if id(part) in self.origins
                ]
                needed |= {id(part) for part in parts} | {id(self.root(part)) for part in parts}
                needed.discard(id(None))
        return sorted(found)

    def _sets_up(self, event: Event) -> bool:
        repeats = self.repeats.get(event.site, _UNKNOWN)
        return event.kind in ("enter", "exit") or repeats is None or repeats.sets_up or self._adopts(event)

    def _adopts(self, event: Event) -> bool:
        """Return True if an object keeps another that the op made: a handler its formatter."""
        subject = self.subject(event)
        return any(is_stateful(one) and id(one) in self.origins and reaches(subject, one) for one in event.given)

    def cost(self, kind: str, indexes: set[int]) -> float:
        """Return what events cost, with what is within them, unless they are functions whose own events tell."""
        inside = set(indexes)
        for index, event in enumerate(self.events):
            if event.parent in inside and not self.events[event.parent].transparent:
                inside.add(index)
        counts: dict[int, int] = {}
        for event in self.events:
            counts[event.site] = counts.get(event.site, 0) + 1
        known = self.costs[kind]
        return sum(known.get(self.events[one].site, 0.0) / counts[self.events[one].site] for one in inside)

    def brings(self, index: int, subject: Any) -> bool:
        """Return True if an event gives an object that the op made what this does not have yet."""
        event = self.events[index]
        known = self.known(index, subject)
        named = event.named if event.target is subject else frozenset[int]()
        called = event.function is subject  # else an integer may be an index, unless it has a name
        new = [one for one in self._brought(event, subject) if known.lacks(one, called or id(one) in named)]
        return bool(new) and not (known.holds and self._asks(event))

    def _asks(self, event: Event) -> bool:
        """Return True if an event asks an object for a part of it, by name. A missing translation is the name itself."""
        name = next(iter(event.given), None)
        repeats = self.repeats.get(event.site)
        finds = event.kind == "item" or (repeats is not None and repeats.identical)
        return finds and is_name(name) and name is not event.result

    def _brought(self, event: Event, subject: Any) -> Iterator[Any]:
        return (one for one in event.given if one is not subject and event.kind in ("call", "item"))

    def known(self, index: int, subject: Any) -> Known:
        """Return what an object has been given before an event, and what it gave: this is not new to it."""
        needed = {id(subject), id(self.root(subject))}
        given: list[Any] = []
        for one in self.behind(subject, index):
            given += [*self.events[one].given, self.events[one].result]
        for event in self.events[:index]:
            origin = self.subject(event)
            if origin is not None and not needed.isdisjoint((id(origin), id(self.root(origin)))):
                given.append(event.result)
        return Known(given)


def _parts(values: Any, depth: int = 0) -> Iterator[Any]:
    for one in values:
        if isinstance(one, CONTAINERS) and depth < 3:
            yield from _parts(one.values() if isinstance(one, dict) else one, depth + 1)
        else:
            yield one


_UNKNOWN = Repeats()
