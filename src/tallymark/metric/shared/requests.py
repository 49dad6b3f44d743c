"""`OwnRequests`: which bounds this process asked for, and which metrics of other processes have others."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from tallymark.engine.kinds import WITH_BUCKETS
from tallymark.engine.lock import held
from tallymark.frozen import replace
from tallymark.log import logger
from tallymark.metric.validation import conflict_with

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import TypeAlias

    from tallymark.engine import Family
    from tallymark.metric.validation import MetricRequest

    Bounds: TypeAlias = tuple[float, ...]

__all__ = ["OwnRequests"]


class OwnRequests:
    """Tells two sets of bounds in one program, which are an error in it, from those of two releases that run side by side."""

    __slots__ = ("_asked", "_path", "_warnings")

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._asked: WeakKeyDictionary[Family, tuple[Bounds, ...]] = WeakKeyDictionary()  # what later requests may ask for
        self._warnings: list[tuple[str, Bounds, Bounds]] = []

    def has(self, family: Family) -> bool:
        """Return True if this process asked for a family before."""
        return family in self._asked

    def conflict(self, family: Family, wanted: MetricRequest) -> str:
        """Return how the bounds of a request differ from those that this process asked for before; empty: not at all."""
        asked = self._asked.get(family)
        if asked is None or wanted.bounds is None or wanted.bounds in asked:
            return ""
        return conflict_with(replace(family.options, bounds=asked[0]), wanted)

    def add(self, family: Family, wanted: MetricRequest) -> None:
        """Remember a request, which got a family; and if its bounds are others for the first time, to warn of it."""
        present = family.options.bounds
        if wanted.aggregate:
            family.policy.is_aggregate_settled = True
        if wanted.bounds is None:
            # Who omits bounds asks for the default, and takes what there is.
            if wanted.kind in WITH_BUCKETS and family not in self._asked:
                self._asked[family] = (present, wanted.default_bounds)
            return
        if wanted.bounds != present and self._asked.get(family) != (wanted.bounds,):
            self._warnings.append((family.options.name, present, wanted.bounds))
        self._asked[family] = (wanted.bounds,)

    def warn(self) -> None:
        """Log what there is to warn of, unless the lock is held: then a later call does."""
        while self._warnings and not held():
            name, present, wanted = self._warnings.pop()
            logger().warning(
                "metric %r: another process made it in %s, with other bounds: they are %s, while this process asked for %s."
                " Theirs stay until all processes have ended, and one begins anew, as with Registry(shared=path, fresh=True)",
                name, self._path or "shared memory", _short(present), _short(wanted),
            )  # fmt: skip


def _short(bounds: Bounds) -> str:
    if not bounds:
        return "exponential"
    if len(bounds) <= 6:
        return repr(bounds)
    return f"({bounds[0]}, {bounds[1]}, {bounds[2]}, … {bounds[-1]}; {len(bounds)} bounds)"
