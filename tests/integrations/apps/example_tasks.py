"""The example, whose worker waits less long for what processes that were killed may have left."""

from celery_tasks import app

app.conf.worker_lost_wait = 0.2
