"""What docs/grafana.md shows is what the programs take."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml
from grafana_service import endpoint, run_promtool

from tallymark.cli import _parser
from tallymark.grafana.objective import Objective, parse_latency, parse_percent
from tallymark.grafana.rules import RulesBuilder

PAGE = (Path(__file__).parents[2] / "docs" / "grafana.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines() if line.startswith("tallymark ")]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_are_taken(command: str) -> None:
    given = shlex.split(command)[1:]
    assert _parser(given).parse_args(given).source == "http://127.0.0.1:9464/metrics"


@pytest.mark.parametrize("text", [text for kind, text in BLOCKS if kind == "yaml"], ids=lambda text: text.split()[1])
def test_the_files_are_yaml(text: str) -> None:
    assert yaml.safe_load(text)


@pytest.mark.server
def test_prometheus_takes_its_configuration(tmp_path: Path) -> None:
    (text,) = [text for kind, text in BLOCKS if kind == "yaml" and text.startswith("# prometheus.yml")]
    (tmp_path / "prometheus.yml").write_text(text)
    assert "SUCCESS" in run_promtool("check", "config", "--syntax-only", tmp_path / "prometheus.yml")


def test_the_records_of_the_page_are_recorded() -> None:
    whole = Objective(parse_percent("99.9"), 30)
    made = str(RulesBuilder(endpoint(), whole, [parse_latency("0.5:99", whole)]).groups())
    named = set(re.findall(r"^\| `(job:[\w:]+)", PAGE, re.MULTILINE))
    assert len(named) == 6
    assert {name for name in named if f"'record': '{name}'" not in made} == set()
