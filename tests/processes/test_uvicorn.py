"""Under uvicorn, workers that are killed lose nothing of what they counted."""

from __future__ import annotations

from pathlib import Path

import pytest
from recipes import WORKERS, check_service

pytestmark = pytest.mark.slow


def test_what_was_answered_is_in_the_total(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    # Without --limit-max-requests: uvicorn may take many seconds to see that a worker ended on its own.
    options = ["--workers", str(WORKERS), "--port", "0"]
    check_service(tmp_path, "uvicorn", *options, "asgi_app:app", shared=tmp_path / "run" / "metrics")
