"""The statistics of comparisons, checked against SciPy, textbooks and their own promises."""

import math
import random
import statistics

import pytest
import scipy.stats
from bench_results import NEW, OLD, benchmark, run
from hypothesis import given
from hypothesis import strategies as st

from tallymark.bench.compare.compare import compare
from tallymark.bench.compare.stats import holm, mann_whitney, median_interval, ratio_interval, split_noise
from tallymark.bench.errors import BenchError
from tallymark.bench.result.result import ProcessTimes, TimeResult

pytestmark = pytest.mark.slow

# Process medians of one operation in µs, recorded on a machine that was now and then busy; the second side had 5 % more to do.
CALM = [4.212, 4.211, 4.288, 4.218, 4.221, 4.202, 4.211, 4.217, 4.213, 4.230]
BUSY = [4.376, 4.200, 4.205, 5.762, 4.239, 4.217, 4.470, 5.510, 4.228, 4.254]
SLOWER = [4.424, 4.431, 4.517, 4.415, 4.407, 5.660, 4.442, 4.419, 4.411, 4.420]
SAMPLES = [(CALM, BUSY), (CALM, SLOWER), (BUSY, SLOWER), (CALM, CALM)]
TIMES = st.lists(st.floats(1e-9, 1.0), min_size=2, max_size=12)


@pytest.mark.parametrize(("old", "new"), SAMPLES)
def test_mann_whitney_is_scipys(old, new):
    tied = len({*old, *new}) < len(old) + len(new)
    method = "asymptotic" if tied else "exact"
    assert mann_whitney(old, new) == pytest.approx(scipy.stats.mannwhitneyu(old, new, method=method).pvalue)


def test_mann_whitney_of_sides_that_lie_apart_is_one_arrangement_of_all():
    assert mann_whitney(range(10), range(10, 20)) == pytest.approx(2 / math.comb(20, 10))
    assert mann_whitney([1.0] * 5, [1.0] * 5) == 1.0


@pytest.mark.parametrize(("n", "k"), [(6, 1), (10, 2), (15, 4), (20, 6), (30, 10), (100, 40)])
def test_the_interval_of_a_median_is_the_one_of_the_binomial_distribution(n, k):
    """The ranks are those of tables of the sign test at 5 %."""
    found = median_interval(range(1, n + 1))
    assert (found.low, found.high) == (k, n + 1 - k)
    assert found.confidence == pytest.approx(1 - 2 * scipy.stats.binom.cdf(k - 1, n, 0.5))
    assert found.confidence >= 0.95
    assert 1 - 2 * scipy.stats.binom.cdf(k, n, 0.5) < 0.95


def test_too_few_for_an_interval_say_so():
    assert median_interval([1.0, 2.0, 3.0]).confidence == pytest.approx(0.75)


@pytest.mark.parametrize(("old", "new"), SAMPLES)
def test_the_interval_of_the_ratio_holds_it_and_is_the_same_each_time(old, new):
    found = ratio_interval(old, new)
    assert found.low <= statistics.median(new) / statistics.median(old) <= found.high
    assert found == ratio_interval(old, new)
    scaled = ratio_interval(old, [3 * value for value in new])
    assert (scaled.low, scaled.high) == pytest.approx((3 * found.low, 3 * found.high))


def test_the_interval_of_the_ratio_covers_it():
    dice = random.Random(9)
    covered = 0
    for _ in range(60):
        old, new = ([dice.lognormvariate(0, 0.1) * scale for _ in range(15)] for scale in (1.0, 1.2))
        found = ratio_interval(old, new)
        covered += found.low <= 1.2 <= found.high
    assert covered >= 53


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_never_lowers_and_keeps_the_order(values):
    adjusted = holm(values)
    assert all(a >= p for a, p in zip(adjusted, values, strict=True))
    by_value = [adjusted[i] for i in sorted(range(len(values)), key=values.__getitem__)]
    assert by_value == sorted(by_value)


def test_noise_is_how_far_halves_lie_apart():
    assert split_noise(CALM) < 0.01
    assert 0.05 < split_noise(BUSY) < 0.30
    assert split_noise([1.0] * 10) == 0
    assert split_noise([1.0, 2.0, 3.0]) is None
    assert split_noise([0.0, 1.0, 1.0, 1.0]) is None


@given(TIMES, TIMES)
def test_swapping_the_sides_inverts_the_ratio(old, new):
    a, b = compared(old, new), compared(new, old)
    assert a.ratio * b.ratio == pytest.approx(1)
    assert a.p == b.p
    assert a.differs == b.differs or abs(a.change) != abs(b.change)


def compared(old, new, **more):
    sides = [TimeResult(tuple(ProcessTimes(1, (value,)) for value in side)) for side in (old, new)]
    (one,) = compare(*(run(benchmark("x", time=side)) for side in sides), **more).benchmarks
    return one.time


def test_recorded_samples():
    assert not compared(CALM, BUSY).differs
    found = compared(CALM, SLOWER)
    assert found.differs
    assert found.change == pytest.approx(0.0492, abs=0.001)
    assert found.interval.low < found.ratio < found.interval.high
    assert found.old.median == statistics.median(CALM)
    assert found.new.minimum == min(SLOWER)


def test_the_same_on_both_sides_is_rarely_called_different():
    """Processes differ by 15 %: as much as they do between machines' better and worse minutes."""
    dice = random.Random(7)
    flagged = 0
    for _ in range(400):
        old, new = ([dice.lognormvariate(0, 0.15) for _ in range(10)] for _ in range(2))
        flagged += compared(old, new).differs
    assert flagged <= 400 / 40


def test_five_percent_are_found_between_processes_that_differ_by_two():
    dice = random.Random(8)
    found = 0
    for _ in range(50):
        old, new = ([dice.lognormvariate(0, 0.02) * scale for _ in range(10)] for scale in (1.0, 1.05))
        found += compared(old, new).differs
    assert found >= 40


def test_too_few_processes_are_reported():
    (one,) = compare(*(run(benchmark("x", time=TimeResult(tuple(ProcessTimes(1, (v,)) for v in (1.0, 2.0))))),) * 2).benchmarks
    assert any("p cannot reach 0.01 with 2 + 2 processes" in finding.message for finding in one.findings)


def test_runs_that_are_not_alike_are_reported():
    other = run(*NEW.benchmarks)
    other.environment.update(OLD.environment)
    assert compare(OLD, NEW).findings == ()
    changed = type(NEW)(
        {**NEW.environment, "python": "3.11.7", "cpu": "Other"}, {"freelists": "cold"}, NEW.benchmarks, complete=False
    )
    kinds = {finding.kind: finding.message for finding in compare(OLD, changed).findings}
    assert "Python version 3.13.0 and 3.11.7; machine Example 9000 and Other" in kinds["versions-differ"]
    assert "free lists hot and cold" in kinds["settings-differ"]
    assert "the new run was interrupted" in kinds["incomplete"]


def test_times_that_vanish_in_the_empty_loop_have_no_ratio():
    found = compared([-1e-10, 0.0, 1e-10], [1e-9, 1e-9, 1e-9])
    assert found.ratio is None
    assert not found.differs


@pytest.mark.parametrize("wrong", [{"alpha": 0}, {"alpha": 1}, {"noise": -0.1}, {"noise": math.nan}])
def test_a_value_out_of_range_is_rejected(wrong):
    with pytest.raises(ValueError, match="must"):
        compare(OLD, NEW, **wrong)


def test_without_scipy_the_error_names_the_remedy(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "scipy.stats", None)
    with pytest.raises(BenchError, match=r"pip install '\.\[bench\]'"):
        compare(OLD, NEW)
