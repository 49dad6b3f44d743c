"""The example, with a task that a test can kill at the right moment."""

from __future__ import annotations

import time
from pathlib import Path

from celery_tasks import app

app.conf.worker_lost_wait = 0.2  # for what a process that was killed may have left; it is 10 seconds by default
app.conf.broker_transport_options["data_folder_out"] = "outbox"  # celery_worker.py


@app.task(name="test.wait")
def wait(path: str) -> None:
    """Run until a file is there. A process that is killed while it runs no task would leave Celery's pool locked."""
    while not Path(path).exists():
        time.sleep(0.01)
