"""Prometheus's text format, version 0.0.4.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import accumulate
from math import isfinite

from tallymark.metric.snapshot import FamilySnapshot, Snapshot, TagSet

__all__ = ["CONTENT_TYPE", "render_prometheus"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_PORTION = 2048

_exact = True
"""Whether all label texts so far say exactly what their tags say, so that no two can read the same. Saves looking for such."""

_TYPES = {"counter": "counter", "gauge": "gauge", "histogram": "histogram", "timer": "histogram"}


def render_prometheus(snapshot: Snapshot) -> bytes:
    """Return a snapshot as Prometheus text (UTF-8).

    In names, what is not allowed becomes `_`; a unit is a suffix (`_seconds` for timers), and counters end in `_total`. Two
    tags of a series that become one label have their values joined with `;`. Two metrics that become one name are told apart
    by a number (`_2`), since a scrape with two of one name would be refused as a whole.
    """
    taken: set[str] = set()
    parts: list[str] = []
    for family in snapshot.families:
        name = _free_name(metric_name(family), family.kind, taken)
        if family.description:
            parts.append(f"# HELP {name} {_escape_help(family.description)}\n")
        parts.append(f"# TYPE {name} {_TYPES[family.kind]}\n")
        parts.extend(_histograms(name, family) if family.bounds else _numbers(name, family))
    return "".join(parts).encode()


def metric_name(family: FamilySnapshot) -> str:
    """Return the name that Prometheus knows a family by."""
    name = re.sub(r"[^a-zA-Z0-9_:]", "_", family.name)
    stem = name.removesuffix("_total") if family.kind == "counter" else name
    unit = re.sub(r"[^a-zA-Z0-9]+", "_", family.unit).strip("_")
    if unit and not stem.endswith(f"_{unit}") and stem != unit:
        stem = f"{stem}_{unit}"
    return f"{stem}_total" if family.kind == "counter" else stem


def label_text(tags: TagSet) -> str:
    """Return tags as labels, without braces. A label whose value is empty is left out: to Prometheus, it is not there."""
    text = tags.label_text
    if text is None:
        text = tags.label_text = _label_text(tags.items())
    return text


def _label_text(tags: Iterable[tuple[str, str]]) -> str:
    global _exact
    labels: dict[str, list[str]] = {}
    for key, value in tags:
        # Prometheus keeps names that start with two underscores to itself.
        name = re.sub(r"^__+", "_", re.sub(r"[^a-zA-Z0-9_]", "_", key))
        labels.setdefault(name, []).append(value)
        _exact = _exact and name == key and value != ""
    joined = {name: ";".join(values) for name, values in labels.items()}
    return ",".join([f'{name}="{_escape_value(value)}"' for name, value in joined.items() if value])


def _escape_value(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _escape_help(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").encode("utf-8", "replace").decode()


def _free_name(name: str, kind: str, taken: set[str]) -> str:
    """Return `name`, or `name_2` and so on if one of the sample names that it would bring is taken; take them."""
    stem, total = (name.removesuffix("_total"), "_total") if kind == "counter" else (name, "")
    suffixes = ("", "_bucket", "_sum", "_count") if _TYPES[kind] == "histogram" else ("",)
    for number in range(1, len(taken) + 2):
        free = f"{stem}_{number}{total}" if number > 1 else name
        wanted = {free + suffix for suffix in suffixes}
        if not wanted & taken:
            break
    taken |= wanted
    return free


def _numbers(name: str, family: FamilySnapshot) -> list[str]:
    columns = family.columns
    texts = [tags.label_text or label_text(tags) for tags in columns.tags]
    values = columns.values
    if not _exact and len(set(texts)) < len(texts):
        texts, values = _without_twins(family.kind, texts, values)
    write = repr if all(map(isfinite, values)) else _number
    start = f"{name}{{"
    # In portions, whose lines take the memory of the last portion's: all lines at once cost more to hold than to write.
    return [
        "".join(
            [
                f"{start}{text}}} {write(value)}\n" if text else f"{name} {write(value)}\n"
                for text, value in zip(texts[at : at + _PORTION], values[at : at + _PORTION], strict=True)
            ]
        )
        for at in range(0, len(texts), _PORTION)
    ]


def _without_twins(kind: str, texts: list[str], values: Sequence[float]) -> tuple[list[str], list[float]]:
    """Merge series whose tags differ here but read the same as labels: counters add up, of gauges the last one stays."""
    merged: dict[str, float] = {}
    for text, value in zip(texts, values, strict=True):
        merged[text] = merged.get(text, 0.0) + value if kind == "counter" else value
    return list(merged), list(merged.values())


def _histograms(name: str, family: FamilySnapshot) -> list[str]:
    columns = family.columns
    merged: dict[str, tuple[list[int], float]] = {}
    for tags, counts, total in zip(columns.tags, columns.bucket_counts, columns.sums, strict=True):
        text = (
            _label_text([(f"exported_{k}" if k == "le" else k, v) for k, v in tags.items()])
            if "le" in tags
            else label_text(tags)
        )
        if text in merged:
            others, other_total = merged[text]
            counts, total = [a + b for a, b in zip(counts, others, strict=True)], total + other_total
        merged[text] = list(counts), total
    edges = [*map(repr, family.bounds), "+Inf"]
    lines = []
    for text, (counts, total) in merged.items():
        comma = f"{text}," if text else ""
        cumulative = list(accumulate(counts))
        lines += [f'{name}_bucket{{{comma}le="{edge}"}} {count}\n' for edge, count in zip(edges, cumulative, strict=True)]
        braced = f"{{{text}}}" if text else ""
        lines.append(f"{name}_sum{braced} {_number(total)}\n{name}_count{braced} {cumulative[-1]}\n")
    return lines


def _number(value: float) -> str:
    if isfinite(value):
        return repr(value)
    return "NaN" if value != value else "+Inf" if value > 0 else "-Inf"
