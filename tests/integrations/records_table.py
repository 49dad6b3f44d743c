"""What each integration records, as a table for its page: made from what a real run has left in a registry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import recorded_frameworks
import recorded_http
import recorded_workers

import tallymark as tm
from tallymark.metric.names import exposition_name

PAGES = Path(__file__).parents[2] / "docs" / "integrations"
BEGIN, END = "<!-- begin records -->", "<!-- end records -->"


@dataclass(frozen=True)
class Recorded:
    """An integration that has a table.

    Attributes:
        page: the name of its page in `docs/integrations/`, without `.md`.
        run: has it record all that it can record, to the registry that it is given.
    """

    page: str
    run: Callable[[tm.Registry], None]


RECORDED = [
    Recorded("asgi", recorded_http.asgi),
    Recorded("fastapi", recorded_http.fastapi),
    Recorded("flask", recorded_http.flask),
    Recorded("starlette", recorded_http.starlette),
    Recorded("wsgi", recorded_http.wsgi),
    Recorded("asyncio", recorded_workers.asyncio),
    Recorded("celery", recorded_workers.celery),
    Recorded("gc", recorded_workers.gc),
    Recorded("logging", recorded_workers.logging),
    Recorded("django", recorded_frameworks.django),
    Recorded("aiohttp", recorded_frameworks.aiohttp),
]
"""Add a line for another integration, whose page has the two comments that `BEGIN` and `END` are."""


def table(one: Recorded) -> str:
    """Run an integration, and return the table of what it has recorded."""
    registry = tm.Registry(self_metrics=False)
    with tm.use(registry):
        one.run(registry)
    rows = [row(family) for family in registry.snapshot().families]
    return "\n".join(["| metric | in Prometheus | kind | tags | what it tells |", "| --- | --- | --- | --- | --- |", *rows])


def row(family: tm.FamilySnapshot) -> str:
    """Return the line of one metric."""
    keys = sorted({key for tags in family.columns.tags for key in tags})
    name = exposition_name(family.name, family.kind, family.unit)
    cells = [f"`{family.name}`", f"`{name}`", kind(family), ", ".join([f"`{key}`" for key in keys]) or "–", family.description]
    return f"| {' | '.join(cells)} |"


def kind(family: tm.FamilySnapshot) -> str:
    """Return the kind of a metric, with its unit where the kind does not tell."""
    return f"{family.kind}, {family.unit}" if family.unit and family.kind != "timer" else family.kind


def with_table(text: str, rows: str) -> str:
    """Return a page with the table in its place."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"there is no place for the table: it is between {BEGIN} and {END}")
    return f"{before}{begin}\n{rows}\n{end}{after}"
