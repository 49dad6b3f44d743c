"""The messages of `io.prometheus.client`, made when this module is imported, from their published field numbers.

No package on PyPI has those of native histograms, so they are defined here. They live in a pool of their own: they and messages
of the same names that a service has made do not disturb each other.

Source: https://github.com/prometheus/client_model, metrics.proto (proto2).
"""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import DESCRIPTOR as TIMESTAMP

_PACKAGE = "io.prometheus.client"
_TYPES = {"double": 1, "int64": 3, "uint64": 4, "string": 9, "uint32": 13, "sint32": 17, "sint64": 18}
_MESSAGE, _ENUM = 11, 14
_OPTIONAL, _REPEATED = 1, 3
_METRIC_TYPES = ("COUNTER", "GAUGE", "SUMMARY", "UNTYPED", "HISTOGRAM", "GAUGE_HISTOGRAM")
_FIELDS = {
    "LabelPair": "string name = 1; string value = 2",
    "Gauge": "double value = 1",
    "Counter": "double value = 1; Exemplar exemplar = 2; Timestamp created_timestamp = 3",
    "Quantile": "double quantile = 1; double value = 2",
    "Summary": "uint64 sample_count = 1; double sample_sum = 2; Quantile* quantile = 3; Timestamp created_timestamp = 4",
    "Untyped": "double value = 1",
    "Histogram": (
        "uint64 sample_count = 1; double sample_count_float = 4; double sample_sum = 2; Bucket* bucket = 3;"
        " Timestamp created_timestamp = 15; sint32 schema = 5; double zero_threshold = 6; uint64 zero_count = 7;"
        " double zero_count_float = 8; BucketSpan* negative_span = 9; sint64* negative_delta = 10; double* negative_count = 11;"
        " BucketSpan* positive_span = 12; sint64* positive_delta = 13; double* positive_count = 14; Exemplar* exemplars = 16"
    ),
    "Bucket": "uint64 cumulative_count = 1; double cumulative_count_float = 4; double upper_bound = 2; Exemplar exemplar = 3",
    "BucketSpan": "sint32 offset = 1; uint32 length = 2",
    "Exemplar": "LabelPair* label = 1; double value = 2; Timestamp timestamp = 3",
    "Metric": (
        "LabelPair* label = 1; Gauge gauge = 2; Counter counter = 3; Summary summary = 4; Untyped untyped = 5;"
        " Histogram histogram = 7; int64 timestamp_ms = 6"
    ),
    "MetricFamily": "string name = 1; string help = 2; MetricType type = 3; Metric* metric = 4; string unit = 5",
}
"""The fields of each message, in the notation of protobuf; a star is short for `repeated`."""


def _definition() -> FileDescriptorProto:
    file = FileDescriptorProto(name="io/prometheus/client/metrics.proto", package=_PACKAGE, dependency=[TIMESTAMP.name])
    metric_types = file.enum_type.add(name="MetricType")
    for place, metric_type in enumerate(_METRIC_TYPES):
        metric_types.value.add(name=metric_type, number=place)
    for message_name, fields in _FIELDS.items():
        message = file.message_type.add(name=message_name)
        for field in fields.split(";"):
            kind, name, _, number = field.split()
            times = _REPEATED if kind.endswith("*") else _OPTIONAL
            message.field.add(name=name, number=int(number), label=times, **_type(kind.rstrip("*")))
    return file


def _type(kind: str) -> dict[str, Any]:
    if kind in _TYPES:
        return {"type": _TYPES[kind]}
    if kind == "MetricType":
        return {"type": _ENUM, "type_name": f".{_PACKAGE}.{kind}"}
    return {"type": _MESSAGE, "type_name": f".{TIMESTAMP.package if kind == 'Timestamp' else _PACKAGE}.{kind}"}


_pool = DescriptorPool()
_pool.AddSerializedFile(TIMESTAMP.serialized_pb)
_pool.AddSerializedFile(_definition().SerializeToString())


def _message(name: str) -> Any:
    return GetMessageClass(_pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))


BucketSpan = _message("BucketSpan")
Exemplar = _message("Exemplar")
Histogram = _message("Histogram")
LabelPair = _message("LabelPair")
Metric = _message("Metric")
MetricFamily = _message("MetricFamily")
Summary = _message("Summary")
