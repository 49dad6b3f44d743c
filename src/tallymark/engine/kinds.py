"""The kinds of metrics: what their numbers mean, and which instrument records to each."""

from __future__ import annotations

__all__ = ["INSTRUMENTS", "WITH_BUCKETS", "WITH_EXEMPLARS"]

INSTRUMENTS = {
    "counter": "Counter",
    "gauge": "Gauge",
    "histogram": "Histogram",
    "timer": "Timer",
    "info": "Gauge",  # facts, as the tags of a gauge that is always 1
    "stateset": "Gauge",  # a gauge for each state, of which one is 1
}
"""The name of the instrument of each kind."""

WITH_BUCKETS = frozenset(["histogram", "timer"])
"""The kinds whose series hold a distribution; those of the others hold one number."""

WITH_EXEMPLARS = frozenset(["counter", *WITH_BUCKETS])
"""The kinds whose records may have an exemplar."""
