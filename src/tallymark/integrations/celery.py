"""Celery: its tasks by name and state, through Celery's signals.

In a worker with the prefork pool, all of it is in memory that the worker's main process shares with its pool: so the main
process, which runs no task, knows the totals of all children, those that were killed or recycled included.
"""

from __future__ import annotations

import time
from functools import cached_property
from time import perf_counter
from typing import TYPE_CHECKING
from weakref import WeakSet, WeakValueDictionary

from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery import Celery, current_app, signals

from tallymark.integrations.celery_metrics import PublisherMetrics, WorkerMetrics
from tallymark.integrations.celery_pool import forks, shared_registry
from tallymark.log import logger
from tallymark.metric import context
from tallymark.metric.registry import Registry
from tallymark.metric.validation import check_type

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tallymark.serve.server import Server

__all__ = ["instrument", "uninstrument"]

PUBLISHED = "tallymark_published"
"""The header of a task's message that holds when it was published, in seconds since the epoch."""

STARTED = "tallymark_started"
"""The attribute of a task's request that holds when it was started, by `perf_counter`."""

OTHER = "_OTHER"
"""Stands for all names of tasks that the publishing program does not know."""


def instrument(
    app: Celery | None = None,
    *,
    registry: Registry | None = None,
    metrics_port: int | None = None,
    metrics_host: str = "127.0.0.1",
) -> None:
    """Record Celery's tasks, in workers and in programs that publish them. Call it in the module that makes the app.

    | metric | kind | tags |
    | --- | --- | --- |
    | `celery.task.duration` | timer | `task`, `state` |
    | `celery.task.queue_time` | timer | `task` |
    | `celery.task.sent`, `celery.task.received`, `celery.task.retried` | counter | `task` |
    | `celery.task.failed` | counter | `task`, `exception` |
    | `celery.task.revoked` | counter | `task`, `reason` |
    | `celery.task.unknown`, `celery.task.rejected` | counter | |
    | `celery.worker.tasks.active`, `celery.worker.processes` | gauge | |

    Celery's signals are those of all apps in the process, and so are these metrics. Another call replaces this one.

    Args:
        app: knows the names of the tasks that this program publishes; by default the current app. If there are several, call
            this for each.
        registry: where to record; by default the current registry. Unless that is shared, a worker with the prefork pool takes
            a new one in shared memory instead, with the same tags and limits.
        metrics_port: have a worker's main process serve the metrics at this TCP port; 0 takes a free one.
        metrics_host: the address or name to serve at; `"0.0.0.0"` stands for all interfaces.

    Raises:
        TypeError: an argument is of the wrong type.
        MetricConflictError: one of the names belongs to another kind.
    """
    target = context.registry() if registry is None else registry
    check_type("registry", target, Registry)
    check_type("metrics_port", 0 if metrics_port is None else metrics_port, int)
    check_type("metrics_host", metrics_host, str)
    if app is not None:
        check_type("app", app, Celery)
    begun = Tasks(target, metrics_port, metrics_host)
    _end()
    app = current_app if app is None else app
    _apps.add(getattr(app, "_get_current_object", lambda: app)())  # what a proxy stands for, if it is one
    _active.append(begun)
    begun.begin()


def uninstrument() -> None:
    """Record no further tasks, and serve no longer. What was recorded stays. Does nothing where nothing is instrumented."""
    _end()
    _apps.clear()


def _end() -> None:
    while _active:
        _active.pop().end()


class Tasks:
    """The receivers of Celery's signals. One that raises breaks no task: Celery logs it."""

    def __init__(self, registry: Registry, port: int | None, host: str) -> None:
        self._registry = registry
        self._address = None if port is None else (port, host)
        self._server: Server | None = None
        self._is_worker = False
        # Of the main process of a prefork pool: what it knows of tasks whose process may die. Celery holds them.
        self._requests: WeakValueDictionary[str, Any] | None = None

    @cached_property
    def _publisher(self) -> PublisherMetrics:
        return PublisherMetrics(self._registry)

    @cached_property
    def _metrics(self) -> WorkerMetrics:
        return WorkerMetrics(self._registry)

    def _receivers(self) -> Iterator[tuple[Any, Any]]:
        yield signals.before_task_publish, self._before_publish
        yield signals.after_task_publish, self._after_publish
        yield signals.task_received, self._received
        yield signals.task_prerun, self._prerun
        yield signals.task_postrun, self._postrun
        yield signals.task_retry, self._retry
        yield signals.task_failure, self._failure
        yield signals.task_revoked, self._revoked
        yield signals.task_unknown, self._unknown
        yield signals.task_rejected, self._rejected
        yield signals.worker_init, self._worker_init
        yield signals.worker_ready, self._ready
        yield signals.worker_process_init, self._process_init
        yield signals.worker_shutdown, self._shutdown

    def begin(self) -> None:
        """Listen to the signals."""
        for signal, receiver in self._receivers():
            signal.connect(receiver, weak=False)

    def end(self) -> None:
        """Listen no more, and stop serving."""
        for signal, receiver in self._receivers():
            signal.disconnect(receiver)
        self._close()

    # Publishing

    def _before_publish(self, headers: Any, **_: Any) -> None:
        if headers is not None:  # as a message of somebody else's making may have none
            headers[PUBLISHED] = time.time()

    def _after_publish(self, sender: str, **_: Any) -> None:
        is_known = any(sender in app.tasks for app in _apps)
        self._publisher.sent.inc(task=sender if is_known else OTHER)

    # Running, in the process that runs the task

    def _prerun(self, task: Any, **_: Any) -> None:
        request = task.request
        setattr(request, STARTED, perf_counter())
        self._metrics.active.inc()
        published = getattr(request, PUBLISHED, None)
        if published is not None:
            self._metrics.record_queue_time(task, published, request.eta)

    def _postrun(self, task: Any, state: str | None, **_: Any) -> None:
        started = getattr(task.request, STARTED, None)
        if started is None:  # it began before it was instrumented
            return
        self._metrics.active.dec()
        if state is not None:  # else the process is about to exit, which the main process tells
            self._metrics.duration.record_since(started, task=task.name, state=state)

    def _retry(self, sender: Any, **_: Any) -> None:
        self._metrics.retried.inc(task=sender.name)

    def _failure(self, sender: Any, task_id: str, exception: BaseException, **_: Any) -> None:
        is_lost = isinstance(exception, WorkerLostError | TimeLimitExceeded) and not hasattr(sender.request, STARTED)
        if not is_lost or self._record_lost(sender.name, task_id, "FAILURE"):  # of a time limit, Celery tells twice
            self._metrics.record_failure(sender.name, exception)

    # In the worker's main process

    def _received(self, request: Any, **_: Any) -> None:
        self._metrics.received.inc(task=request.type)
        if self._requests is not None:
            self._requests[request.id] = request

    def _revoked(self, sender: Any, request: Any, terminated: bool, expired: bool, **_: Any) -> None:
        reason = "terminated" if terminated else "expired" if expired else "revoked"
        self._metrics.revoked.inc(task=sender.name, reason=reason)
        if terminated:
            self._record_lost(sender.name, request.id, "REVOKED")

    def _record_lost(self, task: str, task_id: str, state: str) -> bool:
        """Record a task whose process was killed before it could; return False if it was recorded before."""
        if self._requests is None:  # no other process can have recorded it
            return True
        request = self._requests.pop(task_id, None)
        if request is not None and request.time_start is not None:
            self._metrics.duration.record(time.time() - request.time_start, task=task, state=state)
        return request is not None

    def _unknown(self, **_: Any) -> None:
        self._metrics.unknown.inc()

    def _rejected(self, **_: Any) -> None:
        self._metrics.rejected.inc()

    # The life of a worker

    def _worker_init(self, sender: Any, **_: Any) -> None:
        self._is_worker = True
        is_forking = forks(sender.pool_cls)
        if is_forking:
            self._registry = shared_registry(self._registry)
            self.__dict__.pop("_publisher", None)
            self.__dict__.pop("_metrics", None)
            self._requests = WeakValueDictionary()
        self._metrics.processes.set(0 if is_forking else 1)
        self._metrics.active.set(0)  # so that it is told while no process of the pool has ever run a task
        if self._address is not None:
            self._serve(*self._address)

    def _serve(self, port: int, host: str) -> None:
        from tallymark.serve.server import serve

        self._server = serve(port, host, self._registry)

    def _ready(self, **_: Any) -> None:
        if self._server is not None:  # told now, as before there was no logging
            logger().info("the metrics of Celery's tasks are at %s", self._server.url)

    def _process_init(self, **_: Any) -> None:
        self._requests = None  # a child's copy of what the main process has
        if not self._is_worker and not self._registry._families.is_shared:
            logger().warning(
                "this process of Celery's pool was not forked, so that it counts for itself, and nobody reads that."
                " instrument(registry=tm.Registry(shared=path)) shares a file"
            )
        self._metrics.processes.set(1)

    def _shutdown(self, **_: Any) -> None:
        self._metrics.processes.set(0)
        self._close()

    def _close(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()


_active: list[Tasks] = []
_apps: WeakSet[Celery] = WeakSet()
