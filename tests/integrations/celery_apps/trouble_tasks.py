"""Tasks that end in all the ways in which a task of a forked pool can end."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

from celery import Celery

import tallymark.integrations.celery

app = Celery("trouble_tasks", broker="filesystem://", backend="file://results")
app.conf.update(
    broker_transport_options={
        "data_folder_in": "queue", "data_folder_out": "outbox", "control_folder": "control", "polling_interval": 0.02,
    },
    worker_lost_wait=0.2, task_track_started=True, worker_prefetch_multiplier=1,
)  # fmt: skip
tallymark.integrations.celery.instrument(app, metrics_port=0)


@app.task(name="trouble", bind=True, max_retries=1)
def trouble(self: Any, how: str) -> int:
    match how:
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exits":
            sys.exit(3)
        case "hangs":
            time.sleep(600)
        case "fails":
            raise KeyError(how)
        case "retried" if self.request.retries == 0:
            raise self.retry(countdown=0)
    return os.getpid()
