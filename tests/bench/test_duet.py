"""Processes that take values in turns: the order of the turns, and a side that goes wrong in the midst of one."""

import itertools
import os
import time

import pytest

from tallymark.bench.measure import duet, rounds
from tallymark.bench.measure.duet import WorkerPlayer, play, run_duet
from tallymark.bench.measure.target import Target
from tallymark.bench.settings import Settings


class Fake:
    """A player that writes down its turns, and fails at one of them."""

    def __init__(self, name, log, fails_at=None):
        self.name, self.log, self.fails_at = name, log, fails_at
        self.turns = 0
        self.pinned = self.finished = None

    def wait(self):
        return self.turns != self.fails_at

    def go(self):
        self.turns += 1
        self.log.append(self.name)

    def pin(self, cpu):
        self.pinned = cpu

    def finish(self):
        self.finished = True
        if self.turns == self.fails_at:
            return {"failed": "it broke"}
        return {"time": {}}


def test_each_round_has_a_turn_of_each_and_every_second_is_in_reverse_order():
    log = []
    answers = play([Fake(name, log) for name in "abc"], rounds=9, budget=60)
    warm_up, *after = in_threes(log)
    assert sorted(warm_up) == list("abc")
    assert len(after) == 10
    for first, second in zip(after[::2], after[1::2], strict=True):
        assert sorted(first) == list("abc")
        assert second == first[::-1]
    assert len(set(after)) > 2  # the order is random
    assert all("time" in one for one in answers)


def in_threes(log):
    return ["".join(log[i : i + 3]) for i in range(0, len(log), 3)]


def test_two_players_are_pinned_to_one_cpu_and_a_single_one_is_not():
    both = [Fake(name, []) for name in "ab"]
    play(both, 1, 60)
    assert both[0].pinned == both[1].pinned
    assert both[0].pinned in duet.CPUS
    alone = Fake("a", [])
    play([alone], 1, 60)
    assert alone.pinned is None


def test_a_benchmark_too_slow_for_a_second_round_has_the_value_of_the_first():
    log = []
    answers = play([Fake(name, log) for name in "ab"], rounds=40, budget=-1)
    assert len(log) == 4  # a warm-up and a value each
    assert all("time" in one for one in answers)


@pytest.mark.parametrize("turn", [0, 1, 4])
def test_the_one_that_fails_is_blamed_and_the_others_are_not(turn):
    players = [Fake("a", []), Fake("b", [], fails_at=turn), Fake("c", [])]
    assert play(players, 9, 60) == [None, {"failed": "it broke"}, None]
    assert not players[0].finished


HEAD = "import os, signal, time\nn = 0\ndef bench_late(b):\n    global n\n    for _ in b.loop():\n        n += 1\n"
LATE = {
    "raises ValueError: late (line 8)": "raise ValueError('late')",
    "ends the process: SystemExit(3)": "raise SystemExit(3)",
    "ends with status 4": "os._exit(4)",
    "ends its process without an answer": "os._exit(0)",
    "killed by SIGKILL": "os.kill(os.getpid(), signal.SIGKILL)",
    "forks: the child came back into b.loop()": "os.waitpid(pid, 0) if (pid := os.fork()) else None",
    # Its pipes stay open, in a child that never answers.
    "ends with status 5": "time.sleep(100) if not os.fork() else os._exit(5)",
}


def sides(directory, late, good="pass"):
    """Two targets; the new one does something else at its fourth op, which is in a round that counts."""
    made = []
    for name, body in (("old", good), ("new", late)):
        root = directory / name
        root.mkdir()
        (root / "bench_late.py").write_text(HEAD + f"        if n == 4:\n            {body}\n", encoding="utf-8")
        # One op warms up, and one is a value.
        request = {"task": "time", "function": "bench_late", "index": 0, "shortest": 0, "warmup": 0}
        made.append((Target(name, root=str(root)), {**request, "file": str(root / "bench_late.py")}))
    return made


def opened():
    return len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0


@pytest.mark.slow
@pytest.mark.parametrize("said", LATE)
def test_a_side_that_goes_wrong_in_the_midst_of_a_turn(said, tmp_path):
    before = opened()
    old, new = run_duet(sides(tmp_path, LATE[said]), rounds=6, budget=60, timeout=60)
    assert said in new["failed"]
    assert old is None or len(old["time"]["values"]) == 6
    assert opened() == before


@pytest.mark.slow
def test_a_side_that_hangs_is_killed_and_blamed(tmp_path, monkeypatch):
    """The clock is put forward once it hangs: a start that is slow is not taken for it."""
    hung = tmp_path / "hung"
    late = f"open({str(hung)!r}, 'w').close(); time.sleep(100)"
    hours = itertools.count(1000, 1000)
    monkeypatch.setattr(duet.time, "monotonic", lambda: next(hours) if hung.exists() else 0.0)
    old, new = run_duet(sides(tmp_path, late), rounds=6, budget=60, timeout=60)
    assert new["failed"] == "takes too long: killed after 60 s; make the op smaller, or raise --timeout"
    assert old is None


@pytest.mark.slow
def test_a_good_duet_has_as_many_values_on_both_sides_and_the_same_hash_seed(tmp_path):
    seed = "open('hash', 'w').write(str(hash('x')))"
    answers = run_duet(sides(tmp_path, seed, seed), rounds=6, budget=60, timeout=60)
    assert [len(one["time"]["values"]) for one in answers] == [6, 6]
    assert (tmp_path / "old" / "hash").read_text() == (tmp_path / "new" / "hash").read_text()


@pytest.mark.slow
@pytest.mark.skipif(len(duet.CPUS) < 2, reason="needs two CPUs")
@pytest.mark.parametrize("threads", [False, True])
def test_a_benchmark_is_on_one_cpu_unless_it_has_threads(tmp_path, threads):
    """Several threads may need several CPUs."""
    ops = "open('cpus', 'w').write(str(len(os.sched_getaffinity(0))))"
    made = sides(tmp_path, ops, ops)
    if threads:
        for _, request in made:
            with open(request["file"], "a", encoding="utf-8") as file:
                file.write("import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n")
    run_duet(made, rounds=6, budget=60, timeout=60)
    found = {(tmp_path / side / "cpus").read_text() for side in ("old", "new")}
    assert found == ({str(len(duet.CPUS))} if threads else {"1"})


def test_a_target_whose_python_does_not_start_is_blamed(tmp_path):
    player = WorkerPlayer(Target("x", "/no/such/python", str(tmp_path)), {}, 0, 1)
    assert not player.wait()
    player.go()
    assert player.finish() == {"failed": "/no/such/python does not start: No such file or directory"}
    player.end()


class Job:
    """A benchmark of a side, as the rounds of timing see it."""

    def __init__(self, name, which, fails=False):
        self.name, self.fails, self.ended = name, fails, False
        self.side = (Target(which), {"fails": fails})
        self.taken = []

    def take(self, answer, duet):
        self.taken.append((answer, duet))
        self.ended = "failed" in answer


@pytest.fixture
def played(monkeypatch):
    """The duets that were played, by the names of their targets. A duet takes a second of a clock that stands still else."""
    log, now = [], [0.0]

    def run(sides, rounds, budget, timeout):
        log.append("".join(target.name for target, _ in sides))
        now[0] += 1.0
        failed = [bool(request["fails"]) for _, request in sides]
        return [{"failed": "it broke"} if one else None if any(failed) else {"time": {}} for one in failed]

    monkeypatch.setattr(rounds, "run_duet", run)
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return log


def timed(jobs, looks, undecided=lambda: (), **settings):
    return list(rounds.time_rounds(jobs, Settings(**settings), looks, undecided))


def test_sides_of_one_name_are_timed_together_and_share_a_duet(played):
    jobs = [Job("x", "a"), Job("y", "a"), Job("x", "b")]
    assert sorted(timed(jobs, (3,), most=99)) == ["x"] * 3 + ["y"] * 3
    assert sorted(played) == ["a"] * 3 + ["ab"] * 3
    duets = [[duet for _, duet in job.taken] for job in jobs]
    assert duets[0] == duets[2]
    assert len({*duets[0]}) == 3


def test_a_side_that_fails_ends_and_the_other_goes_on_alone(played):
    good, bad = Job("x", "a"), Job("x", "b", fails=True)
    timed([good, bad], (4,), most=99)
    assert played == ["ab", "a", "a", "a", "a"]
    assert len(bad.taken) == 1
    assert [answer for answer, _ in good.taken] == [{"time": {}}] * 4


def test_only_what_is_undecided_goes_on(played):
    asked = iter([{"x"}, set()])
    assert sorted(timed([Job("x", "a"), Job("y", "a")], (2, 3, 9), lambda: next(asked), most=99)) == ["x"] * 3 + ["y"] * 2


def test_what_takes_long_has_no_more_than_the_first_look_needs(played):
    both = [Job("x", "a"), Job("x", "b")]
    timed(both, (10, 15), lambda: {"x"}, most=2)
    assert len(played) == 10
    played.clear()
    timed([Job("x", "a")], (10,), most=2)
    assert len(played) == 3  # alone: three, for a spread
