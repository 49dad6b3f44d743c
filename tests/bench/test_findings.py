"""Warnings as data: which numbers give which warning."""

import pytest
from bench_results import benchmark, counted, times

from tallymark.bench.result.findings import judge
from tallymark.bench.result.result import ColdResult, TimeResult, WarmupResult


def kinds(**changed):
    calm = {"cold": ColdResult(0.01, 1e-6, 2e-6, 2e-6)}
    return [finding.kind for finding in judge(benchmark(**{**calm, **changed}))]


def test_a_sound_benchmark_has_no_warning():
    assert kinds() == []


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ({"warmup": WarmupResult(False, 1280, series=(1, 2, 3))}, "never-steady"),
        ({"allocations": counted(1, 56, retained=1.0)}, "retaining"),
        ({"allocations": counted(1, 56, arenas=1.0)}, "arena-churn"),
        ({"allocations": counted(1, 56, other_threads=3.0)}, "other-threads"),
        ({"cold": ColdResult(0.01, 1e-6, 2e-6, 60e-6)}, "dear-first-use"),
        ({"time": times(1e-6, step=0.1)}, "noisy"),
        ({"time": times(1.0)}, "slow-op"),
        ({"time": TimeResult(times(1e-6, 6).processes + times(1.9e-6, 4).processes)}, "speed-changed"),
    ],
)
def test_each_fault_has_its_warning_with_the_line(changed, kind):
    assert kinds(**changed) == [kind]
    (finding,) = judge(benchmark(**{"cold": None, **changed}))
    assert finding.line == 14


def test_a_warning_names_its_figure():
    (finding,) = judge(benchmark(cold=None, allocations=counted(1, 56, retained=0.5)))
    assert "retains 0.5 blocks per op" in finding.message
    kept = "dict, made at bench_x.py:12 `a.append({})`"
    (finding,) = judge(benchmark(cold=None, allocations=counted(1, 56, retained=2, kept=kept)))
    assert finding.message == f"retains 2 blocks per op: {kept}"
    (finding,) = judge(benchmark(cold=None, warmup=WarmupResult(False, 1280, series=(42, 90, 41, 7))))
    assert finding.message == "never reaches a steady state: its last 4 ops made 7 to 90 allocations each"
    (finding,) = judge(benchmark(cold=ColdResult(0.01, 1e-6, 2e-6, 60e-6)))
    assert "60 µs, 43 times" in finding.message
