"""The passes of a loop, in this process: what they run, and what they report."""

import gc
import itertools

import pytest

from tallymark.bench import allocations
from tallymark.bench.allocations import counting
from tallymark.bench.benchmark import Benchmark, parametrize, run_once, variants
from tallymark.bench.errors import BenchmarkFileError
from tallymark.bench.measure.passes import AllocationPass, CheckPass, CollectionPass, FirstPass, TimePass
from tallymark.bench.measure.passes.counted import find_period
from tallymark.bench.measure.passes.kept import KeptPass
from tallymark.bench.measure.passes.timed import falls
from tallymark.bench.names import variant_names
from tallymark.bench.retention import Retention


class Turns:
    """Turns for a warm-up and for so many values, without waiting."""

    def __init__(self, values):
        self.left = values + 1

    def next(self):
        self.left -= 1
        return self.left >= 0


def measured(function, one):
    run_once(function, {}, one)
    return one


def counts(function, **more):
    with counting():
        return measured(function, AllocationPass(0.5, **more)).result()


def bench_nothing(b):
    for _ in b.loop():
        pass


def bench_copy(b):
    items = {"a": 1, "b": 2, "c": 3}
    for _ in b.loop():
        items.copy()


def bench_one_in_four(b):
    i = 0
    kept = [1]
    for _ in b.loop():
        i = (i + 1) % 4
        if i == 0:
            kept.copy()


async def bench_coroutine(b):
    list(b.loop())


def bench_generator(b):
    yield from b.loop()


async def bench_async_generator(b):
    for _ in b.loop():
        yield


class Batches:
    """Runs so many operations at once."""

    def __init__(self, n):
        self.n = n

    def batches(self):
        yield itertools.repeat(None, self.n)


def test_the_loop_itself_allocates_nothing():
    found = counts(bench_nothing)["allocations"]
    assert (found["allocs"], found["bytes"], found["exact"]) == (0, 0, True)


def test_setup_and_teardown_are_not_measured():
    def bench_setup(b):
        before = [bytearray(100) for _ in range(100)]
        for _ in b.loop():
            before[0].copy()
        before += [bytearray(100) for _ in range(100)]

    found = counts(bench_setup)
    assert found["allocations"]["allocs"] == 2  # the object and its buffer
    assert found["warmup"]["steady"]


def test_allocations_are_exact_and_fractions_are_kept():
    assert counts(bench_copy)["allocations"]["allocs"] == 1
    found = counts(bench_one_in_four)
    assert found["allocations"]["allocs"] == pytest.approx(0.25, abs=0.01)
    assert found["warmup"]["period"] == 4


def test_totals_are_what_all_counted_ops_requested():
    found = counts(bench_copy)["allocations"]
    assert found["total_allocs"] == found["ops"]
    assert found["total_bytes"] == found["ops"] * found["bytes"]


def test_retained_blocks_are_reported():
    def bench_retains(b):
        kept = []
        for _ in b.loop():
            kept.append(object())

    assert counts(bench_retains)["allocations"]["retained"] >= 1
    assert counts(bench_copy)["allocations"]["retained"] == 0


def test_cycles_that_a_collection_frees_are_not_retained():
    def bench_cycles(b):
        for _ in b.loop():
            one = [object()]
            one.append(one)

    found = counts(bench_cycles)["allocations"]
    assert found["allocs"] > 0
    assert found["retained"] == 0


@pytest.mark.parametrize("size", [50, 3000])
def test_a_cache_that_fills_up_is_not_retained(size):
    def bench_fills(b):
        numbers, kept = itertools.count(), {}
        for _ in b.loop():
            kept[next(numbers) % size] = object()

    assert counts(bench_fills)["allocations"]["retained"] == 0


@pytest.mark.parametrize(("size", "budget", "kept"), [(200, 60, 0), (300, 60, 0), (5000, 60, 0), (5000, 0, 1)])
def test_what_is_kept_is_read_until_growth_ends_or_the_budget_does(size, budget, kept):
    numbers, cache, reading = itertools.count(), [None] * size, Retention(10, budget)
    with counting():
        for iterations in reading.batches():
            for _ in iterations:
                cache[next(numbers) % size] = object()
    assert reading.per_op == pytest.approx(kept, abs=0.1)


def test_a_cache_that_only_grows_is_retained():
    def bench_grows(b):
        numbers, kept = itertools.count(1000), {}
        for _ in b.loop():
            kept[next(numbers)] = [object()]

    found = counts(bench_grows)
    assert found["allocations"]["retained"] >= 2
    assert found["warmup"]["steady"]  # it does the same each time, but for the resizes of its table


def test_what_is_retained_is_named_by_type_and_line():
    def bench_retains(b):
        kept = []
        for _ in b.loop():
            kept.append({"a": [1]})

    line = bench_retains.__code__.co_firstlineno + 3
    told = measured(bench_retains, KeptPass(0.5)).kept.told()
    assert told == f'dict and list, made at test_passes.py:{line} `kept.append({{"a": [1]}})`'


@pytest.mark.slow
def test_an_op_that_never_settles_is_reported():
    def bench_grows(b):
        work = []
        for _ in b.loop():
            work.append(1)
            for i in work:
                [i].copy()

    assert not counts(bench_grows)["warmup"]["steady"]


def test_cold_free_lists_cost_more():
    def bench_tuple(b):
        for _ in b.loop():
            (b, b)

    assert counts(bench_tuple, cold=True)["allocations"]["allocs"] == 1
    assert counts(bench_tuple)["allocations"]["allocs"] == 0


def test_the_first_op_alone():
    ran = []

    def bench_counts(b):
        for _ in b.loop():
            ran.append(bytearray(10))

    assert measured(bench_counts, FirstPass()).seconds > 0
    assert len(ran) == 1
    with counting():
        assert measured(bench_counts, FirstPass(counted=True)).counts.allocs >= 2


def test_a_value_times_enough_ops():
    found = measured(bench_copy, TimePass(Turns(4), 0.001, 0.5))
    assert len(found.values) == len(found.empty) == 4
    assert found.loops > 100
    assert found.warmup >= 1000


def test_the_warm_up_of_a_slow_op_is_its_first():
    def bench_slow(b):
        for _ in b.loop():
            sum(range(300_000))

    found = measured(bench_slow, TimePass(Turns(2), 0.001, 1e-6))
    assert (found.loops, found.warmup, len(found.values)) == (1, 1, 2)


def test_the_empty_loop_beside_a_value_is_subtracted(monkeypatch):
    """The clock advances by 10 a look and 3 an op; a value has one op here, and an empty loop of one iteration takes 10."""
    ticks = [0]

    def clock():
        ticks[0] += 10
        return ticks[0]

    def bench_three(b):
        for _ in b.loop():
            ticks[0] += 3

    monkeypatch.setitem(TimePass.batches.__globals__, "clock", clock)
    found = measured(bench_three, TimePass(Turns(2), 0.001, 1))
    assert (found.values, found.empty) == ([3, 3], [10, 10])


def test_collections_are_counted_with_the_collector_on_and_its_state_is_restored():
    def bench_garbage(b):
        for _ in b.loop():
            cycle = []
            cycle.append(cycle)

    found = measured(bench_garbage, CollectionPass(0.1))
    assert found.result()["per_1000"] > 0
    assert found.result()["pause"] > 0
    assert gc.isenabled()
    assert not any(getattr(one, "__self__", None) is found for one in gc.callbacks)


def test_changing_the_collector_is_noticed_and_undone():
    def bench_disables(b):
        for _ in b.loop():
            gc.disable()

    found = measured(bench_disables, CheckPass())
    assert found.guard.changes_gc
    assert gc.isenabled()


@pytest.mark.skipif(not allocations.CAN_TRACE_OBJECTS, reason="objects by type need CPython 3.13")
def test_objects_by_type():
    from tallymark.bench.measure.passes import ObjectPass

    def bench_dict(b):
        for _ in b.loop():
            {}

    assert measured(bench_dict, ObjectPass()).objects == {"dict": 1.0}


@pytest.mark.parametrize(
    ("series", "period"),
    [
        ([3] * 64, 1),
        ([3] * 40 + [90] + [3] * 23, 1),  # one operation may differ
        ([1, 2] * 32, 2),
        ([0, 0, 0, 5] * 16, 4),
        (list(range(64)), None),
        ([3] * 32 + [4] * 32, None),
        ([3] * 20 + [9] + [3] * 21 + [9] + [3] * 21, 1),  # a table that is resized from time to time
        ([3, 9] * 4 + [3] * 56, 1),
        ([3, 9] * 5 + [3] * 54, None),
    ],
)
def test_periods(series, period):
    assert find_period(series) == period


def test_a_trend_is_told_apart_from_noise():
    assert falls([10.0, 9.0, 8.0, 7.5, 7.0])
    assert not falls([7.0, 7.1, 6.95, 7.05, 7.0])
    assert not falls([7.0, 7.5, 8.0, 9.0, 10.0])


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda b: None, "never loops"),
        (lambda b: [list(b.loop()), list(b.loop())], "loops twice"),
        (lambda b: next(iter(b.loop())), "leaves its loop early"),
        (bench_coroutine, "is a coroutine: write a plain function, and call asyncio.run()"),
        (bench_generator, "is a generator: write a plain function, without `yield`"),
        (bench_async_generator, "is an async generator: write a plain function"),
    ],
)
def test_a_wrong_loop_is_rejected(function, said):
    with pytest.raises(BenchmarkFileError) as rejected:
        run_once(function, {}, Batches(3))
    assert said in str(rejected.value)


def test_a_loop_runs_its_batches():
    b = Benchmark(Batches(3))
    assert list(b.loop()) == [None] * 3
    assert b.finished


def test_parameters_are_combined():
    @parametrize(size=[1, 2], kind=["a", "b"])
    def bench_x(b, size, kind): ...

    assert len(variants(bench_x)) == 4
    assert variant_names("bench_x", variants(bench_x))[1] == ("bench_x[size=1,kind=b]", {"size": "1", "kind": "b"})
    with pytest.raises(BenchmarkFileError):
        parametrize(size=[])
