"""`Report`: what all series of one report by remote write have in common."""

from __future__ import annotations

from math import inf

from tallymark.export.escaping import UNDERSCORES
from tallymark.export.protobuf_labels import label_fields
from tallymark.export.protobuf_wire import varint
from tallymark.export.remote_write_wire import Moment, double, milliseconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tallymark.engine import TagSet
    from tallymark.engine.exemplar import Exemplar
    from tallymark.export.remote_write_labels import RemoteWriteLabels

__all__ = ["Report"]

_EXEMPLAR, _VALUE, _TIME = b"\x1a", b"\x11", b"\x18"
"""The tags of `exemplars` in `TimeSeries`, and of `value` and `timestamp` in `Exemplar`."""


class Report:
    """What all series of a report have in common.

    Args:
        time: when the snapshot was taken, in seconds since the epoch.
        labels: writes them.
        since: exemplars that were recorded until then are left out: they were sent before.
        native: the receiver takes native histograms.
    """

    __slots__ = ("labels", "moment", "native", "since")

    def __init__(self, time: float, labels: RemoteWriteLabels, since: float, native: bool) -> None:
        self.moment = Moment(time)
        self.labels = labels
        self.since = since
        self.native = native

    def labels_of(self, tags: Sequence[TagSet], reserved: str = "") -> list[bytes]:
        """Return the labels of a family's series, without its name."""
        return self.labels.family(reserved).whole(tags)

    def exemplars(self, exemplars: Iterable[Exemplar]) -> list[Exemplar]:
        """Return those that are new, and those whose time is not known."""
        return [one for one in exemplars if one.time > self.since or not _is_known(one.time)]

    def exemplar_field(self, exemplar: Exemplar | None) -> bytes:
        """Return an exemplar as a field of its series; nothing for None. If its time is not known, it is that of the report."""
        if exemplar is None:
            return b""
        time = varint(milliseconds(exemplar.time)) if _is_known(exemplar.time) else self.moment.time
        labels = label_fields(exemplar.labels, UNDERSCORES)
        message = b"".join((labels, _VALUE, double(exemplar.value), _TIME, time))
        return _EXEMPLAR + varint(len(message)) + message


def _is_known(time: float) -> bool:
    """Return True unless it is 0, or NaN, as of an exemplar that another library tells no time of."""
    return 0.0 < time < inf
