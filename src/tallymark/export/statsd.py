"""StatsD lines: `name:value|type`, with tags in the dialect of the server.

It is for what was added since the report before, with gauges as they are: `tm.delta(before, after, absolute_gauges=True)`.
Counters that did not change are left out, and so are exemplars.

Sources: see `tallymark.export.statsd_dialects`.
"""

from __future__ import annotations

from itertools import compress
from math import inf, isfinite

from tallymark.export.datagrams import TOGETHER, Packer
from tallymark.export.statsd_distributions import exponential_observations, observations
from tallymark.export.statsd_numbers import LARGEST_PLAIN, SMALLEST_PLAIN, number, rate
from tallymark.metric.data import (
    ExponentialHistogramData,
    GaugeData,
    HistogramData,
    InfoData,
    StateSetData,
    SumData,
    SummaryData,
    number_lines,
    observation_lines,
)
from tallymark.metric.portions import portions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tallymark.engine import TagSet
    from tallymark.export.statsd_dialects import TagTexts
    from tallymark.metric.snapshot import FamilySnapshot, Snapshot

__all__ = ["parts"]

_BOUNDED = ("bucket_counts", "sums", "mins", "maxs")
_EXPONENTIAL = ("scales", "zero_counts", "positives", "negatives", "sums", "mins", "maxs")
_FEW = 16
"""Rows of a portion of distributions, each of which is many lines."""


def parts(
    snapshot: Snapshot,
    texts: TagTexts,
    *,
    prefix: str = "",
    most_bytes: int = 1432,
    end: bytes = b"",
    dropped: Callable[[str, str], None] | None = None,
) -> Iterator[bytes]:
    """Yield datagrams.

    Args:
        snapshot: what was added, and gauges as they are.
        texts: of tags in the server's dialect, for this and other reports.
        prefix: begins each metric's name.
        most_bytes: of a datagram. A line that is longer is left out.
        end: what the last line of a datagram ends with, too: `b"\\n"` where they become one stream.
        dropped: is told of data that was left out or changed, once for each metric and reason: `"unsupported_value"`,
            `"name"` or `"too_long"`. Of tags that were changed, it is told once for each metric, not with each report.
    """
    texts.forget(sum([len(family) for family in snapshot.families]))
    packer = Packer(most_bytes, end)
    for family in snapshot.families:
        lines = _Lines(family, prefix, texts, most_bytes)
        for some in lines.portions():
            # Only values are before a bar: what `repr` writes of those without a fraction becomes shorter at once.
            yield from packer.add(some if isinstance(some, bytes) else "\n".join(some).replace(".0|", "|"))
        if packer.too_long:
            lines.trouble.add("too_long")
            packer.too_long = 0
        if dropped is not None:
            for reason in sorted(lines.trouble):
                dropped(family.name, reason)
    yield from packer.finish()


class _Lines:
    """Writes the lines of one metric.

    Attributes:
        trouble: why data was left out or changed.
    """

    def __init__(self, family: FamilySnapshot, prefix: str, texts: TagTexts, most_bytes: int) -> None:
        self._family = family
        self._texts = texts
        self._dialect = texts.dialect
        self._name = self._dialect.name(prefix + family.name)
        self._most_bytes = most_bytes
        self.trouble = {"name"} if self._name != prefix + family.name else set()
        one = self._dialect
        kind, factor = (one.timer, one.per_second) if family.kind == "timer" else (one.histogram, 1.0)
        self._form = self._name, kind, one.packs, one.tags_last, one.negative == "value", factor, most_bytes

    def portions(self) -> Iterator[list[str] | bytes]:
        match self._family.data:
            case SumData(monotonic=True) as data:
                yield from self._counters(self._name, data.tags, data.values)
            case SumData() | GaugeData() | InfoData() | StateSetData() as data:
                yield from self._gauges(data.tags, data.values)
            case SummaryData() as data:
                yield from self._counters(f"{self._name}.count", data.tags, data.counts)
                yield from self._counters(f"{self._name}.sum", data.tags, data.sums)
            case HistogramData() | ExponentialHistogramData() as data:
                yield from self._distributions(data)
        if self._texts.has_changed(self._family.name):
            self.trouble.add("name")

    def _counters(self, name: str, tags: Sequence[TagSet], values: Sequence[float]) -> Iterator[list[str] | bytes]:
        for rows in portions(len(tags)):
            yield from self._numbers(name, "|c", tags[rows], values[rows], self._counter)

    def _gauges(self, tags: Sequence[TagSet], values: Sequence[float]) -> Iterator[list[str] | bytes]:
        for rows in portions(len(tags)):
            yield from self._numbers(self._name, "|g", tags[rows], values[rows], self._gauge)

    def _numbers(
        self,
        name: str,
        kind: str,
        tags: Sequence[TagSet],
        values: Sequence[float],
        other: Callable[[str, str, str, float], str],
    ) -> Iterator[list[str] | bytes]:
        """Yield a line for each number: first those whose text is that of `repr`, then those that need thought, by `other`."""
        texts, plain = self._texts.column(tags), [SMALLEST_PLAIN <= value < LARGEST_PLAIN for value in values]
        if all(plain):
            yield self._plain(name, kind, texts, values)
            return
        yield self._plain(name, kind, list(compress(texts, plain)), list(compress(values, plain)))
        rows = zip(texts, values, plain, strict=True)
        yield [line for text, value, is_plain in rows if not is_plain and (line := other(name, kind, text, value))]

    def _plain(self, name: str, kind: str, texts: Sequence[str], values: Sequence[float]) -> list[str] | bytes:
        """Return a line for each number whose text is that of `repr`."""
        if not self._dialect.tags_last:
            found = number_lines(texts, values, name, ":", f"{kind}\n")
            if found is not None:
                return found[0].replace(b".0|", b"|")[:-1]
            return [f"{name}{text}:{value!r}{kind}" for text, value in zip(texts, values, strict=True)]
        # The text of a series is what comes before the number of the next one.
        found = number_lines(("", *texts[:-1]), values, "", f"\n{name}:", kind) if texts else (b"", 0)
        if found is not None:
            return b"".join([found[0].replace(b".0|", b"|")[1:], *[text.encode() for text in texts[-1:]]])
        return [f"{name}:{value!r}{kind}{text}" for text, value in zip(texts, values, strict=True)]

    def _counter(self, name: str, kind: str, text: str, value: float) -> str:
        return self._line(name, text, f"{number(value)}{kind}") if self._is_told(value) and value else ""

    def _gauge(self, name: str, kind: str, text: str, value: float) -> str:
        if not self._is_told(value):
            return ""
        line = self._line(name, text, f"{number(value)}{kind}")
        if value < 0.0 and self._dialect.negative == "move":
            return f"{self._line(name, text, f'0{kind}')}{TOGETHER}{line}"
        return line

    def _is_told(self, value: float) -> bool:
        if not isfinite(value):
            self.trouble.add("unsupported_value")
        return isfinite(value)

    def _line(self, name: str, text: str, value: str) -> str:
        return f"{name}:{value}{text}" if self._dialect.tags_last else f"{name}{text}:{value}"

    def _distributions(self, data: HistogramData | ExponentialHistogramData) -> Iterator[list[str] | bytes]:
        bounds, names = (data.bounds, _BOUNDED) if isinstance(data, HistogramData) else ((), _EXPONENTIAL)
        columns = tuple([getattr(data, name) for name in names])
        if observation_lines(columns, bounds, 0, [], 0, self._form) is None:
            for rows in portions(len(data.tags), _FEW):
                yield self._observed_rows(data, rows, self._texts.column(data.tags[rows]))
            return
        for rows in portions(len(data.tags)):
            texts = self._texts.column(data.tags[rows])
            at = 0
            while at < len(texts):
                lines, then = observation_lines(columns, bounds, rows.start, texts, at, self._form) or (b"", at)
                yield lines
                if then == at:  # only we can write it
                    row, then = rows.start + at, at + 1
                    yield self._observed_rows(data, slice(row, row + 1), texts[at:then])
                at = then

    def _observed_rows(
        self, data: HistogramData | ExponentialHistogramData, rows: slice, texts: Sequence[str]
    ) -> list[str]:  # fmt: skip
        found = observations(data, rows) if isinstance(data, HistogramData) else exponential_observations(data, rows)
        return [line for text, some in zip(texts, found, strict=True) if some for line in self._observed(text, some)]

    def _observed(self, text: str, some: Sequence[tuple[int, float]]) -> list[str]:
        """Return the lines of one series."""
        dialect = self._dialect
        _, kind, *_, factor, _ = self._form
        told = [(count, scaled) for count, value in some if 0.0 <= (scaled := value * factor) < inf]
        if len(told) < len(some):
            told = self._observable([(count, value * factor) for count, value in some])
        match dialect.packs:
            case "type":
                groups: dict[str, list[str]] = {}
                for count, value in told:
                    groups.setdefault(f"|{kind}{rate(count)}", []).append(number(value))
                return [line for end, values in groups.items() for line in self._packed(text, values, end)]
            case "name":
                return self._packed(text, [f"{number(value)}|{kind}{rate(count)}" for count, value in told], "")
        return [self._line(self._name, text, f"{number(value)}|{kind}{rate(count)}") for count, value in told]

    def _observable(self, some: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
        """Return what the server can be told: no infinities, and numbers below 0 only where a minus sign is one."""
        told = [one for one in some if self._is_told(one[1])]
        if self._dialect.negative == "value" or all(value >= 0.0 for _, value in told):
            return told
        self.trouble.add("unsupported_value")
        return [one for one in told if one[1] >= 0.0]

    def _packed(self, text: str, values: Sequence[str], end: str) -> list[str]:
        """Return lines of values with a colon between them, as many as there is room for in each, but at least one."""
        room = self._most_bytes - len(self._line(self._name, text, end).encode())
        lines: list[str] = []
        start, size = 0, 0
        for i, value in enumerate(values):
            if size and size + len(value) > room:
                lines.append(self._line(self._name, text, f"{':'.join(values[start:i])}{end}"))
                start, size = i, 0
            size += len(value) + 1
        if values:
            lines.append(self._line(self._name, text, f"{':'.join(values[start:])}{end}"))
        return lines
