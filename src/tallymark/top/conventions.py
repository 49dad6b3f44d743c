"""How the durations of operations, routes and tasks are recognised, and which of their series are errors.

Keys are compared with dots read as underscores: a shared file has `http.route`, a page `http_route`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tallymark.frozen import Frozen
from tallymark.metric.data import ExponentialHistogramData, HistogramData, SummaryData

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    from tallymark.metric.snapshot import FamilySnapshot

    Tags: TypeAlias = Mapping[str, str]

__all__ = ["STATUSES", "Convention", "convention_of", "underscored"]

_SCALES = {
    "seconds": 1.0, "milliseconds": 1e-3, "ms": 1e-3, "microseconds": 1e-6, "us": 1e-6, "nanoseconds": 1e-9, "ns": 1e-9,
}  # fmt: skip
_DURATION = re.compile(r"(^|_)(duration|latency|latencies|time)$")
STATUSES = ("status", "status_code", "code", "http_status", "http_status_code", "http_response_status_code", "outcome",
             "result", "state", "error_type", "exception", "error")  # fmt: skip
"""Keys that tell how something ended, in metrics of any library: they do not tell rows apart."""
_PLACES = ("method", "http_method", "http_request_method", "verb", "service", "job", "handler", "route", "http_route", "path",
           "uri", "url", "endpoint", "view", "operation", "task")  # fmt: skip
"""Keys whose values name a row, in this order; those of others follow, with their keys."""
_FAILED = re.compile(r"5\d\d|5xx|error|errors|fail|failed|failure|exception|timeout|server_error|internal|unavailable", re.I)


class Convention(Frozen):
    """How series of a duration are read.

    Attributes:
        what: the rows: "operation", "route", "task", or the name of the metric.
        scale: seconds that a value of 1 stands for.
        name: returns the name of a series' row, from its tags.
        is_error: returns True for the tags of a series that counts errors.
    """

    __slots__ = ("is_error", "name", "scale", "what")

    what: str
    scale: float
    name: Callable[[Tags], str]
    is_error: Callable[[Tags], bool]


def underscored(tags: Tags) -> dict[str, str]:
    """Return tags with the dots of their keys read as underscores."""
    return {key.replace(".", "_"): value for key, value in tags.items()}


def convention_of(family: FamilySnapshot) -> Convention | None:
    """Return how a family's series are read; None if it is not a duration."""
    if not isinstance(family.data, HistogramData | ExponentialHistogramData | SummaryData):
        return None
    exposed = family.exposition_name or family.name
    stem, _, last = exposed.rpartition("_")
    scale = _SCALES.get(last if stem else "")
    if scale is None:
        if family.unit != "seconds" and not _DURATION.search(exposed):
            return None
        stem, scale = exposed, 1.0
    keys = {key.replace(".", "_") for tags in family.data.tags for key in tags}
    if stem.endswith("operation_duration") and "operation" in keys:
        prefix = stem.removesuffix("operation_duration").strip("_")
        return Convention("operation", scale, lambda tags: _prefixed(prefix, tags.get("operation", "")), _operation_failed)
    if stem.endswith("http_server_request_duration") and "http_request_method" in keys:
        return Convention("route", scale, _route, _request_failed)
    if stem.endswith("celery_task_duration") and "task" in keys:
        return Convention("task", scale, lambda tags: tags.get("task", ""), _task_failed)
    varying = _varying(family)
    return Convention(exposed, scale, lambda tags: _place(tags, varying), _failed)


def _prefixed(prefix: str, name: str) -> str:
    return f"{prefix}: {name}" if prefix else name


def _operation_failed(tags: Tags) -> bool:
    return tags.get("status", "success") not in ("success", "cancelled")


def _route(tags: Tags) -> str:
    return f"{tags.get('http_request_method', '')} {tags.get('http_route', '(no route)')}"


def _request_failed(tags: Tags) -> bool:
    return tags.get("http_response_status_code", "").startswith("5") or bool(tags.get("error_type"))


def _task_failed(tags: Tags) -> bool:
    return tags.get("state", "").lower() in ("failure", "failed", "error", "timeout")


def _varying(family: FamilySnapshot) -> set[str]:
    """Return the keys that tell series apart, other than by how something ended."""
    values: dict[str, set[str]] = {}
    for tags in family.data.tags:
        for key, value in underscored(tags).items():
            values.setdefault(key, set()).add(value)
    return {key for key, found in values.items() if len(found) > 1 and key not in STATUSES}


def _place(tags: Tags, varying: set[str]) -> str:
    named = [tags[key] for key in _PLACES if tags.get(key)]
    others = [f"{key}={value}" for key, value in tags.items() if key in varying and key not in _PLACES]
    return " ".join([*named, *others])


def _failed(tags: Tags) -> bool:
    return any(_FAILED.fullmatch(value) for key, value in tags.items() if key in STATUSES)
