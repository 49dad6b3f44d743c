"""What a service is asked for: HTTP requests, operations, tasks. Each has a dashboard, and may have objectives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tallymark.grafana.distribution import Distribution
from tallymark.grafana.promql import OPPOSITES, Spelling, underscored

__all__ = ["HTTP", "KINDS", "OPERATIONS", "TASKS", "Condition", "Kind", "Subject"]

Condition = tuple[str, str, str]
"""A tag's key, an operator, and a value."""


@dataclass(frozen=True)
class Kind:
    """What all subjects of one kind have in common. Keys and names are those of Tallymark's integrations, with their dots.

    Attributes:
        slug: short, for the names of files and for `--only`.
        title: for people.
        alert: what the names of its alerts begin with.
        many: what is counted, in the plural.
        duration: the timer that it is recognised by.
        stem: what the names of recording rules begin with.
        by: the tags by which it is broken down, the most telling first; what the dashboard's user chooses is a value of that.
        variable: the name of that choice.
        unit: of how many there are per second, as Grafana calls it.
        outcome: the tag that tells how one ended.
        colors: of outcomes, by regular expressions.
        failures: the conditions, each of which makes one a failure.
        in_progress: the gauge of those under way, and its tag; may be missing.
        errors: the counter that tells what went wrong, and its tag; may be missing.
        others: further distributions, by the titles of their panels; may be missing.
        has_prefix: the names may begin with a prefix of the service's own.
    """

    slug: str
    title: str
    alert: str
    many: str
    duration: str
    stem: str
    by: tuple[str, ...]
    variable: str
    unit: str
    outcome: str
    colors: tuple[tuple[str, str], ...]
    failures: tuple[Condition, ...]
    in_progress: tuple[str, str]
    errors: tuple[str, str] | None = None
    others: tuple[tuple[str, str], ...] = ()
    has_prefix: bool = False


HTTP = Kind(
    slug="http",
    title="HTTP server",
    alert="HTTPServer",
    many="requests",
    duration="http.server.request.duration",
    stem="http_server_requests",
    by=("http.route", "http.request.method"),
    variable="route",
    unit="reqps",
    outcome="http.response.status_code",
    colors=(("^[12]..$", "green"), ("^3..$", "blue"), ("^4..$", "yellow"), ("^5..$", "red")),
    failures=(("http.response.status_code", "=~", "5.."), ("error.type", "!=", "")),
    in_progress=("http.server.active_requests", "http.request.method"),
    others=(
        ("Size of request bodies", "http.server.request.body.size"),
        ("Size of response bodies", "http.server.response.body.size"),
    ),
)
"""The metrics of a server in OpenTelemetry's semantic conventions for HTTP."""

OPERATIONS = Kind(
    slug="operations",
    title="Operations",
    alert="Operations",
    many="operations",
    duration="operation_duration",
    stem="operations",
    by=("operation",),
    variable="operation",
    unit="ops",
    outcome="status",
    colors=(("^success$", "green"), ("^cancelled$", "blue"), ("^timeout$", "orange"), ("^error$", "red")),
    failures=(("status", "=~", "error|timeout"),),
    in_progress=("operations_in_flight", "operation"),
    errors=("operation_errors", "error_type"),
    has_prefix=True,
)
"""What `tm.OperationalMetrics` records."""

TASKS = Kind(
    slug="celery",
    title="Celery tasks",
    alert="CeleryTasks",
    many="tasks",
    duration="celery.task.duration",
    stem="celery_tasks",
    by=("task",),
    variable="task",
    unit="ops",
    outcome="state",
    colors=(("^SUCCESS$", "green"), ("^REVOKED$", "blue"), ("^RETRY$", "yellow"), ("^FAILURE$", "red")),
    failures=(("state", "=", "FAILURE"),),
    in_progress=("celery.worker.tasks.active", "instance"),
    errors=("celery.task.failed", "exception"),
    others=(("Time in the queue", "celery.task.queue_time"),),
)
"""What Tallymark's integration of Celery records."""

KINDS = (HTTP, OPERATIONS, TASKS)


@dataclass(frozen=True)
class Subject:
    """One kind of work, as a source has it.

    Attributes:
        prefix: of the names of its metrics, with the `_` after it; mostly empty.
        duration: how long each took.
        labels: of its series, as their tags' keys were given; by their spelling with underscores.
        in_progress: the name of the gauge of those under way; empty if there is none.
        errors: the name of the counter of what went wrong; empty if there is none.
        others: further distributions, by the titles of their panels.
    """

    kind: Kind
    prefix: str
    spelling: Spelling
    duration: Distribution
    labels: Mapping[str, str]
    in_progress: str
    errors: str
    others: Mapping[str, Distribution]

    @property
    def slug(self) -> str:
        """Tells it from other subjects of the source."""
        return "-".join([self.kind.slug, *self.prefix.replace("_", " ").split()])

    @property
    def title(self) -> str:
        """Its name for people."""
        return f"{self.kind.title} ({self.prefix.rstrip('_')})" if self.prefix else self.kind.title

    @property
    def stem(self) -> str:
        """What the names of recording rules begin with."""
        return f"{self.prefix}{self.kind.stem}"

    @property
    def alert(self) -> str:
        """What the names of its alerts begin with."""
        return f"{self.prefix.title().replace('_', '')}{self.kind.alert}"

    @property
    def by(self) -> tuple[str, ...]:
        """The keys of the tags that it is broken down by."""
        return tuple([self.key(key) for key in self.kind.by if underscored(key) in self.labels])

    def key(self, key: str) -> str:
        """Return a key as the source spells it. One that has not been seen yet is spelled as the others are."""
        known = self.labels.get(underscored(key))
        if known is not None:
            return known
        return key if any("." in other for other in self.labels.values()) else underscored(key)

    def label(self, key: str) -> str:
        """Return the label of a tag, as it is written in an expression."""
        return self.spelling.label(self.key(key))

    def bare_label(self, key: str) -> str:
        """Return the label of a tag without quotes."""
        return self.spelling.bare_label(self.key(key))

    def failed(self, conditions: Sequence[str]) -> list[list[str]]:
        """Return the conditions of what failed: each alternative is a list of conditions that must all hold."""
        return [[*conditions, self._condition(*one)] for one in self.kind.failures]

    def succeeded(self, conditions: Sequence[str]) -> list[str]:
        """Return the conditions of what did not fail."""
        return [*conditions, *[self._condition(key, OPPOSITES[operator], value) for key, operator, value in self.kind.failures]]

    def _condition(self, key: str, operator: str, value: str) -> str:
        return self.spelling.condition(self.key(key), operator, value)

    def failures(self, by: Sequence[str], window: str, conditions: Sequence[str]) -> str:
        """Return how many failed per second: 0 where none did, nothing where there were none at all."""
        failed = self.duration.count(by, window, *self.failed(conditions))
        return f"({failed} or 0 * {self.duration.count(by, window, conditions)})"
