"""Units as OpenTelemetry writes them: codes of UCUM, for the words that Prometheus uses.

Source: OpenTelemetry's specification, "Prometheus and OpenMetrics Compatibility", section "Metric Metadata"; for the codes,
https://ucum.org/ucum.
"""

from __future__ import annotations

__all__ = ["ucum"]

_CODES = {
    "amperes": "A",
    "bits": "bit",
    "bytes": "By",
    "celsius": "Cel",
    "days": "d",
    "gibibytes": "GiBy",
    "gigabytes": "GBy",
    "grams": "g",
    "hertz": "Hz",
    "hours": "h",
    "joules": "J",
    "kelvin": "K",
    "kibibytes": "KiBy",
    "kilobytes": "kBy",
    "mebibytes": "MiBy",
    "megabytes": "MBy",
    "meters": "m",
    "microseconds": "us",
    "milliseconds": "ms",
    "minutes": "min",
    "nanoseconds": "ns",
    "percent": "%",
    "ratio": "1",
    "seconds": "s",
    "tebibytes": "TiBy",
    "terabytes": "TBy",
    "volts": "V",
    "watts": "W",
    "weeks": "wk",
}


def ucum(unit: str) -> str:
    """Return a unit as OpenTelemetry writes it: `s` for `seconds`, `By/s` for `bytes_per_second`. Others stay as they are."""
    if unit in _CODES:
        return _CODES[unit]
    counted, _, time = unit.partition("_per_")
    if not (counted and time):
        return unit
    return f"{_CODES.get(counted, counted)}/{_CODES.get(time) or _CODES.get(f'{time}s', time)}"
