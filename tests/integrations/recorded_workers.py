"""Runs of the integrations of workers and of the runtime, in which they record all that they can record."""

from __future__ import annotations

import asyncio as python_asyncio
import gc as python_gc
import logging as python_logging
from types import SimpleNamespace
from typing import Any

from celery import Celery, signals

import tallymark as tm
from tallymark.integrations import asyncio as asyncio_integration
from tallymark.integrations import celery as celery_integration
from tallymark.integrations import gc as gc_integration
from tallymark.integrations import logging as logging_integration


def asyncio(registry: tm.Registry) -> None:
    """Have two loops run, one of which has a name."""
    for name in ("", "other"):
        python_asyncio.run(_measured(registry, name))
    asyncio_integration.uninstrument()


async def _measured(registry: tm.Registry, name: str) -> None:
    asyncio_integration.instrument(name=name, every=0.001)
    await python_asyncio.sleep(0.01)
    registry.snapshot()


def logging(registry: tm.Registry) -> None:
    """Log a record."""
    logging_integration.instrument()
    logger = python_logging.getLogger("shop.payments")
    logger.propagate = False
    logger.addHandler(python_logging.NullHandler())
    logger.warning("heard by nobody")
    logging_integration.uninstrument()


def gc(registry: tm.Registry) -> None:
    """Collect garbage."""
    gc_integration.instrument()
    python_gc.collect(0)
    gc_integration.uninstrument()


def celery(registry: tm.Registry) -> None:
    """Have tasks be published, run and fail; and send the signals of a worker's main process, as it does."""
    app = Celery("recorded", broker="memory://", set_as_current=False)

    @app.task(name="recorded", bind=True, shared=False)
    def task(self: Any, how: str) -> None:
        if how == "retried":
            raise self.retry(countdown=0)
        if how == "failed":
            raise ValueError

    celery_integration.instrument(app)
    worker = type("Worker", (), {"pool_cls": "solo"})()
    signals.worker_init.send(sender=worker)
    task.apply_async(("published",))
    task.apply(("failed",))
    task.push_request(**{celery_integration.PUBLISHED: 1.0})
    signals.task_prerun.send(sender=task, task=task)
    signals.task_postrun.send(sender=task, task=task, state="SUCCESS")
    task.pop_request()
    signals.task_retry.send(sender=task)
    signals.task_received.send(sender=worker, request=SimpleNamespace(type="recorded", id="1"))
    signals.task_revoked.send(sender=task, request=SimpleNamespace(id="1"), terminated=False, signum=None, expired=True)
    signals.task_unknown.send(sender=worker, message=None, exc=None, name="", id="")
    signals.task_rejected.send(sender=worker, message=None, exc=None)
    celery_integration.uninstrument()
