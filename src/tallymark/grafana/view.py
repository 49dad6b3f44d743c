"""`View`: what all panels of one dashboard select: what its user chose, and the conditions of the whole source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model

from tallymark.grafana.panels import DATASOURCE
from tallymark.grafana.promql import Spelling
from tallymark.grafana.subject import Condition, Subject

__all__ = ["TARGETS", "View", "variables"]

TARGETS = ("job", "instance")
"""The labels that Prometheus gives whatever it scrapes. Each is a choice on every dashboard."""

_ALL = model.VariableOption(selected=True, text=["All"], value=["$__all"])


@dataclass(frozen=True)
class View:
    """What panels select.

    Attributes:
        conditions: of the whole source.
        scraping: those of them that hold for what Prometheus itself tells of its targets, too.
    """

    spelling: Spelling
    conditions: tuple[str, ...]
    scraping: tuple[str, ...]

    @classmethod
    def of(cls, spelling: Spelling, selector: Sequence[Condition]) -> View:
        """Return the view under the conditions of a selector."""
        conditions = [spelling.condition(*one) for one in selector]
        scraping = [spelling.condition(*one) for one in selector if one[0] in TARGETS]
        return cls(spelling, tuple(conditions), tuple(scraping))

    @property
    def target(self) -> list[str]:
        """The conditions on all series of the chosen targets."""
        return [*self.conditions, *self._chosen_target()]

    @property
    def scraped(self) -> list[str]:
        """The conditions on what Prometheus itself tells of the chosen targets."""
        return [*self.scraping, *self._chosen_target()]

    def _chosen_target(self) -> list[str]:
        return [self.spelling.chosen(label, label) for label in TARGETS]

    def chosen(self, subject: Subject) -> list[str]:
        """Return the conditions on the chosen series of a subject."""
        return [*self.target, self.spelling.chosen(subject.key(subject.kind.by[0]), subject.kind.variable)]


def variables(view: View, sample: str, subject: Subject | None = None) -> list[Builder[model.VariableModel]]:
    """Return the choices of a dashboard: data source, job, instance, and values of the subject's first tag.

    Args:
        sample: series of this name tell what there is to choose.
    """
    found: list[Builder[model.VariableModel]]
    found = [dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")]
    spelling, conditions = view.spelling, list(view.conditions)
    for label in TARGETS:
        found.append(_choice(label, label.title(), f"label_values({spelling.selector(sample, conditions)}, {label})"))
        conditions.append(spelling.chosen(label, label))
    if subject is not None:
        name, label = subject.kind.variable, subject.bare_label(subject.kind.by[0])
        found.append(_choice(name, name.title(), f"label_values({spelling.selector(sample, conditions)}, {label})"))
    return found


def _choice(name: str, title: str, query: str) -> dashboard.QueryVariable:
    # The editor of Grafana takes apart what it knows, and puts it together again without our backticks; not a classic query.
    classic = {"qryType": 5, "query": query, "classicQuery": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"}
    choice = dashboard.QueryVariable(name).label(title).datasource(DATASOURCE).query(classic)
    choice = choice.multi(True).include_all(True).all_value(".*").current(_ALL).allow_custom_value(True)
    return choice.refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(
        model.VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC
    )
