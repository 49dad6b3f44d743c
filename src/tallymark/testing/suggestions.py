"""Which series are near to the one that a test asked for, and how they differ from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher

from tallymark.testing.series import RecordedSeries

__all__ = ["SHOWN", "differences", "nearest"]

SHOWN = 5
"""How many are shown."""

_ALIKE = 0.6
"""How similar names must be to be shown: a ratio of `difflib`."""


def nearest(series: Iterable[RecordedSeries], name: str, wanted: Mapping[str, str]) -> list[RecordedSeries]:
    """Return the series with a name like this, the nearest first: by name, then by how many tags differ."""
    likeness: dict[str, float] = {}
    for row in series:
        if row.name not in likeness:
            likeness[row.name] = SequenceMatcher(None, name, row.name).ratio()
    near = [row for row in series if likeness[row.name] >= _ALIKE]
    return sorted(near, key=lambda row: (_distance(wanted, row.tags) + 5 * (1 - likeness[row.name]), row.name))


def _distance(wanted: Mapping[str, str], tags: Mapping[str, str]) -> int:
    return sum([wanted.get(key) != tags.get(key) for key in wanted.keys() | tags.keys()])


def differences(name: str, wanted: Mapping[str, str], series: RecordedSeries) -> str:
    """Return a text: how a series differs from what was asked for."""
    found = [] if series.name == name else ["other name"]
    for key in sorted(wanted.keys() | series.tags.keys()):
        asked, has = wanted.get(key), series.tags.get(key)
        if has is None:
            found.append(f'no {key}="{asked}"')
        elif asked is None:
            found.append(f'also {key}="{has}"')
        elif has != asked:
            found.append(f'{key}="{has}", not "{asked}"')
    return "; ".join(found)
