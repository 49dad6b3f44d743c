"""Tasks of Celery that are measured, by one line. The worker's main process serves the metrics of its whole pool.

    mkdir queue && python celery_tasks.py                    # in this folder: publishes some tasks, as files in ./queue
    celery --app celery_tasks worker --loglevel info
    curl http://127.0.0.1:9464/metrics

Use a broker of yours: `BROKER=redis://localhost` in the environment of both.
"""

from __future__ import annotations

import os
import time

from celery import Celery, Task

import tallymark.integrations.celery

app = Celery("celery_tasks", broker=os.environ.get("BROKER", "filesystem://"))
if app.conf.broker_url == "filesystem://":
    folders = dict.fromkeys(("data_folder_in", "data_folder_out", "control_folder"), "queue")
    app.conf.broker_transport_options = {**folders, "polling_interval": 0.05}

tallymark.integrations.celery.instrument(app, metrics_port=int(os.environ.get("METRICS_PORT", "9464")))


@app.task(name="shop.resize")
def resize(picture: str, width: int) -> str:
    """A task that takes its time."""
    time.sleep(width / 100_000)
    return f"{picture}@{width}"


@app.task(name="shop.pay", bind=True, max_retries=1, default_retry_delay=0.1)
def pay(self: Task, order: int) -> int:
    """A task that fails now and then, and is tried again once."""
    if order % 10 == 3:
        raise ValueError(f"order {order} has no customer")
    if order % 10 == 7 and self.request.retries == 0:
        raise self.retry()
    return order


if __name__ == "__main__":
    for number in range(20):
        resize.delay("cat", 100 * number)
        pay.delay(number)
