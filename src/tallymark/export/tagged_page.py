"""Prometheus' text of series that are all given some labels: the texts of labels that the engine keeps lack them."""

from __future__ import annotations

import sys

from tallymark.export.escaping import UNDERSCORES, label_name, metric_names
from tallymark.export.labels import plain_text
from tallymark.export.prometheus import head, histograms, render_prometheus, summaries
from tallymark.export.series_texts import SeriesTexts, TagFormat
from tallymark.export.tag_frames import Changed, characters
from tallymark.export.text import Sample, number
from tallymark.metric.data import ExponentialHistogramData, Exposition, HistogramData, SummaryData, number_lines
from tallymark.metric.portions import portions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tallymark.export.series_texts import Texts
    from tallymark.export.tag_frames import Written
    from tallymark.metric.data import Data, GaugeData, InfoData, StateSetData, SumData
    from tallymark.metric.snapshot import Snapshot

__all__ = ["TaggedPage"]

_CHARACTERS = characters(str, '\0\\"\n')
"""Of values: all that is ASCII and needs no escape is written as it is."""


class TaggedPage:
    """Writes pages as `render_prometheus` does, with more labels. For one thread at a time.

    Args:
        tags: labels of all series; a series' own win.
    """

    def __init__(self, tags: Mapping[str, str]) -> None:
        self._texts = SeriesTexts(_format_of, tags) if tags else None

    def render(self, snapshot: Snapshot) -> bytes:
        """Return a snapshot as text."""
        if self._texts is None:
            return render_prometheus(snapshot)
        text = Exposition()
        names = metric_names(snapshot.families, UNDERSCORES)
        for series, name in zip(self._texts.of(snapshot), names, strict=True):
            if len(series.family) == 0:  # all that it had were removed, or expired
                continue
            text.write(head(series.family, name))
            for part in _rows(name, series.data, series.texts):
                text.write(part)
        return text.bytes()


def _format_of(kind: type[Data]) -> TagFormat:
    spread = issubclass(kind, HistogramData | ExponentialHistogramData)
    reserved = "le" if spread else "quantile" if issubclass(kind, SummaryData) else ""
    return TagFormat(lambda tags: _labels(tags, reserved), _CHARACTERS, sys.maxsize)


def _labels(tags: Mapping[str, str], reserved: str) -> Written:
    """Return tags as labels, without braces. A label whose name is `reserved` gets another one."""
    given = plain_text([(f"exported_{key}" if key == reserved else key, value) for key, value in tags.items()])
    text = given.encode("utf-8", "replace").decode()
    is_exact = text == given and all(value and label_name(key, UNDERSCORES) == key for key, value in tags.items())
    return text if is_exact and reserved not in tags else Changed(text)


def _rows(name: str, data: Data, texts: Texts) -> Iterator[str]:
    """Yield the lines of a family's series, in parts."""
    match data:
        case HistogramData() | ExponentialHistogramData():
            return histograms(name, data, _each(texts))
        case SummaryData():
            return summaries(name, data, _each(texts))
        case _:
            return _numbers(Sample.of(name), data, texts)


def _each(texts: Texts) -> Iterator[str]:
    for rows in portions(len(texts)):
        yield from texts[rows]


def _numbers(sample: Sample, data: SumData | GaugeData | InfoData | StateSetData, texts: Texts) -> Iterator[str]:
    for rows in portions(len(texts)):
        some, values = texts[rows], data.values[rows]
        found = number_lines(some, values, sample.labelled, "} ", "\n") if all(some) else None
        # None of the lines has a number that is not finite.
        yield found[0].decode() if found and found[1] == len(some) else _lines(sample, some, values)


def _lines(sample: Sample, texts: Sequence[str], values: Sequence[float]) -> str:
    return "".join([f"{sample.with_labels(text)} {number(value)}\n" for text, value in zip(texts, values, strict=True)])
