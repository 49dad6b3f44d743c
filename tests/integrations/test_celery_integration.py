"""Tasks are recorded as they ended, by workers that run them in this process; and messages can make no series."""

from __future__ import annotations

import datetime
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from celery import Celery, signals
from celery.concurrency import prefork
from celery.contrib.testing.worker import start_worker
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded
from celery.local import Proxy
from kombu import Connection

import tallymark as tm
from tallymark.bench.allocations import allocations_per_op
from tallymark.integrations import celery as integration
from tallymark.integrations import celery_pool

SIGNALS = [
    signals.before_task_publish, signals.after_task_publish, signals.task_received, signals.task_prerun, signals.task_postrun,
    signals.task_retry, signals.task_failure, signals.task_revoked, signals.task_unknown, signals.task_rejected,
    signals.worker_init, signals.worker_ready, signals.worker_process_init, signals.worker_shutdown,
]  # fmt: skip


@pytest.fixture(autouse=True)
def undone() -> Iterator[None]:
    """No receiver is left."""
    before = [len(signal.receivers) for signal in SIGNALS]
    yield
    integration.uninstrument()
    assert [len(signal.receivers) for signal in SIGNALS] == before


class NotPicklableError(Exception):
    """It cannot leave its process as it is."""

    def __init__(self, lock: Any) -> None:
        super().__init__(lock)


@pytest.fixture
def app() -> Celery:
    app = Celery("tests", broker="memory://", backend="cache+memory://", set_as_current=False)
    app.conf.broker_transport_options = {"polling_interval": 0.01}

    @app.task(name="works", shared=False)
    def works(amount: int = 1) -> int:
        return amount

    @app.task(name="ends", shared=False, bind=True, max_retries=1)
    def ends(self: Any, how: str) -> None:
        if how == "retried" and self.request.retries == 0:
            raise self.retry(countdown=0)
        if how == "not picklable":
            raise NotPicklableError(threading.Lock())
        errors = {"fails": KeyError("x"), "ignored": Ignore(), "rejected": Reject(), "too long": SoftTimeLimitExceeded()}
        if how in errors:
            raise errors[how]

    return app


@contextmanager
def worker(app: Celery, pool: str) -> Iterator[None]:
    """Run a worker in a thread. It leaves logging as it is."""

    def keep(**_: object) -> None: ...

    signals.setup_logging.connect(keep)
    try:
        with start_worker(app, pool=pool, perform_ping_check=False, shutdown_timeout=30.0):
            yield
            integration.uninstrument()
            # A worker that waits for a message looks every two seconds whether it is to end.
            threading.Timer(0.05, app.send_task, ["wakes"]).start()
            threading.Timer(0.3, app.send_task, ["wakes"]).start()
    finally:
        signals.setup_logging.disconnect(keep)


def found(registry: tm.Registry, name: str, **tags: str) -> Any:
    one: Any = registry.snapshot().find(name, **tags)
    return one


def counts(registry: tm.Registry, name: str) -> dict[tuple[str, ...], float]:
    """Return what was counted, by the values of tags."""
    family: Any = registry.snapshot()[name]
    has_buckets = family.kind == "timer"
    return {tuple(one.tags.values()): one.histogram.count if has_buckets else one.value for one in family if one.tags}


def wait(read: Any) -> None:
    deadline = time.monotonic() + 20
    while not read():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.slow
@pytest.mark.parametrize("pool", ["solo", "threads"])
def test_each_task_is_recorded_once_as_it_ended(pool: str, app: Celery) -> None:
    registry = tm.Registry()
    integration.instrument(app, registry=registry)
    with worker(app, pool), app.connection_for_write() as connection:
        assert found(registry, "celery.worker.processes").value == 1
        for how in ("well", "well", "fails", "ignored", "rejected", "retried", "too long", "not picklable"):
            app.tasks["ends"].delay(how)
        send_what_cannot_run(app, connection)
        app.send_task("works", shadow="<b>shadow</b>").get(20, interval=0.01)
        wait(lambda: sum(counts(registry, "celery.task.duration").values()) == 10)
        wait(lambda: found(registry, "celery.worker.tasks.active").value == 0)
    assert counts(registry, "celery.task.duration") == {
        ("SUCCESS", "works"): 1, ("SUCCESS", "ends"): 3, ("FAILURE", "ends"): 3, ("IGNORED", "ends"): 1,
        ("REJECTED", "ends"): 1, ("RETRY", "ends"): 1,
    }  # fmt: skip
    failed = counts(registry, "celery.task.failed")
    failed.pop(("Reject", "ends"), None)  # Celery 5.7 and later take that for a failure too
    assert failed == {
        ("KeyError", "ends"): 1, ("SoftTimeLimitExceeded", "ends"): 1, ("NotPicklableError", "ends"): 1,
    }  # fmt: skip
    assert counts(registry, "celery.task.retried") == {("ends",): 1}
    assert counts(registry, "celery.task.revoked") == {("expired", "works"): 1}
    assert counts(registry, "celery.task.queue_time") == {("works",): 1, ("ends",): 9}
    assert counts(registry, "celery.task.received") == {("works",): 1, ("ends",): 9}
    assert counts(registry, "celery.task.sent") == {("works",): 2, ("ends",): 9, ("_OTHER",): len(HOSTILE)}
    assert found(registry, "celery.task.unknown").value == len(HOSTILE)
    assert found(registry, "celery.task.rejected").value == 2
    assert {one.tags["task"] for one in registry.snapshot() if "task" in one.tags} == {"works", "ends", "_OTHER"}
    assert "tallymark_rejected" not in registry.snapshot()


def send_what_cannot_run(app: Celery, connection: Connection) -> None:
    """Send tasks that nobody knows, messages that are none, and a task that is too late."""
    for name in HOSTILE:
        app.send_task(name)
    app.send_task("works", expires=datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=9))
    with connection.Producer() as producer:
        for body, headers in [({"no": "task"}, {}), ([1], {"task": "works", "id": "1", "lang": "py", "eta": "never"})]:
            producer.publish(body, routing_key="celery", headers=headers, serializer="json")


def test_a_task_that_runs_within_another_is_one_of_its_own(app: Celery, registry: tm.Registry) -> None:
    @app.task(name="outer", shared=False, bind=True)
    def outer(self: Any, depth: int) -> int:
        active = found(registry, "celery.worker.tasks.active").value
        return active if depth == 0 else self.apply((depth - 1,)).result

    integration.instrument(app, registry=registry)
    assert outer.apply((3,)).result == 4
    assert counts(registry, "celery.task.duration") == {("SUCCESS", "outer"): 4}
    assert found(registry, "celery.worker.tasks.active").value == 0


def test_a_task_takes_as_long_as_its_clock_says(app: Celery, registry: tm.Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    integration.instrument(app, registry=registry)
    monkeypatch.setattr(integration, "perf_counter", lambda: time.perf_counter() - 40.0)
    app.tasks["works"].apply()
    duration = found(registry, "celery.task.duration", task="works", state="SUCCESS").histogram
    assert 40.0 <= duration.sum < 60.0
    assert duration.bounds[-1] == 3600.0


# Time in the queue


def waited(app: Celery, registry: tm.Registry, published: object, eta: object = None) -> Any:
    """Run a task with such a header; return the histogram of times in the queue, if there is any."""
    integration.instrument(app, registry=registry)
    task = app.tasks["works"]
    task.push_request(id="1", args=(), kwargs={}, eta=eta, **{integration.PUBLISHED: published})
    try:
        signals.task_prerun.send(sender=task, task_id="1", task=task, args=(), kwargs={})
        signals.task_postrun.send(sender=task, task_id="1", task=task, args=(), kwargs={}, retval=1, state="SUCCESS")
    finally:
        task.pop_request()
    one = found(registry, "celery.task.queue_time", task="works")
    assert counts(registry, "celery.task.duration") == {("SUCCESS", "works"): 1}
    return one and one.histogram


def test_time_in_the_queue_is_since_the_task_was_published(app: Celery, registry: tm.Registry) -> None:
    assert 30.0 <= waited(app, registry, time.time() - 30).sum < 50.0


@pytest.mark.parametrize("zone", ["utc", "offset", "none", "no text"])
def test_what_was_not_due_yet_did_not_wait(zone: str, app: Celery, registry: tm.Registry) -> None:
    """Such as a task with a countdown, or one that is tried again later."""
    app.conf.timezone = "Asia/Tokyo"
    zones = {"offset": datetime.timezone(datetime.timedelta(hours=-3)), "none": app.timezone}
    due = datetime.datetime.now(zones.get(zone, datetime.UTC)) - datetime.timedelta(seconds=5)
    eta: object = {"none": due.replace(tzinfo=None).isoformat(), "no text": due}.get(zone, due.isoformat())
    assert 5.0 <= waited(app, registry, time.time() - 3600, eta).sum < 25.0


def test_a_clock_that_is_ahead_is_told(app: Celery, registry: tm.Registry, caplog: pytest.LogCaptureFixture) -> None:
    assert waited(app, registry, time.time() + 90) is None
    assert counts(registry, "tallymark_rejected") == {("celery.task.queue_time", "negative"): 1}
    assert "task works started" in caplog.text
    assert "s before it was published or due: the clocks of two hosts differ" in caplog.text


@pytest.mark.parametrize(
    "header", ["soon", "", float("nan"), float("inf"), -float("inf"), 10**400, [1], {"a": 1}, b"\xff", 1j, object()],
    ids=range(11),
)  # fmt: skip
def test_a_header_that_is_no_time_breaks_nothing(
    header: object, app: Celery, engine: Any, caplog: pytest.LogCaptureFixture
) -> None:
    registry = tm.Registry(engine=engine.name, strict=True)
    assert waited(app, registry, header) is None
    assert counts(registry, "tallymark_rejected") == {("celery.task.queue_time", "unreadable"): 1}
    assert "does not tell in seconds when it was published" in caplog.text


def test_a_message_without_a_header_is_no_bad_data(app: Celery, registry: tm.Registry) -> None:
    assert waited(app, registry, None) is None
    assert "tallymark_rejected" not in registry.snapshot()


# Names


HOSTILE = ["<script>alert(1)</script>", "\u202egnp.exe", "😀", "a\nb", 'quote"\\', "x" * 5000, "\x00"]


def test_names_of_tasks_that_nobody_knows_make_no_series(app: Celery, registry: tm.Registry) -> None:
    integration.instrument(app, registry=registry)
    with app.connection() as connection, connection.Producer() as producer:
        for name in [*HOSTILE, *[f"no.such.{i}" for i in range(200)]]:
            app.send_task(name, producer=producer, retry=False)
    app.send_task("works")
    assert counts(registry, "celery.task.sent") == {("_OTHER",): len(HOSTILE) + 200, ("works",): 1}


def test_hostile_names_of_exceptions_stay_within_the_limits(app: Celery, engine: Any) -> None:
    @app.task(name="raises", shared=False)
    def raises(name: str) -> None:
        raise type(name, (Exception,), {})

    registry = tm.Registry(engine=engine.name, limits=tm.TagLimits(max_series=20))
    integration.instrument(app, registry=registry)
    for name in [*[one for one in HOSTILE if "\x00" not in one], *[f"E{i}" for i in range(30)]]:
        raises.apply((name,))
    assert len(registry.snapshot()["celery.task.failed"]) == 21
    tm.render_prometheus(registry.snapshot())


# Setting up


def test_another_call_replaces_the_first_and_all_apps_stay_known(app: Celery, registry: tm.Registry) -> None:
    second, other = Celery("second", broker="memory://", set_as_current=False), tm.Registry()

    @second.task(name="of.second", shared=False)
    def of_second() -> None: ...

    integration.instrument(app, registry=other)
    with tm.use(registry):
        integration.instrument(second)
    for one in (app.tasks["works"], of_second):
        one.apply_async()
        one.apply()
    assert counts(registry, "celery.task.sent") == {("works",): 1, ("of.second",): 1}
    assert counts(registry, "celery.task.duration") == {("SUCCESS", "works"): 1, ("SUCCESS", "of.second"): 1}
    assert "celery.task.sent" not in other.snapshot()


def test_an_app_may_be_a_proxy(app: Celery, registry: tm.Registry) -> None:
    integration.instrument(Proxy(lambda: app), registry=registry)
    app.tasks["works"].delay()
    assert counts(registry, "celery.task.sent") == {("works",): 1}


def test_a_program_that_only_publishes_has_the_one_metric_for_that(app: Celery, registry: tm.Registry) -> None:
    integration.instrument(app, registry=registry, metrics_port=1)
    app.tasks["works"].delay()
    assert {one.name for one in registry.snapshot() if one.name.startswith("celery")} == {"celery.task.sent"}


def test_a_task_that_began_before_is_left_alone(app: Celery, registry: tm.Registry) -> None:
    @app.task(name="instruments", shared=False)
    def instruments() -> None:
        integration.instrument(app, registry=registry)

    instruments.apply()
    integration.instrument(app, registry=registry)
    app.tasks["works"].apply()
    assert counts(registry, "celery.task.duration") == {("SUCCESS", "works"): 1}
    assert found(registry, "celery.worker.tasks.active").value == 0


def test_undoing_leaves_tasks_as_they_were(app: Celery, registry: tm.Registry) -> None:
    integration.instrument(app, registry=registry)
    integration.uninstrument()
    integration.uninstrument()
    app.tasks["works"].apply()
    assert not [one for one in registry.snapshot() if one.name.startswith("celery")]


def test_programming_errors_raise(app: Celery) -> None:
    wrong: Any
    for wrong in ({"app": "tasks"}, {"registry": "x"}, {"metrics_port": "9464"}, {"metrics_host": None}):
        with pytest.raises(TypeError, match=next(iter(wrong))):
            integration.instrument(**wrong)


class Worker:
    """What Celery says that begins."""

    def __init__(self, pool_cls: object) -> None:
        self.pool_cls = pool_cls


def begin_worker(pool: object = "solo") -> None:
    """Send the signal that a worker begins, as Celery does."""
    signals.worker_init.send(sender=Worker(pool))


def test_a_port_that_is_taken_stops_no_worker(app: Celery, registry: tm.Registry, caplog: pytest.LogCaptureFixture) -> None:
    with tm.serve(0, registry=tm.Registry()) as server:
        integration.instrument(app, registry=registry, metrics_port=server.port)
        begin_worker()
    assert found(registry, "celery.worker.processes").value == 1
    assert "in use" in caplog.text


def test_a_worker_serves_while_it_lives(app: Celery, registry: tm.Registry) -> None:
    integration.instrument(app, registry=registry, metrics_port=0)
    assert integration._active[0]._server is None
    begin_worker()
    server: Any = integration._active[0]._server
    with urlopen(server.url) as page:
        assert b"celery_worker_processes 1.0\n" in page.read()
    signals.worker_shutdown.send(sender=None)
    with pytest.raises(URLError):
        urlopen(server.url)
    assert found(registry, "celery.worker.processes").value == 0


class Pool(prefork.TaskPool):
    """A service's own."""


@pytest.mark.parametrize(
    "pool", ["prefork", "processes", "celery.concurrency.prefork:TaskPool", prefork.TaskPool, Pool], ids=range(5)
)
def test_a_pool_that_forks_gets_a_registry_like_this_one_in_shared_memory(pool: object, app: Celery) -> None:
    limits = tm.TagLimits(max_series=7)
    registry = tm.Registry(tags={"service": "shop"}, limits=limits, exponential=True, strict=True, self_metrics=False)
    integration.instrument(app, registry=registry)
    app.tasks["works"].delay()
    begin_worker(pool)
    app.tasks["works"].delay()
    shared = integration._active[0]._registry
    assert shared is not registry
    assert shared._families.is_shared
    assert shared._families._limits == limits
    assert counts(registry, "celery.task.sent") == counts(shared, "celery.task.sent") == {("shop", "works"): 1}
    assert type(shared.snapshot()["celery.task.duration"].data) is tm.ExponentialHistogramData
    assert [name for name in shared.snapshot().families if name.name.startswith("tallymark")] == []


def test_a_registry_that_is_shared_already_is_kept(app: Celery, tmp_path: Path) -> None:
    registry = tm.Registry(shared=tmp_path / "metrics")
    integration.instrument(app, registry=registry)
    begin_worker("prefork")
    assert integration._active[0]._registry is registry


def test_no_metrics_are_no_metrics_in_a_worker_too(app: Celery) -> None:
    registry = tm.NullRegistry()
    integration.instrument(app, registry=registry)
    begin_worker("prefork")
    app.tasks["works"].apply()
    app.tasks["works"].delay()
    assert integration._active[0]._registry is registry


@pytest.mark.parametrize("pool", ["solo", "threads", "gevent", "eventlet"])
def test_a_pool_that_does_not_fork_keeps_the_registry(pool: str, app: Celery, registry: tm.Registry) -> None:
    """And is not imported: it may change the process."""
    integration.instrument(app, registry=registry)
    begin_worker(pool)
    assert integration._active[0]._registry is registry
    assert not {"celery.concurrency.gevent", "celery.concurrency.eventlet"} & sys.modules.keys()


def test_where_memory_cannot_be_shared_the_log_says_what_that_means(
    app: Celery, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(**_: object) -> None:
        raise ValueError("no shared memory here")

    registry = tm.Registry()
    monkeypatch.setattr(celery_pool, "Registry", fail)
    integration.instrument(app, registry=registry)
    begin_worker("prefork")
    assert integration._active[0]._registry is registry
    assert "each process of Celery's pool counts for itself, and nobody reads that: no shared memory here" in caplog.text


def test_a_pool_process_that_was_not_forked_says_what_to_do(
    app: Celery, registry: tm.Registry, caplog: pytest.LogCaptureFixture
) -> None:
    integration.instrument(app, registry=registry)
    signals.worker_process_init.send(sender=None)
    assert "instrument(registry=tm.Registry(shared=path)) shares a file" in caplog.text


# What it costs


def test_a_task_allocates_no_more_than_celery_does_to_tell_of_it(app: Celery) -> None:
    """Our part of a task asks Celery twice for its request, and records four numbers."""
    integration.instrument(app, registry=tm.Registry(engine="native"))
    (tasks,) = integration._active
    task = app.tasks["works"]
    task.push_request(id="1", args=(), kwargs={}, **{integration.PUBLISHED: time.time() - 1})

    def runs(iterations: Any) -> None:
        for _ in iterations:
            tasks._prerun(task)
            tasks._postrun(task, "SUCCESS")

    def asks(iterations: Any) -> None:
        for _ in iterations:
            task.request
            task.request

    allocated, celerys = allocations_per_op(runs), allocations_per_op(asks)
    task.pop_request()
    assert allocated == celerys
