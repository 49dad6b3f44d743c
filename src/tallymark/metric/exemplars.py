"""Exemplars that a registry asks for: `Registry(exemplars=…)`, and `current_span_exemplar`, for the traces of OpenTelemetry."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tallymark.engine.options import ExemplarSource

__all__ = ["Exemplars", "current_span_exemplar"]


def current_span_exemplar() -> dict[str, str] | None:
    """Return `trace_id` and `span_id` of the current span of OpenTelemetry, as hexadecimal digits; None if it is not sampled.

        registry = tm.Registry(exemplars=tm.current_span_exemplar)

    Raises:
        ImportError: the package `opentelemetry-api` is not installed.
    """
    context = _opentelemetry().get_current_span().get_span_context()
    if not (context.is_valid and context.trace_flags.sampled):
        return None
    return {"trace_id": format(context.trace_id, "032x"), "span_id": format(context.span_id, "016x")}


def _opentelemetry() -> Any:
    try:
        from opentelemetry import trace
    except ImportError as error:
        raise ImportError(
            "tm.current_span_exemplar needs the package opentelemetry-api: pip install 'tallymark[otel]'"
        ) from error
    return trace


class Exemplars:
    """Whom a registry asks what identifies a record.

    Attributes:
        source: what is called.

    Raises:
        TypeError: it cannot be called.
        ImportError: it is `current_span_exemplar`, and its package is not installed.
    """

    __slots__ = ("__weakref__", "source")

    def __init__(self, source: ExemplarSource) -> None:
        if not callable(source):
            raise TypeError(f"exemplars must be callable, such as tm.current_span_exemplar, not a {type(source).__name__}")
        if source is current_span_exemplar:
            _opentelemetry()  # when the service starts, not in a log later
        self.source = source
