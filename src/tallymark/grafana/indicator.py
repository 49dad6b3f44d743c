"""`Indicator`: what fraction of the work went wrong, as recording rules know it. Dashboards and alerts are about these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tallymark.grafana.distribution import Native
from tallymark.grafana.errors import GrafanaError
from tallymark.grafana.objective import Burn, Latency, Objective, duration, plain
from tallymark.grafana.promql import Spelling, underscored
from tallymark.grafana.subject import Subject

__all__ = ["Indicator", "indicators"]

_RESERVED = ("objective", "severity", "alertname", "alertstate", "le", "__name__")


@dataclass(frozen=True)
class Indicator:
    """A fraction, and the objective for it.

    Attributes:
        level: the labels that it keeps apart, as names of recording rules begin.
        objective: what part must go well.
        latency: what is slow; None where the fraction is of what failed.
    """

    subject: Subject
    level: str
    objective: Objective
    latency: Latency | None = None

    @property
    def bad(self) -> str:
        """The beginning of the names of recording rules on what went wrong."""
        return f"{self.level}:{self.subject.stem}_{'slow' if self.latency else 'failed'}"

    @property
    def all(self) -> str:
        """The beginning of the names of recording rules on what it is a fraction of: only what did not fail is slow or fast."""
        return f"{self.level}:{self.subject.stem}{'_succeeded' if self.latency else ''}"

    @property
    def labels(self) -> dict[str, str]:
        """The label that tells rules for different objectives apart, in one file or in several."""
        return {"objective": str(self)}

    @property
    def text(self) -> str:
        """What it is about."""
        return self.subject.kind.many

    @property
    def verb(self) -> str:
        """What went wrong."""
        return f"take longer than {self.latency.threshold}s" if self.latency else "fail"

    @property
    def alert(self) -> str:
        """How the name of its alert ends."""
        return "LatencyBudgetBurn" if self.latency else "ErrorBudgetBurn"

    def __str__(self) -> str:
        return str(self.latency or self.objective)

    def chosen(self, spelling: Spelling) -> list[str]:
        """Return the conditions on what is recorded for the jobs that the user of a dashboard chose, if jobs are apart."""
        return [spelling.chosen("job", "job")] if "job" in self.level.split("_") else []

    def ratio(self, window: str) -> str:
        """Return the fraction over a window, from what is recorded every minute. Without traffic there is none."""
        bad, every = f"{self.bad}:rate5m", f"{self.all}:rate5m"
        if self.latency:
            bad = Spelling().selector(bad, [Spelling().condition("objective", "=", str(self))])
        apart = " ignoring(objective)" if self.latency else ""
        if window != "5m":
            bad, every = f"sum_over_time({bad}[{window}])", f"sum_over_time({every}[{window}])"
        return f"{bad} /{apart} ({every} > 0)"

    def recorded(self, window: str, conditions: Sequence[str] = ()) -> str:
        """Return the fraction over a window, as a rule recorded it."""
        return Spelling().selector(
            f"{self.bad}:ratio_rate{window}", [Spelling().condition("objective", "=", str(self)), *conditions]
        )

    def burning(self, burn: Burn) -> str:
        """Return the expression that is there while the budget burns too fast."""
        limit = f"({plain(burn.rate)} * {plain(self.objective.budget)})"
        long, short = (self.recorded(duration(minutes)) for minutes in (burn.long, burn.short))
        return f"(\n  {long} > {limit}\n  and\n  {short} > {limit}\n)"


def indicators(subject: Subject, objective: Objective, latencies: Sequence[Latency], by: Sequence[str]) -> list[Indicator]:
    """Return the fractions that objectives are about.

    Raises:
        GrafanaError: the threshold of one for latency is not known exactly, or a label has another meaning in rules.
    """
    for key in by:
        if key in _RESERVED:
            raise GrafanaError(
                f"by {key!r}: rules and histograms have a label of their own with that name; choose another label"
            )
    level = "_".join([underscored(key) for key in by]) or "all"
    level = f"_{level}" if level[0].isdigit() else level  # as names of metrics begin
    for latency in latencies:
        _check_threshold(subject, latency)
    whole = Indicator(subject, level, objective)
    return [whole, *[Indicator(subject, level, one.objective, one) for one in dict.fromkeys(latencies)]]


def _check_threshold(subject: Subject, latency: Latency) -> None:
    """Only at a bound of a bucket is it known how many were faster. In a native histogram, Prometheus interpolates."""
    distribution, threshold = subject.duration, float(latency.threshold)
    if isinstance(distribution, Native) or threshold in distribution.bounds:
        return
    if not distribution.bounds:
        raise GrafanaError(
            f"latency {latency.threshold}: the buckets of {distribution.name} have no fixed bounds, so classic histograms do"
            " not tell how many were faster; let Prometheus store native histograms, or give the timer buckets"
        )
    bounds = ", ".join([repr(bound).removesuffix(".0") for bound in distribution.bounds])
    raise GrafanaError(
        f"latency {latency.threshold} is no bound of the buckets of {distribution.name}, which are {bounds}: choose one of"
        " them, give the timer that bucket, or leave these metrics out with --only"
    )
