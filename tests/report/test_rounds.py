"""The rounds of all reporters of a process, on a clock that a test moves: who is due, in which order, for how long."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import pytest
from recording_backend import RecordingBackend

import tallymark as tm
from tallymark.client.deadline import Deadline
from tallymark.report.backoff import Backoff
from tallymark.report.base import Base
from tallymark.report.delivery import Delivery
from tallymark.report.errors import SendError
from tallymark.report.member import Member
from tallymark.report.order import Order
from tallymark.report.outbox import Outbox, Report, Request, requests_of
from tallymark.report.rounds import Rounds
from tallymark.report.schedule import Schedule


class World:
    """Rounds that a test runs, and a clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.log: list[str] = []
        self.limits: dict[str, list[float]] = {}
        self.rounds = Rounds(lambda: self.now, 0.0, lambda: True, lambda: None)

    def add(self, name: str, every: float, registry: tm.Registry, takes: float = 0.0, fails: bool = False) -> Member:
        backend = RecordingBackend("delta", name=name)
        send = backend.send

        def log(parts: Any, deadline: Deadline) -> int:
            self.log.append(name)
            self.limits.setdefault(name, []).append(deadline.left())
            self.now += min(takes, deadline.left())
            if fails:
                raise SendError("it hangs")
            return send(parts, deadline)

        backend.send = log  # type: ignore[method-assign]

        def deliver(base: Base) -> Delivery:
            return Delivery(backend, registry, 10**6, base, clock=lambda: self.now, random=lambda: 0.5)

        member = Member(backend, registry, every, deliver)
        self.rounds.add(member)
        return member

    def until(self, moment: float, step: float = 0.25) -> None:
        while self.now < moment:
            self.rounds.do_due()
            self.now += step


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def registry() -> tm.Registry:
    made = tm.Registry()
    made.counter("jobs").inc()
    return made


def test_reporters_are_due_at_the_same_moments_and_share_a_snapshot(
    world: World, registry: tm.Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[float] = []
    snapshot = tm.Registry.snapshot

    def count(one: tm.Registry) -> tm.Snapshot:
        taken.append(world.now)
        return snapshot(one)

    monkeypatch.setattr(tm.Registry, "snapshot", count)
    for name in ("a", "b", "c"):
        world.add(name, 10, registry)
        world.until(world.now + 1)
    world.add("d", 30, registry)
    world.until(1061)
    assert [world.log.count(name) for name in "abcd"] == [6, 6, 6, 2]
    assert len(taken) == 6
    assert all(moment % 10 == pytest.approx(0, abs=0.3) for moment in taken)


def test_reports_that_were_missed_are_not_made_up_for(world: World, registry: tm.Registry) -> None:
    world.add("a", 10, registry)
    world.until(1011)
    world.now += 100_000  # the machine slept
    for _ in range(5):
        world.rounds.do_due()
    assert world.log == ["a", "a"]


def test_who_failed_comes_last_and_leaves_time_to_the_others(world: World, registry: tm.Registry) -> None:
    world.add("hangs", 10, registry, takes=100, fails=True)
    world.add("well", 10, registry)
    world.until(1041)
    assert world.limits["hangs"][0] == 5
    assert world.log[:2] in (["hangs", "well"], ["well", "hangs"])
    later = world.log[2:]
    assert later[later.index("well") :]
    assert world.log.count("well") == 4


def test_who_hangs_takes_no_more_time_than_until_the_next_is_due(world: World, registry: tm.Registry) -> None:
    world.add("hangs", 3, registry, takes=100, fails=True)
    world.add("well", 2, registry)
    world.until(1050)
    assert all(1 <= limit <= 2 for limit in world.limits["hangs"][1:])
    assert world.log.count("well") >= 20


def test_between_two_requests_others_get_their_turn(world: World, registry: tm.Registry) -> None:
    for number in range(100):
        registry.counter(f"jobs_{number}").inc()
    slow = world.add("slow", 10, registry, takes=1)
    world.until(1001)
    assert slow.delivery is not None
    slow.delivery._most_bytes = 200
    world.add("well", 3, registry)
    world.until(1040)
    assert world.log.count("slow") > 10
    turns = [at for at, name in enumerate(world.log) if name == "well"]
    assert max(after - at for at, after in pairwise(turns)) <= 6


def test_a_round_goes_on_after_a_failure_of_our_own(
    world: World, registry: tm.Registry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = world.add("broken", 10, registry)
    world.add("well", 10, registry)
    monkeypatch.setattr(broken, "look", lambda now: 1 / 0)
    world.rounds.do_due()
    world.until(1021)
    assert world.log == ["well", "well"]
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("error", [SystemExit(3), ValueError("mine"), OSError(5, "disk"), GeneratorExit(), RecursionError()])
@pytest.mark.parametrize("where", ["send", "encode", "select", "close"])
def test_whatever_a_backend_raises_never_ends_the_thread(where: str, error: BaseException, registry: tm.Registry) -> None:
    def fail(*args: Any) -> Any:
        raise error

    backend, well = RecordingBackend("delta"), RecordingBackend("delta", name="well")
    kept = getattr(backend, where)
    setattr(backend, where, fail)
    with tm.report_to(well, 60, registry) as other:
        reporter = tm.report_to(backend, 60, registry)
        assert reporter.report() is (where == "close")
        setattr(backend, where, kept)
        registry.counter("jobs").inc()
        assert reporter.flush(60) is True
        setattr(backend, where, fail)
        reporter.close()
        assert other.report() is True


def test_what_send_returns_is_counted_only_if_it_is_a_number_of_bytes(registry: tm.Registry) -> None:
    backend = RecordingBackend("delta")
    with tm.report_to(backend, 60, registry) as reporter:
        for nonsense in (None, "many", -5, True, 2.5):
            backend.before = lambda body, nonsense=nonsense: nonsense
            registry.counter("jobs").inc()
            assert reporter.report() is True
    found = registry.snapshot().find("tallymark_report_bytes", backend="recording")
    assert found is not None
    assert found.value >= sum(len(body) for body in backend.bodies)


def test_latest_replaces_what_waits(registry: tm.Registry) -> None:
    backend = RecordingBackend("cumulative")
    backend.keeps = "latest"
    now = 0.0
    delivery = Delivery(backend, registry, 10**6, Base(), clock=lambda: now)
    for number in range(3):
        registry.counter("jobs").inc()
        delivery.take(registry.snapshot())
        assert len(delivery.outbox.reports()) == 1, number
    assert delivery.send(lambda: Deadline(1, time.monotonic))
    assert backend.last("jobs") == 4
    assert len(backend.bodies) == 1
    found = registry.snapshot().find("tallymark_reports", backend="recording", outcome="replaced")
    assert found is not None
    assert found.value == 2


def test_a_backend_of_deltas_is_told_gauges_as_they_are(registry: tm.Registry) -> None:
    backend = RecordingBackend("delta")
    depth = registry.gauge("depth")
    with tm.report_to(backend, 60, registry) as reporter:
        for value in (5, 5, 3):
            depth.set(value)
            assert reporter.report() is True
    assert [row["value"] for row in backend.rows() if row["name"] == "depth"] == [5, 5, 3, 3]


def test_the_time_of_a_delta_never_ends_before_it_begins(registry: tm.Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = RecordingBackend("delta")
    delivery = Delivery(backend, registry, 10**6, Base())
    for moment in (1000.0, 2000.0, 500.0, 600.0):
        delivery.take(tm.Snapshot(registry.snapshot().families, moment))
    assert backend.since == [0.0, 1000.0, 500.0, 500.0]


def test_data_that_a_format_cannot_carry_is_counted(registry: tm.Registry) -> None:
    class Picky(RecordingBackend):
        def encode(self, snapshot: tm.Snapshot, since: float) -> Any:
            self.dropped("jobs", "unsupported_value")
            return super().encode(snapshot, since)

    with tm.report_to(Picky(), 60, registry) as reporter:
        reporter.report()
        found = registry.snapshot().find("tallymark_rejected", metric="jobs", reason="unsupported_value")
        assert found is not None
        assert found.value == 1


# The parts


def test_a_schedule_depends_on_the_clock_alone() -> None:
    schedule = Schedule(10, 3)
    assert [schedule.after(now) for now in (0, 2.9, 3, 3.1, 12.999, 1e9)] == [3, 3, 13, 13, 13, 1e9 + 3]
    for every in (0.01, 0.3, 7, 86400.5):
        now = 1e6
        for _ in range(100):
            after = Schedule(every, 12345.678).after(now)
            assert now < after <= now + every * 1.001
            now = after


def test_waits_grow_and_are_random_up_to_a_limit() -> None:
    backoff = Backoff(1, 60, random=lambda: 0.5)
    assert [backoff.failed() for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert backoff.failed(after=100) == 130
    backoff.succeeded()
    assert backoff.failed() == 0.5
    backoff = Backoff(random=lambda: 1.0)
    assert max(backoff.failed() for _ in range(3000)) == 60


def test_parts_are_grouped_into_requests() -> None:
    report = Report()
    parts = [b"a" * 40, b"b" * 40, b"c" * 40, b"d" * 500, b"e"]
    requests = list(requests_of(report, parts, 100))
    assert [[len(part) for part in request.parts] for request in requests] == [[40, 40], [40], [500], [1]]
    assert [request.ends for request in requests] == [False, False, False, True]
    assert list(requests_of(report, [], 100)) == []


def test_an_outbox_knows_what_it_holds() -> None:
    outbox = Outbox(1000)
    assert outbox.room == float("inf")
    one, two = Report(), Report()
    outbox.put([Request(one, [b"x" * 10, b"y" * 10]), Request(one, [b"z"], ends=True), Request(two, [b"w"], ends=True)])
    assert outbox.memory == 22 + 4 * 64
    assert outbox.room == 1000 - outbox.memory
    assert outbox.split_first(lambda part: ())
    assert (outbox.memory, outbox.first.parts) == (22 + 4 * 64, [b"x" * 10])
    assert outbox.drop_oldest() is one
    assert one.lost
    assert outbox.memory == 1 + 64
    assert outbox.reports() == [two]
    outbox.pop()
    assert (bool(outbox), outbox.memory) == (False, 0)


def test_an_order_is_waited_for_until_nobody_waits() -> None:
    member: Any = None
    order = Order("report", member, 5.0)
    assert order.wait(lambda: 5.0) is False
    order.finish(True)
    assert order.wait(lambda: 5.0) is True


def test_after_a_success_nothing_waits_for_an_earlier_failure(world: World, registry: tm.Registry) -> None:
    member = world.add("a", 10, registry)
    delivery = member.delivery
    assert delivery is not None
    delivery.backend.before = lambda body: (_ for _ in ()).throw(SendError("busy", after=1000.0))  # type: ignore[attr-defined]
    world.until(1021)
    assert delivery.next_try > 2000
    delivery.backend.before = len  # type: ignore[attr-defined]
    member.tries = True
    world.until(1051)
    assert world.log.count("a") == 1 + 2 + 3


@pytest.mark.parametrize("how", ["it is lost", "it was refused"])
def test_a_flush_ends_when_there_is_nothing_left_to_send(how: str, world: World, registry: tm.Registry) -> None:
    member = world.add("a", 10, registry)
    backend: Any = member.delivery.backend  # type: ignore[union-attr]
    backend.at_least_once = how == "it was refused"
    backend.before = lambda body: (_ for _ in ()).throw(SendError("no", again=how == "it is lost"))
    order = Order("flush", member, world.now + 1000.0)
    world.rounds.ask(order)
    world.rounds._receive(0.0)
    world.rounds.do_due()
    assert (member.orders, order.wait(lambda: world.now + 1000.0), order.result) == ([], False, False)


def test_nobody_waits_for_rounds_that_have_ended(world: World, registry: tm.Registry) -> None:
    world.add("a", 10, registry, fails=True)
    order = Order("flush", world.rounds.members[0], world.now + 1000.0)
    world.rounds.ask(order)
    world.rounds._receive(0.0)
    world.rounds.do_due()
    assert order._pending.locked(), "it is to be tried again"
    world.rounds.release()
    assert (order._pending.locked(), order.result) == (False, False)
