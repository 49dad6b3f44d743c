"""A strict reader of StatsD lines, as servers of each dialect take them apart. It knows nothing of how we write them.

Sources: the documentation of StatsD (docs/metric_types.md), of Datadog (datagram format, protocol 1.1), of Telegraf's input
plugin for StatsD, and of Graphite's tags.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from unicodedata import category

NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
RATE = re.compile(r"@0\.[0-9]*[1-9]")
NAME = re.compile(r"[A-Za-z0-9_.\-]+")
TYPES = {
    "none": {"c", "g", "ms"},
    "graphite": {"c", "g", "ms"},
    "influxdb": {"c", "g", "ms", "h"},
    "datadog": {"c", "g", "ms", "h"},
    "dogstatsd": {"c", "g", "d"},
}


@dataclass(frozen=True)
class Sample:
    """One value that a server takes from a line."""

    name: str
    type: str
    value: float
    count: int = 1  # for how many observations it stands
    tags: dict[str, str] = field(default_factory=dict)


def read(datagram: bytes, dialect: str) -> list[Sample]:
    """Return the samples of a datagram; `ValueError` if any of it is not what a server takes."""
    return [sample for line in datagram.decode("utf-8").split("\n") for sample in read_line(line, dialect)]


def read_line(line: str, dialect: str) -> list[Sample]:
    """Return the samples of a line."""
    check(not {category(char) for char in line} & {"Cc", "Cs", "Zl", "Zp"}, line)  # no controls, no ends of lines
    if dialect in ("datadog", "dogstatsd"):
        return read_datadog(line, dialect)
    head, *samples = line.split(":")
    if dialect == "none":
        name, tags = head, {}
    else:
        name, tags = read_tags(head, ";" if dialect == "graphite" else ",", "=")
        check(dialect != "graphite" or all(tag_of_graphite(key, value) for key, value in tags.items()), line)
    check(samples and (len(samples) == 1 or dialect == "influxdb"), line)
    return [read_sample(name, tags, sample.split("|"), dialect) for sample in samples]


def read_datadog(line: str, dialect: str) -> list[Sample]:
    check(not line.startswith(("_e", "_sc")), line)
    start, kind, *fields = line.split("|")
    name, *values = start.split(":")
    rate = [one for one in fields if one.startswith("@")]
    texts = [one for one in fields if one.startswith("#")]
    check(fields == [*rate, *texts] and len(rate) < 2 and len(texts) < 2, line)
    tags: dict[str, str] = {}
    for text in texts:
        for tag in text[1:].split(","):
            key, colon, value = tag.partition(":")
            check(key and colon and value and key not in tags, line)
            tags[key] = value
    check(values and name[:1].isalpha(), line)
    check(len(values) == 1 or dialect == "dogstatsd", line)  # Telegraf takes one value
    return [read_sample(name, tags, [value, kind, *rate], dialect) for value in values]


def read_tags(head: str, between: str, equals: str) -> tuple[str, dict[str, str]]:
    name, *texts = head.split(between)
    tags: dict[str, str] = {}
    for text in texts:
        key, *values = text.split(equals)
        check(key and equals.join(values) and key not in tags, head)
        tags[key] = equals.join(values)
    return name, tags


def tag_of_graphite(key: str, value: str) -> bool:
    return not set(key) & set(";!^=") and ";" not in value and value[0] != "~" and " " not in key + value and key != "name"


def read_sample(name: str, tags: dict[str, str], fields: list[str], dialect: str) -> Sample:
    check(NAME.fullmatch(name) and 2 <= len(fields) <= 3, (name, fields))
    check(NUMBER.fullmatch(fields[0]) and fields[1] in TYPES[dialect], fields)
    count = 1
    if len(fields) == 3:
        check(RATE.fullmatch(fields[2]) and fields[1] not in "cg", fields)
        count = int(1.0 / float(fields[2][1:]))  # as Go's servers do
        check(count >= 2, fields)
    return Sample(name, fields[1], float(fields[0]), count, tags)


def check(fact: object, what: object) -> None:
    if not fact:
        raise ValueError(f"no server takes {what!r}")
