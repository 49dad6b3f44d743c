"""What a worker does when it starts: with `--preload`, the service itself is imported before there are workers."""

from __future__ import annotations


def post_worker_init(worker: object) -> None:
    from wsgi_app import workers

    workers.set(1)
