"""One world on each engine, the same operations on both, and what can be seen of them afterwards."""

from __future__ import annotations

import enum
import gc
import logging
import struct
import time
from collections import OrderedDict, UserDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import pytest

import tallymark as tm
from tallymark.engine import load_engine

ENGINES = ("native", "reference")
KINDS = ("counter", "gauge", "histogram", "timer")
METHODS = {
    "counter": ("inc", "add"),
    "gauge": ("set", "inc", "dec", "add"),
    "histogram": ("observe",),
    "timer": ("record",),
}

ELAPSED = "elapsed"
"""The timer that reads the real clock, so that only its counts can be compared."""

NAMES = ("n", "m", "a.b/c", "n_total", ELAPSED)
TTLS = (None, None, None, 5, 2.5, True)
ODD_TTLS = (0, -1, float("nan"), float("inf"), "5")
BUCKETS = (None, None, (1.0, 2.0), [1, 2, float("inf")], (0.1, 0.2, 0.5), tuple(range(40)))
EXPONENTIAL = (None, True, True, False, "yes")
ODD_BUCKETS = ((), (2.0, 1.0), (float("nan"),), "12", 5, (10**400,))
UNITS = ("", "", "bytes", "seconds")
LIMITS = (
    None,
    None,
    tm.TagLimits(max_series=2),
    tm.TagLimits(max_series=1, max_value_length=3),
    tm.TagLimits(max_tags=2, max_key_length=5, disallowed_keys=("c",)),
    tm.TagLimits(max_tags=40, max_series=10**12),
)


class Colour(enum.Enum):
    RED = 1


class Text(str, enum.Enum):  # noqa: UP042 # a StrEnum prints its text, and this one does not
    A = "a"
    LONG = "long" * 60


class StrText(enum.StrEnum):
    A = "a"


class Named:
    """What shows up in a sequence of operations by a name."""

    def __repr__(self) -> str:
        return type(self).__name__


class Unprintable(Named):
    def __str__(self) -> str:
        raise RuntimeError("no")


class PrintsSubclass(Named):
    def __str__(self) -> str:
        return Text.A


class Indexed(Named):
    def __index__(self) -> int:
        return 3


class Unreadable(Named):
    def __float__(self) -> float:
        raise RuntimeError("no")


class OtherStr(str):
    """A `str` that claims to be another one wherever it is asked."""

    __slots__ = ()

    def __str__(self) -> str:
        return "other"

    def __repr__(self) -> str:
        return f"OtherStr({str.__str__(self)!r})"


class SlowFloat(float):
    """A float that is no `float`."""


class Subscripted(int):
    """A number that looks like a collection."""

    def __getitem__(self, key: Any) -> int:
        raise RuntimeError("no")


class Odd(Mapping[str, str]):
    """A mapping that cannot be read."""

    def __getitem__(self, key: str) -> str:
        raise RuntimeError("no")

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("no")

    def __len__(self) -> int:
        return 1

    def __repr__(self) -> str:
        return "Odd()"


class LongTime(timedelta):
    def total_seconds(self) -> float:
        return 7  # an int


ODD_NAMES = (Text.A, "", "1x", "a b", "é", "tallymark_series", "tallymark_rejected", 5, None)
PLAIN_VALUES = ("a", "b", "c", "d", "e", "f")
ODD_VALUES = (
    "", 1, 10**30, True, None, 1.5, float("nan"), b"a", Colour.RED, Text.A, StrText.A, Text.LONG, OtherStr("a"),
    PrintsSubclass(), Unprintable(), "é", "ж", "日本", "😀", "aé日😀", "\udc80", "a\ud800b", "\\udc80", "\0", 'q"\\\n',
    "x" * 200, "x" * 201, "é" * 201, "😀" * 300, "true", (1, 2), [], ["a"], {}, {"a": "b"}, {"a"}, frozenset(),
    UserDict(a="b"), Odd(), Subscripted(4), range(2), bytearray(b"a"),
)  # fmt: skip
EXEMPLARS = (
    None, {}, {"trace_id": "4f79"}, UserDict(trace_id=1), {"trace_id": "x" * 200}, {"trace_id": Unprintable()}, {"a b": "c"},
    {5: "a"}, {"a": []}, Odd(), "4f79", 5, ["a"], OtherStr("a"),
)  # fmt: skip
TAG_KEYS = (None, None, ("a", "b"), ["a", "b"], ("b", "a"), ("a",), (), ("a", "b", "c", "value"), (Text.A, "exemplar"))
ODD_TAG_KEYS = ("ab", {"a", "b"}, ("a", "a"), ("",), (5,), 5)
CAUGHT = (
    (),
    (),
    (KeyError,),
    (ZeroDivisionError,),
    (KeyError, ArithmeticError),
    (BaseException,),
    (5,),
    (KeyError, "x"),
    (int,),
)
PLAIN_KEYS = ("a", "b", "c")
ODD_KEYS = (
    "self", "amount", "value", "exemplar", "tags", "mapping", "le", "overflow", "metric", "é", "a.b", "a_b", "_x", "k" * 6,
    OtherStr("a"), Text.A, "", "1a", "a b", "k" * 101, "é ", "\udc80",
)  # fmt: skip
NOT_TEXT = (1, None, b"a")
PLAIN_NUMBERS = (1.0, 0.5, 2, 1, 0, 0.1, 1e300, 0.0)
ODD_NUMBERS = (
    -1.0, -1, -0.0, True, False, Fraction(1, 3), Fraction(-1, 3), Fraction(10**400), Decimal("0.1"), Decimal("NaN"),
    Decimal("sNaN"), Decimal("-Infinity"), float("nan"), float("inf"), float("-inf"), 10**400, -(10**400), 2**53 + 1, 5e-324,
    -5e-324, 1.7976931348623157e308, "1", "", None, b"1", 1j, (), Indexed(), Unreadable(), SlowFloat(0.25), Text.A,
    timedelta(milliseconds=12), timedelta(seconds=-1), timedelta.max, LongTime(0),
)  # fmt: skip
STARTS = ("now", 0, True, float("inf"), float("nan"), "x", None, 10**400)


@dataclass(frozen=True)
class Given:
    """Tags as a call gives them: `form` is the kind of mapping that holds `items`."""

    form: str
    items: Any

    def for_engine(self, engine: Any) -> Any:
        return FORMS[self.form](engine, self.items)


def _other(engine: Any) -> Any:
    return load_engine("reference" if engine.name == "native" else "native")


FORMS: dict[str, Callable[[Any, Any], Any]] = {
    "none": lambda engine, items: None,
    "dict": lambda engine, items: dict(items),
    "proxy": lambda engine, items: MappingProxyType(dict(items)),
    "ordered": lambda engine, items: OrderedDict(items),
    "user": lambda engine, items: UserDict(items),
    "tagset": lambda engine, items: engine.TagSet(items),
    "other": lambda engine, items: _other(engine).TagSet(items),
    "pairs": lambda engine, items: list(items.items()),
    "text": lambda engine, items: "ab",
}


@dataclass
class World:
    """A registry of one engine, and the instruments that someone holds."""

    engine: Any
    registry: tm.Registry
    held: list[Any] = field(default_factory=list)

    def at(self, i: int) -> Any:
        return self.held[i % len(self.held)] if self.held else None


# Operations: data that can be printed, done again, and omitted from a sequence. They name an instrument by its index.


@dataclass(frozen=True)
class Create:
    """Get or create an instrument."""

    kind: str
    name: Any
    options: dict[str, Any]

    def __call__(self, world: World) -> Any:
        options = {k: v.for_engine(world.engine) if isinstance(v, Given) else v for k, v in self.options.items()}
        return getattr(world.registry, self.kind)(self.name, **options)


@dataclass(frozen=True)
class Record:
    """Call a method that records. `method` is the number of one that the instrument's kind has."""

    at: int
    method: int
    amount: tuple[Any, ...]
    tags: dict[str, Any]

    def __call__(self, world: World) -> Any:
        one = world.at(self.at)
        if one is None:
            return None
        methods = METHODS[one.kind]
        method = methods[self.method % len(methods)]
        amount = self.amount or (() if method in ("inc", "dec") else (1.0,))
        return getattr(one, method)(*amount, **self.tags)


@dataclass(frozen=True)
class Since:
    """Record a reading of the real clock, on the timer whose counts alone are compared."""

    at: int
    start: Any
    tags: dict[str, Any]

    def __call__(self, world: World) -> Any:
        one = world.at(self.at)
        if one is None or one.name != ELAPSED or one.kind != "timer":
            return None
        return one.record_since(time.perf_counter() if self.start == "now" else self.start, **self.tags)


@dataclass(frozen=True)
class Block:
    """Time a `with` block, or a function that is called twice; by either, one that raises."""

    at: int
    decorates: bool
    fails: bool
    tags: dict[str, Any]

    def __call__(self, world: World) -> Any:
        one = world.at(self.at)
        if one is None or one.name != ELAPSED or one.kind != "timer":
            return None

        def work() -> None:
            if self.fails:
                raise ZeroDivisionError("work")

        if self.decorates:
            timed = one.time(**self.tags)(work)
            timed()
            return timed()
        with one.time(**self.tags) as timing, timing:
            work()


@dataclass(frozen=True)
class WithTags:
    """Name a series."""

    at: int
    given: Given
    tags: dict[str, Any]

    def __call__(self, world: World) -> Any:
        one = world.at(self.at)
        return None if one is None else one.with_tags(self.given.for_engine(world.engine), **self.tags)


@dataclass(frozen=True)
class ByPlace:
    """Name a series by values for the declared keys."""

    at: int
    values: tuple[Any, ...]
    tags: dict[str, Any]

    def __call__(self, world: World) -> Any:
        one = world.at(self.at)
        return None if one is None else one.with_tags(*self.values, **self.tags)


@dataclass(frozen=True)
class Series:
    """List the live series, and the places of those that are held."""

    at: int

    def __call__(self, world: World) -> Any:
        one = world.at(self.at)
        listed = [] if one is None else one.series()
        places = [[place for place, held in enumerate(world.held) if held is series] for series in listed]
        return [(str(series.tags), place) for series, place in zip(listed, places, strict=True)]


@dataclass(frozen=True)
class Track:
    """Count what is in progress, or the exceptions, of a `with` block or of a function; of either, one that raises."""

    at: int
    decorates: bool
    fails: bool
    exceptions: tuple[Any, ...]
    tags: dict[str, Any]

    def __call__(self, world: World) -> Any:
        one = world.at(self.at)
        if one is None or one.kind not in ("counter", "gauge"):
            return None
        counts = one.kind == "counter"
        scope = one.count_exceptions(*self.exceptions, **self.tags) if counts else one.track_in_progress(**self.tags)

        def work() -> str:
            if self.fails:
                raise ZeroDivisionError("work")
            return repr(one)

        if self.decorates:
            return scope(work)()
        with scope as entered, entered:
            return work(), repr(scope)


@dataclass(frozen=True)
class WrongArity:
    """Call a method with too many arguments."""

    at: int
    method: int

    def __call__(self, world: World) -> Any:
        one = world.at(self.at)
        return None if one is None else getattr(one, METHODS[one.kind][self.method % len(METHODS[one.kind])])(1, 2)


@dataclass(frozen=True)
class MakeTagSet:
    """Make a tag set."""

    given: Given
    tags: dict[str, Any]

    def __call__(self, world: World) -> Any:
        return world.engine.TagSet(self.given.for_engine(world.engine), **self.tags)


@dataclass(frozen=True)
class Remove:
    at: int

    def __call__(self, world: World) -> Any:
        one = world.at(self.at)
        return None if one is None else one.remove()


@dataclass(frozen=True)
class LetGo:
    """Stop holding an instrument."""

    at: int

    def __call__(self, world: World) -> Any:
        if world.held:
            del world.held[self.at % len(world.held)]


@dataclass(frozen=True)
class Unregister:
    name: Any

    def __call__(self, world: World) -> Any:
        return world.registry.unregister(self.name)


@dataclass(frozen=True)
class Expire:
    def __call__(self, world: World) -> Any:
        return world.registry.expire()


@dataclass(frozen=True)
class Advance:
    """Let time pass. The clock is one for both worlds, so this happens once."""

    seconds: float


# What can be seen


def bits(numbers: Any) -> list[str]:
    """Return the bits of floats: NaN is itself, and 0.0 is not -0.0. What is no float shows its type."""
    return [struct.pack(">d", one).hex() if type(one) is float else repr(one) for one in numbers]


def seen_tags(tags: Any) -> tuple[str, list[tuple[str, str]], bool]:
    return repr(tags), list(tags.items()), all(type(text) is str for pair in tags.items() for text in pair)


def seen_distribution(name: str, one: tm.HistogramSnapshot) -> Any:
    if name == ELAPSED:
        return one.count
    return type(one).__name__, one.bounds, one.bucket_counts, bits([one.sum, one.min, one.max])


def seen_instrument(one: Any) -> Any:
    shown = repr(one).partition(" sum=")[0] if one.name == ELAPSED else repr(one)
    facts = (
        shown,
        [seen_tags(series.tags) for series in one.series()],
        one.kind,
        one.name,
        one.description,
        one.unit,
        seen_tags(one.tags),
        one.tags is one.tags,
    )
    if one.kind in ("counter", "gauge"):
        return *facts, bits([one.value])
    return *facts, one.bounds, seen_distribution(one.name, one.snapshot())


def seen_family(family: tm.FamilySnapshot) -> Any:
    columns = family.columns
    return (
        (family.name, family.kind, family.description, family.unit, family.bounds, len(family)),
        [seen_tags(tags) for tags in columns.tags],
        bits(columns.created),
        bits(columns.values),
        [sum(counts) for counts in columns.bucket_counts] if family.name == ELAPSED else list(columns.bucket_counts),
        [] if family.name == ELAPSED else [bits(column) for column in (columns.sums, columns.mins, columns.maxs)],
        [] if family.name == ELAPSED else [columns.scales, columns.zero_counts, columns.positives, columns.negatives],
        []
        if family.name == ELAPSED
        else [[(one.labels, bits([one.value, one.time])) for one in row] for row in columns.exemplars],
    )


def seen_world(world: World) -> dict[str, Any]:
    """Return all that users and exporters can see of a world."""
    snapshot = world.registry.snapshot()
    steady = tuple([family for family in snapshot.families if family.name != ELAPSED])
    return {
        "held": [seen_instrument(one) for one in world.held],
        "families": [seen_family(family) for family in snapshot.families],
        "text": tm.render_prometheus(tm.Snapshot(steady, snapshot.time)),
    }


def seen_result(world: World, result: Any) -> Any:
    """Return a result in a form that both engines share: an instrument is its index among those that are held."""
    if isinstance(result, world.engine.Instrument):
        for index, one in enumerate(world.held):
            if one is result:
                return "held at", index
        world.held.append(result)
        return "new at", len(world.held) - 1
    if isinstance(result, world.engine.TagSet):
        return seen_tags(result)
    return repr(result)


def check_alike(where: str, native: Any, reference: Any) -> None:
    """Raise `AssertionError`, which names the first difference, if two pictures differ."""
    if type(native) is type(reference) and isinstance(native, dict) and native.keys() == reference.keys():
        for key in native:
            check_alike(f"{where}[{key!r}]", native[key], reference[key])
    elif type(native) is type(reference) and isinstance(native, list | tuple) and len(native) == len(reference):
        for i, (one, other) in enumerate(zip(native, reference, strict=True)):
            check_alike(f"{where}[{i}]", one, other)
    elif native != reference:
        raise AssertionError(f"{where}\n  native:    {native!r}\n  reference: {reference!r}")


class Clock:
    """Stands in for the module `time` in the registry."""

    def __init__(self) -> None:
        self.passed = 0.0

    def time(self) -> float:
        return 1_000_000.0 + self.passed

    def monotonic(self) -> float:
        return 50.0 + self.passed

    def exemplar(self) -> dict[str, object] | None:
        return {"passed": self.passed} if self.passed % 2 < 1 else None


class Log(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())

    def take(self) -> list[str]:
        lines, self.lines = self.lines, []
        return lines


class Pair:
    """Two worlds that must not differ."""

    def __init__(self, log: Log, clock: Clock, strict: bool, tags: Given, limits: tm.TagLimits | None, asks: bool) -> None:
        self._log = log
        self._clock = clock
        self.worlds = []
        for name in ENGINES:
            engine = load_engine(name)
            source = clock.exemplar if asks else None
            registry = tm.Registry(engine=name, strict=strict, tags=tags.for_engine(engine), limits=limits, exemplars=source)
            self.worlds.append(World(engine, registry))

    def do(self, operation: Any) -> None:
        """Do an operation in both worlds; `AssertionError` where what comes of it differs."""
        if isinstance(operation, Advance):
            self._clock.passed += operation.seconds
        else:
            check_alike("result", *[self._outcome(world, operation) for world in self.worlds])
        if isinstance(operation, LetGo | Unregister):
            gc.collect()  # families of the reference engine are cycles, and who holds one decides whether it can come back
        self.compare()

    def compare(self) -> None:
        """Compare what can be seen."""
        check_alike("world", *[seen_world(world) | {"log": self._log.take()} for world in self.worlds])

    def _outcome(self, world: World, operation: Any) -> Any:
        try:
            result = operation(world)
        except Exception as error:
            message = "" if isinstance(operation, WrongArity) else str(error)
            return "raised", type(error), message, type(error.__cause__), self._log.take()
        return "returned", seen_result(world, result), self._log.take()


@contextmanager
def paired(
    strict: bool = False,
    tags: Mapping[str, Any] | Given | None = None,
    limits: tm.TagLimits | None = None,
    asks: bool = False,
) -> Iterator[Pair]:
    """Yield a pair of worlds on one clock that only `Advance` moves, and what they log."""
    given = tags if isinstance(tags, Given) else Given("dict", tags or {})
    clock, log, logger = Clock(), Log(), logging.getLogger("tallymark")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tallymark.metric.registry.time", clock)
        patch.setattr(logger, "propagate", False)
        logger.addHandler(log)
        gc.collect()
        try:
            yield Pair(log, clock, strict, given, limits, asks)
        finally:
            logger.removeHandler(log)
