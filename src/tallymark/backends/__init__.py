"""The places that reports are sent to: `from tallymark.backends import StatsD`. Each is imported on first use."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tallymark.backends.dogstatsd import DogStatsD as DogStatsD
    from tallymark.backends.graphite import Graphite as Graphite
    from tallymark.backends.influxdb import InfluxDB as InfluxDB
    from tallymark.backends.json_lines import JSONLines as JSONLines
    from tallymark.backends.otlp import OTLP as OTLP
    from tallymark.backends.pushgateway import Pushgateway as Pushgateway
    from tallymark.backends.remote_write import RemoteWrite as RemoteWrite
    from tallymark.backends.statsd import StatsD as StatsD
    from tallymark.backends.text_file import TextFile as TextFile

_HOMES: dict[str, str] = {
    "DogStatsD": "dogstatsd",
    "Graphite": "graphite",
    "InfluxDB": "influxdb",
    "JSONLines": "json_lines",
    "OTLP": "otlp",
    "Pushgateway": "pushgateway",
    "RemoteWrite": "remote_write",
    "StatsD": "statsd",
    "TextFile": "text_file",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name in _HOMES:
        found = globals()[name] = getattr(import_module(f"tallymark.backends.{_HOMES[name]}"), name)
        return found
    raise AttributeError(f"module 'tallymark.backends' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
