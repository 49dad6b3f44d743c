"""Distributions as lines for StatsD servers, where an engine can write them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, TypeAlias

    Form: TypeAlias = tuple[str, str, str, bool, bool, float, int]
    """How a dialect tells observations: the name of the metric, the type of its lines, what observations in one line share
    (`"type"`, `"name"`, or `""`: each has its own), True if tags end a line, True if values may be below 0, what values are
    multiplied by, and how many bytes of values share a line at most, with all else that is in it."""

__all__ = ["Form", "observation_lines"]


def observation_lines(
    columns: tuple[Sequence[Any], ...], bounds: tuple[float, ...], first: int, texts: list[str], at: int, form: Form, /
) -> tuple[bytes, int] | None:
    """Return the lines of some series, as UTF-8 with a newline between them; and the index of the next text.

    It stops when there are many bytes, and before a series whose lines the caller must write: if that is the first, then the
    index is `at`. None where the caller must write all: this engine does not know these columns. What the lines tell is told
    by `tallymark.export.statsd_distributions`, and how by `tallymark.export.statsd`.

    Args:
        columns: of the bucket counts, the sums, the smallest and the largest observations; for exponential buckets, in place of
            the bucket counts, the scales, the zero counts, and the buckets above and below 0.
        bounds: of explicit buckets; empty for exponential ones.
        first: the row of the first text.
        texts: the tags of each series.
        at: the index of the text to begin with.
        form: how a dialect tells observations.

    Raises:
        IndexError: there are texts for rows that there are not.
    """
    return None
