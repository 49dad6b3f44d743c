"""Tasks whose pool shares one registry: the worker's main process, which does not work itself, serves the totals of all."""

from __future__ import annotations

import os
import signal
import time

from celery import Celery
from celery.signals import worker_init, worker_process_init

import tallymark as tm

registry = tm.Registry(shared=os.environ.get("SHARED") or True)
tasks = registry.counter("tasks")
duration = registry.timer("duration")
workers = registry.gauge("workers", aggregate="sum")

app = Celery("app", broker="filesystem://", backend="file://results")  # directories under the current one
app.conf.worker_lost_wait = 1  # for the result of a process that died; it is 10 seconds by default
app.conf.broker_transport_options = {
    "data_folder_in": "queue",
    "data_folder_out": "queue",
    "control_folder": "control",
    "processed_folder": "processed",
    "store_processed": True,
    "polling_interval": 0.02,
}


@worker_init.connect
def serve(**_: object) -> None:
    print(tm.serve(port=0, registry=registry).url, flush=True)


@worker_process_init.connect
def started(**_: object) -> None:
    workers.set(1)


@app.task(name="work")
def work(how: str) -> str:
    with duration.time():
        time.sleep(0.003)
    tasks.inc(how=how)
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    return how
