"""What of a report is made with the official messages: resources, heads of metrics, exemplars.

Importing this module imports the package opentelemetry-proto, which the extra `otlp` installs.
"""

from __future__ import annotations

import re

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Exemplar, Metric
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from tallymark.export.otlp_attributes import attribute_fields, valid_text
from tallymark.export.otlp_times import nanoseconds
from tallymark.export.otlp_units import ucum
from tallymark.export.protobuf_wire import varint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from google.protobuf.message import Message

    from tallymark.engine.exemplar import Exemplar as RecordedExemplar
    from tallymark.metric.snapshot import FamilySnapshot

__all__ = ["exemplar_fields", "field", "metric_head", "resource_message", "scope_message"]

_DIGITS = re.compile(r"[0-9A-Fa-f]+", re.ASCII)
_TYPES = {"info": "info", "stateset": "stateset"}
"""Kinds that OpenTelemetry does not have: the metadata `prometheus.type` tells of them."""


def _bytes(message: Message) -> bytes:
    made: bytes = message.SerializeToString()
    return made


def field(tag: bytes, message: bytes) -> bytes:
    """Return a message as a field of another."""
    return b"".join((tag, varint(len(message)), message))


def metric_head(family: FamilySnapshot, name: str) -> bytes:
    """Return all of a message `Metric` but its data."""
    message = Metric(name=valid_text(name), description=valid_text(family.description), unit=valid_text(ucum(family.unit)))
    if family.kind in _TYPES:
        message.metadata.add(key="prometheus.type", value=AnyValue(string_value=_TYPES[family.kind]))
    return _bytes(message)


def resource_message(attributes: Mapping[str, str | bool | int | float]) -> bytes:
    """Return a message `Resource`."""
    return _bytes(Resource(attributes=[_attribute(key, value) for key, value in attributes.items()]))


def _attribute(key: str, value: str | bool | int | float) -> KeyValue:
    match value:
        case bool():
            held = AnyValue(bool_value=value)
        case int():
            held = AnyValue(int_value=value)
        case float():
            held = AnyValue(double_value=value)
        case _:
            held = AnyValue(string_value=valid_text(value))
    return KeyValue(key=valid_text(key), value=held)


def scope_message(name: str, version: str) -> bytes:
    """Return a message `InstrumentationScope`."""
    return _bytes(InstrumentationScope(name=name, version=version))


def exemplar_fields(tag: bytes, exemplars: Iterable[RecordedExemplar]) -> bytes:
    """Return exemplars as a field of a data point, which may repeat."""
    return b"".join([field(tag, _exemplar(one)) for one in exemplars])


def _exemplar(exemplar: RecordedExemplar) -> bytes:
    labels = dict(exemplar.labels)
    trace, span = _taken(labels, "trace_id", 16), _taken(labels, "span_id", 8)
    message = Exemplar.FromString(attribute_fields(labels.items()))
    message.time_unix_nano = nanoseconds(exemplar.time)
    message.as_double = exemplar.value
    message.trace_id, message.span_id = trace, span
    return _bytes(message)


def _taken(labels: dict[str, str], name: str, size: int) -> bytes:
    """Take an id out of labels; empty, if there is none that is valid: then what is there remains an attribute."""
    digits = labels.get(name, "")
    if len(digits) != 2 * size or not _DIGITS.fullmatch(digits) or not digits.strip("0"):
        return b""
    del labels[name]
    return bytes.fromhex(digits)
