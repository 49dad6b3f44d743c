"""Under gunicorn, with and without `--preload`, workers that are killed and recycled lose nothing of what they counted."""

from __future__ import annotations

from pathlib import Path

import pytest
from recipes import APPS, KILLS, WORKERS, check_service

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("how", ["file", "file, preloaded", "inherited"])
@pytest.mark.parametrize("worker_class", ["sync", "gthread"])
def test_what_was_answered_is_in_the_total(worker_class: str, how: str, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    options = ["--config", str(APPS / "gunicorn.conf.py"), "--bind", "127.0.0.1:0", "--workers", str(WORKERS)]
    options += ["--worker-class", worker_class, "--max-requests", "25"]
    options += ["--threads", "2"] if worker_class == "gthread" else []
    options += [] if how == "file" else ["--preload"]
    shared = None if how == "inherited" else tmp_path / "run" / "metrics"
    recycled = 5
    check_service(tmp_path, "gunicorn", *options, "wsgi_app:app", shared=shared, workers=WORKERS + KILLS + recycled)
