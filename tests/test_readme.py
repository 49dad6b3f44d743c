"""The README's examples work exactly as they are written."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import tallymark as tm

README = (Path(__file__).parents[1] / "README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_no_figure_is_left_out() -> None:
    assert "@" not in re.sub(r"```.*?```|`[^`]*`|<!-- begin.*?<!-- end", "", README, flags=re.DOTALL)


def test_the_first_example_serves_its_metrics() -> None:
    program = EXAMPLES[0].replace("port=9464", "port=0")
    assert program != EXAMPLES[0]
    with subprocess.Popen([sys.executable, "-u", "-c", program], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            wanted = 'http_requests_total{method="GET",route="/users",status="200"}'
            page = ""
            for _ in range(100):
                page = urllib.request.urlopen(url, timeout=10).read().decode()
                if wanted in page:
                    break
                time.sleep(0.05)
            assert wanted in page
            assert 'http_request_duration_seconds_count{route="/users"}' in page
        finally:
            process.kill()


def test_the_tours_of_recording_and_of_operations_run() -> None:
    with tm.use(tm.Registry(strict=True)) as registry:
        exec(EXAMPLES[1], {})
        exec(EXAMPLES[2], {})
        assert registry.snapshot().find("operations", operation="auth", provider="password", method="totp", status="success")
        assert registry.snapshot().find("requests", method="GET").value == 2.5  # type: ignore[union-attr]
