"""`Objective`: how much may go wrong, and when who is told that it goes wrong too fast.

Source: "The Site Reliability Workbook" (2018), chapter 5, "Alerting on SLOs": alerts on several windows and burn rates. A burn
rate of 1 uses up the budget exactly at the end of the objective's window. An alert fires if the burn rate is too high in a long
window, and in a short one, a twelfth of it, so that the alert ends soon after the trouble.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from tallymark.grafana.errors import GrafanaError

__all__ = ["Burn", "Latency", "Objective", "duration", "parse_latency", "parse_percent", "parse_window", "plain"]

_SHARES = (("page", Decimal("0.02"), 60), ("page", Decimal("0.05"), 6 * 60), ("ticket", Decimal("0.10"), 72 * 60))
"""Who is told, of which share of the budget, if it is used within how many minutes."""

_LEAST_DAYS, _MOST_DAYS = 7, 90
_LEAST_PERCENT = Decimal("0.01")
_LEAST_SECONDS, _MOST_SECONDS = Decimal("1e-9"), Decimal("1e9")
_UNITS = ((1440, "d"), (60, "h"), (1, "m"))


@dataclass(frozen=True)
class Burn:
    """A pair of windows, in minutes, and the burn rate that is too high in both.

    Attributes:
        severity: `"page"`, somebody must act now; `"ticket"`, somebody must act within days.
        share: of the budget, that is used up by then.
    """

    severity: str
    share: Decimal
    long: int
    short: int
    rate: Decimal


@dataclass(frozen=True)
class Objective:
    """The percentage of what is asked for that must go well, in a window that moves along.

    Attributes:
        days: of the window.
    """

    percent: Decimal
    days: int

    @property
    def budget(self) -> Decimal:
        """The fraction that may go wrong."""
        return (100 - self.percent) / 100

    @property
    def window(self) -> str:
        """The window, as Prometheus writes it."""
        return duration(self.days * 1440)

    def __str__(self) -> str:
        return f"{plain(self.percent)}% over {self.days}d"

    def out_of_reach(self) -> list[Burn]:
        """Return the pairs of windows that have no alert: not even an outage burns the budget that fast."""
        return [burn for burn in self._all() if burn.rate * self.budget >= 1]

    def burns(self) -> list[Burn]:
        """Return the pairs of windows that have alerts, the shortest first."""
        return [burn for burn in self._all() if burn.rate * self.budget < 1]

    def _all(self) -> list[Burn]:
        # A window that is shorter than 30 days shortens the last pair too: its burn rate is never below 1.
        minutes = self.days * 1440
        burns = []
        for severity, share, nominal in _SHARES:
            long = min(nominal, int(share * minutes))
            rate = share * minutes / long
            burns.append(Burn(severity, share, long, long // 12, round(rate, 3)))
        return burns


@dataclass(frozen=True)
class Latency:
    """The percentage of what went well that must be fast.

    Attributes:
        threshold: in seconds, as it was written.
        objective: how much must be as fast as that, or faster.
    """

    threshold: str
    objective: Objective

    def __str__(self) -> str:
        return f"{plain(self.objective.percent)}% within {self.threshold}s over {self.objective.days}d"


def duration(minutes: int) -> str:
    """Return a duration as Prometheus writes it: `1h30m`."""
    text = ""
    for size, unit in _UNITS:
        amount, minutes = divmod(minutes, size)
        text += f"{amount}{unit}" if amount else ""
    return text


def plain(number: Decimal) -> str:
    """Return a number without an exponent or needless zeros: `0.001`."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def parse_percent(text: str) -> Decimal:
    """Return the percentage of an objective.

    Raises:
        GrafanaError: it is not one, or leaves nothing to do.
    """
    try:
        percent = Decimal(text.strip().removesuffix("%"))
    except InvalidOperation:
        raise GrafanaError(f"objective {text!r} is not a number; give a percentage, such as 99.9") from None
    if not percent.is_finite() or percent <= 0:
        raise GrafanaError(f"objective {text} asks for nothing; give a percentage above 0 and below 100, such as 99.9")
    if percent >= 100:
        raise GrafanaError(f"objective {text} leaves no budget for errors; give a percentage below 100, such as 99.9")
    if percent <= _LEAST_PERCENT:
        raise GrafanaError(f"objective {text} asks for next to nothing; give a percentage, such as 99.9")
    if percent <= 1:
        raise GrafanaError(f"objective {text} is in percent; for a fraction of {text}, give {plain(percent * 100)}")
    return percent


def parse_window(text: str) -> int:
    """Return the days of an objective's window, such as `30d` or `4w`.

    Raises:
        GrafanaError: it is not one.
    """
    match = re.fullmatch(r"(\d{1,4})([dw])", text.strip(), re.ASCII)
    days = int(match[1]) * (7 if match[2] == "w" else 1) if match else 0
    if not _LEAST_DAYS <= days <= _MOST_DAYS:
        raise GrafanaError(
            f"window {text!r} is not one; give days or weeks, from {_LEAST_DAYS}d to {_MOST_DAYS}d, such as 30d, 28d or 4w"
        )
    return days


def parse_latency(text: str, objective: Objective) -> Latency:
    """Return an objective for latency: seconds, or seconds and a percentage of its own, as in `0.5:99`.

    Raises:
        GrafanaError: it is not one.
    """
    seconds, _, percent = text.partition(":")
    try:
        threshold = Decimal(seconds)
    except InvalidOperation:
        threshold = Decimal(0)
    if not threshold.is_finite() or not _LEAST_SECONDS <= threshold <= _MOST_SECONDS:
        raise GrafanaError(
            f"latency {text!r} is not a number of seconds; give one such as 0.5, or with its own objective: 0.5:99"
        )
    if percent:
        objective = Objective(parse_percent(percent), objective.days)
    return Latency(plain(threshold), objective)
