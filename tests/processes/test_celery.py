"""In Celery's prefork pool, processes that kill themselves and are recycled lose nothing of what they counted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from apps.celery_app import work
from billiard.exceptions import WorkerLostError
from recipes import WORKERS, poll, running

pytestmark = pytest.mark.slow

TASKS = 150
KILLS = 6


@pytest.mark.parametrize("how", ["file", "inherited"])
def test_what_returned_is_in_the_total(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for directory in ("run", "queue", "results", "control", "processed"):
        (tmp_path / directory).mkdir()
    monkeypatch.chdir(tmp_path)
    # All before the worker starts: it may find a file of this transport before there is a message in it.
    results = [work.delay("killed" if i % (TASKS // KILLS) == 10 else "returned") for i in range(TASKS)]
    shared = tmp_path / "run" / "metrics" if how == "file" else None
    options = ["--pool", "prefork", "--concurrency", str(WORKERS), "--max-tasks-per-child", "20"]
    options += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    with running(tmp_path, "celery", "--app", "celery_app", "worker", *options, shared=shared) as program:
        with program.scraped():
            poll(lambda: all(result.ready() for result in results), "all tasks end")
        poll(lambda: program.scrape()["workers",] == WORKERS, "the sum is of those that live")
        samples = program.scrape()
        assert samples["tasks_total", ("how", "returned")] == sum(result.result == "returned" for result in results)
        assert samples["tasks_total", ("how", "killed")] == sum(
            isinstance(result.result, WorkerLostError) for result in results
        )
        assert samples["duration_seconds_count",] == TASKS
    if shared is not None:
        assert os.listdir(shared.parent) == [shared.name]
