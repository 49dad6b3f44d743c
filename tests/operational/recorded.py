"""What a registry has recorded, as plain data."""

from __future__ import annotations

import tallymark as tm


def value(registry: tm.Registry, name: str, /, **tags: str) -> float:
    """Return the value of the series with exactly these tags; 0 where there is none."""
    found = registry.snapshot().find(name, tags)
    return found.value if found is not None else 0.0


def distribution(registry: tm.Registry, name: str, /, **tags: str) -> tm.HistogramSnapshot:
    """Return the distribution of the series with exactly these tags, which must be there."""
    found = registry.snapshot().find(name, tags)
    assert found is not None
    return found.histogram


def rows(registry: tm.Registry, name: str) -> list[tuple[dict[str, str], float]]:
    """Return tags and value, or number of observations, of each series of a metric that was recorded to."""
    seen = [
        (dict(s.tags), float(s.histogram.count) if s.family.bounds else s.value) for s in registry.snapshot() if s.name == name
    ]
    return sorted([row for row in seen if row[1]], key=repr)


def statuses(registry: tm.Registry) -> list[str]:
    """Return the status of each operation, counted and timed alike."""
    counted, timed = rows(registry, "operations"), rows(registry, "operation_duration")
    assert counted == timed
    return [tags["status"] for tags, count in counted for _ in range(int(count))]


def errors(registry: tm.Registry) -> list[tuple[str, str]]:
    """Return type and category of each error."""
    counted = rows(registry, "operation_errors")
    return [(tags["error_type"], tags["error_category"]) for tags, count in counted for _ in range(int(count))]
