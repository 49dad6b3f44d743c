"""The forms of a backend's URL: the schemes, and the options that may stand after `?`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tallymark.configuration.values import as_flag, as_list, as_pairs, as_seconds, as_secret, as_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    Options: TypeAlias = Mapping[str, Callable[[str], Any]]

__all__ = ["FORMS", "SCHEMES", "Form"]


class Form(NamedTuple):
    """How one backend is named.

    Attributes:
        backend: its class in `tallymark.backends`.
        wires: what may follow the name in a scheme, after `+`, and what the class is given for it.
        options: what may stand after `?`, and what reads it, beside what all may have.
        example: a URL.
        needs: options that must be there.
    """

    backend: str
    wires: Mapping[str, str]
    options: Options
    example: str
    needs: tuple[str, ...] = ()


_COMMON: Options = {"every": as_seconds, "exclude": as_list, "include": as_list, "prefix": str, "tags": as_pairs}
_SOCKETS = {"": "udp", "udp": "udp", "tcp": "tcp", "unix": "unix", "unixstream": "unixstream"}
_HTTP = {"http": "http", "https": "https"}
_GRPC = {"grpc": "http", "grpcs": "https"}
_SECURITY: Options = {"ca": str, "token": as_secret}


def _form(backend: str, wires: Mapping[str, str], options: Options, example: str) -> Form:
    return Form(backend, wires, {**_COMMON, **options}, example)


FORMS = {
    "statsd": _form("StatsD", _SOCKETS, {"dialect": str, "datagram_bytes": as_whole}, "statsd://127.0.0.1:8125?dialect=datadog"),
    "dogstatsd": _form("DogStatsD", _SOCKETS, {"datagram_bytes": as_whole}, "dogstatsd+unix:///var/run/datadog/dsd.socket"),
    "graphite": _form("Graphite", {"": ""}, {"tagged": as_flag}, "graphite://127.0.0.1:2003"),
    "influxdb": _form(
        "InfluxDB", _HTTP,
        {"database": str, "retention_policy": str, "org": str, "bucket": str, "compress": as_flag, **_SECURITY},
        "influxdb+http://127.0.0.1:8086?database=x",
    ),
    "otlp": _form(
        "OTLP", {**_HTTP, **_GRPC}, {"temporality": str, "compression": str, **_SECURITY}, "otlp+http://127.0.0.1:4318"
    ),
    "remote-write": _form(
        "RemoteWrite", _HTTP, {"native_histograms": as_flag, **_SECURITY}, "remote-write+https://example.org/api/v1/write"
    ),
    "pushgateway": _form(
        "Pushgateway", _HTTP, {"job": str, "grouping": as_pairs, "method": str, **_SECURITY},
        "pushgateway+http://127.0.0.1:9091?job=x",
    )._replace(needs=("job",)),
    "textfile": _form("TextFile", {"": ""}, {}, "textfile:///var/lib/node_exporter/x.prom"),
    "jsonl": _form("JSONLines", {"": ""}, {}, "jsonl:///var/log/metrics.jsonl, jsonl:-"),
}  # fmt: skip
"""The backends, by the beginning of their schemes."""

SCHEMES = {f"{name}+{wire}" if wire else name: (form, wire) for name, form in FORMS.items() for wire in form.wires}
