"""The README's examples work exactly as they are written."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
(EXAMPLE,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
LINKS = re.findall(r"\]\((?!https?:)([^)#]+)", README)


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= 115


def test_the_tagline_has_ten_words() -> None:
    (tagline,) = re.findall(r"^\*\*(.*)\*\*$", README, re.MULTILINE)
    assert len(tagline.split()) == 10


@pytest.mark.parametrize("link", LINKS)
def test_what_it_links_to_is_there(link: str) -> None:
    assert (ROOT / link).exists()


def test_every_page_of_the_docs_is_linked_to() -> None:
    assert {path.name for path in (ROOT / "docs").glob("*.md")} <= {Path(link).name for link in LINKS}


@pytest.mark.parametrize("target", re.findall(r"^make (\w+)", README, re.MULTILINE))
def test_its_commands_are_there(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_the_example_serves_its_metrics_and_ends_at_ctrl_c_without_a_traceback() -> None:
    program = EXAMPLE.replace("port=9464", "port=0")
    assert program != EXAMPLE
    command = [sys.executable, "-u", "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
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
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=30) == ("", "")
            assert process.returncode == 0
        finally:
            process.kill()
