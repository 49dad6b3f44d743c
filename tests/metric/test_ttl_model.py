"""Whatever happens to series that expire, each scrape shows exactly what a model of a few lines predicts.

So no scrape shows a value that the series did not have between the last scrape and this one, and a counter never goes down:
where it was removed, unregistered or expired, it is absent, not 0.
"""

from __future__ import annotations

from math import nan
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import tallymark as tm
from tallymark.engine.lock import has_gil
from tallymark.frozen import replace

TTL = 100
TAGS: list[dict[str, str]] = [{}, {"a": "1"}, {"a": "2", "b": "1"}]
VALUES = [0, 1, 2, 2, nan]

ops = st.one_of(
    st.tuples(st.sampled_from(["set", "inc", "dec"]), st.sampled_from(TAGS), st.sampled_from(VALUES)),
    st.tuples(st.sampled_from(["name", "remove"]), st.sampled_from(TAGS)),
    st.tuples(st.sampled_from(["read", "read", "expire", "unregister", "get"])),
    st.tuples(st.just("advance"), st.sampled_from([1, TTL // 2, TTL - 1, TTL, 3 * TTL])),
)
programs = st.lists(st.tuples(st.integers(0, 1), ops), max_size=40)  # who does it, and what


class Series:
    """One life of a series: by owner, its value and whether that is in progress; and how many activities there were."""

    def __init__(self) -> None:
        self.values: dict[int, float] = {}
        self.moved: dict[int, bool] = {}
        self.activities = 0

    @property
    def in_use(self) -> bool:
        return any(self.moved[owner] and value != 0 for owner, value in self.values.items())


class Model:
    """What two readers of one metric see: what did not change for the ttl between two readings of one of them ends."""

    def __init__(self, sums: bool) -> None:
        self.sums = sums
        self.now = 0
        self.lived, self.registered = False, True
        self.live: dict[Any, Series] = {}
        self.seen: tuple[dict[Series, tuple[int, int]], ...] = {}, {}  # by reader: the last activity seen, and when
        # By reader: what it holds. That another process ended one of these and made it again, it sees when it next reads.
        self.known: tuple[set[Any], ...] = set(), set()

    def wake(self, who: int, tags: Any) -> tuple[Series, int]:
        self.lived = self.registered = True
        notices = tags not in self.live or tags not in self.known[who]
        series = self.live.setdefault(tags, Series())
        owner = who if self.sums else 0
        series.activities += owner not in series.values  # where each process has a share, one that joins is a change
        series.values.setdefault(owner, 0)
        series.moved.setdefault(owner, False)
        if not self.sums and notices:
            self.seen[who].setdefault(series, (series.activities, self.now))
        self.known[who].add(tags)
        return series, owner

    def record(self, who: int, tags: Any, value: float, *, moves: bool, sets: bool, counts: bool = True) -> None:
        series, owner = self.wake(who, tags)
        series.values[owner] = value if sets else series.values[owner] + value
        series.moved[owner] = moves
        series.activities += counts

    def end(self, who: int, tags: Any) -> None:
        self.live.pop(tags, None)
        self.known[who].discard(tags)

    def unregister(self, who: int) -> None:
        self.live.clear()
        self.known[who].clear()
        self.registered = False

    def expire(self, who: int) -> int:
        seen, before = self.seen[who], len(self.live)
        for tags, series in list(self.live.items()):
            activities, since = seen.get(series, (-1, 0))
            if series.activities != activities or series.in_use:
                seen[series] = series.activities, self.now
            elif self.now - since >= TTL:
                self.end(who, tags)
        self.known[who].clear()
        self.known[who].update(self.live)
        return before - len(self.live)

    def read(self, who: int) -> dict[Any, float]:
        self.expire(who)
        if self.registered and not self.lived:
            return {(): 0}
        return {tags: sum(series.values.values()) for tags, series in self.live.items()}


def shown(registry: tm.Registry) -> dict[Any, float]:
    snapshot = registry.snapshot()
    found: Any = snapshot["n"] if "n" in snapshot else ()  # noqa: SIM401 - it is no mapping
    return {tuple(one.tags.items()): one.count if one.kind in ("histogram", "timer") else one.value for one in found}


def as_text(values: dict[Any, float]) -> dict[Any, str]:
    return {tags: str(float(value)) for tags, value in values.items()}  # NaN is as it is


class System:
    """A metric of one or two registries, and the model of it."""

    def __init__(self, registries: list[tm.Registry], kind: str, **options: Any) -> None:
        self.registries = registries
        self.kind, self.options = kind, options
        self.model = Model("aggregate" in options)
        for registry in registries:
            registry._families.hooks = replace(registry._families.hooks, uptime=lambda: float(self.model.now))
        self.held = [self.get(who) for who in range(len(registries))]  # else what is unregistered may begin as new

    def get(self, who: int) -> Any:
        return getattr(self.registries[who], self.kind)("n", ttl=TTL, **self.options)

    def do(self, who: int, what: str, *given: Any) -> None:
        who %= len(self.registries)
        registry, instrument, model = self.registries[who], self.held[who], self.model
        if what in ("set", "inc", "dec"):
            self.record(who, what, *given)
        elif what == "name" and given[0]:
            instrument.with_tags(given[0])
            model.wake(who, tuple(given[0].items()))
        elif what == "remove":
            instrument.with_tags(given[0]).remove()
            if given[0]:  # which names it, so it is there
                model.wake(who, tuple(given[0].items()))
            model.end(who, tuple(given[0].items()))
        elif what == "read":
            assert as_text(shown(registry)) == as_text(model.read(who))
        elif what == "expire":
            assert registry.expire() == (model.expire(who) if model.registered else 0)
        elif what == "unregister":
            assert registry.unregister("n") is model.registered
            model.unregister(who)
        elif what == "get":
            assert self.get(who) is instrument
            model.registered = True
        elif what == "advance":
            model.now += given[0]

    def record(self, who: int, what: str, tags: dict[str, str], value: float) -> None:
        instrument, key = self.held[who], tuple(tags.items())
        if self.kind == "gauge" and (what == "set" or value == value):
            getattr(instrument, what)(value, **tags)
            self.model.record(who, key, -value if what == "dec" else value, moves=what != "set", sets=what == "set")
        elif self.kind == "counter" and value == value:
            instrument.inc(value, **tags)
            self.model.record(who, key, value, moves=False, sets=False, counts=value > 0)
        elif self.kind in ("histogram", "timer") and value == value:
            getattr(instrument, "observe" if self.kind == "histogram" else "record")(value, **tags)
            self.model.record(who, key, 1, moves=False, sets=False)


def check(registries: list[tm.Registry], program: Any, kind: str, **options: Any) -> None:
    system = System(registries, kind, **options)
    for who, (what, *given_) in program:
        system.do(who, what, *given_)
    for who in range(2):
        system.do(who, "read")


@pytest.mark.parametrize("kind", ["counter", "gauge", "histogram", "timer"])
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(program=programs)
def test_what_a_scrape_shows(engine: Any, kind: str, program: Any) -> None:
    check([tm.Registry(engine=engine.name)], program, kind)


@pytest.mark.skipif(not has_gil(), reason="processes share what the native engine records, which needs the GIL")
@pytest.mark.parametrize("kind", ["counter", "gauge", "sum", "histogram", "timer"])
@settings(max_examples=50, deadline=None)
@example(program=[(0, ("set", TAGS[2], 0)), (0, ("read",)), (0, ("advance", TTL)), (0, ("set", {}, 0)), (1, ("name", TAGS[2]))])
@example(
    program=[
        (0, ("inc", {}, 2)),
        (1, ("read",)),
        (0, ("unregister",)),
        (0, ("inc", {}, 1)),
        (1, ("inc", {}, 0)),
        (0, ("advance", TTL)),
    ]
)
@example(
    program=[
        (0, ("set", TAGS[2], 0)),
        (0, ("read",)),
        (0, ("advance", TTL)),
        (0, ("remove", TAGS[2])),
        (0, ("set", TAGS[2], 0)),
    ]
)
@given(program=programs)
def test_what_a_scrape_of_shared_memory_shows(kind: str, program: Any) -> None:
    with TemporaryDirectory() as folder:
        registries = [tm.Registry(engine="native", shared=Path(folder) / "metrics") for _ in range(2)]
        if kind == "sum":
            check(registries, program, "gauge", aggregate="sum")
        else:
            check(registries, program, kind)
