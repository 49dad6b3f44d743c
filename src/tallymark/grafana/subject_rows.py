"""The rows of a subject's dashboard: how much is asked for, what fails, how long it takes, and of what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from tallymark.grafana.indicator import Indicator
from tallymark.grafana.objective import duration
from tallymark.grafana.panels import WINDOW, Column, Steps, graph, heat_map, number, overview_table
from tallymark.grafana.promql import sum_by
from tallymark.grafana.subject import Subject
from tallymark.grafana.view import View

__all__ = ["SubjectRows"]

Row = tuple[str, list[Builder[Panel]]]

QUANTILES = (("0.5", "p50"), ("0.95", "p95"), ("0.99", "p99"))
_COLORS = (("^p50$", "green"), ("^p95$", "orange"), ("^p99$", "red"), ("^mean$", "blue"))
_MOST = 15
"""Lines in one graph. The table has them all."""


class SubjectRows:
    """Makes rows.

    Args:
        subject: what they are about.
        view: what they select.
        indicators: the objectives; the first is about failures.
        uid: of the dashboard.
    """

    def __init__(self, subject: Subject, view: View, indicators: Sequence[Indicator], uid: str) -> None:
        self._subject = subject
        self._duration = subject.duration
        self._indicators = indicators
        self._view = view
        self._chosen = view.chosen(subject)
        self._labels = [subject.label(key) for key in subject.by]
        self._legend = " ".join([f"{{{{{subject.bare_label(key)}}}}}" for key in reversed(subject.by)])
        self._many = subject.kind.many
        self._uid = uid

    def rows(self) -> Iterator[Row]:
        """Yield each row: its title and panels."""
        yield "Now", list(self._now())
        if self._indicators:
            yield "Objectives", list(self._objectives())
        yield self._many.capitalize(), list(self._traffic())
        yield "Errors", list(self._errors())
        yield "Duration", list(self._durations())
        yield f"By {self._subject.kind.variable}", [self._table()]
        others = list(self._others())
        if others:
            yield "In progress, and further distributions" if self._subject.others else "In progress", others

    def _failed_share(self) -> Steps:
        """Colours of the share that fails: with an objective, from its budget on, and from where somebody is paged at once."""
        if not self._indicators:
            return ((None, "green"), (0.01, "orange"), (0.05, "red"))
        objective = self._indicators[0].objective
        budget, worst = objective.budget, max([burn.rate for burn in objective.burns()], default=1)
        return ((None, "green"), (float(budget), "orange"), (float(budget * worst), "red"))

    def _slow(self) -> Steps:
        thresholds = sorted([float(one.latency.threshold) for one in self._indicators if one.latency])
        colors = ["orange", "red"] if len(thresholds) > 1 else ["red"]
        return ((None, "green"), *zip(thresholds, [*colors, *["red"] * len(thresholds)], strict=False))

    def _share(self, by: Sequence[str]) -> str:
        failed = self._subject.failures(by, WINDOW, self._chosen)
        return f"{failed} / {self._duration.count(by, WINDOW, self._chosen)}"

    def _now(self) -> Iterator[Builder[Panel]]:
        per_second = self._duration.count([], WINDOW, self._chosen)
        yield number(
            self._many.capitalize(), f"{self._many.capitalize()} that ended, per second.", self._subject.kind.unit, per_second
        )
        about = f"Share of {self._many} that failed."
        yield number("Errors", about, "percentunit", self._share([]), steps=self._failed_share())
        for q, name in QUANTILES:
            about = f"{float(q):.0%} of {self._many} took no longer."
            yield number(name, about, "s", self._duration.quantile(q, [], WINDOW, self._chosen), steps=self._slow())
        if self._subject.in_progress:
            yield number("In progress", f"{self._many.capitalize()} under way.", "short", self._in_progress([]))

    def _in_progress(self, by: Sequence[str]) -> str:
        is_chosen = self._subject.kind.in_progress[1] == self._subject.kind.by[0]
        conditions = self._chosen if is_chosen else self._view.target
        return sum_by(by, self._view.spelling.selector(self._subject.in_progress, conditions))

    def _traffic(self) -> Iterator[Builder[Panel]]:
        by_key = f"topk({_MOST}, {self._duration.count(self._labels, WINDOW, self._chosen)})"
        about = f"{self._many.capitalize()} per second: the {_MOST} most frequent."
        yield graph(f"By {self._subject.kind.variable}", about, self._subject.kind.unit, [(by_key, self._legend)])
        outcome = self._subject.label(self._subject.kind.outcome)
        legend = f"{{{{{self._subject.bare_label(self._subject.kind.outcome)}}}}}"
        expression = self._duration.count([outcome], WINDOW, self._chosen)
        name = self._subject.kind.outcome.rpartition(".")[2].replace("_", " ")
        colors = self._subject.kind.colors
        about = "How they ended, per second."
        yield graph(f"By {name}", about, self._subject.kind.unit, [(expression, legend)], stacked=True, colors=colors)

    def _errors(self) -> Iterator[Builder[Panel]]:
        share = f"topk({_MOST}, {self._share(self._labels)} > 0)"
        about = f"Share of {self._many} that failed, where any did."
        yield graph("Share that failed", about, "percentunit", [(share, self._legend)], steps=self._failed_share())
        if self._subject.errors and self._subject.kind.errors:
            key = self._subject.kind.errors[1]
            conditions = self._chosen
            errors = self._view.spelling.rate(f"{self._subject.errors}", WINDOW, [conditions])
            expression = sum_by([self._labels[0], self._view.spelling.label(key)], errors)
            legend = f"{{{{{self._subject.bare_label(self._subject.kind.by[0])}}}}} {{{{{key}}}}}"
        else:
            keys = [key for key, _, _ in self._subject.kind.failures]
            labels = [self._subject.label(key) for key in keys]
            expression = self._duration.count(labels, WINDOW, *self._subject.failed(self._chosen))
            legend = " ".join([f"{{{{{self._subject.bare_label(key)}}}}}" for key in keys])
        yield graph("What went wrong", "Failures per second.", self._subject.kind.unit, [(expression, legend)], stacked=True)

    def _durations(self) -> Iterator[Builder[Panel]]:
        queries = [(self._duration.quantile(q, [], WINDOW, self._chosen), name) for q, name in QUANTILES]
        mean = f"{self._duration.total([], WINDOW, self._chosen)} / {self._duration.count([], WINDOW, self._chosen)}"
        about = "Quantiles and mean. Points are exemplars: a click leads to the trace."
        yield graph("Quantiles", about, "s", [*queries, (mean, "mean")], steps=self._slow(), exemplars=True, colors=_COLORS)
        about = f"How many {self._many} per second took how long."
        yield heat_map("Distribution", about, "s", self._duration.buckets(WINDOW, self._chosen))
        slowest = f"topk({_MOST}, {self._duration.quantile('0.95', self._labels, WINDOW, self._chosen)})"
        about = f"95% took no longer: the {_MOST} slowest."
        yield graph("p95, the slowest", about, "s", [(slowest, self._legend)], width=24, steps=self._slow())

    def _table(self) -> Builder[Panel]:
        by, window = self._labels, "$__range"
        per_second = self._duration.count(by, window, self._chosen)
        failed = self._subject.failures(by, window, self._chosen)
        columns: list[Column] = [
            ("Per second", per_second, self._subject.kind.unit, ()),
            ("Errors", f"{failed} / {per_second}", "percentunit", self._failed_share()),
        ]
        for q, name in QUANTILES:
            columns.append((name, self._duration.quantile(q, by, window, self._chosen), "s", self._slow()))
        columns.append(("Share of time", _share_of_all(self._duration.total(by, window, self._chosen)), "percentunit", ()))
        keys = [
            (self._subject.bare_label(key), key.rpartition(".")[2].rpartition("_")[2].capitalize()) for key in self._subject.by
        ]
        variable = self._subject.kind.variable
        is_chosen_by = self._subject.by[0] == self._subject.key(self._subject.kind.by[0])
        link = f"/d/{self._uid}?${{__url_time_range}}&${{datasource:queryparam}}&${{job:queryparam}}&${{instance:queryparam}}"
        link += f"&var-{variable}=${{__value.raw:percentencode}}"
        about = "In the chosen range of time. The last column tells where the service spends its time."
        return overview_table(f"{self._many.capitalize()} by {variable}", about, keys, columns, link if is_chosen_by else "")

    def _others(self) -> Iterator[Builder[Panel]]:
        if self._subject.in_progress:
            key = self._subject.kind.in_progress[1]
            query = self._in_progress([self._subject.label(key)]), f"{{{{{self._subject.bare_label(key)}}}}}"
            yield graph("In progress", f"{self._many.capitalize()} under way.", "short", [query], width=8)
        for title, other in self._subject.others.items():
            queries = [(other.quantile(q, [], WINDOW, self._chosen), name) for q, name in QUANTILES]
            unit = {"seconds": "s", "bytes": "bytes"}.get(other.unit, "s" if other.name.endswith("_seconds") else "bytes")
            yield graph(title, "Quantiles.", unit, queries, width=8)

    def _objectives(self) -> Iterator[Builder[Panel]]:
        for one in self._indicators:
            conditions = one.chosen(self._view.spelling)
            budget = one.objective.budget
            used = f"{one.recorded(one.objective.window, conditions)} / {budget}"
            steps: Steps = ((None, "red"), (0.0, "orange"), (0.25, "green"))
            about = f"What is left of the budget of {one}. Below 0, the objective was missed. Recorded by the rules."
            name = "Latency budget left" if one.latency else "Error budget left"
            yield number(name, about, "percentunit", f"min(1 - {used})", width=6, steps=steps)
            burns = one.objective.burns()
            windows = sorted({minutes for burn in burns for minutes in (burn.short, burn.long)})
            legend = "{{job}} " if conditions else ""
            queries = [
                (f"{one.recorded(duration(minutes), conditions)} / {budget}", f"{legend}{duration(minutes)}")
                for minutes in windows
            ]
            limits = sorted({(float(burn.rate), "red" if burn.severity == "page" else "orange") for burn in burns})
            about = f"How many times too fast the budget of {one} is used up: 1 uses it up exactly at the end of the window."
            yield graph(f"Burn rate: {one}", about, "short", queries, width=18, steps=((None, "green"), *limits))


def _share_of_all(total: str) -> str:
    return f"{total} / scalar(sum({total}))"
