"""What is recorded of Celery's tasks. All names of tasks are those of registered ones, so that messages cannot make series."""

from __future__ import annotations

import time
from datetime import datetime
from math import isfinite
from typing import TYPE_CHECKING

from celery.utils.serialization import UnpickleableExceptionWrapper

from tallymark.operational.classify import class_name

if TYPE_CHECKING:
    from typing import Any

    from tallymark.metric.registry import Registry

__all__ = ["PublisherMetrics", "WorkerMetrics"]

TASK_BUCKETS = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0,
)  # fmt: skip
"""Seconds. Tasks are what takes too long for a request: many take minutes."""

QUEUE_TIME = "celery.task.queue_time"


class PublisherMetrics:
    """The metrics of a program that publishes tasks, which may be a worker too."""

    def __init__(self, registry: Registry) -> None:
        self.sent = registry.counter("celery.task.sent", unit="{task}", description="Tasks that were published.")


class WorkerMetrics:
    """The metrics of a program that runs tasks."""

    def __init__(self, registry: Registry) -> None:
        self._rejections = registry._rejections
        bounds = None if registry._exponential else TASK_BUCKETS
        timer, counter, gauge = registry.timer, registry.counter, registry.gauge
        self.duration = timer("celery.task.duration", description="How long tasks ran, by how they ended.", buckets=bounds)
        self.queue_time = timer(QUEUE_TIME, description="How long tasks that were due waited to start.", buckets=bounds)
        task, message = "{task}", "{message}"
        self.received = counter("celery.task.received", unit=task, description="Tasks that the worker received.")
        self.retried = counter("celery.task.retried", unit=task, description="Tasks that are to run again.")
        self.failed = counter("celery.task.failed", unit=task, description="Tasks that failed, by exception.")
        self.revoked = counter("celery.task.revoked", unit=task, description="Tasks that were revoked, by reason.")
        self.unknown = counter("celery.task.unknown", unit=message, description="Messages for tasks that are not registered.")
        self.rejected = counter("celery.task.rejected", unit=message, description="Messages that cannot be run.")
        self.active = gauge("celery.worker.tasks.active", unit=task, aggregate="sum", description="Tasks that run.")
        self.processes = gauge(
            "celery.worker.processes", unit="{process}", aggregate="sum", description="Processes that run tasks."
        )

    def record_failure(self, task: str, exception: BaseException) -> None:
        """Count a task that failed, by the class of its exception."""
        name = class_name(exception)
        if isinstance(exception, UnpickleableExceptionWrapper):  # Celery's, around one that cannot leave the process
            name = exception.exc_cls_name
        self.failed.inc(task=task, exception=name)

    def record_queue_time(self, task: Any, published: Any, eta: Any) -> None:
        """Record how long a task waited: since it was published; or since it was due, if that is later.

        Args:
            published: what its header says, in seconds since the epoch. Another program wrote that, maybe on another host.
            eta: when it was due, as Celery writes it; or None.
        """
        try:
            due = float(published) if eta is None else max(float(published), _seconds(eta, task))
            waited = time.time() - due
            if not isfinite(waited):
                raise ValueError
        except (TypeError, ValueError, OverflowError):
            self._reject("unreadable", "the message of task {} does not tell in seconds when it was published", task.name)
            return
        if waited >= 0.0:
            self.queue_time.record(waited, task=task.name)
        else:
            detail = "task {} started {:.6f} s before it was published or due: the clocks of two hosts differ"
            self._reject("negative", detail, task.name, -waited)

    def _reject(self, reason: str, detail: str, *details: object) -> None:
        self._rejections.note(QUEUE_TIME, reason, lambda: detail.format(*details))


def _seconds(eta: Any, task: Any) -> float:
    """Return a time as Celery writes it in seconds since the epoch. One that names no zone is in that of the app."""
    due = eta if isinstance(eta, datetime) else datetime.fromisoformat(eta)
    return (due.replace(tzinfo=task.app.timezone) if due.tzinfo is None else due).timestamp()
