"""What common operations cost on CPython, to the integer: the counts are exact, and the same in every process.

`bytes` includes what reallocations ask for: the tuple that prometheus_client makes of a generator is asked for twice.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from importlib.metadata import version

import prometheus_client
import pytest

from tallymark.bench.allocations import CAN_TRACE_OBJECTS, allocations_per_op, objects_created

Loop = Callable[[Iterable[None]], None]

one = {"a": "1", "b": "2"}
other = {"c": "3", "d": "4"}
three = {"a": "1", "b": "2", "c": "3"}
abc, xyz = "abc", "xyz"
small, large = 1.5, 2.25
thousand, million = 1_000, 1_000_000

peer = prometheus_client.Counter("requests", "Requests.", registry=prometheus_client.CollectorRegistry())
labelled = prometheus_client.Counter("calls", "Calls.", ["method", "status"], registry=prometheus_client.CollectorRegistry())


def empty_dict(iterations: Iterable[None]) -> None:
    for _ in iterations:
        {}


def dict_of_two(iterations: Iterable[None]) -> None:
    for _ in iterations:
        {"a": "1", "b": "2"}


def dict_of_a_dict(iterations: Iterable[None]) -> None:
    for _ in iterations:
        dict(three)


def copy_of_a_dict(iterations: Iterable[None]) -> None:
    for _ in iterations:
        three.copy()


def merged_dicts(iterations: Iterable[None]) -> None:
    for _ in iterations:
        {**one, **other}


def tuple_of_two(iterations: Iterable[None]) -> None:
    for _ in iterations:
        (abc, xyz)


def f_string_of_two(iterations: Iterable[None]) -> None:
    for _ in iterations:
        f"{abc}:{xyz}"


def float_add(iterations: Iterable[None]) -> None:
    for _ in iterations:
        small + large


def int_add(iterations: Iterable[None]) -> None:
    for _ in iterations:
        thousand + million


def peer_inc(iterations: Iterable[None]) -> None:
    for _ in iterations:
        peer.inc()


def peer_labels_inc(iterations: Iterable[None]) -> None:
    for _ in iterations:
        labelled.labels("GET", "200").inc()


def range_of_large_ints(iterations: Iterable[None]) -> None:
    for _, _ in zip(iterations, range(1_000, 10_000_000), strict=False):
        pass


Pair = tuple[int, int]
Answers = tuple[Pair, Pair, Pair, Pair, Pair]

#: Allocations and bytes on 3.11, 3.12, 3.13 and 3.14; objects on 3.13 and 3.14.
KNOWN: dict[Loop, Answers] = {
    empty_dict: ((0, 0), (0, 0), (0, 0), (0, 0), (1, 1)),
    dict_of_two: ((0, 0), (0, 0), (0, 0), (0, 0), (1, 1)),
    dict_of_a_dict: ((2, 184), (2, 184), (2, 184), (2, 184), (1, 1)),
    copy_of_a_dict: ((1, 120), (1, 120), (1, 120), (1, 120), (1, 1)),
    merged_dicts: ((1, 120), (1, 120), (1, 120), (1, 120), (1, 1)),
    tuple_of_two: ((0, 0), (0, 0), (0, 0), (0, 0), (1, 1)),
    f_string_of_two: ((1, 56), (1, 48), (1, 48), (1, 48), (1, 1)),
    float_add: ((0, 0), (0, 0), (0, 0), (0, 0), (1, 1)),
    int_add: ((1, 32), (1, 32), (1, 32), (0, 0), (1, 1)),
    range_of_large_ints: ((1, 32), (1, 32), (1, 32), (0, 0), (1, 1)),
}

#: These hold for the versions of the peers that the dev extra installs.
PEERS: dict[Loop, Answers] = {
    peer_inc: ((2, 144), (2, 144), (2, 144), (0, 0), (4, 2)),
    peer_labels_inc: ((9, 920), (9, 920), (9, 920), (4, 456), (15, 11)),
}
OPENTELEMETRY = ((36, 2460), (35, 2404), (32, 2340), (21, 1556), (61, 59))


def expect(loop: Loop, answers: Answers) -> None:
    """Assert the answers of the running version; a later one has none yet."""
    at = sys.version_info[1] - 11
    if at > 3:
        pytest.skip(f"no answers are known for Python {sys.version.split()[0]}")
    assert allocations_per_op(loop) == answers[at]
    if CAN_TRACE_OBJECTS:
        assert sum(objects_created(loop).values()) == answers[4][at - 2]


@pytest.mark.parametrize("loop", KNOWN, ids=lambda loop: loop.__name__)
def test_what_python_allocates(loop: Loop) -> None:
    expect(loop, KNOWN[loop])


@pytest.mark.parametrize("loop", PEERS, ids=lambda loop: loop.__name__)
def test_what_prometheus_client_allocates(loop: Loop) -> None:
    if version("prometheus_client") != "0.26.0":
        pytest.skip(f"no answers are known for prometheus_client {version('prometheus_client')}")
    expect(loop, PEERS[loop])


def test_what_opentelemetry_allocates() -> None:
    pytest.importorskip("opentelemetry.sdk.metrics")
    if version("opentelemetry-sdk") != "1.45.2":
        pytest.skip(f"no answers are known for opentelemetry-sdk {version('opentelemetry-sdk')}")
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    provider = MeterProvider(metric_readers=[InMemoryMetricReader()])
    counter = provider.get_meter("known").create_counter("requests")
    attributes = {"method": "GET", "status": "200"}

    def add(iterations: Iterable[None]) -> None:
        for _ in iterations:
            counter.add(1, attributes)

    try:
        expect(add, OPENTELEMETRY)
    finally:
        provider.shutdown()


@pytest.mark.parametrize("loop", KNOWN, ids=lambda loop: loop.__name__)
def test_an_answer_does_not_depend_on_how_often_it_is_asked_for(loop: Loop) -> None:
    assert {allocations_per_op(loop, n) for n in (7, 64, 1000)} == {allocations_per_op(loop)}


@pytest.mark.skipif(not CAN_TRACE_OBJECTS, reason="objects are counted on Python 3.13 and later")
def test_the_types_of_objects() -> None:
    assert objects_created(dict_of_a_dict) == {"dict": 1}
    assert objects_created(tuple_of_two) == {"tuple": 1}
    methods = {"builtin_function_or_method": 2} if sys.version_info < (3, 14) else {}  # of a `with`: now they are not bound
    assert objects_created(peer_inc) == {"float": 1, "tuple": 1, **methods}
