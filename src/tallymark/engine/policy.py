"""`Policy`: what both engines do off the record path: check tags, and count bad data."""

from __future__ import annotations

from _collections_abc import Mapping
from math import isfinite

from tallymark.engine.kinds import WITH_EXEMPLARS
from tallymark.engine.lock import held
from tallymark.engine.number import to_float
from tallymark.engine.options import FamilyHooks, FamilyOptions
from tallymark.engine.text import as_tags, key_text, value_text
from tallymark.errors import TagError
from tallymark.log import logger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tallymark.engine.exemplar import Labels
    from tallymark.engine.reference import Family

__all__ = ["NO_TAGS", "Policy"]

NO_TAGS = frozenset(["amount", "value", "exemplar"])
"""Keywords of a record call that are not tags."""

_UNPRINTABLE = "<unprintable>"


class Policy:
    """The rules of one family, and how it reports what breaks them.

    Attributes:
        is_aggregate_settled: somebody chose how processes share a gauge, or the log told that nobody did.
    """

    __slots__ = ("hooks", "is_aggregate_settled", "options")

    def __init__(self, options: FamilyOptions, hooks: FamilyHooks) -> None:
        self.options = options
        self.hooks = hooks
        self.is_aggregate_settled = False

    # Tags

    def canonical(self, tags: Mapping[str, object]) -> dict[str, str]:
        """Return the tags that a series gets: exact text, sorted by key, no longer than the limits allow.

        Raises:
            TagError: a key is not valid or not allowed, or there are too many tags.
            TypeError: a key is not text, or a value is a collection.
        """
        limits = self.options.limits
        items = {key_text(key): value for key, value in tags.items()}
        texts = {key: self.text(key, value) for key, value in items.items()}
        limits.check_keys(self.options.name, list(texts))
        self._check_declared(texts)
        for key, value in texts.items():
            if len(value) > limits.max_value_length:
                texts[key] = limits.truncate(value)
                self.reject("value_too_long", "tag {!r} has {} characters", key, len(value))
        return dict(sorted(texts.items()))

    def _check_declared(self, tags: Mapping[str, str]) -> None:
        declared = self.options.tag_keys
        if declared is None:
            return
        for key in tags:
            if key not in declared and key not in self.options.tags and tags != {**self.options.tags, "overflow": "true"}:
                raise TagError(
                    f"metric {self.options.name!r}: tag key {key!r} is not declared; tag_keys are"
                    f" {', '.join(declared) or '(none)'}"
                )

    def given_tags(self, given: tuple[Any, ...], tags: dict[str, object]) -> dict[str, object]:
        """Merge the positional arguments of `with_tags`, a mapping or the values of the declared keys, and keywords, which win.

        Raises:
            TypeError: they are neither.
        """
        if len(given) == 1 and (given[0] is None or isinstance(given[0], Mapping)):
            return as_tags(given[0], tags)
        declared = self.options.tag_keys
        if declared is None:
            kinds = ", ".join([type(one).__name__ for one in given])
            raise TypeError(
                f"metric {self.options.name!r}: with_tags() takes keywords, as in with_tags(method='GET'), or one mapping, not"
                f" {kinds}. Positional values need declared keys: tag_keys=('method',)"
            )
        if len(given) != len(declared):
            raise TypeError(
                f"metric {self.options.name!r}: with_tags() takes {len(declared)} values by place"
                f" ({', '.join(declared)}), not {len(given)}"
            )
        return dict(zip(declared, given, strict=True)) | tags

    def text(self, key: str, value: object) -> str:
        """Return a tag value as text. If `str(value)` fails, count a rejection and return a placeholder."""
        try:
            return value_text(key, value)
        except TagError as error:
            self.reject("unprintable", "{}", error)
            return _UNPRINTABLE

    def record_tags(self, tags: dict[str, Any]) -> tuple[dict[str, Any], Labels | None]:
        """Return the keywords of a record call that are tags; and the labels of its exemplar, as `labels` does.

        Raises:
            TypeError: a keyword is `amount` or `value`, or the exemplar is no mapping, or the metric takes none.
        """
        labels = None
        if "exemplar" in tags:  # first, as where it is an argument of its own
            tags = dict(tags)
            labels = self.labels(tags.pop("exemplar"))
        for name in ("amount", "value"):
            if name in tags:
                raise TypeError(
                    f"metric {self.options.name!r}: {name}= is not a tag here. Give the number by place, as in inc(2);"
                    f" for a tag of that name, use with_tags({name}=…)"
                )
        return tags, labels

    # Exemplars

    def labels(self, exemplar: object) -> Labels | None:
        """Return the labels of an exemplar that a call gives; None if it gives none.

        If one breaks a rule on data, count a rejection and return no labels: its record still counts. One that is empty has
        no labels either, and is not kept: it identifies nothing.

        Raises:
            TypeError: it is not a mapping, or the metric is a gauge.
        """
        if exemplar is None:
            return None
        if self.options.kind not in WITH_EXEMPLARS:
            raise TypeError(
                f"metric {self.options.name!r}: a {self.options.kind} takes no exemplar; counters and histograms do"
            )
        if not isinstance(exemplar, Mapping):
            raise TypeError(
                f"metric {self.options.name!r}: an exemplar is a mapping, such as {{'trace_id': '…'}}, not a"
                f" {type(exemplar).__name__}; for a tag of that name, use with_tags(exemplar=…)"
            )
        return self._checked_labels(exemplar)

    def _checked_labels(self, exemplar: Mapping[Any, Any]) -> Labels:
        try:
            from tallymark.engine.exemplar import checked_labels  # most services have none. It fails amid its own import

            return checked_labels(exemplar)
        except Exception as error:
            self.reject("exemplar", "an exemplar cannot be kept: {}", _failure_text(error))
            return ()

    def asked_labels(self) -> Labels:
        """Return the labels of the registry's present exemplar; none if there is none.

        What fails is counted, and never breaks a record. It is not asked in a finaliser or signal handler that interrupted a
        slow path: somebody else's code must not wait for a lock there.
        """
        ask = self.hooks.exemplars
        if ask is None or held():
            return ()
        try:
            given = ask()
        except Exception as error:
            self.reject("exemplar_source", "Registry(exemplars=…) failed: {}", _failure_text(error))
            return ()
        if given is None:
            return ()
        if not isinstance(given, Mapping):
            self.reject("exemplar_source", "Registry(exemplars=…) returned no mapping, but a {}", type(given).__name__)
            return ()
        return self._checked_labels(given)

    def no_space_for_exemplar(self, family: Any) -> None:
        """Count an exemplar that finds no space in shared memory. Its record counts."""
        self.reject("exemplar_no_space", "shared memory has no space for exemplars: {}", family._lack)

    # Numbers

    def number(self, value: object) -> float | None:
        """Return a number as a float. If its type fits but it cannot be read, count a rejection and return None.

        Raises:
            TypeError: it is not a number.
        """
        try:
            return to_float(value)
        except TypeError as error:
            raise TypeError(f"metric {self.options.name!r}: {error}") from None
        except OverflowError:
            self.reject("not_finite", "a number of type {} is too large for a double", type(value).__name__)
        except Exception:
            self.reject("unreadable", "__float__ of {} failed", type(value).__name__)
        return None

    def reject_number(self, value: float) -> None:
        """Count a rejected number: one that is not finite, or negative where the kind allows no such value."""
        if isfinite(value):
            self.reject("negative", "{!r} is negative, but a {} takes no less than 0", value, self.options.kind)
        else:
            self.reject("not_finite", "{!r} is not finite", value)

    # Series

    def name_taken(self, family: Family) -> None:
        """Count a record to an unregistered family that cannot be registered again."""
        self.reject("name_taken", "it was unregistered, and its name now belongs to another metric")

    def crowded(self, family: Family) -> None:
        """Count a record that goes to the overflow series, and name the tag that is likely to blame."""
        self.hooks.reject(self.options.name, "max_series", lambda: self._culprit(family))

    def no_space(self, family: Any) -> None:
        """Count a record whose series finds no space in shared memory. It goes to the overflow series, if there is one."""
        self.reject("no_space", "shared memory has no space: {}", family._lack or "its entry for this metric is damaged")

    def unreachable(self, family: Any) -> None:
        """Count an operation that failed because shared memory cannot be changed."""
        self.reject("unreachable", "shared memory cannot be changed: {}", family._trouble)

    def reachable(self, family: Any) -> bool:
        """Count what failed while shared memory could not be changed; return True once that is done."""
        return self.hooks.settle()

    def gauge_moved(self, family: Family) -> None:
        """Log, once, what `inc` and `dec` of a gauge that processes share leave behind, unless somebody chose its `aggregate`.

        For gauges in shared memory alone; called when a series wakes in order to be moved.
        """
        if self.is_aggregate_settled or self.options.aggregate not in ("", "last") or held():  # no logging under the lock
            return
        self.is_aggregate_settled = True
        logger().warning(
            "metric %r: inc() and dec() move one value that all processes share: what a killed process added stays in it for"
            ' ever. gauge(%r, aggregate="sum") survives kills: each process has its own value, which leaves the sum when the'
            " process ends. (A file keeps what it has until it is begun anew: Registry(shared=path, fresh=True).) If one value"
            ' is meant, say aggregate="last"', self.options.name, self.options.name,
        )  # fmt: skip

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
        """Count a record that was rejected or redirected; `detail` is formatted only where it is read."""
        self.hooks.reject(self.options.name, reason, lambda: detail.format(*details))


def _failure_text(error: Exception) -> str:
    """Return what to say of an exception that somebody else's code raised, whatever its `repr` does."""
    try:
        return repr(error)
    except Exception:
        return type(error).__name__
