"""One demo from start to Ctrl-C: what it serves meanwhile, and what it prints at its end."""

from __future__ import annotations

import re
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from demo_process import Demo, Outcome, poll, running_demo
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

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
        lines = [next(blocks) for _ in range(5)]
        ended = demo.end(signal.SIGINT)
        first, rest = ended.output.split("\n", 1)
        yield Session(scraped, Outcome(ended.status, f"{first}\n{''.join(lines)}{rest}", ended.errors))


@pytest.fixture(params=["while it runs", "at its end"])
def exposition(request: pytest.FixtureRequest, session: Session) -> str:
    """The metrics of the demo."""
    return session.scraped if request.param == "while it runs" else session.outcome.exposition


def test_ctrl_c_ends_it_with_success_and_without_a_word_of_complaint(session: Session) -> None:
    assert session.outcome.status == 0
    assert session.outcome.errors == ""


def test_every_operation_ends_in_every_way(exposition: str) -> None:
    assert set(outcomes(exposition)) == {(operation, status) for operation in OPERATIONS for status in STATUSES}


def test_every_kind_of_instrument_is_shown(exposition: str) -> None:
    found = families(exposition)
    kinds = {
        name: found[name].type
        for name in ("operations", "operation_duration_seconds", "operations_in_flight", "response_size_bytes")
    }
    assert list(kinds.values()) == ["counter", "histogram", "gauge", "histogram"]
    assert {"process_cpu_seconds", "process_resident_memory_bytes", "python_info"} <= set(found)


def test_nothing_is_rejected(exposition: str) -> None:
    assert "tallymark_rejected" not in families(exposition)


def test_at_the_end_timers_and_counters_agree(session: Session) -> None:
    timers: Counter[tuple[str, str]] = Counter()
    sizes: Counter[str] = Counter()
    found = families(session.outcome.exposition)
    for sample in found["operation_duration_seconds"].samples:
        if sample.name.endswith("_count"):
            timers[sample.labels["operation"], sample.labels["status"]] = int(sample.value)
    for sample in found["response_size_bytes"].samples:
        if sample.name.endswith("_count"):
            sizes[sample.labels["operation"]] = int(sample.value)
    counters = outcomes(session.outcome.exposition)
    assert timers == counters
    for operation in OPERATIONS:
        assert sizes[operation] == sum(counters[operation, status] for status in STATUSES)


def test_at_the_end_nothing_is_in_flight(session: Session) -> None:
    samples = families(session.outcome.exposition)["operations_in_flight"].samples
    assert [sample.value for sample in samples] == [0.0] * len(OPERATIONS)


def test_counters_never_go_back(session: Session) -> None:
    last = outcomes(session.outcome.exposition)
    assert all(count <= last[key] for key, count in outcomes(session.scraped).items())


def test_what_is_not_a_terminal_gets_plain_lines(session: Session) -> None:
    assert "\x1b" not in session.outcome.output
    table = session.outcome.output.splitlines()[2:6]
    assert table[0].split() == ["operation", "requests/s", "errors", "timeouts", "p50", "ms", "p95", "ms", "p99", "ms"]
    number = r"\d+(?:\.\d)?"
    for operation, line in zip(OPERATIONS, table[1:], strict=True):
        assert re.fullmatch(rf"{operation}(?: +{number}){{6}}", line)


def test_the_summary_shows_what_the_metrics_show(session: Session) -> None:
    last = outcomes(session.outcome.exposition)
    summary = session.outcome.output.split("\nIn ")[1]
    assert re.match(rf"[\d.]+ seconds, {sum(last.values()):.0f} operations:", summary)
    for operation in OPERATIONS:
        _, _, errors, timeouts, p50, p95, p99 = re.findall(rf"^{operation} .*", summary, re.MULTILINE)[0].split()
        assert (int(errors), int(timeouts)) == (last[operation, "error"], last[operation, "timeout"])
        assert 0 < float(p50) <= float(p95) <= float(p99)


def test_promtool_finds_no_fault(exposition: str, promtool: str) -> None:
    checked = subprocess.run([promtool, "check", "metrics"], input=exposition, capture_output=True, text=True, timeout=60)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
