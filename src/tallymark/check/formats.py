"""How the reports of each backend are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallymark.check import binary, texts
from tallymark.check.line import Line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tallymark.report.backend import Backend

__all__ = ["lines_of"]


def _pushgateway(parts: Sequence[bytes]) -> Iterator[Line]:
    """Read what a Pushgateway gets, which is protobuf where its extra is installed."""
    is_text = all(part.startswith(b"# ") or not part.strip() for part in parts)
    return texts.prometheus(parts) if is_text else binary.client_protobuf(parts)


_READERS: dict[str, Callable[[Sequence[bytes]], Iterator[Line]]] = {
    "dogstatsd": texts.statsd,
    "graphite": texts.graphite,
    "influxdb": texts.influxdb,
    "json_lines": texts.json_lines,
    "otlp": binary.otlp,
    "pushgateway": _pushgateway,
    "remote_write": binary.remote_write,
    "statsd": texts.statsd,
    "text_file": texts.prometheus,
}


def lines_of(backend: Backend, parts: Sequence[bytes]) -> list[Line]:
    """Return the lines of a report. Of a backend that nobody knows here, they are its parts."""
    reader = _READERS.get(backend.kind)
    return [Line(repr(part)) for part in parts] if reader is None else list(reader(parts))
