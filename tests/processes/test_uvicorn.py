"""Under uvicorn, workers that are killed lose nothing of what they counted."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from recipes import WORKERS, Program, Samples, check_service, poll, running

pytest.importorskip("uvicorn")
pytestmark = pytest.mark.slow


def test_what_was_answered_is_in_the_total(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    # Without --limit-max-requests: uvicorn may take many seconds to see that a worker ended on its own.
    options = ["--workers", str(WORKERS), "--port", "0"]
    check_service(tmp_path, "uvicorn", *options, "asgi_app:app", shared=tmp_path / "run" / "metrics")


RELOADED = """
import os
import tallymark as tm

registry = tm.Registry(shared=os.environ["SHARED"], fresh=True)
duration = registry.timer("duration", buckets=BUCKETS)

async def app(scope, receive, send):
    assert scope["type"] == "http"
    if scope["path"] == "/work":
        duration.record(0.3)
    body = tm.render_prometheus(registry.snapshot())
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})
"""


def test_a_reload_with_changed_buckets_begins_anew(tmp_path: Path) -> None:
    service, shared = tmp_path / "service.py", tmp_path / "run" / "metrics"  # a directory that there is not yet
    service.write_text(f"BUCKETS = [0.1, 1]{RELOADED}")
    options = ["--reload", "--reload-dir", str(tmp_path), "--port", "0"]
    with running(tmp_path, "uvicorn", *options, "service:app", shared=shared) as program:
        program.get_at_last("/work")
        assert buckets(program) == {"0.1": 0, "1.0": 1, "+Inf": 1}
        service.write_text(f"BUCKETS = [0.2, 2, 20]{RELOADED}")
        touched = time.monotonic()

        def has_reloaded() -> bool:
            nonlocal touched
            if time.monotonic() - touched > 10:  # uvicorn first looked at the file after it had changed
                service.touch()
                touched = time.monotonic()
            return "20.0" in buckets(program)

        poll(has_reloaded, "the server reloads")
        assert buckets(program) == {"0.2": 0, "2.0": 0, "20.0": 0, "+Inf": 0}
        program.get_at_last("/work")
        assert buckets(program) == {"0.2": 0, "2.0": 1, "20.0": 1, "+Inf": 1}
        assert "Traceback" not in (tmp_path / "log").read_text()


def buckets(program: Program) -> dict[str, float]:
    program._before = {}  # a reload may begin at 0
    samples: Samples = program.scrape()
    return {dict(tags)["le"]: value for (name, *tags), value in samples.items() if name == "duration_seconds_bucket"}  # type: ignore[arg-type]
