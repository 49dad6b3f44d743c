"""Reading requests of remote write with the protobuf runtime, from the published definitions of their messages.

Source: prompb/remote.proto and prompb/types.proto of Prometheus.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

TYPES = ("UNKNOWN", "COUNTER", "GAUGE", "HISTOGRAM", "GAUGEHISTOGRAM", "SUMMARY", "INFO", "STATESET")
STALE = 0x7FF0000000000002

_MESSAGES = {
    "WriteRequest": "TimeSeries* timeseries 1, MetricMetadata* metadata 3",
    "MetricMetadata": "uint32 type 1, string metric_family_name 2, string help 4, string unit 5",
    "TimeSeries": "Label* labels 1, Sample* samples 2, Exemplar* exemplars 3, Histogram* histograms 4",
    "Label": "string name 1, string value 2",
    "Sample": "double value 1, int64 timestamp 2",
    "Exemplar": "Label* labels 1, double value 2, int64 timestamp 3",
    "Histogram": (
        "uint64 count_int 1, double count_float 2, double sum 3, sint32 schema 4, double zero_threshold 5,"
        " uint64 zero_count_int 6, double zero_count_float 7, BucketSpan* negative_spans 8, sint64* negative_deltas 9,"
        " double* negative_counts 10, BucketSpan* positive_spans 11, sint64* positive_deltas 12, double* positive_counts 13,"
        " uint32 reset_hint 14, int64 timestamp 15"
    ),
    "BucketSpan": "sint32 offset 1, uint32 length 2",
}


def _write_request() -> Any:
    file = FileDescriptorProto(name="remote.proto", package="prometheus", syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field in fields.split(","):
            kind, field_name, number = field.split()
            made = message.field.add(name=field_name, number=int(number), label=3 if kind.endswith("*") else 1)
            kind = kind.rstrip("*")
            if kind in _MESSAGES:
                made.type, made.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".prometheus.{kind}"
            else:
                made.type = FieldDescriptorProto.Type.Value(f"TYPE_{kind.upper()}")
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("prometheus.WriteRequest"))


WriteRequest = _write_request()

Labels = tuple[tuple[str, str], ...]


def decoded(parts: Iterable[bytes]) -> Any:
    """Return the request that parts are together. Each is a request of its own, and nothing in it is unknown."""
    parts = list(parts)
    for part in parts:
        one = WriteRequest.FromString(part)
        assert one.ByteSize() <= len(part)
    request = WriteRequest.FromString(b"".join(parts))
    again = WriteRequest.FromString(b"".join(parts))
    again.DiscardUnknownFields()
    assert again == request
    return request


def series(request: Any) -> dict[Labels, Any]:
    """Return the series of a request by their labels, which are as the specification wants them, and none twice."""
    found: dict[Labels, Any] = {}
    for one in request.timeseries:
        labels = labels_of(one.labels)
        assert list(labels) == sorted(dict(labels).items()), labels
        assert all(name and value for name, value in labels), labels
        assert dict(labels)["__name__"]
        assert labels not in found, labels
        assert len(one.samples) + len(one.histograms) == 1
        found[labels] = one
    return found


def values(request: Any) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return the values of a request without native histograms, by name and labels, as `samples_of_text` does."""
    return {_key(labels): one.samples[0].value for labels, one in series(request).items()}


def ended(request: Any) -> set[tuple[str, frozenset[tuple[str, str]]]]:
    """Return the series that are said to have ended."""
    return {
        _key(labels)
        for labels, one in series(request).items()
        if one.samples and struct.unpack("<Q", struct.pack("<d", one.samples[0].value)) == (STALE,)
    }


def _key(labels: Labels) -> tuple[str, frozenset[tuple[str, str]]]:
    return dict(labels)["__name__"], frozenset([pair for pair in labels if pair[0] != "__name__"])


def labels_of(labels: Any) -> Labels:
    return tuple([(label.name, label.value) for label in labels])


def sides(histogram: Any) -> tuple[dict[int, int], dict[int, int]]:
    """Return the counts of the negative and of the positive buckets of a native histogram, by their index."""
    return (
        buckets(histogram.negative_spans, histogram.negative_deltas),
        buckets(histogram.positive_spans, histogram.positive_deltas),
    )


def buckets(spans: Any, deltas: Any) -> dict[int, int]:
    """Return counts by index, as the specification of native histograms reads spans and deltas."""
    found: dict[int, int] = {}
    left, index, count = list(deltas), 0, 0
    for span in spans:
        index += span.offset
        for at in range(index, index + span.length):
            count += left.pop(0)
            found[at] = count
        index += span.length
    assert not left
    return found
