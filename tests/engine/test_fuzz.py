"""Hostile arguments: they raise, and they use the registry in the middle of a call on it.

Such a call returns or raises an ordinary exception; afterwards the registry works, and its counts are right. Seeds make the
calls, so that each can be repeated: `python tests/engine/test_fuzz.py native 7` does so without pytest.
"""

from __future__ import annotations

import contextlib
import datetime
import gc
import logging
import math
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import tallymark as tm
from tallymark.engine import load_engine

pytestmark = pytest.mark.slow

SEEDS = [range(4), range(4, 8), range(8, 12)]
"""Each range is a process: what hostile objects leave behind must not meet another test."""

CALLS = 800
MANY = 10_000

KINDS = ("counter", "gauge", "histogram", "timer")
NAMES = ("n", "m", "o", "p")
METHODS = {
    "counter": ("inc", "add", "_set_from_callback"),
    "gauge": ("set", "inc", "dec", "add", "_set_from_callback"),
    "histogram": ("observe", "snapshot"),
    "timer": ("record", "record_since", "time", "snapshot"),
}
COMMON = (
    "with_tags",
    "with_tags",
    "remove",
    "__repr__",
    "__hash__",
    "__eq__",
    "__reduce_ex__",
    "__getattribute__",
    "__class__",
)
DEPTH = 2  # of calls within calls


class MischiefError(Exception):
    """What a hostile object raises."""


class World:
    """A registry, what is held of it, and what was counted in the one metric that nobody removes or unregisters."""

    def __init__(self, engine: Any, seed: int) -> None:
        self.engine = engine
        self.random = random.Random(seed)
        self.registry = tm.Registry(
            engine=engine.name, strict=seed % 3 == 2, tags={"host": "h"}, limits=tm.TagLimits(max_series=12, max_tags=6)
        )
        self.safe = self.registry.counter("safe")
        self.counted = 0
        self.held: list[Any] = [getattr(self.registry, kind)(f"first_{kind}", ttl=1e-9) for kind in KINDS]
        self.tag_sets: list[Any] = [engine.TagSet(a="1")]
        self.timings: list[Any] = []
        self.mappings: list[dict[Any, Any]] = []
        self.depth = 0

    def pick(self, *choices: Any) -> Any:
        return self.random.choice(choices)

    def chance(self, one_in: int) -> bool:
        return self.random.randrange(one_in) == 0

    # What may happen in the middle of a call

    def count(self, **tags: Any) -> None:
        """Record 1 to the metric that is checked; where that raises, nothing may have been counted."""
        self.safe.inc(1.0, **tags)
        self.counted += 1

    def interfere(self) -> None:
        """Use the registry, from wherever this is called."""
        if self.depth >= DEPTH:
            return
        self.depth += 1
        try:
            self.pick(
                lambda: self.count(),
                lambda: self.count(i=self.random.randrange(30)),
                lambda: self.call(),
                lambda: self.pick(*self.held).remove(),
                lambda: self.registry.unregister(self.pick(*NAMES)),
                lambda: [self.registry.unregister(name) for name in NAMES],
                lambda: self.registry.snapshot(),
                lambda: self.registry.expire(),
                lambda: gc.collect(0),
                lambda: self.held.pop(self.random.randrange(4, len(self.held))) if len(self.held) > 4 else None,
                lambda: self.hold(self.pick(*self.held).with_tags(i=self.random.randrange(50))),
                lambda: [self.pick(*self.held).with_tags(i=i) for i in range(20)],
                lambda: self.mutate(),
                lambda: self.timings.clear(),
            )()
        finally:
            self.depth -= 1

    def misbehave(self) -> None:
        """Interfere, raise, both, or neither."""
        with contextlib.suppress(Exception):
            self.interfere()
        if self.chance(4):
            raise self.pick(
                MischiefError,
                MischiefError("no"),
                KeyError("no"),
                TypeError,
                RecursionError,
                StopIteration,
                MemoryError,
                OSError,
            )

    def mutate(self) -> None:
        """Change a mapping that may be in use."""
        for mapping in self.mappings[-3:]:
            if self.chance(2):
                mapping.clear()
            else:
                mapping.update({f"k{i}": i for i in range(self.random.randrange(100))})

    def hold(self, one: Any) -> Any:
        self.held.append(one)
        return one

    # Arguments

    def thing(self) -> Any:
        """Return something to be an amount, a tag value, or any other argument."""
        if self.chance(2):
            return hostile(self, self.pick(object, str, float, int, datetime.timedelta, tuple, dict, type))
        if self.chance(40):
            return self.mapping()
        return self.pick(
            1, 1.0, 0.5, -1, 0, -0.0, math.nan, math.inf, -math.inf, 10**400, -(10**400), 2**63, True, None, "", "a", "é",
            "\udc80", "a\0b", "日本", "x" * 201, "é" * 300, b"a", (), (1.0,), (1, 2), [], {}, {"a": 1}, 1j, Fraction(1, 3),
            object(), object, Ellipsis, datetime.timedelta(1), datetime.timedelta.max, lambda: 1, len, self.held[0],
            self.tag_sets[0], self.registry,
        )  # fmt: skip

    def key(self) -> Any:
        """Return a tag key: mostly one that will do."""
        if self.chance(6):
            return hostile(self, str, self.pick("a", "b", "self"))
        if self.chance(8):
            return self.pick("", "1", "é", "\udc80", "a\0", "x" * 101, "self", "amount", "mapping", "tags", "host", "overflow")
        return self.pick("a", "b", "c", "d")

    def tags(self) -> dict[Any, Any]:
        return {self.key(): self.thing() for _ in range(self.random.randrange(5))}

    def mapping(self) -> Any:
        """Return tags as a mapping, or something like one."""
        items: dict[Any, Any] = self.pick(dict, HostileDict)(self.tags())
        if isinstance(items, HostileDict):
            items.world = self
        elif self.chance(5):
            items[self.pick(1, None, (1,))] = 1
        self.mappings[:] = [*self.mappings[-8:], items]
        return items if self.chance(2) else HostileMapping(self, items)

    # Calls

    def call(self) -> Any:
        """Call something public with whatever comes."""
        return self.pick(
            self.call_instrument, self.call_instrument, self.call_instrument, self.call_safe, self.call_safe,
            self.call_registry, self.call_tag_set, self.call_timing, self.call_decorated, self.call_tally,
        )()  # fmt: skip

    def arguments(self) -> tuple[list[Any], dict[Any, Any]]:
        args = [self.thing() for _ in range(self.pick(0, 1, 1, 1, 1, 2, 3))]
        return args, self.tags() if self.chance(2) else {}

    def call_safe(self) -> None:
        self.count(**self.tags())

    def call_instrument(self) -> Any:
        one = self.pick(*self.held)
        method = getattr(one, self.pick(*METHODS[one.kind], *COMMON))
        args, tags = self.arguments()
        if method.__name__ == "with_tags" and self.chance(2):
            args = [self.mapping()]
        result = method(*args, **tags)
        if isinstance(result, self.engine.Instrument):
            self.hold(result)
        if isinstance(result, self.engine.Timing):
            self.timings.append(result)
        return result

    def call_registry(self) -> Any:
        method = self.pick(*KINDS, *KINDS, *KINDS, "snapshot", "expire", "unregister", "detach", "no_such")
        if method not in KINDS:
            return getattr(self.registry, method)(*[self.thing() for _ in range(self.random.randrange(2))])
        options = {"tags": self.mapping, "ttl": self.thing, "description": self.thing, "unit": self.thing, "limits": self.thing}
        options |= {"callback": self.callback} if method in ("counter", "gauge") else {"buckets": lambda: [1, 2, self.thing()]}
        name = self.thing() if self.chance(8) else self.pick(*NAMES)
        given = {option: make() for option, make in options.items() if self.chance(5)}
        return self.hold(getattr(self.registry, method)(name, **given))

    def callback(self) -> Callable[[], Any]:
        def callback() -> Any:
            self.misbehave()
            return self.pick(1, self.thing(), [(self.mapping(), self.thing())], [({"a": "1"}, 2)])

        return callback

    def call_tag_set(self) -> Any:
        if self.chance(2):
            tag_set = self.engine.TagSet(*[self.mapping() for _ in range(self.pick(0, 1, 1, 2))], **self.tags())
            self.tag_sets[:] = [*self.tag_sets[-5:], tag_set]
        tag_set = self.pick(*self.tag_sets)
        thing: Any = self.pick(self.thing, self.mapping, self.key)()
        return self.pick(
            lambda: tag_set == thing,
            lambda: tag_set != thing,
            lambda: thing == tag_set,
            lambda: tag_set < thing,
            lambda: thing in tag_set,
            lambda: tag_set[thing],
            lambda: tag_set.get(thing, thing),
            lambda: tag_set.get(*self.arguments()[0], **self.arguments()[1]),
            lambda: tag_set._keep_label_text(thing),
            lambda: setattr(tag_set, "_label_text", thing),
            lambda: tag_set._label_text,
            lambda: self.engine.tag_fields(
                self.pick(thing, [tag_set], [tag_set, thing], self.tag_sets),
                self.pick(thing, {tuple(tag_set): self.pick(thing, (thing,), ((b"x", self.pick(None, b"y", thing), (0, 1)),))}),
                self.pick(thing, b"ab", b"abc"),
            ),
            lambda: (list(tag_set), len(tag_set), hash(tag_set), repr(tag_set), list(tag_set.items()), tag_set.__reduce__()),
        )()

    def call_timing(self) -> Any:
        if not self.timings or self.chance(3):
            self.timings.append(self.held[3].time())
        timing = self.pick(*self.timings)
        if self.chance(3):
            return self.pick(
                lambda: timing(*self.arguments()[0]),
                lambda: timing.__exit__(None, None, None),
                lambda: self.engine.Timing(*self.arguments()[0]),
                lambda: type(timing).__exit__(self.thing(), None, None, None),
                lambda: type(timing).__enter__(self.thing()),
            )()
        with timing, timing, timing:
            self.misbehave()
        return None

    def call_decorated(self) -> Any:
        @self.held[3].time()
        def timed(*args: Any, **kwargs: Any) -> Any:
            self.misbehave()
            return args

        args, kwargs = self.arguments()
        if self.chance(3):
            timed = type(timed)(*args)
        if self.chance(3):
            timed.itself = timed
        return timed(*args, **kwargs)

    def call_tally(self) -> Any:
        keys = self.pick((), ("a",), ("a", "b"), ("a", "a"), tuple(f"k{i}" for i in range(40)), self.thing())
        timer = self.pick(None, self.held[3], self.held[3], self.thing())
        defaults = self.pick((), ("x",), ("x", "y", "z"), self.thing())
        recorder = self.engine.OperationRecorder(self.pick(self.held[0], self.held[0], self.thing()), keys, timer, defaults)
        return recorder(*[self.thing() for _ in range(self.random.randrange(4))], **self.tags())

    # Afterwards

    def check(self) -> None:
        """Raise `AssertionError` unless the registry works, and is right about what can be known."""
        with contextlib.suppress(Exception):  # a callback may still misbehave, in a strict registry
            self.registry.snapshot()
        self.registry.close()
        snapshot = self.registry.snapshot()
        assert sum(series.value for series in snapshot["safe"]) == self.counted
        assert len(snapshot["safe"]) <= 12 + 2
        for series in snapshot:
            if series.family.bounds:
                histogram = series.histogram
                assert histogram.count >= 0
                assert math.isnan(histogram.min) if histogram.count == 0 else histogram.min <= histogram.max
            elif series.kind == "counter":
                assert 0.0 <= series.value < math.inf
            assert all(type(text) is str for pair in series.tags.items() for text in pair)
        for one in self.held:
            repr(one)
            assert one.with_tags() is one
        fresh = self.registry.counter("fresh")
        for i in range(20):
            fresh.inc(i=i // 2) if i < 10 else fresh.inc()
        assert sum(series.value for series in self.registry.snapshot()["fresh"]) == 20
        self.held[3].with_tags(after="all").record(1)


class HostileDict(dict[Any, Any]):
    """A dict whose own methods are not to be trusted."""

    world: World

    def _first(self) -> None:
        if hasattr(self, "world"):
            self.world.misbehave()

    def items(self) -> Any:
        self._first()
        return super().items()

    def keys(self) -> Any:
        self._first()
        return super().keys()

    def __iter__(self) -> Iterator[Any]:
        self._first()
        return super().__iter__()

    def __len__(self) -> int:
        self._first()
        return super().__len__()

    def __getitem__(self, key: Any) -> Any:
        self._first()
        return super().__getitem__(key)


class HostileMapping(Mapping[Any, Any]):
    """A mapping that uses the registry, or raises, whenever it is asked."""

    def __init__(self, world: World, items: dict[Any, Any]) -> None:
        self._world = world
        self._items = items

    def __getitem__(self, key: Any) -> Any:
        self._world.misbehave()
        return self._items[key]

    def __iter__(self) -> Iterator[Any]:
        for key in dict.keys(self._items):
            self._world.misbehave()
            yield key

    def __len__(self) -> int:
        self._world.misbehave()
        return len(self._items)


class _HostileType(type):
    """The type of types that are arguments themselves."""


def hostile(world: World, base: type, text: str = "a") -> Any:
    """Return an object of a type derived from `base` that interferes wherever Python code of its own can run."""

    def method(answer: Callable[..., Any]) -> Callable[..., Any]:
        def answering(self: Any, *args: Any) -> Any:
            world.misbehave()
            return world.thing() if world.chance(6) else answer(self, *args)

        return answering

    def finish(self: Any) -> None:
        with contextlib.suppress(Exception):
            world.interfere()

    hash_of = {str: str.__hash__, tuple: tuple.__hash__}.get(base, object.__hash__)
    answers: dict[str, Callable[..., Any]] = {
        "__str__": lambda self: world.pick("a", "b", "\udc80", "y" * 300),
        "__repr__": lambda self: "hostile",
        "__float__": lambda self: world.pick(1.0, -1.0, math.nan),
        "__index__": lambda self: world.pick(1, 10**400),
        "__iter__": lambda self: iter([("a", 1), (1, "a")]),
        "__len__": lambda self: world.pick(0, 1, 2**70, -1),
        "__bool__": lambda self: world.pick(True, False),
        "__call__": lambda self, *args: 1,
        "__lt__": lambda self, other: world.pick(True, False, NotImplemented),
        "__gt__": lambda self, other: world.pick(True, False, NotImplemented),
        "__eq__": lambda self, other: world.pick(True, False, NotImplemented),
        "__hash__": lambda self: world.pick(hash_of(self), 1) if hash_of is not object.__hash__ else 7,
        "total_seconds": lambda self: world.pick(1, 1.5, "x", (1,)),
        "keys": lambda self: ["a", "b"],
        "items": lambda self: [("a", 1), (2, 3)],
        "__getitem__": lambda self, key: world.thing(),
        "close": lambda self: None,
    }
    if issubclass(base, str | tuple | dict):
        del answers["__len__"]
    if base is type:
        return _HostileType("Hostile", (), {"__str__": method(lambda self: "a"), "__hash__": method(lambda self: 1)})
    namespace: dict[str, Any] = {name: method(answer) for name, answer in answers.items() if world.chance(2)}
    namespace.setdefault("__hash__", hash_of)
    if world.chance(4):
        namespace["__class__"] = property(method(lambda self: world.pick(str, dict, float, type(self))))
    if world.chance(3):
        namespace["__del__"] = finish
    made = type("Hostile", (base,), namespace)
    return made(text) if base is str else made()


class Chatter(logging.Handler):
    """A handler that uses the registry that it hears from."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        record.getMessage()
        with contextlib.suppress(Exception):
            self._world.interfere()


def run(engine: Any, seed: int) -> None:
    """Make the calls of a seed, with garbage collected often, and check what they leave."""
    world = World(engine, seed)
    logger = logging.getLogger("tallymark")
    chatter = Chatter(world)
    before = gc.get_threshold(), logger.propagate
    gc.set_threshold(40)
    logger.propagate = False
    logger.addHandler(chatter)
    try:
        for _ in range(CALLS):
            with contextlib.suppress(Exception):
                world.call()
        world.depth = DEPTH  # peace, from here on
        world.check()
    finally:
        logger.removeHandler(chatter)
        gc.set_threshold(*before[0])
        logger.propagate = before[1]


def in_subprocess(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in development mode, where a crash is an exit status with a traceback of all threads."""
    command = [sys.executable, "-X", "dev", "-X", "faulthandler", "-W", "ignore", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


@pytest.mark.parametrize("seeds", SEEDS)
def test_hostile_arguments_leave_the_registry_whole(engine: Any, seeds: range) -> None:
    done = in_subprocess(str(Path(__file__)), engine.name, *map(str, seeds))
    assert done.returncode == 0, done.stdout[-100:] + done.stderr[-5000:]


@pytest.mark.parametrize("kind", KINDS)
def test_ten_thousand_keyword_tags_are_too_many_and_no_more_than_that(registry: tm.Registry, kind: str) -> None:
    one = getattr(registry, kind)("n")
    tags = {f"k{i}": i for i in range(MANY)}
    record = getattr(one, METHODS[kind][0])
    for call in (lambda: record(1, **tags), lambda: one.with_tags(**tags), lambda: one.with_tags(tags, **tags)):
        with pytest.raises(tm.TagError, match="max_tags"):
            call()
    record(1)
    assert len(registry.snapshot()["n"]) == 1


def test_a_hundred_tags_where_the_limits_allow_them(registry: tm.Registry) -> None:
    root = registry.counter("n", limits=tm.TagLimits(max_tags=100))
    for size in (31, 32, 33, 64, 100):
        tags = {f"k{i}": i for i in range(size)}
        for _ in range(3):
            root.inc(**tags)
            root.with_tags(tags).inc()
            root.with_tags(dict(reversed(tags.items()))).inc()
            assert root.with_tags(k0="x", **{key: tags[key] for key in list(tags)[1:]}).with_tags(k0=0) is root.with_tags(tags)
        assert root.with_tags(tags).value == 9
        assert len(root.with_tags(tags).tags) == size
    with pytest.raises(tm.TagError, match="max_tags"):
        root.inc(**{f"k{i}": i for i in range(101)})


def test_ten_thousand_call_sites_with_keys_of_their_own(registry: tm.Registry) -> None:
    root = registry.counter("n", limits=tm.TagLimits(max_series=MANY))
    for i in range(MANY):
        root.inc(**{f"k{i % 100}": "v", f"l{i // 100}": "v"})
    root.inc(k0="v", l0="v")
    snapshot = registry.snapshot()["n"]
    assert len(snapshot) == MANY
    assert sum(snapshot.columns.values) == MANY + 1


@pytest.mark.parametrize("number", [(), (1.0,), (1, 2), [1.0], {"a": 1}, {1}, "1", b"1", None, 1j, object(), float, lambda: 1])
def test_what_is_no_number_raises_and_counts_nothing(registry: tm.Registry, number: Any) -> None:
    for kind in KINDS:
        one = getattr(registry, kind)(kind)
        for method in METHODS[kind]:
            if method in ("snapshot", "time"):
                continue
            with pytest.raises(TypeError, match="number"):
                getattr(one, method)(number)
    assert all(not series.family.bounds or not series.histogram.count for series in registry.snapshot())
    assert registry.counter("counter").value == registry.gauge("gauge").value == 0


def test_an_interrupt_in_the_middle_of_a_call_goes_through(registry: tm.Registry) -> None:
    class Interrupting:
        def __str__(self) -> str:
            raise KeyboardInterrupt

        def __float__(self) -> float:
            raise KeyboardInterrupt

    root = registry.counter("n")
    thing: Any = Interrupting()
    for call in (lambda: root.inc(a=thing), lambda: root.inc(thing), lambda: root.with_tags({"a": thing})):
        with pytest.raises(KeyboardInterrupt):
            call()
    root.inc(a="1")
    assert sum(series.value for series in registry.snapshot()["n"]) == 1


def test_texts_that_are_equal_but_made_otherwise_are_one_tag(registry: tm.Registry) -> None:
    root = registry.counter("n")
    for text in ("plain", "é", "日本", "😀", "aé日😀", "a\0b"):
        for other in (
            text,
            "".join(list(text)),
            (text + "😀")[:-1],
            text.encode().decode(),
            text.encode("utf-16").decode("utf-16"),
        ):
            root.inc(a=other)
            root.with_tags({"a": other}).inc()
        assert root.with_tags(a=text).value == 10
    assert len(registry.snapshot()["n"]) == 6


CRASHES = {
    "a function that is timed over and over, called": """
function = lambda: 0
for _ in range(200_000):
    function = timer.time()(function)
try:
    function()
except RecursionError:
    pass
""",
    "a function that is timed over and over, freed": """
function = lambda: 0
for _ in range(200_000):
    function = timer.time()(function)
    function.__dict__.clear()
del function
""",
    "a chain of tag sets, freed": """
one = engine.TagSet()
try:
    for i in range(200_000):
        other = engine.TagSet(a=i)
        other._keep_label_text(one)
        one = other
except TypeError:  # text alone is fine too
    pass
del one, other
""",
    "an instrument type that is no kind": """
for kind in (5, None, "x", ()):
    other = type("Other", (engine.Instrument,), {"kind": kind})
    for make in (other, lambda: other(1), lambda: other.__new__(other), lambda: object.__new__(engine.Counter)):
        try:
            make()
        except TypeError:
            pass
""",
    "a description that is gone": """
for family in registry._families.all():
    try:
        del family.description
    except (AttributeError, TypeError):
        pass
try:
    timer.description
except AttributeError:
    pass
""",
    "a cleared timed function that is called": """
def make():
    class Last:
        __slots__ = ()
        def __del__(self):
            for one in gc.get_objects():
                if type(one).__name__ == type(named).__name__ == "TimedFunction":
                    try:
                        one()
                    except Exception:
                        pass
    for _ in range(20):
        function = timer.time()(lambda: 1)
        function.itself = [function, Last()]
        function.itself.append(function.itself)
named = timer.time()(lambda: 1)
gc.disable()
make()
gc.collect()
""",
    "an operation recorder without keys": """
counter = registry.counter("counter")
engine.OperationRecorder(counter, ())()
engine.OperationRecorder(counter, (), timer)(1.0)
engine.OperationRecorder(counter, ())(a="1")
assert counter.value == 2
""",
    "a record to a family whose registry is gone": """
counter = registry.counter("counter")
registry.unregister("counter")
registry.unregister("timer")
del registry
gc.collect()
counter.inc()
assert counter.value == 1
with timer.time(a="1"):
    pass
""",
    "a timing in a million of itself": """
timing = timer.time()
for _ in range(1_000_000):
    timing.__enter__()
for _ in range(1_000_000):
    timing.__exit__(None, None, None)
try:
    timing.__exit__(None, None, None)
except RuntimeError:
    pass
assert timer.snapshot().count == 1_000_000
""",
    "types that are given what is not theirs": """
timing = timer.time()
def attempt(call, *arguments):
    try:
        call(*arguments)
    except (TypeError, AttributeError, RuntimeError):
        pass
other = tm.Registry(engine="native" if engine.name == "reference" and has_gil() else "reference")
strangers = [None, 1, "x", other.timer("t"), other.counter("c"), timing, timer, registry, engine.TagSet()]
for stranger in strangers:
    attempt(engine.Timing, stranger)
    attempt(type(timing).__enter__, stranger)
    attempt(type(timing).__exit__, stranger, None, None, None)
    attempt(engine.Counter.inc, stranger)
    attempt(engine.Instrument.with_tags, stranger)
    attempt(engine.Timer.snapshot, stranger)
    attempt(engine.TagSet.get, stranger, "a")
    attempt(engine.Family, stranger, stranger, "")
    attempt(engine.Family.read, stranger)
    attempt(setattr, timer, "__class__", type(stranger))
    attempt(setattr, timing, "__class__", type(stranger))
    attempt(type(timer.time()(len)), stranger, stranger)
""",
}


@pytest.mark.parametrize("name", CRASHES)
def test_what_could_crash_the_interpreter_does_not(engine: Any, name: str) -> None:
    prologue = f"""
import gc
import tallymark as tm
from tallymark.engine import load_engine
from tallymark.engine.lock import has_gil
engine = load_engine({engine.name!r})
registry = tm.Registry(engine=engine.name)
timer = registry.timer("timer")
"""
    done = in_subprocess("-c", prologue + CRASHES[name])
    assert done.returncode == 0, done.stderr[-3000:]


if __name__ == "__main__":
    for seed in sys.argv[2:]:
        print("seed", seed, flush=True)
        run(load_engine(sys.argv[1]), int(seed))
