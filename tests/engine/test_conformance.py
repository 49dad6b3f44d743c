"""Both engines keep one contract: the same operations give the same results, errors, log lines and snapshots, to the bit.

`paired` does an operation on both engines and compares all that can be seen. Here are the sequences: short ones with a name;
many from seeds, shrunk by omitting operations; and some from hypothesis, which shrinks what fails.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import paired as p
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from paired import Given

import tallymark as tm

pytestmark = pytest.mark.slow

Pick: TypeAlias = Callable[[Sequence[Any]], Any]
"""Chooses one of several: hypothesis does, or a seed."""

SEEDS = range(50)
LENGTH = 100


COUNTER = p.Create("counter", "n", {})
GAUGE_WITH_TTL = p.Create("gauge", "n", {"ttl": 5})
ONE_SERIES = p.Create("counter", "n", {"limits": tm.TagLimits(max_series=1)})
A = {"a": "1"}
NO_TAGS: tuple[dict[str, Any], ...] = (
    {"exemplar": 5, "amount": 1}, {"amount": 1, "exemplar": 5}, {"amount": 1, "exemplar": {"": ""}}, {"exemplar": None},
    {"exemplar": {"": ""}, "value": 1}, {"exemplar": {"b": "c"}}, {"b": {}, "exemplar": {"": ""}},
)  # fmt: skip

WORTH_A_NAME: dict[str, tuple[dict[str, Any], list[Any]]] = {
    "a tuple is no number": ({}, [COUNTER, *[p.Record(0, 0, (amount,), {}) for amount in ((), (5.0,), (1, 2))]]),
    "no tags name no series": ({}, [COUNTER, *[p.WithTags(0, Given(form, {}), {}) for form in p.FORMS]]),
    "no tags at creation name no series": (
        {},
        [p.Create("counter", form, {"tags": Given(form, {})}) for form in p.FORMS],
    ),
    "a removed series is named again by itself": (
        {},
        [COUNTER, p.WithTags(0, Given("none", {}), A), p.Remove(1), p.WithTags(1, Given("dict", A), {})],
    ),
    "a removed series is named again by a mapping": (
        {},
        [COUNTER, p.WithTags(0, Given("none", {}), A), p.Remove(1), p.WithTags(0, Given("dict", A), {})],
    ),
    "the overflow series checks that keys are text": (
        {},
        [
            ONE_SERIES, p.Record(0, 0, (), A), p.WithTags(0, Given("none", {}), {"a": "2"}),
            p.WithTags(1, Given("dict", {1: "x"}), {}), p.WithTags(1, Given("dict", {"": "x"}), {}),
            p.Remove(1), p.WithTags(1, Given("dict", {"b": "x"}), {}),
        ],
    ),
    "zero may change its sign and not be fresh": (
        {},
        [GAUGE_WITH_TTL, p.Record(0, 0, (0.0,), {}), p.Advance(3.0), p.Record(0, 0, (-0.0,), {}), p.Advance(3.0), p.Expire()],
    ),
    "NaN may stay NaN and not be fresh": (
        {},
        [
            GAUGE_WITH_TTL, p.Record(0, 0, (float("nan"),), {}), p.Advance(3.0), p.Record(0, 0, (-float("nan"),), {}),
            p.Advance(3.0), p.Expire(),
        ],
    ),
    "a family cuts the tags of its registry too": (
        {"tags": {"host": "long name"}},
        [
            p.Create("counter", "n", {"limits": tm.TagLimits(max_value_length=4)}),
            *[p.Record(0, 0, (), {"a": value}) for value in "1221"],
        ],
    ),
    "a call site that another metric learnt takes no undeclared key": (
        {},
        [
            COUNTER, p.Create("counter", "m", {"tag_keys": ("a",)}),
            *[p.Record(at, 0, (), {"a": "1", "b": value}) for value in "11" for at in (0, 1)],
            *[p.Record(at, 0, (), {"b": value}) for value in "11" for at in (0, 1)],
        ],
    ),
    "declared keys let the overflow series be named, and nothing like it": (
        {},
        [
            p.Create("counter", "n", {"tag_keys": ("a",), "limits": tm.TagLimits(max_series=1)}),
            *[
                p.WithTags(0, Given("none", {}), tags)
                for tags in ({"overflow": "true"}, {"overflow": "false"}, {"overflow": "true", "a": "1"}, A, {"a": "2"}) * 2
            ],
        ],
    ),
    "an exemplar and a number by keyword, in either order": (
        {},
        [
            *[p.Create(kind, kind, {}) for kind in p.KINDS],
            *[p.Record(at, 0, (), {**keywords, **A}) for at in range(4) for keywords in NO_TAGS],
        ],
    ),
    "a series that is listed is the one that is held": (
        {},
        [
            COUNTER, p.Series(0), *[p.WithTags(0, Given("none", {}), {"a": value}) for value in "123"], p.Series(0),
            p.Remove(2), p.Series(0), p.LetGo(1), p.Series(0), p.Series(1), p.Record(1, 0, (), {}), p.Series(0),
            p.Unregister("n"), p.Series(0),
        ],
    ),
    "a name that is an enum member is its text": ({}, [p.Create("counter", p.Text.A, {}), p.Record(0, 0, (), {})]),
    "a family that nobody holds comes back afresh": (
        {},
        [
            p.Create("histogram", "n", {"description": "Old.", "buckets": (1.0,)}), p.Record(0, 0, (), A), p.LetGo(0),
            p.Unregister("n"), p.Create("histogram", "n", {"description": "New.", "ttl": 5}), p.Advance(6.0), p.Expire(),
        ],
    ),
    "a record to a family whose name is taken is rejected": (
        {},
        [COUNTER, p.Unregister("n"), p.Create("gauge", "n", {}), p.Record(0, 0, (), {}), p.Record(0, 0, (), A)],
    ),
    "a series that is woken goes to the end": (
        {},
        [
            COUNTER, *[p.WithTags(0, Given("none", {}), {"a": value}) for value in "123"],
            p.Remove(1), p.Record(1, 0, (), {}), p.Remove(2), p.Record(0, 0, (), {"a": "2"}),
        ],
    ),
    "a removed series no longer counts towards the limit": (
        {},
        [
            ONE_SERIES, p.WithTags(0, Given("none", {}), A), p.Remove(1), p.Record(0, 0, (), {"a": "2"}),
            p.Record(1, 0, (), {}), p.Unregister("n"), p.Record(1, 0, (), {}), p.Record(0, 0, (), {"a": "2"}),
        ],
    ),
}  # fmt: skip


def some(pick: Pick, plain: Sequence[Any], odd: Sequence[Any]) -> Any:
    """Choose something plain, or, less often, something odd."""
    return pick(odd) if pick((False, False, False, True)) else pick(plain)


def tags(pick: Pick, sizes: Sequence[int] = (0, 1, 1, 2, 3)) -> dict[Any, Any]:
    return {some(pick, p.PLAIN_KEYS, p.ODD_KEYS): some(pick, p.PLAIN_VALUES, p.ODD_VALUES) for _ in range(pick(sizes))}


def given(pick: Pick) -> Given:
    items = tags(pick, (0, 1, 2, 2, 3, 12))
    if pick((False,) * 7 + (True,)):
        items[pick(p.NOT_TEXT)] = "x"
    return Given(pick(("none", "dict", "dict", "dict", *p.FORMS)), items)


def create(pick: Pick) -> p.Create:
    kind = pick(p.KINDS)
    name = pick(p.ODD_NAMES) if pick((False,) * 9 + (True,)) else pick(p.NAMES)
    kind = "timer" if name == p.ELAPSED else kind
    options: dict[str, Any] = {
        "description": pick(("", "", "What it is.", "Another\n.")),
        "ttl": pick(p.ODD_TTLS) if pick((False,) * 9 + (True,)) else pick(p.TTLS),
        "limits": pick(p.LIMITS),
        "tags": given(pick),
        "tag_keys": pick(p.ODD_TAG_KEYS) if pick((False,) * 9 + (True,)) else pick(p.TAG_KEYS),
    }
    if kind != "timer":
        options["unit"] = pick(p.UNITS)
    if kind in ("histogram", "timer"):
        if pick((True, False)):
            options["exponential"] = pick(p.EXPONENTIAL)
        else:
            options["buckets"] = pick(p.ODD_BUCKETS) if pick((False,) * 9 + (True,)) else pick(p.BUCKETS)
    return p.Create(kind, name, {key: value for key, value in options.items() if pick((True, True, False)) and value != ""})


def place(pick: Pick) -> int:
    return pick(range(8))


def record(pick: Pick) -> p.Record:
    amount = () if pick((False, False, True)) else (some(pick, p.PLAIN_NUMBERS, p.ODD_NUMBERS),)
    return p.Record(place(pick), pick(range(4)), amount, keywords(pick))


def keywords(pick: Pick) -> dict[Any, Any]:
    """Tags of a record call, and now and then what is none, somewhere among them."""
    if pick((False,) * 7 + (True,)):
        none = {"exemplar": pick(p.EXEMPLARS)} if pick((True, True, False)) else {pick(("amount", "value")): 1}
        return {**tags(pick), **none, **tags(pick)}
    return tags(pick)


def since(pick: Pick) -> p.Since:
    return p.Since(place(pick), pick(p.STARTS), tags(pick))


def block(pick: Pick) -> p.Block:
    return p.Block(place(pick), pick((False, True)), pick((False, True)), tags(pick))


def with_tags(pick: Pick) -> p.WithTags:
    return p.WithTags(place(pick), given(pick), tags(pick))


def by_place(pick: Pick) -> p.ByPlace:
    values = tuple([some(pick, p.PLAIN_VALUES, p.ODD_VALUES) for _ in range(pick((0, 1, 1, 2, 2, 2, 3, 4)))])
    return p.ByPlace(place(pick), values, tags(pick, (0, 0, 0, 1)))


def listed(pick: Pick) -> p.Series:
    return p.Series(place(pick))


def track(pick: Pick) -> p.Track:
    return p.Track(place(pick), pick((False, True)), pick((False, True)), pick(p.CAUGHT), tags(pick))


def tag_set(pick: Pick) -> p.MakeTagSet:
    return p.MakeTagSet(given(pick), tags(pick))


def lifecycle(pick: Pick) -> Any:
    make = pick((p.Remove, p.Remove, p.LetGo, p.Unregister, p.Expire, p.Advance, p.Advance, p.WrongArity))
    if make is p.Expire:
        return p.Expire()
    if make is p.Unregister:
        return p.Unregister(pick(p.NAMES))
    if make is p.Advance:
        return p.Advance(pick((0.5, 2.5, 5.0)))
    if make is p.WrongArity:
        return p.WrongArity(place(pick), pick(range(4)))
    return make(place(pick))


MAKERS: tuple[Callable[[Pick], Any], ...] = (
    create, record, record, record, record, record, since, block, with_tags, with_tags, by_place, track, listed, tag_set,
    lifecycle,
)  # fmt: skip


def seeded(seed: int) -> tuple[dict[str, Any], list[Any]]:
    """Return the arguments of `paired` and the operations that a seed stands for."""
    pick = random.Random(seed).choice
    operations = [create(pick), create(pick)]
    while len(operations) < LENGTH:
        make = pick(MAKERS)
        operations.append(make(pick))
    return setting(pick), operations


def setting(pick: Pick) -> dict[str, Any]:
    return {
        "strict": pick((False, False, True)),
        "tags": pick(({}, {}, {"host": "h"}, {"host": "long name", "a": p.Colour.RED}, {"overflow": "true"})),
        "limits": pick([limits for limits in p.LIMITS if limits is None or limits.max_key_length > len("overflow")]),
        "asks": pick((False, True)),
    }


def failure(arguments: dict[str, Any], operations: Sequence[Any]) -> AssertionError | None:
    """Return how the worlds differ after some operations, and None where they do not."""
    try:
        with p.paired(**arguments) as pair:
            for operation in operations:
                pair.do(operation)
    except AssertionError as error:
        return error
    return None


def shrunk(arguments: dict[str, Any], operations: list[Any]) -> list[Any]:
    """Leave out operations, in ever smaller stretches, as long as the rest still fails."""
    length = len(operations) // 2
    while length:
        for start in range(len(operations) - length, -1, -1):
            fewer = operations[:start] + operations[start + length :]
            if failure(arguments, fewer):
                operations = fewer
        length //= 2
    return operations


@pytest.mark.parametrize("strict", [False, True], ids=["lenient", "strict"])
@pytest.mark.parametrize("name", WORTH_A_NAME)
def test_a_sequence_worth_a_name_leaves_the_engines_alike(name: str, strict: bool) -> None:
    arguments, operations = WORTH_A_NAME[name]
    error = failure({"strict": strict, **arguments}, operations)
    assert error is None, error


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_sequence_leaves_the_engines_alike(seed: int) -> None:
    arguments, operations = seeded(seed)
    if failure(arguments, operations):
        operations = shrunk(arguments, operations)
        listed = "\n".join(f"    {operation}" for operation in operations)
        pytest.fail(f"the engines differ after\n    {arguments}\n{listed}\n{failure(arguments, operations)}", pytrace=False)


def from_hypothesis(make: Callable[[Pick], Any]) -> st.SearchStrategy[Any]:
    @st.composite
    def made(draw: st.DrawFn) -> Any:
        return make(lambda choices: draw(st.sampled_from(choices)))

    return made()


class Engines(RuleBasedStateMachine):
    """Both engines, one operation after the other."""

    @initialize(arguments=from_hypothesis(setting), first=from_hypothesis(create))
    def begin(self, arguments: dict[str, Any], first: p.Create) -> None:
        self.context = p.paired(**arguments)
        self.pair = self.context.__enter__()
        self.pair.do(first)

    @rule(operation=from_hypothesis(create))
    def create(self, operation: p.Create) -> None:
        self.pair.do(operation)

    @rule(operation=from_hypothesis(record))
    def record(self, operation: p.Record) -> None:
        self.pair.do(operation)

    @rule(operation=from_hypothesis(with_tags))
    def with_tags(self, operation: p.WithTags) -> None:
        self.pair.do(operation)

    @rule(operation=st.one_of([from_hypothesis(make) for make in (since, block, by_place, track, listed, tag_set)]))
    def other(self, operation: Any) -> None:
        self.pair.do(operation)

    @rule(operation=from_hypothesis(lifecycle))
    def lifecycle(self, operation: Any) -> None:
        self.pair.do(operation)

    def teardown(self) -> None:
        if hasattr(self, "context"):
            self.context.__exit__(None, None, None)


TestEngines = Engines.TestCase
TestEngines.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck), print_blob=False
)
