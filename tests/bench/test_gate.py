"""Gates: the texts that they accept and reject, and the limits that they check."""

from dataclasses import replace

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


def sides(old, new, gate="time:3%"):
    return parse_gate(gate).check(compare(old, new))


NAME = "bench_shop.py::bench_order"


def test_what_was_not_compared_fails_the_gate():
    skipped = BenchmarkResult(NAME, status="skipped", reason="no server")
    failed = BenchmarkResult(NAME, status="failed", reason="raises KeyError")
    other = benchmark("bench_shop.py::bench_other")
    assert sides(run(), run()) == ["nothing was measured"]
    nothing = "nothing was compared: no benchmark was measured on both sides"
    assert sides(run(), run(benchmark())) == [nothing]
    assert sides(run(benchmark(), other), run(other)) == [f"{NAME}: gone: only the old side has it"]
    assert sides(run(failed, other), run(other)) == [
        f"{NAME}: failed on the old side, so that nothing was compared: raises KeyError"
    ]
    assert sides(run(other), run(other, benchmark())) == []  # a new benchmark has nothing to be worse than
    said = f"{NAME}: skipped on the new side, so that nothing was compared: no server"
    assert sides(run(benchmark(), other), run(skipped, other)) == [said]
    assert sides(run(skipped, other), run(benchmark(), other)) == [said.replace("new", "old")]
    assert sides(run(failed, other), run(benchmark(), other)) == [
        f"{NAME}: failed on the old side, so that nothing was compared: raises KeyError"
    ]
    assert sides(run(failed, other), run(failed, other)) == [f"{NAME}: failed on the new side: raises KeyError"]
    assert sides(run(skipped, other), run(skipped, other)) == []
    assert sides(run(skipped), run(skipped)) == [nothing]


def test_an_interrupted_run_fails_the_gate():
    said = "run was interrupted: it lacks some results"
    assert sides(run(benchmark(), complete=False), run(benchmark())) == [f"the old {said}"]
    assert sides(run(benchmark()), run(benchmark(), complete=False)) == [f"the new {said}"]


def of(**environment):
    return replace(run(benchmark()), environment={**run().environment, **environment})


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ({"python": "3.12.1"}, {}, "the sides have two Pythons, 3.12.1 and 3.13.0"),
        ({"implementation": "PyPy"}, {}, "the sides have two implementations, PyPy and CPython"),
        ({"cpu": "A"}, {"cpu": "B"}, "the sides are of two machines, A and B: run both on one"),
        ({"host": "a", "boot": "1"}, {"host": "b", "boot": "2"}, "the sides are of two machines: run both on one"),
        ({"host": "a"}, {"host": "b"}, "the sides are of two machines: run both on one"),
    ],
)
def test_times_of_two_machines_or_pythons_are_not_gated(old, new, said):
    assert sides(of(**old), of(**new)) == [f"time cannot be checked: {said}"]
    with pytest.raises(GateError, match=said):
        parse_gate("time:3%").check_measurable(of(**old).environment, of(**new).environment)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"host": "a", "boot": "1"}, {"host": "b", "boot": "1"}),  # two containers
        ({"host": "a", "boot": "1"}, {"host": "a", "boot": "2"}),  # one machine, started again
        ({"host": "a"}, {}),  # not known
        ({"build": "--with-lto"}, {"build": ""}),
    ],
)
def test_times_of_one_machine_are_gated(old, new):
    assert sides(of(**old), of(**new)) == []


def test_counts_of_two_machines_are_gated_if_they_have_one_python():
    old, new = of(host="a", cpu="A"), of(host="b", cpu="B")
    assert sides(old, new, "allocs:0") == []
    assert sides(of(python="3.12.1"), new, "allocs:0") == [
        "allocs cannot be checked: the sides have two Pythons, 3.12.1 and 3.13.0"
    ]
    assert "two allocators" in sides(of(allocator="malloc"), new, "allocs:0")[0]
    assert [one.message for one in compare(of(host="a"), of(host="b")).findings] == ["the runs are not alike: two machines"]


def test_what_cannot_be_measured_is_known_before_measuring():
    counted = {"allocations": "counted", "objects": "objects by type need CPython 3.13"}
    parse_gate("time:3%,allocs:0,bytes:0").check_measurable(counted, counted)
    with pytest.raises(GateError, match=r"gate: objects cannot be checked: objects by type need CPython 3\.13"):
        parse_gate("objects:0").check_measurable(counted, counted)
    with pytest.raises(GateError, match="gate: bytes cannot be checked: no compiler"):
        parse_gate("bytes:0").check_measurable(counted, {"allocations": "no compiler"})
