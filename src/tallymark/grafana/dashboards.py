"""Dashboards of Grafana for what an endpoint has, built with Grafana's own types."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from tallymark.grafana.endpoint import Endpoint
from tallymark.grafana.indicator import indicators
from tallymark.grafana.objective import Latency, Objective
from tallymark.grafana.panels import DATASOURCE
from tallymark.grafana.runtime import RuntimeRows
from tallymark.grafana.subject import Condition, Subject
from tallymark.grafana.subject_rows import Row, SubjectRows
from tallymark.grafana.uid import dashboard_uid
from tallymark.grafana.view import View, variables

__all__ = ["DashboardsBuilder"]

TAG = "tallymark"
"""All dashboards have it, and link to all others that have it."""


class DashboardsBuilder:
    """Makes dashboards.

    Args:
        endpoint: whose metrics they show.
        name: of the service, for dashboards of its own beside those of others; may be empty.
        objective: what part must not fail; None if there is none.
        latencies: what part must be how fast.
        selector: conditions on all series that are shown.
        by: the labels for whose values each an objective holds, as in the rules.
        only: the slugs of the kinds of work that are shown; by default all.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        name: str = "",
        objective: Objective | None = None,
        latencies: Sequence[Latency] = (),
        selector: Sequence[Condition] = (),
        by: Sequence[str] = ("job",),
        only: Sequence[str] = (),
    ) -> None:
        self._endpoint = endpoint
        self._name = name
        self._view = View.of(endpoint.spelling, selector)
        self._subjects = endpoint.subjects(only)
        self._indicators = {one.slug: indicators(one, objective, latencies, by) if objective else [] for one in self._subjects}

    def dashboards(self) -> dict[str, str]:
        """Return each dashboard as JSON, by its uid. The same metrics give the same text."""
        boards = [*[self._of_subject(one) for one in self._subjects], self._of_runtime()]
        return {board.uid or "": _text(board) for board in [builder.build() for builder in boards]}

    def _of_subject(self, subject: Subject) -> dashboard.Dashboard:
        uid = dashboard_uid(subject.slug, self._name)
        about = f"{subject.title}: what is asked for, what fails, how long it takes. Written by `tallymark dashboards`."
        board = self._board(uid, subject.title, about, subject.duration.sample, subject)
        found = self._indicators[subject.slug]
        for row in SubjectRows(subject, self._view, found, uid).rows():
            _add(board, row)
        if found:
            conditions = ['alertstate="firing"', f'alertname=~"{subject.alert}.*"', *found[0].chosen(self._view.spelling)]
            alerts = self._view.spelling.selector("ALERTS", conditions)
            board.annotation(_annotation("Alerts", alerts, "red"))
        return board

    def _of_runtime(self) -> dashboard.Dashboard:
        about = "The process, its interpreter, and the metrics themselves. Written by `tallymark dashboards`."
        board = self._board(dashboard_uid("runtime", self._name), "Runtime", about, self._subjects[0].duration.sample)
        for row in RuntimeRows(self._endpoint, self._view).rows():
            _add(board, row)
        return board

    def _board(self, uid: str, title: str, about: str, sample: str, subject: Subject | None = None) -> dashboard.Dashboard:
        board = dashboard.Dashboard(f"{self._name}: {title}" if self._name else title).uid(uid).description(about)
        board = board.tags([TAG]).refresh("30s").time("now-1h", "now").timezone("browser").editable()
        board = board.tooltip(model.DashboardCursorSync.CROSSHAIR).variables(variables(self._view, sample, subject))
        link = dashboard.DashboardLink("Dashboards").type(model.DashboardLinkType.DASHBOARDS).tags([TAG])
        board = board.link(link.as_dropdown(False).include_vars(True).keep_time(True))
        started = self._endpoint.find("process_start_time")
        if started is not None:
            restarts = self._view.spelling.selector(started.name, self._view.target)
            board = board.annotation(_annotation("Restarts", f"changes({restarts}[$__interval]) > 0", "blue"))
        return board


def _annotation(name: str, expression: str, color: str) -> dashboard.AnnotationQuery:
    annotation = dashboard.AnnotationQuery().name(name).datasource(DATASOURCE).enable(True).icon_color(color)
    return annotation.expr(expression)


def _add(board: dashboard.Dashboard, row: Row) -> None:
    title, panels = row
    board.with_row(dashboard.Row(title))
    for panel in panels:
        board.with_panel(panel)


def _text(board: model.Dashboard) -> str:
    for number, panel in enumerate(_all(board.panels or []), 1):
        panel.id_val = number
    return json.dumps(board, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _all(panels: Iterable[Any]) -> Iterator[Any]:
    for panel in panels:
        yield panel
        yield from _all(getattr(panel, "panels", None) or [])
