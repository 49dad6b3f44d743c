"""Units in words, as names of metrics have them, for UCUM's codes, as OpenTelemetry has them.

Source: https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/, section "Metric Metadata".
"""

from __future__ import annotations

__all__ = ["unit_of_sign"]

_WORDS = {
    "d": "days", "h": "hours", "min": "minutes", "s": "seconds",
    "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds",
    "By": "bytes", "KiBy": "kibibytes", "MiBy": "mebibytes", "GiBy": "gibibytes", "TiBy": "tebibytes",
    "kBy": "kilobytes", "KBy": "kilobytes", "MBy": "megabytes", "GBy": "gigabytes", "TBy": "terabytes",
    "m": "meters", "V": "volts", "A": "amperes", "J": "joules", "W": "watts", "g": "grams", "Cel": "celsius", "Hz": "hertz",
    "K": "kelvin", "bit": "bits", "wk": "weeks",
    "%": "percent",
}  # fmt: skip
_RATES = {"s": "second", "m": "minute", "min": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year"}


def unit_of_sign(sign: str, *, gauge: bool) -> str:
    """Return a unit in words, as `seconds`. What is not known stays; `1` is a ratio where it is a gauge's, else nothing."""
    if sign == "1":
        return "ratio" if gauge else ""
    if "/" in sign and not sign.startswith("{"):
        upper, lower = sign.split("/", 1)
        above = "" if upper.startswith("{") else _WORDS.get(upper, upper)
        return "_".join(filter(None, (above, "per", _RATES.get(lower, lower))))
    return _WORDS.get(sign, sign)
