"""Reports that are text, as lines."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from tallymark.check.line import Line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["graphite", "influxdb", "json_lines", "prometheus", "statsd"]

_STATSD = {"c": ("counter", ""), "g": ("gauge", ""), "ms": ("histogram", "ms"), "h": ("histogram", ""), "d": ("histogram", "")}
_INFLUXDB_NAME = re.compile(r"(?:\\.|[^\\, ])+")
_INFLUXDB_FIELDS = re.compile(r" ([^ ]+) \d+$")
"""Those of ours, which are numbers: no space is in their names and values."""


def _lines(parts: Sequence[bytes]) -> Iterator[str]:
    for part in parts:
        yield from filter(None, part.decode("utf-8", "replace").split("\n"))


def statsd(parts: Sequence[bytes]) -> Iterator[Line]:
    """Read the lines of any dialect of StatsD."""
    for text in _lines(parts):
        name, _, rest = text.partition(":")
        sign = rest.split("|")[1] if "|" in rest else ""
        kind, unit = _STATSD.get(sign, ("", ""))
        yield Line(text, re.split("[;,]", name, maxsplit=1)[0], kind, unit)


def graphite(parts: Sequence[bytes]) -> Iterator[Line]:
    """Read the lines of Graphite, which has no types."""
    for text in _lines(parts):
        yield Line(text, re.split("[; ]", text, maxsplit=1)[0])


def influxdb(parts: Sequence[bytes]) -> Iterator[Line]:
    """Read the line protocol of InfluxDB, where the names of fields tell the type."""
    for text in _lines(parts):
        found = _INFLUXDB_NAME.match(text)
        fields = _INFLUXDB_FIELDS.search(text)
        yield Line(text, re.sub(r"\\(.)", r"\1", found[0]) if found else "", _influxdb_type(fields[1] if fields else ""))


def _influxdb_type(fields: str) -> str:
    names = [field.partition("=")[0] for field in fields.split(",")]
    if names in (["counter"], ["gauge"]):
        return names[0]
    return "histogram" if "+Inf" in names else "summary"


def json_lines(parts: Sequence[bytes]) -> Iterator[Line]:
    """Read our JSON lines."""
    for text in _lines(parts):
        told = json.loads(text)
        kind = "histogram" if told["kind"] == "timer" else told["kind"]
        yield Line(text, told["metric"], f"exponential {kind}" if "scale" in told else kind, told["unit"])


def prometheus(parts: Sequence[bytes]) -> Iterator[Line]:
    """Read Prometheus' text format. What a line is about is told by the one before it that tells a type."""
    name = kind = ""
    for text in _lines(parts):
        if text.startswith("# TYPE "):
            name, kind = text.split(" ")[2:4]
        yield Line(text) if text.startswith("#") else Line(text, name, kind)
