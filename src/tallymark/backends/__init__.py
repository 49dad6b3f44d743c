"""The places that reports are sent to: `from tallymark.backends import StatsD`. Each is imported on first use.

All are a `Backend`, which tells what another one must do.
"""

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
    from tallymark.report.backend import Backend as Backend

_HOMES: dict[str, str] = {
    "Backend": "tallymark.report.backend",
    "DogStatsD": "tallymark.backends.dogstatsd",
    "Graphite": "tallymark.backends.graphite",
    "InfluxDB": "tallymark.backends.influxdb",
    "JSONLines": "tallymark.backends.json_lines",
    "OTLP": "tallymark.backends.otlp",
    "Pushgateway": "tallymark.backends.pushgateway",
    "RemoteWrite": "tallymark.backends.remote_write",
    "StatsD": "tallymark.backends.statsd",
    "TextFile": "tallymark.backends.text_file",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name in _HOMES:
        found = globals()[name] = getattr(import_module(_HOMES[name]), name)
        return found
    raise AttributeError(f"module 'tallymark.backends' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
