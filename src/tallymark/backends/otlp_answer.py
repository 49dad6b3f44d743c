"""What a server answers to OTLP, in the official messages."""

from __future__ import annotations

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceResponse,
)

from tallymark.metric.shared.printable import printable

__all__ = ["partial_success", "words_of_status"]

_MOST = 300
"""Characters of a server's words."""


def partial_success(answer: bytes) -> tuple[int, str]:
    """Return how many data points were rejected, and the server's words, printable; 0 and "" if all was taken.

    Raises:
        ValueError: the answer is none of OTLP.
    """
    try:
        partial = ExportMetricsServiceResponse.FromString(answer).partial_success
    except DecodeError:
        raise ValueError("answers in words that are not OTLP's; is this its URL?") from None
    return max(partial.rejected_data_points, 0), printable(partial.error_message[:_MOST].strip())


def words_of_status(body: bytes) -> bytes:
    """Return the text of a message `google.rpc.Status`, whose first two fields have the types of this message's."""
    try:
        words: bytes = ExportMetricsPartialSuccess.FromString(body).error_message.encode()
    except DecodeError:
        return body
    return words
