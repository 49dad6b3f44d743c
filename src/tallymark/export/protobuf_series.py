"""What all kinds of series have in the messages of a scrape: times, and exemplars."""

from __future__ import annotations

from tallymark.export.protobuf_labels import label_fields
from tallymark.export.protobuf_messages import Exemplar
from tallymark.export.protobuf_wire import seconds_and_nanos

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tallymark.engine.exemplar import Exemplar as RecordedExemplar

__all__ = ["exemplar_message", "set_time"]


def set_time(message: Any, field: str, time: float) -> None:
    """Set a field that is a `Timestamp`; leave it out if the time is not known."""
    parts = seconds_and_nanos(time)
    if parts is None:
        message.ClearField(field)
    else:
        timestamp = getattr(message, field)
        timestamp.seconds, timestamp.nanos = parts


def exemplar_message(exemplar: RecordedExemplar, escaping: str) -> Any:
    """Return an exemplar as a message."""
    message = Exemplar.FromString(label_fields(exemplar.labels, escaping))
    message.value = exemplar.value
    set_time(message, "timestamp", exemplar.time)
    return message
