"""`TextReader`: Prometheus text, and OpenMetrics, into families.

`prometheus_client` parses each sample line the first time that it is seen. When the page is read again, what stands before the
value tells what the line is about: endpoints send the same lines each time, with other values.
"""

from __future__ import annotations

import re
from math import isnan
from typing import TYPE_CHECKING

from tallymark.engine import TagSet
from tallymark.errors import TagError
from tallymark.metric.shared.printable import printable
from tallymark.read.errors import ParserMissingError, ReadError
from tallymark.read.families import Families
from tallymark.read.headers import read_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, TypeAlias

    from tallymark.metric.snapshot import FamilySnapshot

    Subject: TypeAlias = tuple[str, TagSet, str]  # name of the sample; tags, but not the `le` of a bucket; that `le`, or ""

__all__ = ["TextReader", "tags_of"]

_LONGEST = 65536
"""Characters of a line. The time that the parser takes for one grows with the square of its length."""

_REPEATED = re.compile(r"(?=\S)[^\s{#]*(?:\{[^#]*\})? +[^\s{}\"#]+(?: +-?\d+)?\s*")
"""Lines whose value is what follows the first space after name and labels. In others, a `#` may begin an exemplar with braces
of its own, and a tab or nothing at all may stand before the value."""


class TextReader:
    """Reads the pages of one endpoint, one after the other.

    Raises:
        ReadError: `prometheus_client` is not installed.
    """

    def __init__(self) -> None:
        try:
            from prometheus_client.parser import text_string_to_metric_families
        except ImportError:
            raise ParserMissingError from None
        self._parse: Callable[[str], Iterable[Any]] = text_string_to_metric_families
        self._subjects: dict[str, Subject] = {}  # by what stands before their values

    def families(self, page: str) -> tuple[FamilySnapshot, ...]:
        """Return the families of a page.

        Raises:
            ReadError: a line is not valid; the message tells which.
        """
        lines = page.split("\n")
        families = Families(read_headers(lines))
        known, self._subjects = self._subjects, {}  # what the page no longer has is forgotten
        for number, line in enumerate(lines, 1):
            if not line or line[0] == "#" or line.isspace():
                continue
            if len(line) > _LONGEST:
                raise ReadError(f"line {number} is longer than {_LONGEST:,} characters: {_cut(line)}")
            end = line.rfind("} ") + 1 or line.find(" ")
            start = line[: max(end, 0)]
            subject = known.get(start)
            try:
                if subject is None:
                    subject, value = self._parsed(line)
                else:
                    value = _value(line[end:])
            except Exception:  # the parser raises more than ValueError
                raise ReadError(f"line {number} is not Prometheus text: {_cut(line)}") from None
            if start in known or _REPEATED.fullmatch(line):
                self._subjects[start] = subject
            name, tags, edge = subject
            families.adder(name)(tags, edge, value)
        return families.built()

    def _parsed(self, line: str) -> tuple[Subject, float]:
        ((sample,),) = [family.samples for family in self._parse(f"{line}\n")]
        labels = dict(sample.labels)
        edge = labels.pop("le", "") if sample.name.endswith("_bucket") else ""
        if edge and isnan(float(edge)):  # ValueError where it is no number at all
            raise ValueError
        return (sample.name, tags_of(labels), edge), float(sample.value)


def _value(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        value, timestamp = text.split()
        float(timestamp)
        return float(value)


def tags_of(labels: Mapping[str, str]) -> TagSet:
    """Return labels as tags."""
    try:
        return TagSet(labels)
    except TagError:  # Prometheus takes any text as a name, if it is quoted
        return TagSet({re.sub(r"\W", "_", f"_{name}"): value for name, value in labels.items()})


def _cut(line: str) -> str:
    return printable(line[:60].strip()) + ("…" if len(line) > 60 else "")
