"""Objectives: which windows and burn rates follow from them, and what is none."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tallymark.grafana.errors import GrafanaError
from tallymark.grafana.objective import Objective, duration, parse_latency, parse_percent, parse_window


def burns(percent: str, days: int) -> list[tuple[str, str, str, str]]:
    found = Objective(parse_percent(percent), days).burns()
    return [(burn.severity, duration(burn.long), duration(burn.short), f"{burn.rate.normalize():f}") for burn in found]


def test_thirty_days_have_the_windows_and_rates_of_the_workbook() -> None:
    assert burns("99.9", 30) == [("page", "1h", "5m", "14.4"), ("page", "6h", "30m", "6"), ("ticket", "3d", "6h", "1")]


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (28, [("page", "1h", "5m", "13.44"), ("page", "6h", "30m", "5.6"), ("ticket", "2d19h12m", "5h36m", "1")]),
        (7, [("page", "1h", "5m", "3.36"), ("page", "6h", "30m", "1.4"), ("ticket", "16h48m", "1h24m", "1")]),
        (90, [("page", "1h", "5m", "43.2"), ("page", "6h", "30m", "18"), ("ticket", "3d", "6h", "3")]),
    ],
)
def test_other_windows_use_up_the_same_shares(days: int, expected: list[tuple[str, str, str, str]]) -> None:
    assert burns("99.9", days) == expected


@pytest.mark.parametrize("days", range(7, 91))
def test_no_alert_waits_for_what_would_never_use_up_the_budget(days: int) -> None:
    for burn in Objective(parse_percent("99.9"), days).burns():
        assert burn.rate >= 1
        assert burn.long == 12 * burn.short
        assert burn.rate * burn.long == pytest.approx(burn.share * days * 1440, rel=Decimal("0.001"))


def test_what_not_even_an_outage_reaches_has_no_alert() -> None:
    objective = Objective(parse_percent("90"), 30)
    assert [duration(burn.long) for burn in objective.burns()] == ["6h", "3d"]
    assert [duration(burn.long) for burn in objective.out_of_reach()] == ["1h"]


@pytest.mark.parametrize(
    ("text", "budget"), [("99.9", "0.001"), ("99.9%", "0.001"), ("99.99999", "1E-7"), ("95", "0.05"), (" 50 ", "0.5")]
)
def test_the_budget_is_exact(text: str, budget: str) -> None:
    assert Objective(parse_percent(text), 30).budget == Decimal(budget)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("100", "leaves no budget for errors"),
        ("100.1", "leaves no budget for errors"),
        ("0", "asks for nothing"),
        ("-5", "asks for nothing"),
        ("nan", "asks for nothing"),
        ("inf", "asks for nothing"),
        ("0.999", "for a fraction of 0.999, give 99.9"),
        ("1e-9", "objective 1e-9 asks for next to nothing; give a percentage, such as 99.9"),
        ("1e-999999", "objective 1e-999999 asks for next to nothing"),
        ("many", "'many' is not a number"),
        ("99,9", "'99,9' is not a number"),
        ("", "'' is not a number"),
    ],
)
def test_what_is_no_percentage_is_told(text: str, message: str) -> None:
    with pytest.raises(GrafanaError, match=message):
        parse_percent(text)


@pytest.mark.parametrize(("text", "days"), [("30d", 30), ("4w", 28), ("7d", 7), ("90d", 90)])
def test_windows_are_days_or_weeks(text: str, days: int) -> None:
    assert parse_window(text) == days


@pytest.mark.parametrize("text", ["30", "30x", "6d", "91d", "1h", "", "-30d", "3.5d", "99999999d", "٣٠d"])
def test_what_is_no_window_is_told(text: str) -> None:
    with pytest.raises(GrafanaError, match=r"window .* is not one; give days or weeks, from 7d to 90d"):
        parse_window(text)


def test_a_latency_may_have_an_objective_of_its_own() -> None:
    whole = Objective(parse_percent("99.9"), 28)
    assert str(parse_latency("0.30", whole)) == "99.9% within 0.3s over 28d"
    assert str(parse_latency("0.3:99", whole)) == "99% within 0.3s over 28d"


@pytest.mark.parametrize("text", ["0", "-1", "300ms", "", "nan", "inf", ":99", "1e-99", "1e99999999999"])
def test_what_is_no_latency_is_told(text: str) -> None:
    with pytest.raises(GrafanaError, match=r"latency .* is not a number of seconds"):
        parse_latency(text, Objective(parse_percent("99"), 30))
