"""One demo from start to Ctrl-C: what it serves meanwhile, and what it prints."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from demo_process import Demo, Outcome, poll, running_demo
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tallymark.top.table import TRAFFIC_HEADINGS

pytestmark = pytest.mark.slow

OPERATIONS = ("auth", "query", "cache")
STATUSES = ("success", "error", "timeout")


@dataclass(frozen=True)
class Session:
    """A demo that ran until every operation had ended in every way: the last scrape, and what it left behind."""

    scraped: str
    outcome: Outcome


def families(exposition: str) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(exposition)}


def outcomes(exposition: str) -> dict[tuple[str, str], float]:
    """Operations by operation and status."""
    samples = families(exposition)["operations"].samples
    return {(one.labels["operation"], one.labels["status"]): one.value for one in samples if one.labels}


def complete(demo: Demo) -> str | None:
    exposition = demo.scrape()
    return exposition if len(outcomes(exposition)) == len(OPERATIONS) * len(STATUSES) else None


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    """Several tests look at one run, as that is what takes the time."""
    with running_demo("--seconds", "0", "--port", "0", "--rate", "400") as demo:
        scraped = poll(lambda: complete(demo), "every operation ending in every way")
        # Blocks come every two seconds: one is certain to be there before the end.
        blocks = iter(demo.stdout.readline, "")
        lines = [next(blocks) for _ in range(9)]
        ended = demo.end(signal.SIGINT)
        first, rest = ended.output.split("\n", 1)
        yield Session(scraped, Outcome(ended.status, f"{first}\n{''.join(lines)}{rest}", ended.errors))


@pytest.fixture
def exposition(session: Session) -> str:
    """The metrics of the demo."""
    return session.scraped


def test_ctrl_c_ends_it_with_success_and_without_a_word_of_complaint(session: Session) -> None:
    assert session.outcome.status == 0
    assert session.outcome.errors == ""


def test_every_operation_ends_in_every_way(exposition: str) -> None:
    assert set(outcomes(exposition)) == {(operation, status) for operation in OPERATIONS for status in STATUSES}


def test_every_kind_of_instrument_is_shown(exposition: str) -> None:
    found = families(exposition)
    kinds = {
        name: found[name].type
        for name in ("operations", "http_server_request_duration_seconds", "operations_in_flight", "response_size_bytes")
    }
    assert list(kinds.values()) == ["counter", "histogram", "gauge", "histogram"]
    assert {"process_cpu_seconds", "process_resident_memory_bytes", "python_info"} <= set(found)


def test_nothing_is_rejected(exposition: str) -> None:
    assert "tallymark_rejected" not in families(exposition)


def test_it_opens_with_its_page_and_its_metrics(session: Session) -> None:
    first, second, empty = session.outcome.output.splitlines()[:3]
    assert re.fullmatch(r"Watch it live: (http://127\.0\.0\.1:\d+/)    Metrics: \1metrics", first)
    assert second == "The service is under load until Ctrl-C."
    assert empty == ""


def test_what_is_not_a_terminal_gets_plain_lines(session: Session) -> None:
    assert "\x1b" not in session.outcome.output
    check_table(session.outcome.output.splitlines()[3:])


def check_table(lines: list[str]) -> None:
    assert lines[0].split() == [word for heading in TRAFFIC_HEADINGS for word in heading.split()]
    rows = [*[f"{one}  +operation" for one in sorted(OPERATIONS)], *[f"GET /{one}  +route" for one in sorted(OPERATIONS)]]
    number = r"  +[\d,]+\.\d"
    for row, line in zip(rows, lines[1:], strict=False):
        assert re.fullmatch(rf"{row}(?:{number}){{2}}  +[\d.]+%(?:{number}){{3}}", line), line


def test_it_ends_with_the_table_and_a_summary(session: Session) -> None:
    summary, empty, *lines = session.outcome.end.strip().splitlines()
    found = re.fullmatch(r"In [\d.]+ seconds, ([\d,]+) operations ended, ([\d,]+) of them in an error or too late:", summary)
    assert found
    ended, failed = [int(number.replace(",", "")) for number in found.groups()]
    counts = outcomes(session.scraped)
    assert ended >= sum(counts.values())
    assert failed >= sum([count for (_, status), count in counts.items() if status != "success"])
    assert empty == ""
    check_table(lines)


def test_it_ends_with_how_to_look_at_it_again(session: Session) -> None:
    *_, ended, again, meanwhile, page, curl, top = session.outcome.end.splitlines()
    assert ended.startswith("It has ended, and http://127.0.0.1:")
    assert again.endswith("-m tallymark demo --seconds 0")
    assert meanwhile == "and to look at it meanwhile:"
    assert re.fullmatch(r"  open http://127.0.0.1:\d+/ in a browser", page)
    assert re.fullmatch(r"  curl http://127.0.0.1:\d+/metrics", curl)
    assert re.search(r"-m tallymark top http://127.0.0.1:\d+/$", top)


def test_it_leaves_no_exposition_on_the_screen(session: Session) -> None:
    assert "# HELP" not in session.outcome.output
    assert len(session.outcome.end.splitlines()) < 24


def test_promtool_finds_no_fault(exposition: str, promtool: str) -> None:
    checked = subprocess.run([promtool, "check", "metrics"], input=exposition, capture_output=True, text=True, timeout=60)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
