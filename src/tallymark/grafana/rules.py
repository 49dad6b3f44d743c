"""Recording and alerting rules of Prometheus for a service and its objectives.

What is recorded, for each job (`level` is what rules keep apart, by default `job`):

- `level:…:rate5m`: how many requests there were per second, how many failed, how many of the others were slow.
- `level:…:ratio_rate1h` and others: the fraction that failed, or was slow, in each window of an alert, and in the
  objective's.

The longer windows are sums of what was recorded every minute, so that they cost the same however many series a service has, and
each moment has the weight of its traffic.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tallymark.export.escaping import quoted
from tallymark.grafana.endpoint import Endpoint
from tallymark.grafana.errors import GrafanaError
from tallymark.grafana.indicator import Indicator, indicators
from tallymark.grafana.objective import Burn, Latency, Objective, duration, plain
from tallymark.grafana.promql import Spelling, sum_by, underscored
from tallymark.grafana.subject import Condition, Subject
from tallymark.grafana.uid import dashboard_uid

__all__ = ["RulesBuilder"]

Rule = dict[str, Any]

_TARGET_LABELS = ("job", "instance")
"""The labels that Prometheus gives each target, and `up` therefore has."""


class RulesBuilder:
    """Makes rules.

    Args:
        endpoint: whose metrics they are for.
        objective: what part must not fail.
        latencies: what part must be how fast.
        selector: conditions on all series that count.
        by: the labels for whose values each an objective holds.
        only: the slugs of the kinds of work that the rules are for; by default all.
        runbook: a URL that the alerts refer to; may be empty.
        grafana: the URL of Grafana, where the alerts refer to a dashboard; may be empty.
        name: of the dashboards.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        objective: Objective,
        latencies: Sequence[Latency] = (),
        *,
        selector: Sequence[Condition] = (),
        by: Sequence[str] = ("job",),
        only: Sequence[str] = (),
        runbook: str = "",
        grafana: str = "",
        name: str = "",
    ) -> None:
        self._endpoint = endpoint
        self._selector = selector
        self._conditions = [endpoint.spelling.condition(*one) for one in selector]
        self._runbook = {"runbook_url": runbook} if runbook else {}
        self._grafana = grafana.rstrip("/")
        self._name = name
        self._by = by
        self._subjects = endpoint.subjects(only)
        self._indicators = {one.slug: indicators(one, objective, latencies, by) for one in self._subjects}

    def groups(self) -> dict[str, list[Rule]]:
        """Return the rules, as the file of Prometheus has them.

        Raises:
            GrafanaError: an objective cannot be held with the metrics that there are.
        """
        groups = [group for subject in self._subjects for group in self._groups(subject)]
        own = [*self._scraped(), *self._rejected()]
        if own:
            groups.append({"name": "tallymark-metrics", "rules": own})
        return {"groups": groups}

    def notes(self) -> list[str]:
        """Return what the caller should know: labels that nobody has, and which alerts an objective is too low for."""
        unknown = [
            f"by {key!r}: {one.duration.name} has no such label, so that all {one.kind.many} count together unless Prometheus"
            f" adds it; it has {', '.join(sorted(one.labels))}"
            for one in self._subjects
            for key in self._by
            if key not in _TARGET_LABELS and underscored(key) not in one.labels
        ]
        return unknown + [
            f"{one.subject.title}, {one}: no alert on {duration(burn.long)}: not even an outage burns the budget that fast"
            for found in self._indicators.values()
            for one in found
            for burn in one.objective.out_of_reach()
        ]

    def _groups(self, subject: Subject) -> Iterator[Rule]:
        found = self._indicators[subject.slug]
        rules = list(self._rates(subject, found))
        for one in found:
            rules += self._ratios(one)
        for one in found:
            rules += self._alerts(one)
        yield {"name": f"tallymark-{subject.slug}", "rules": rules}
        yield {"name": f"tallymark-{subject.slug}-budget", "interval": "2m", "rules": [_budget(one) for one in found]}

    def _rates(self, subject: Subject, found: Sequence[Indicator]) -> Iterator[Rule]:
        labels = [subject.label(key) for key in self._by]
        level = found[0].level
        yield _record(f"{level}:{subject.stem}:rate5m", subject.duration.count(labels, "5m", self._conditions))
        yield _record(f"{level}:{subject.stem}_failed:rate5m", subject.failures(labels, "5m", self._conditions)[1:-1])
        latencies = [(one, one.latency) for one in found if one.latency]
        if latencies:
            succeeded = subject.succeeded(self._conditions)
            yield _record(f"{level}:{subject.stem}_succeeded:rate5m", subject.duration.count(labels, "5m", succeeded))
        for one, latency in latencies:
            slow = subject.duration.above(latency.threshold, labels, "5m", subject.succeeded(self._conditions))
            yield _record(f"{one.bad}:rate5m", slow, one.labels)

    def _ratios(self, one: Indicator) -> Iterator[Rule]:
        windows = sorted({minutes for burn in one.objective.burns() for minutes in (burn.short, burn.long)})
        for minutes in windows:
            yield _record(f"{one.bad}:ratio_rate{duration(minutes)}", one.ratio(duration(minutes)), one.labels)

    def _alerts(self, one: Indicator) -> Iterator[Rule]:
        burns = one.objective.burns()
        if not burns:
            raise GrafanaError(
                f"objective {one}: not even an outage burns its budget fast enough for an alert; give a higher one"
            )
        for severity in dict.fromkeys([burn.severity for burn in burns]):
            yield self._alert(one, severity, [burn for burn in burns if burn.severity == severity])

    def _alert(self, one: Indicator, severity: str, burns: Sequence[Burn]) -> Rule:
        subject = one.subject
        where = "".join([_named(subject.bare_label(key)) for key in self._by])
        pace = ", or ".join([f"{plain(burn.share * 100)}% of the budget within {duration(burn.long)}" for burn in burns])
        return {
            "alert": f"{subject.alert}{one.alert}",
            "expr": "\nor\n".join([one.burning(burn) for burn in burns]),
            "labels": {"severity": severity, **one.labels},
            "annotations": {
                "summary": f"{subject.title}{where}: too many {one.text} {one.verb}",
                "description": f"{{{{ $value | humanizePercentage }}}} of {one.text} {one.verb}. The objective is {one}. At"
                f" this pace, they use up {pace}.",
                **self._runbook,
                **self._dashboard(subject),
            },
        }

    def _dashboard(self, subject: Subject) -> dict[str, str]:
        if not self._grafana:
            return {}
        job = "?var-job={{ $labels.job | urlquery }}" if "job" in self._by else ""
        return {"dashboard_url": f"{self._grafana}/d/{dashboard_uid(subject.slug, self._name)}{job}"}

    def _scraped(self) -> Iterator[Rule]:
        """A service that is not scraped has no errors either: say that it is missing, if it is known what should be there."""
        spelling = Spelling()
        conditions = [spelling.condition(*one) for one in self._selector if one[0] in _TARGET_LABELS]
        if conditions:
            up = spelling.selector("up", conditions)
            yield {
                "alert": "MetricsNotScraped",
                "expr": f"{up} == 0 or absent({up})",
                "for": "5m",
                "labels": {"severity": "page"},
                "annotations": {
                    "summary": "{{ with $labels.instance }}{{ . }}{{ else }}All of it{{ end }} is down, or its metrics are",
                    "description": "Prometheus cannot scrape it: what the other alerts watch is not known.",
                    **self._runbook,
                },
            }

    def _rejected(self) -> Iterator[Rule]:
        if not self._endpoint.rejected:
            return
        rejected = self._endpoint.spelling.selector(self._endpoint.rejected, self._conditions)
        total = sum_by(["job", "metric", "reason"], f"increase({rejected}[1h])")
        first = sum_by(["job", "metric", "reason"], f"{rejected} unless {rejected} offset 1h")
        yield {
            "alert": "MetricsRejected",
            "expr": f"{total} > 0\nor\n{first} > 0",
            "labels": {"severity": "ticket"},
            "annotations": {
                "summary": "{{ $labels.job }} records what {{ $labels.metric }} cannot take: {{ $labels.reason }}",
                "description": "{{ $value | humanize }} records within the last hour were rejected or redirected. The log of"
                " the service shows the first.",
                **self._runbook,
            },
        }


def _record(name: str, expression: str, labels: dict[str, str] | None = None) -> Rule:
    return {"record": name, "expr": expression, **({"labels": labels} if labels else {})}


def _named(label: str) -> str:
    """Return a label and its value, in the language of templates that annotations have."""
    name = label.replace("{{", '{{ "{{" }}')
    return f", {name} {{{{ index $labels {quoted(label)} }}}}"


def _budget(one: Indicator) -> Rule:
    window = one.objective.window
    return _record(f"{one.bad}:ratio_rate{window}", one.ratio(window), one.labels)
