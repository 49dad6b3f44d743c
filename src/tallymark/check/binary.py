"""Reports that are protobuf, as lines. Only what the lines need is read, with no package for it.

Source: https://protobuf.dev/programming-guides/encoding/; and the field numbers of OpenTelemetry's `metrics.proto`, of
Prometheus' `remote.proto` and `types.proto`, and of its `metrics.proto` for clients.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from tallymark.check.line import Line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["client_protobuf", "otlp", "remote_write"]

_OTLP = {5: "gauge", 7: "sum", 9: "histogram", 10: "exponential histogram", 11: "summary"}
_REMOTE = ("unknown", "counter", "gauge", "histogram", "gauge histogram", "summary", "info", "stateset")
_NATIVE = {5, 6}
"""The schema and the threshold of a native histogram."""
_CLIENT = ("counter", "gauge", "summary", "untyped", "histogram", "gauge histogram")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Yield the number and the value of each field: an int, a double, or bytes."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        match key & 7:
            case 0:
                value, at = _varint(data, at)
                yield key >> 3, value
            case 1:
                yield key >> 3, struct.unpack_from("<d", data, at)[0]
                at += 8
            case 2:
                length, at = _varint(data, at)
                yield key >> 3, data[at : at + length]
                at += length
            case _:
                yield key >> 3, data[at : at + 4]
                at += 4


def _message(data: bytes) -> dict[int, Any]:
    return dict(_fields(data))


def _text(message: dict[int, Any], field: int) -> str:
    return str(message.get(field, b"").decode("utf-8", "replace"))


def otlp(parts: Sequence[bytes]) -> Iterator[Line]:
    """Read the metrics of a report over OTLP."""
    for part in parts:
        for _, metric in _fields(part):
            message = _message(metric)
            name, unit = _text(message, 1), _text(message, 3)
            field = next((one for one in _OTLP if one in message), 0)
            points = [value for number, value in _fields(message.get(field, b"")) if number == 1]
            kind = _OTLP.get(field, "")
            if kind == "sum":
                is_monotonic = _message(message[field]).get(3, 0)
                kind = "counter" if is_monotonic else _metadata(metric) or "sum that goes down too"
            told = f"{name} ({kind}{f', {unit}' if unit else ''}): {len(points)} data point{'s' * (len(points) != 1)}"
            yield Line(told, name, kind, unit)


def _metadata(metric: bytes) -> str:
    """Return what a metric was in Prometheus, if that is told: an info or a stateset."""
    pairs = [_message(value) for number, value in _fields(metric) if number == 12]
    return next((_text(_message(pair.get(2, b"")), 1) for pair in pairs if _text(pair, 1) == "prometheus.type"), "")


def remote_write(parts: Sequence[bytes]) -> Iterator[Line]:
    """Read a request of Prometheus remote write."""
    fields = [pair for part in parts for pair in _fields(part)]
    native = {_label(value, b"__name__") for number, value in fields if number == 1 and 4 in _message(value)}
    for number, value in fields:
        if number == 3:
            about = _message(value)
            kind, name, unit = _REMOTE[about.get(1, 0) % len(_REMOTE)], _text(about, 2), _text(about, 5)
            yield Line(f"# TYPE {name} {kind}", name, f"exponential {kind}" if name in native else kind, unit)
        elif number == 1:
            yield Line(_series(value))


def _label(series: bytes, name: bytes) -> str:
    labels = [_message(value) for number, value in _fields(series) if number == 1]
    return next((_text(label, 2) for label in labels if label.get(1) == name), "")


def _series(data: bytes) -> str:
    """Return a series with its first sample, as Prometheus' text has it."""
    labels, told = [], "native histogram"
    for number, value in _fields(data):
        if number == 1:
            label = _message(value)
            labels.append((_text(label, 1), _text(label, 2)))
        elif number == 2:
            told = repr(_message(value).get(1, 0.0))
    name = dict(labels).get("__name__", "")
    others = ",".join([f'{key}="{value}"' for key, value in labels if key != "__name__"])
    return f"{name}{{{others}}} {told}" if others else f"{name} {told}"


def client_protobuf(parts: Sequence[bytes]) -> Iterator[Line]:
    """Read Prometheus' protobuf format, in which each family comes after its length."""
    for part in parts:
        at = 0
        while at < len(part):
            length, at = _varint(part, at)
            family = part[at : at + length]
            at += length
            message = _message(family)
            kind = _CLIENT[message.get(3, 0) % len(_CLIENT)]
            series = [value for number, value in _fields(family) if number == 4]
            if any(_NATIVE & _message(_message(one).get(7, b"")).keys() for one in series):
                kind = f"exponential {kind}"
            yield Line(f"{_text(message, 1)} ({kind}): {len(series)} series", _text(message, 1), kind, _text(message, 5))
