"""OpenTelemetry's standard variables: what they ask for.

Source: OpenTelemetry's specification, "OpenTelemetry Environment Variable Specification". Those of the exporter of OTLP, and
those of the resource, are read by the backend OTLP itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tallymark.configuration.values import as_list, near
from tallymark.metric.shared.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["OPENTELEMETRY_VARIABLES", "Standard", "read_standard"]

_EXPORTERS = ("otlp", "prometheus", "console", "none")
_OTLP = "OTEL_EXPORTER_OTLP_"
_OTLP_NAMES = (
    "ENDPOINT", "PROTOCOL", "HEADERS", "COMPRESSION", "TIMEOUT", "CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE", "INSECURE",
)  # fmt: skip
_METRICS_NAMES = (*[f"METRICS_{name}" for name in _OTLP_NAMES], "METRICS_TEMPORALITY_PREFERENCE")
_AGGREGATION = "METRICS_DEFAULT_HISTOGRAM_AGGREGATION"
_OTHERS = ("TRACES_", "LOGS_", "PROFILES_", "SPAN_", "METRIC_")
"""What begins the names of variables that are of other signals, or of other languages."""
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")

OPENTELEMETRY_VARIABLES = {
    "OTEL_SDK_DISABLED": "`true`: nothing that these variables ask for is started.",
    "OTEL_METRICS_EXPORTER": (
        "`otlp`, `prometheus`, `console`, `none`, or several with commas. By default `otlp` if an endpoint is set, else none."
    ),
    "OTEL_EXPORTER_OTLP_…": "How `otlp` reports: endpoint, protocol, headers and others; see the backend.",
    "OTEL_EXPORTER_PROMETHEUS_HOST": "Where `prometheus` serves; `localhost` by default.",
    "OTEL_EXPORTER_PROMETHEUS_PORT": "The port there; 9464 by default.",
    "OTEL_METRIC_EXPORT_INTERVAL": "Milliseconds between two reports of `otlp` and `console`; 60000 by default.",
    "OTEL_SERVICE_NAME": "The service, as OTLP tells it.",
    "OTEL_RESOURCE_ATTRIBUTES": "What else OTLP tells of the resource.",
}  # fmt: skip


class Standard(NamedTuple):
    """What the standard variables ask for.

    Attributes:
        otlp: report over OTLP.
        console: print reports to standard output.
        serve: where to serve.
        every: seconds between two reports.
    """

    otlp: bool
    console: bool
    serve: tuple[str, int] | None
    every: float


def read_standard(environ: Mapping[str, str]) -> tuple[Standard, list[str]]:
    """Return what is asked for, and what is not understood."""
    problems: list[str] = []
    if _is_disabled(environ, problems):
        return Standard(False, False, None, 60.0), problems
    problems += _misnamed(environ)
    exporters = as_list(environ.get("OTEL_METRICS_EXPORTER", "").lower())
    if not exporters and any(environ.get(name, "").strip() for name in _ENDPOINTS):
        exporters = ("otlp",)
    for one in exporters:
        if one not in _EXPORTERS:
            what = f"OTEL_METRICS_EXPORTER has {printable(one[:40])!r}{near(one, _EXPORTERS)}"
            problems.append(f"{what}; there are {', '.join(_EXPORTERS)}")
    serve = None
    if "prometheus" in exporters:
        host = environ.get("OTEL_EXPORTER_PROMETHEUS_HOST", "").strip() or "localhost"
        serve = host, _number("OTEL_EXPORTER_PROMETHEUS_PORT", 9464, 65535, environ, problems)
    every = _number("OTEL_METRIC_EXPORT_INTERVAL", 60_000, 10**9, environ, problems) / 1000.0
    return Standard("otlp" in exporters, "console" in exporters, serve, max(every, 0.01)), problems


def _is_disabled(environ: Mapping[str, str], problems: list[str]) -> bool:
    text = environ.get("OTEL_SDK_DISABLED", "").strip().lower()
    if text not in ("", "true", "false"):
        problems.append(f"OTEL_SDK_DISABLED is {printable(text[:40])!r}, but takes true or false; taken instead: false")
    return text == "true"


def _number(name: str, default: int, most: int, environ: Mapping[str, str], problems: list[str]) -> int:
    text = environ.get(name, "").strip()
    if not text:
        return default
    if text.isascii() and text.isdigit() and len(text) < 12 and 0 < int(text) <= most:
        return int(text)
    problems.append(f"{name} is {printable(text[:40])!r}, but takes a whole number from 1 to {most}; taken instead: {default}")
    return default


def _misnamed(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield what is wrong with the names of variables of OTLP: others than those of metrics may be somebody else's."""
    for full in sorted(full for full in environ if full.startswith(_OTLP)):
        name, value = full.removeprefix(_OTLP), environ[full].strip()
        if not value or name in _OTLP_NAMES or name in _METRICS_NAMES or name.startswith(_OTHERS):
            continue
        if name == _AGGREGATION:
            if value.lower() != "explicit_bucket_histogram":
                yield f"{full} is not read: say Registry(exponential=True), or exponential=True where a metric is made"
            continue
        guess = near(name, (*_OTLP_NAMES, *_METRICS_NAMES))
        if guess:
            yield f"{printable(full[:80])} is not known{guess.replace('mean ', f'mean {_OTLP}')}"
