"""docs/formats.md: its examples run, and what it shows is what is served."""

from __future__ import annotations

import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import tallymark as tm

PAGE = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
SHOWN = re.findall(r"```\n\$ (curl .*?)\n(.*?)```", PAGE, re.DOTALL)
CONFIGURED = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def url() -> Iterator[str]:
    """The URL of the service that the page describes."""
    registry = tm.Registry()
    found: dict[str, tm.Server] = {}
    with tm.use(registry), registry:
        exec(PYTHON[0].replace("9464", "0"), found)
        yield found["server"].url.removesuffix("/metrics")


@pytest.mark.parametrize(("command", "shown"), SHOWN, ids=[command[-40:] for command, _ in SHOWN])
def test_what_a_command_shows_is_what_is_served(url: str, command: str, shown: str) -> None:
    accept = re.search(r"-H 'Accept: (.*?)'", command)
    (target,) = re.findall(r"localhost:9464([^ ']+)", command)
    request = urllib.request.Request(url + target, headers={"Accept": accept[1]} if accept else {})
    body = urllib.request.urlopen(request, timeout=10).read().decode()
    pattern = "".join([".*" if part == "…\n" else re.escape(part) for part in re.split("(…\n)", shown)])
    assert re.fullmatch(pattern, body, re.DOTALL)


def test_the_names_in_its_table_are_those_that_are_served(url: str) -> None:
    for scheme, name in re.findall(r"^\| `([a-z0-9-]+)` \| `(\S+)`", PAGE, re.MULTILINE):
        accept = {"Accept": f"application/openmetrics-text;version=1.0.0;escaping={scheme}"}
        request = urllib.request.Request(f"{url}/metrics", headers=accept)
        assert f"\n{name} 1.0\n" in urllib.request.urlopen(request, timeout=10).read().decode()


def test_target_info_is_as_it_says() -> None:
    with tm.use(tm.Registry()) as registry:
        exec(PYTHON[1], {"tm": tm})
        assert "target_info" in registry.snapshot()


def test_a_prometheus_2_takes_the_configuration_that_is_not_for_prometheus_3(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not on the PATH")
    (text,) = [text for text in CONFIGURED if "escaping_scheme" not in text and "always_scrape" not in text]
    (tmp_path / "prometheus.yml").write_text(text)
    subprocess.run([promtool, "check", "config", str(tmp_path / "prometheus.yml")], check=True, capture_output=True)
