"""Numbers as text: three significant digits, and nothing that suggests more or less than was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence

_TIMES = ((1e-9, "ns"), (1e-6, "µs"), (1e-3, "ms"), (1.0, "s"))
_SIZES = ((1.0, "B"), (1024.0, "KiB"), (1024.0**2, "MiB"), (1024.0**3, "GiB"), (1024.0**4, "TiB"))
_RATES = ((1.0, "B/s"), (1e3, "kB/s"), (1e6, "MB/s"), (1e9, "GB/s"), (1e12, "TB/s"))


def format_seconds(seconds: float) -> str:
    """Return seconds as `38.0 ns`, `1.39 µs`, `12.0 ms` or `1234 s`."""
    return _scaled(seconds, _TIMES)


def format_bytes(size: float, signed: bool = False) -> str:
    """Return a size in bytes as `920 B`, `0.14 B` or `12.0 KiB`; below 10 KiB to the byte, as sizes per op are exact."""
    if abs(size) < 10240:
        return f"{format_count(size, signed)} B"
    return _sign(size, signed) + _scaled(size, _SIZES)


def format_rate(per_second: float) -> str:
    """Return bytes per second as `1.20 GB/s`."""
    return _scaled(per_second, _RATES)


def format_count(count: float, signed: bool = False) -> str:
    """Return a count per op: `9` when it is whole, else its fraction, as in `0.14`; `2.00` is not quite `2`."""
    if not math.isfinite(count):
        return "-"
    if count == round(count):
        return f"{_sign(count, signed)}{count:.0f}" if count else "0"
    return f"{_sign(count, signed)}{count:.2f}" if abs(count) >= 0.995 else f"{_sign(count, signed)}{count:.3g}"


def format_instructions(count: float) -> str:
    """Return a count of instructions as `577`, `13,178` or `5.374 M`: with four digits or more, to show a change of 0.1 %."""
    for factor, unit in ((1e9, " G"), (1e6, " M")):
        if abs(count) >= factor:
            return f"{count / factor:.3f}{unit}"
    return f"{count:,.0f}" if abs(count) >= 1000 or count == round(count) else f"{count:.1f}"


def format_percent(share: float, signed: bool = False) -> str:
    """Return a share as a percentage: 0.0231 is `2.3%`."""
    if not math.isfinite(share):
        return "-"
    percent = round(share * 100, 1 if abs(share) < 10 else 0) + 0.0
    return f"{'+' if signed and percent > 0 else ''}{percent:.{1 if abs(share) < 10 else 0}f}%"


def format_p(p: float) -> str:
    """Return a probability with three decimals; a smaller one is `<0.001`, as it is never 0."""
    return "<0.001" if p < 0.0005 else f"{p:.3f}"


def _sign(value: float, signed: bool) -> str:
    return "+" if signed and value > 0 else ""


def _scaled(value: float, scale: Sequence[tuple[float, str]]) -> str:
    if not math.isfinite(value):
        return "-"
    if value == 0:
        return f"0 {scale[0][1]}"
    size = abs(value)
    fitting = [(factor, unit) for factor, unit in scale if size >= factor * 0.9995] or [scale[0]]
    factor, unit = fitting[-1]
    return f"{_digits(value / factor)} {unit}"


def _digits(number: float) -> str:
    """Return a number with three significant digits, or more if it has more before the decimal point."""
    exponent = math.floor(math.log10(abs(number)))
    rounded = round(number, 2 - exponent) if exponent < 2 else round(number)
    return f"{rounded:.{max(0, min(9, 2 - math.floor(math.log10(abs(rounded) or 1))))}f}"
