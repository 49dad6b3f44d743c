"""One line in the module of an app gives one set of numbers over all processes of a forked pool, whoever is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery_worker import client, poll, working

from tallymark.integrations import celery as integration

pytestmark = pytest.mark.slow

APPS = Path(__file__).parent / "celery_apps"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with those in which messages and results are kept."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    integration.uninstrument()


def test_every_run_ends_once_however_it_ends(folder: Path) -> None:
    app = client("control")
    integration.instrument(app)
    hows = ["well", "killed", "fails", "exits", "retried", "killed", "well"]
    results = [app.send_task("trouble", (how,)) for how in hows]
    results.append(app.send_task("trouble", ("hangs",), time_limit=1))
    with working(folder, APPS / "trouble_tasks.py", "--concurrency", "2", "--max-tasks-per-child", "3") as worker:
        poll(lambda: all(result.ready() for result in results), "all tasks end")
        endless = app.send_task("trouble", ("hangs",))
        poll(lambda: endless.state == "STARTED", "a task hangs")
        endless.revoke(terminate=True, signal="SIGKILL")
        poll(lambda: endless.ready(), "it is killed")
        poll(lambda: sum(worker.ended("trouble").values()) == 10, "all runs are recorded")
        assert worker.ended("trouble") == {"SUCCESS": 3, "FAILURE": 5, "RETRY": 1, "REVOKED": 1}
        poll(lambda: worker.scrape()["celery_worker_processes",] == 2, "the sum is of those that live")
        samples = worker.scrape()
    assert samples["celery_worker_tasks_active",] == 0
    lost = [("exception", "WorkerLostError"), ("task", "trouble")]
    assert samples["celery_task_failed_total", *lost] == 3
    assert samples["celery_task_failed_total", ("exception", "TimeLimitExceeded"), lost[1]] == 1
    assert samples["celery_task_failed_total", ("exception", "KeyError"), lost[1]] == 1
    assert samples["celery_task_revoked_total", ("reason", "terminated"), lost[1]] == 1
    assert samples["celery_task_retried_total", lost[1]] == 1
    assert samples["celery_task_received_total", lost[1]] == samples["celery_task_queue_time_seconds_count", lost[1]] == 10
    assert samples["celery_task_duration_seconds_sum", ("state", "FAILURE"), lost[1]] >= 1  # the time limit
    assert not [key for key in samples if key[0] == "tallymark_rejected_total"]


def test_the_example_counts_all_while_its_processes_are_killed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METRICS_PORT", "0")
    monkeypatch.delenv("BROKER", raising=False)
    app = client("queue")
    integration.instrument(app)
    kills = 2
    with working(folder, APPS / "example_tasks.py", "--concurrency", "2", "--max-tasks-per-child", "25") as worker:
        for kill in range(1, kills + 1):
            for _ in range(2):
                app.send_task("test.wait", (f"go{kill}",))
            poll(lambda: worker.scrape()["celery_worker_tasks_active",] == 2, "both run a task")
            os.kill(worker.children()[0], signal.SIGKILL)
            poll(lambda lost=kill: worker.ended("test.wait").get("FAILURE") == lost, "one was lost")
            Path(f"go{kill}").touch()
            for order in range(40):
                app.send_task("shop.pay", (order,))
            app.send_task("shop.resize", ("cat", 100))
            poll(lambda enough=44 * kill: sum(worker.ended("shop.pay").values()) == enough, "all that were paid for")
            poll(lambda enough=kill: worker.ended("shop.resize") == {"SUCCESS": enough}, "and the picture")
            poll(lambda: worker.scrape()["celery_worker_processes",] == 2, "the sum is of those that live")
        samples = worker.scrape()
        assert worker.ended("test.wait") == {"SUCCESS": kills, "FAILURE": kills}
        assert worker.ended("shop.pay") == {"SUCCESS": 36 * kills, "FAILURE": 4 * kills, "RETRY": 4 * kills}
    waits = ("task", "test.wait")
    assert samples["celery_task_failed_total", ("exception", "WorkerLostError"), waits] == kills
    assert samples["celery_task_received_total", waits] == samples["celery_task_queue_time_seconds_count", waits] == 2 * kills
    assert samples["celery_worker_tasks_active",] == 0
