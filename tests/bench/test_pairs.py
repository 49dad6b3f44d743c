"""The statistics of processes that took their values in turns: known answers, and a simulated machine whose speed flips."""

import itertools
import math
import random
import statistics

import pytest
import scipy.stats
from bench_results import benchmark
from hypothesis import given
from hypothesis import strategies as st

from tallymark.bench.compare.compare import compare
from tallymark.bench.compare.gate import parse_gate
from tallymark.bench.compare.pairs import center, center_interval, last_weight, log_ratios, sequential_p, signed_rank, weights
from tallymark.bench.compare.question import Question, ask, needed
from tallymark.bench.result.levels import fast_level
from tallymark.bench.result.result import ProcessTimes, RunResult, TimeResult, load_run, run_from_json

DIFFERENCES = st.lists(st.floats(-1, 1).filter(lambda one: abs(one) > 1e-6), min_size=1, max_size=14)


@pytest.mark.parametrize("seed", range(5))
def test_the_signed_rank_test_is_scipys(seed):
    dice = random.Random(seed)
    differences = [dice.gauss(0.3, 1) for _ in range(9 + seed)]
    assert signed_rank(differences) == pytest.approx(scipy.stats.wilcoxon(differences, method="exact").pvalue)


@given(st.lists(st.sampled_from([-3, -2, -1, 1, 2, 3]), min_size=1, max_size=8))
def test_with_ties_p_is_that_of_all_ways_to_choose_the_signs(differences):
    def positive(values):
        ranks = scipy.stats.rankdata([abs(one) for one in values])
        return sum(rank for rank, one in zip(ranks, values, strict=True) if one > 0)

    sums = [
        positive([abs(one) * sign for one, sign in zip(differences, signs, strict=True)])
        for signs in itertools.product((-1, 1), repeat=len(differences))
    ]
    found = min(positive(differences), max(sums) - positive(differences))
    assert signed_rank(differences) == pytest.approx(min(1, 2 * sum(one <= found for one in sums) / len(sums)))


def test_pairs_that_are_all_alike_do_not_differ():
    assert signed_rank([0.0] * 5) == 1.0
    assert signed_rank([0.0] * 5 + [1.0] * 8) == signed_rank([1.0] * 8) == 2 / 2**8


def test_the_interval_is_the_one_of_the_tables():
    """Hollander, Wolfe and Chicken, table A.4: of 10 pairs, the 9th of 55 means attains 95.1 %."""
    found = center_interval([2.0**i for i in range(10)])
    means = sorted((2.0**i + 2.0**j) / 2 for i in range(10) for j in range(i, 10))
    assert (found.low, found.high) == (means[8], means[-9])
    assert found.confidence == pytest.approx(0.951, abs=0.001)


@given(DIFFERENCES, st.floats(0.5, 0.99))
def test_the_interval_holds_the_center_and_what_the_test_does_not_reject(differences, confidence):
    found = center_interval(differences, confidence)
    assert found.low <= center(differences) <= found.high
    means = [(a + b) / 2 for a, b in itertools.combinations_with_replacement(differences, 2)]
    if found.confidence >= confidence and len(set(means)) == len(means):  # ranks that are shared are of no exact distribution
        for outside in (found.low - 1e-3, found.high + 1e-3):
            assert signed_rank([one - outside for one in differences]) <= 1 - confidence + 1e-9


def test_one_pair_whose_process_was_slow_does_not_move_the_center():
    assert center([0.05] * 9 + [0.7]) == pytest.approx(0.05)


@pytest.mark.parametrize("looks", range(1, 6))
def test_the_weights_of_all_looks_are_one(looks):
    assert sum(weights(looks)) == 1
    assert len(weights(looks)) == looks


def test_a_p_after_several_looks_is_the_least_by_weight():
    early = [1.0 + i for i in range(6)] + [-100.0 - i for i in range(6)]
    assert sequential_p(early, (6, 9, 12)) == pytest.approx(2 / 2**6 / 0.5)  # found at the first look, and kept
    assert sequential_p(early[:6], (6, 9, 12)) == sequential_p(early, (6, 9, 12))
    assert sequential_p(early, (12,)) == signed_rank(early)
    assert sequential_p(early[:3], (6, 9)) == pytest.approx(2 / 2**3 / 0.5)  # interrupted before the first look
    assert [last_weight(n, (6, 9, 12)) for n in (3, 6, 7, 9, 12, 20)] == [0.5, 0.5, 0.25, 0.25, 0.25, 0.25]


def test_values_are_paired_by_duet_and_in_order():
    old = side([("a", [1.0, 2.0, 4.0]), ("b", [1.0] * 3), ("", [9.0])])
    new = side([("", [1.0]), ("b", [3.0] * 3), ("a", [2.0, 4.0, 80.0])])  # the speed changed at the third
    assert log_ratios(old, new) == pytest.approx([math.log(3), math.log(2)])
    assert log_ratios(side([("a", [1.0, -1.0, 0.0])]), side([("a", [1.0] * 3)])) == []  # vanishes in the empty loop


def side(processes):
    return TimeResult(tuple(ProcessTimes(1, tuple(values), duet=name) for name, values in processes))


def as_runs(old, new, looks=()):
    return [RunResult({}, {"looks": list(looks)}, (benchmark("x", time=one),)) for one in (old, new)]


class Machine:
    """A machine whose speed flips between two levels, 1.9 times apart, for some seconds; and which is at times taken away."""

    def __init__(self, seed):
        self.dice = random.Random(seed)
        self.now, self.slow, self.until = 0.0, False, 0.0

    def value(self, seconds):
        """Return what is measured of ops that take so many seconds at full speed; and let so much time pass."""
        while self.now >= self.until:
            self.slow = not self.slow
            self.until += self.dice.expovariate(0.5)
        took = seconds * (1.9 if self.slow else 1) * self.dice.lognormvariate(0, 0.04)
        if self.dice.random() < 0.15:
            took += self.dice.expovariate(500)  # another process had the processor
        self.now += took
        return took

    def pair(self, change, name):
        """Return two processes whose values were taken in turns. Each has its own memory layout, which moves it by 1.5 %."""
        ops = [0.0025 * self.dice.lognormvariate(0, 0.015) * (1 + extra) for extra in (0, change)]
        values = [], []
        for _ in range(20):
            for which in self.dice.sample((0, 1), 2):
                values[which].append(self.value(ops[which]))
        self.now += 0.1  # to start the next
        return [ProcessTimes(1, tuple(one), duet=name) for one in values]

    def comparison(self, change, question, processes=10):
        """Measure pairs until the question is decided."""
        looks, sides, runs = question.looks(1, processes), ([], []), []
        for number in range(looks[-1]):
            if number in looks and not question.undecided(runs, 1):
                break
            for into, one in zip(sides, self.pair(change, str(number)), strict=True):
                into.append(one)
            if number + 1 in looks:
                runs = as_runs(*(TimeResult(tuple(one)) for one in sides), looks)
        (found,) = compare(*runs, change=question.change).benchmarks
        return found


@pytest.mark.slow
def test_on_a_machine_whose_speed_flips_equal_sides_are_rarely_called_different():
    found = [Machine(seed).comparison(0, Question()) for seed in range(400)]
    assert sum(one.time.differs for one in found) <= 400 / 40
    assert {one.time.statistic for one in found} == {"pairs"}
    assert sum(one.time.pairs == 10 for one in found) > 200  # most need no more


@pytest.mark.slow
@pytest.mark.parametrize(("change", "least"), [(0.05, 0.9), (-0.05, 0.9), (0.1, 0.99)])
def test_on_a_machine_whose_speed_flips_a_change_is_found(change, least):
    found = [Machine(seed).comparison(change, Question()).time for seed in range(100)]
    assert sum(one.differs for one in found) >= 100 * least
    assert statistics.median(one.change for one in found) == pytest.approx(change, abs=0.01)
    assert sum(one.interval.low <= 1 + change <= one.interval.high for one in found) >= 95


@pytest.mark.slow
def test_a_slow_down_of_ten_times_fails_a_quick_gate_every_time():
    gate = parse_gate("time:3%")
    for seed in range(20):
        found = Machine(seed).comparison(9.0, ask(gate, quick=True))
        comparison = compare(as_runs(found.old.time, found.old.time)[0], as_runs(found.new.time, found.new.time)[0])
        assert found.time.significant
        assert len(gate.check(comparison)) == 1


@pytest.mark.parametrize("benchmarks", [1, 2, 7, 30, 100])
def test_the_first_look_can_find_a_change_however_many_benchmarks_there_are(benchmarks):
    question = Question()
    looks = question.looks(benchmarks, 3)
    best = sequential_p(range(1, looks[0] + 1), looks)
    assert best * benchmarks < question.alpha
    assert sequential_p(range(1, looks[0]), looks) * benchmarks >= question.alpha
    assert needed(benchmarks, question.alpha) <= looks[0]


def test_a_quick_comparison_looks_once_unless_it_has_a_gate_on_time():
    assert len(ask(None, quick=True).looks(1, 10)) == 1
    assert len(ask(parse_gate("allocs:0"), quick=True).looks(1, 10)) == 1
    assert len(ask(parse_gate("time:3%"), quick=True).looks(1, 10)) > 1
    assert ask(parse_gate("time:3%"), quick=True).change == pytest.approx(0.03)
    assert ask(parse_gate("time:0%"), quick=False).change == Question().change


def paired(*ratios):
    both = [[(str(i), [1e-6 * one] * 3) for i, one in enumerate(times)] for times in ([1.0] * len(ratios), ratios)]
    return [side(one) for one in both]


def test_what_is_not_known_is_told_with_what_would_decide_it():
    wide = [1.2, 0.85, 1.1, 0.9, 1.15, 0.95, 1.05, 1.0, 1.12, 0.97]
    (found,) = compare(*as_runs(*paired(*wide))).benchmarks
    assert found.time.undecided(0.05)
    (doubt,) = [one for one in found.findings if one.kind == "undecided"]
    assert "undecided whether its time changed by 5.0%: the change lies between" in doubt.message
    assert "Measure with --processes " in doubt.remedy


@pytest.mark.parametrize("ratios", [[1.001, 0.999] * 5, [1.2 + i / 1000 for i in range(10)]])
def test_what_is_known_is_not_doubted(ratios):
    (found,) = compare(*as_runs(*paired(*ratios))).benchmarks
    assert not any(one.kind == "undecided" for one in found.findings)


def test_a_question_is_open_until_the_interval_excludes_the_change_or_the_sides_differ():
    question = Question(change=0.05)
    wide = [1.2, 0.85, 1.1, 0.9, 1.15, 0.95, 1.05, 1.0, 1.12, 0.97]
    assert question.undecided(as_runs(*paired(*wide)), 1) == {"x"}
    assert question.undecided(as_runs(*paired(*[1.001, 0.999] * 5)), 1) == set()
    differs = as_runs(*paired(*(1.2 + i / 1000 for i in range(10))))
    assert question.undecided(differs, 1) == set()
    assert question.undecided(differs, 100) == {"x"}  # a hundred benchmarks: p must be lower


@pytest.mark.parametrize(
    ("figures", "fast"),
    [
        ([1.0, 1.9, 1.02, 1.88, 1.01, 1.95], [1.0, 1.02, 1.01]),
        ([1.0, 1.9, 1.88, 1.95], [1.0, 1.9, 1.88, 1.95]),  # one alone is chance
        ([1.0, 1.1, 1.2, 1.3, 1.4], [1.0, 1.1, 1.2, 1.3, 1.4]),  # no gap
        ([-1.0, 0.0, 0.0, 1.0], [-1.0, 0.0, 0.0, 1.0]),
        ([], []),
    ],
)
def test_the_fast_level_is_what_lies_below_the_gap(figures, fast):
    assert fast_level(figures) == fast


def test_where_the_speed_flips_between_processes_the_fast_level_decides():
    """Not paired: two files from one machine. Medians jump between its levels, and tell nothing."""
    dice = random.Random(3)

    def measured(seconds):
        levels = dice.sample([1.0] * 6 + [1.9] * 4, 10)
        return side(("", [seconds * one * dice.lognormvariate(0, 0.01) for _ in range(15)]) for one in levels)

    found = compare(*as_runs(measured(1e-6), measured(1.05e-6))).benchmarks[0].time
    assert found.statistic == "fast level"
    assert found.old.processes == found.new.processes == 6
    assert found.differs
    assert found.change == pytest.approx(0.05, abs=0.01)
    same = compare(*as_runs(measured(1e-6), measured(1e-6))).benchmarks[0].time
    assert not same.differs


def test_a_side_that_is_slower_throughout_is_not_taken_for_the_slow_level():
    dice = random.Random(4)

    def measured(seconds):
        return side(("", [seconds * dice.lognormvariate(0, 0.3)] * 5) for _ in range(10))

    found = compare(*as_runs(measured(1e-6), measured(4e-6))).benchmarks[0].time
    assert found.differs
    assert found.change == pytest.approx(3, abs=1.2)


def test_result_files_know_their_pairs_and_looks(tmp_path):
    runs = as_runs(*paired(*(1.03 + i / 1000 for i in range(12))), looks=(8, 12))
    for one, path in zip(runs, ("old.json", "new.json"), strict=True):
        one.save(tmp_path / path)
    loaded = compare(*(load_run(tmp_path / path) for path in ("old.json", "new.json")))
    assert loaded.benchmarks[0].time == compare(*runs).benchmarks[0].time
    assert loaded.benchmarks[0].time.pairs == 12
    assert loaded.benchmarks[0].time.p == pytest.approx(2 / 2**12 / 0.5)


def test_sides_of_two_runs_are_not_paired():
    old, new = paired(*[1.0] * 10)
    other = TimeResult(tuple(ProcessTimes(1, one.values, duet=f"other-{one.duet}") for one in new.processes))
    assert compare(*as_runs(old, other)).benchmarks[0].time.statistic == "median"


def test_a_file_written_when_a_probe_ran_beside_each_value_is_read():
    (run, _) = as_runs(*paired(*[1.0] * 10))
    data = run.to_json()
    data["benchmarks"][0]["time"]["disturbed"] = [{"loops": 1, "values": [9.0], "probe": 1e-8}]
    for one in data["benchmarks"][0]["time"]["processes"]:
        one["probe"] = 1e-8
        del one["duet"]
    assert len(run_from_json(data).benchmarks[0].time.processes) == 10
