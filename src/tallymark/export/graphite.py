"""Graphite's plain text: a line for each number, `path value seconds`.

A path is a name and, since Graphite 1.1, tags: `http.requests;method=GET`. Without tags, keys and values are parts of the path:
`http.requests.method.GET`.

Source: https://graphite.readthedocs.io/en/stable/feeding-carbon.html and https://graphite.readthedocs.io/en/stable/tags.html;
where these are vague, what carbon 1.1 does.
"""

from __future__ import annotations

import re
from functools import lru_cache
from math import isfinite

from tallymark.export.dropping import ignore, once
from tallymark.export.series_texts import SeriesTexts, TagFormat, portions_of
from tallymark.export.tag_frames import Changed, characters
from tallymark.export.twins import merged
from tallymark.metric.data import ExponentialHistogramData, HistogramData, SummaryData, number_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from tallymark.export.dropping import Dropped
    from tallymark.export.series_texts import Series
    from tallymark.export.tag_frames import Written
    from tallymark.metric.data import Data
    from tallymark.metric.snapshot import Snapshot

__all__ = ["QUANTILES", "parts", "series_texts"]

QUANTILES = (0.5, 0.9, 0.99)

_IN_VALUE = re.compile(r'[\s;\x00-\x1f\x7f-\x9f]|\A~|"\}\Z')
"""What may not be in a tag's value: what ends it or a line, `~` at its beginning, an ending that carbon reads otherwise."""
_IN_KEY = re.compile(r"[\s;!^=\x00-\x1f\x7f-\x9f]")
_IN_NAME = re.compile(r"[^A-Za-z0-9_.:/-]")
_IN_STEP = re.compile(r"[^A-Za-z0-9_-]")
"""What may not be in a step of a path that is a key or a value."""
_TAG = characters(lambda value: _IN_VALUE.sub("_", value), odd='~"')
_STEP = characters(lambda value: _IN_STEP.sub("_", value), others="_")

_MOST_BYTES = 15_000
"""Of tags: carbon closes a connection over which a line of more than 16,384 comes."""
_LAST = 2**31 - 1
"""The last second that Graphite's database has room for."""


def series_texts(tags: Mapping[str, str], *, tagged: bool) -> SeriesTexts:
    """Return what `parts` needs to keep: how the tags of series read in a path."""
    told = TagFormat(_as_tags, _TAG, _MOST_BYTES) if tagged else TagFormat(_as_steps, _STEP, _MOST_BYTES)
    return SeriesTexts(lambda kind: told, tags)


def parts(
    snapshot: Snapshot,
    texts: SeriesTexts,
    *,
    prefix: str = "",
    tagged: bool = True,
    quantiles: Sequence[float] = QUANTILES,
    recent: Mapping[str, Data] | None = None,
    dropped: Dropped = ignore,
) -> Iterator[bytes]:
    """Yield the lines of a snapshot, some hundred at a time.

    Distributions have a line for the count of all observations and for their sum, and lines for the least, the greatest and the
    quantiles of the recent ones. Numbers that are not finite have no line.

    Args:
        texts: what `series_texts` returned, for this and other reports.
        prefix: begins each metric's name.
        tagged: whether tags are told as tags.
        quantiles: which ones.
        recent: for each metric that has a distribution, what was observed since the report before, row by row; what is not
            there was observed since.
        dropped: is told which metrics have values or tags that cannot be told as they are.
    """
    tell, end = once(dropped), f" {_seconds(snapshot.time)}\n"
    for series in texts.of(snapshot):
        family = series.family
        name = _IN_NAME.sub("_", prefix + family.name) or "_"
        name = name if tagged else name.replace("/", "_")
        if not series.exact or name != prefix + family.name:
            tell(family.name, "name")
        new = _recent(series, (recent or {}).get(family.name))
        for rows in portions_of(series.data) if series.texts else ():
            lines: list[bytes] = []
            told = series.texts[rows]
            for suffix, values in _columns(series.data, new, rows, quantiles):
                start, middle = (name + suffix, " ") if tagged else (name, f"{suffix} ")
                found, n_lines = number_lines(told, values, start, middle, end) or _lines(told, values, start, middle, end)
                if found:
                    lines.append(found)
                if n_lines < len(values) and suffix in _TOTALS:
                    tell(family.name, "unsupported_value")
            if lines:
                yield b"".join(lines)


def _lines(texts: Sequence[str], values: Sequence[float], start: str, middle: str, end: str) -> tuple[bytes, int]:
    """Do what `number_lines` does, for numbers of all types."""
    found = [f"{start}{text}{middle}{value!r}{end}" for text, value in zip(texts, values, strict=True) if isfinite(value)]
    return "".join(found).encode(), len(found)


_TOTALS = ("", ".count", ".sum")
"""What each series has; all else it has only where something was observed."""


def _seconds(time: float) -> int:
    return int(min(max(time, 0.0), _LAST)) if isfinite(time) else 0


def _recent(series: Series, recent: Data | None) -> Any:
    """Return what was observed since the report before, in columns of the type that the series have."""
    if recent is None or type(recent) is not type(series.data):
        return series.data
    return merged(recent, series.groups) if series.groups else recent


def _columns(data: Data, recent: Any, rows: slice, quantiles: Sequence[float]) -> list[tuple[str, Sequence[float]]]:
    """Return the numbers of some rows, each with what the name of their line ends in."""
    match data:
        case SummaryData():
            return [(".count", data.counts[rows]), (".sum", data.sums[rows])]
        case HistogramData() | ExponentialHistogramData():
            whole = range(len(data.tags))[rows]
            spread = [recent.row(row) for row in whole]
            return [
                (".count", [data.row(row).count for row in whole]),
                (".sum", data.sums[rows]),
                (".min", [one.min for one in spread]),
                (".max", [one.max for one in spread]),
                *[(f".{_percentile(q)}", [one.quantile(q) for one in spread]) for q in quantiles],
            ]
        case _:
            return [("", data.values[rows])]


def _percentile(quantile: float) -> str:
    """Return how Graphite's users call a quantile: p50, p99, p999."""
    return f"p{100 * quantile:.10g}".replace(".", "")


def _as_tags(tags: Mapping[str, str]) -> Written:
    """Return `;key=value` for each tag. One with an empty value is left out: to Graphite it is none."""
    told = [(key, value) for key, value in tags.items() if value]
    keys = _unique([_tag_key(key) for key, _ in told])
    values = [_IN_VALUE.sub("_", value) for _, value in told]
    text = "".join([f";{key}={value}" for key, value in zip(keys, values, strict=True)])
    return _written(text, list(zip(keys, values, strict=True)) == told)


def _as_steps(tags: Mapping[str, str]) -> Written:
    """Return `.key.value` for each tag."""
    steps = [step for tag in tags.items() for step in tag]
    told = [_IN_STEP.sub("_", step) or "_" for step in steps]
    return _written("".join([f".{step}" for step in told]), told == steps)


def _written(text: str, exact: bool) -> Written:
    if len(text) * 4 > _MOST_BYTES and len(text.encode()) > _MOST_BYTES:
        return None
    return text if exact else Changed(text)


@lru_cache(maxsize=1024)
def _tag_key(key: str) -> str:
    """Return the key of a tag. Graphite keeps the path itself in the tag `name`."""
    return _IN_KEY.sub("_", key) if key != "name" else "exported_name"


def _unique(keys: list[str]) -> list[str]:
    if len(set(keys)) == len(keys):
        return keys
    taken: list[str] = []
    for key in keys:
        while key in taken:
            key += "_"
        taken.append(key)
    return taken
