"""`Policy`: what both engines do off the record path, where tags are checked and bad data is accounted for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING, Any

from tallymark.engine.number import to_float
from tallymark.engine.options import FamilyHooks, FamilyOptions
from tallymark.engine.text import key_text, value_text
from tallymark.errors import TagError

if TYPE_CHECKING:
    from tallymark.engine.reference import Family

__all__ = ["Policy"]

_UNPRINTABLE = "<unprintable>"


class Policy:
    """The rules of one family, and its way to report what breaks them."""

    __slots__ = ("hooks", "options")

    def __init__(self, options: FamilyOptions, hooks: FamilyHooks) -> None:
        self.options = options
        self.hooks = hooks

    def canonical(self, tags: Mapping[str, object]) -> dict[str, str]:
        """Return the tags that a series gets: exact text, sorted by key, no longer than the limits allow.

        Raises:
            TagError: a key is not valid or not allowed, or there are too many tags.
        """
        limits = self.options.limits
        items = {key_text(key): self.text(value) for key, value in tags.items()}
        limits.check_keys(self.options.name, list(items))
        for key, value in items.items():
            if len(value) > limits.max_value_length:
                items[key] = limits.cut(value)
                self.reject("value_too_long", "tag {!r} has {} characters", key, len(value))
        return dict(sorted(items.items()))

    def text(self, value: object) -> str:
        """Return a tag value as text; a placeholder, and a refusal counted, where `str(value)` fails."""
        try:
            return value_text(value)
        except TagError as error:
            self.reject("unprintable", "{}", error)
            return _UNPRINTABLE

    def number(self, value: object) -> float | None:
        """Return a number as a float; None, and a refusal counted, where it is of a fit type but cannot be read."""
        try:
            return to_float(value)
        except TypeError as error:
            raise TypeError(f"metric {self.options.name!r}: {error}") from None
        except OverflowError:
            self.reject("not_finite", "a number of type {} is too large for a double", type(value).__name__)
        except Exception:
            self.reject("unreadable", "__float__ of {} failed", type(value).__name__)
        return None

    def refuse(self, value: float) -> None:
        """Count the refusal of a number: one that is not finite, or else is negative where that cannot be."""
        if isfinite(value):
            self.reject("negative", "{!r} is negative, but a {} takes no less than 0", value, self.options.kind)
        else:
            self.reject("not_finite", "{!r} is not finite", value)

    def name_taken(self, family: Family) -> None:
        """Count a record to an unregistered family that cannot come back."""
        self.reject("name_taken", "it was unregistered, and its name now belongs to another metric")

    def crowded(self, family: Family) -> None:
        """Count a record that goes to the overflow series, and name the tag that is likely to blame."""
        self.hooks.reject(self.options.name, "max_series", partial(self._culprit, family))

    def no_space(self, family: Family) -> None:
        """Count a record for whose series shared memory has no room: it goes to the overflow series, if there is one."""
        self.reject("no_space", "shared memory is full: raise Registry(shared_limit=), or lower TagLimits.max_series")

    def unreachable(self, family: Any) -> None:
        """Count what could not be done because shared memory cannot be changed."""
        self.reject("unreachable", "shared memory cannot be changed: {}", family._trouble)

    def _culprit(self, family: Family) -> str:
        values: dict[str, set[str]] = {}
        for tags in family.read().tags:
            for key, value in tags.items():
                values.setdefault(key, set()).add(value)
        culprit = max(values, key=lambda key: len(values[key]), default="")
        return (
            f"it has reached TagLimits.max_series={self.options.limits.max_series}, and further series go to"
            f" overflow='true'; tag {culprit!r} has the most values ({len(values.get(culprit, ()))})"
        )

    def reject(self, reason: str, detail: str, *details: object) -> None:
        """Count a record that was refused or redirected; `detail` is formatted only where it is read."""
        self.hooks.reject(self.options.name, reason, partial(detail.format, *details))
