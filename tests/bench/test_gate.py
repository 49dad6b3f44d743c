"""Gates: the texts that they accept and reject, and the limits that they check."""

import pytest
from bench_results import benchmark, counted, run, times

from tallymark.bench.compare.compare import compare
from tallymark.bench.compare.gate import parse_gate
from tallymark.bench.errors import GateError
from tallymark.bench.result.result import BenchmarkResult


def violations(gate, old, new, **more):
    return parse_gate(gate).check(compare(run(old), run(new), **more))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "time:LIMIT"),
        ("time", "time:LIMIT"),
        ("speed:3%", "'speed:3%' is not one of time:LIMIT, allocs:LIMIT, reallocs:LIMIT, bytes:LIMIT, objects:LIMIT"),
        ("time:3", "time:3 needs a percentage, such as time:3%"),
        ("allocs:-1", "allocs:-1 needs a number that is not negative"),
        ("allocs:nan", "not negative"),
        ("allocs:many", "allocs:many needs a number"),
        ("time:inf%", "not negative"),
        ("allocs:0,allocs:1", "allocs has two limits"),
        ("allocs:0,", "'' is not one of"),
    ],
)
def test_a_gate_that_is_not_valid_is_rejected(text, said):
    with pytest.raises(GateError) as rejected:
        parse_gate(text)
    assert said in str(rejected.value)


def test_counts_are_checked_against_amounts_and_percentages():
    old, new = benchmark(), benchmark(allocations=counted(10, 966))
    assert violations("allocs:1,bytes:5%", old, new) == []
    assert violations("allocs:0,bytes:4%", old, new) == [
        "bench_shop.py::bench_order: allocs 9 -> 10, but the gate allows 0 more",
        "bench_shop.py::bench_order: bytes 920 -> 966, but the gate allows 4.0% more",
    ]
    assert violations("allocs:0,bytes:0,objects:0", new, old) == []  # fewer is always allowed
    assert "objects 15 -> 16" in violations("objects:0", old, benchmark(objects={"tuple": 16.0}))[0]


def test_reallocations_are_checked():
    old, new = (benchmark(allocations=counted(3, 920, reallocs=count)) for count in (10.0, 12.0))
    assert violations("reallocs:2,allocs:0", old, new) == []
    said = ["bench_shop.py::bench_order: reallocs 10 -> 12, but the gate allows 1 more"]
    assert violations("reallocs:1", old, new) == said
    assert violations("reallocs:0", new, old) == []
    varying = benchmark(allocations=counted(3, 920, reallocs=12.0, realloc_samples=(9.0, 12.0, 14.0)))
    assert violations("reallocs:0", old, varying) == []
    apart = benchmark(allocations=counted(3, 920, reallocs=12.0, realloc_samples=(11.0, 12.0, 14.0)))
    assert len(violations("reallocs:0", old, apart)) == 1


def test_counts_that_vary_must_lie_apart():
    varying = counted(9.5, 920, samples=((9.0, 920.0), (10.0, 920.0)), exact=False)
    assert violations("allocs:0", benchmark(), benchmark(allocations=varying)) == []
    above = counted(11, 920, samples=((10.0, 920.0), (12.0, 920.0)), exact=False)
    assert len(violations("allocs:0", benchmark(), benchmark(allocations=above))) == 1


def test_a_time_must_be_worse_than_limit_and_noise_significantly():
    old, slower = benchmark(time=times(1e-6)), benchmark(time=times(1.05e-6))
    assert "time +5.0%" in violations("time:3%", old, slower)[0]
    assert violations("time:6%", old, slower) == []
    assert violations("time:3%", slower, old) == []
    assert violations("time:3%", old, slower, noise=0.08) == []
    wild = benchmark(time=times(1.05e-6, step=0.2))
    assert violations("time:3%", old, wild) == []


def test_what_was_not_measured_exceeds_its_limit():
    failed = BenchmarkResult("bench_shop.py::bench_order", status="failed", reason="raises KeyError")
    assert violations("time:3%", benchmark(), failed) == ["bench_shop.py::bench_order: failed on the new side: raises KeyError"]
    uncounted = benchmark(allocations=None, reasons={"allocations": "no compiler"})
    assert violations("allocs:0", benchmark(), uncounted) == [
        "bench_shop.py::bench_order: allocs cannot be checked against the limit of 0: no compiler"
    ]
    assert (
        "objects cannot be checked against the limit of 0" in violations("objects:0", benchmark(), benchmark(objects=None))[0]
    )
    skipped = BenchmarkResult("bench_shop.py::bench_order", status="skipped")
    assert violations("time:3%", benchmark(), skipped) == []
