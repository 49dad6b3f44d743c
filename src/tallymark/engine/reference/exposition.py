"""`Exposition`: the text that an exporter writes."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, TypeAlias

    from tallymark.engine.exponential import Buckets
    from tallymark.engine.reference.tagset import TagSet

    Line: TypeAlias = tuple[str, str, Sequence[Any] | str]
    Note: TypeAlias = tuple[int, float, int, str]

__all__ = ["Exposition"]


class Exposition:
    """The text of an exposition, as an exporter writes it. Where an engine can write rows itself, it does so faster.

    Rows are lines as Prometheus' formats have them, `name{labels} number`. One thread at a time may use an exposition.
    """

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: list[str] = []

    def write(self, text: str, /) -> None:
        """Append a text."""
        self._parts.append(text)

    def write_numbers(
        self, tags: Sequence[TagSet], lines: tuple[Line, ...], scheme: str, notes: tuple[Note, ...] = (), /
    ) -> bool:
        """Append the lines of each row: of each, how it begins without labels, how it begins with some, and the column of its
        number or the text of one. Labels are written under an escaping scheme of Prometheus.

        A note is a text that follows the number of a row: that row, 0, 0 and the text. Notes are given in the order of rows.

        A line of the times of creation is left out where the time is not known. Return False, and append nothing, where the
        exporter must write the rows: this engine does not know these columns or this scheme, or two rows may have the same
        labels.
        """
        return False

    def write_buckets(
        self,
        tags: Sequence[TagSet],
        bucket_counts: Sequence[Sequence[int]],
        start: str,
        edges: tuple[str, ...],
        lines: tuple[Line, ...],
        scheme: str,
        only_positive: bool,
        notes: tuple[Note, ...] = (),
        /,
    ) -> bool:
        """Append the lines of each row's buckets, and then further ones as `write_numbers` does. Return False as that does.

        `start` is how a bucket's line begins, and `edges` has for each bucket what is between its labels and its number. The
        number of a line that has the column of bucket counts is the count of all. If `only_positive`, a row whose sum is below
        0 has no lines but those of its buckets and its time.

        A note is a row, the number of a bucket, a rank and a text; of those of one bucket, the text with the highest rank is
        written. Notes are given in the order of rows, then of buckets.
        """
        return False

    def write_exponential_buckets(
        self,
        tags: Sequence[TagSet],
        buckets: tuple[Sequence[int], Sequence[int], Sequence[Buckets], Sequence[Buckets]],
        start: str,
        lines: tuple[Line, ...],
        scheme: str,
        openmetrics: bool,
        notes: tuple[Note, ...] = (),
        /,
    ) -> bool:
        """Do what `write_buckets` does, for exponential buckets, with the bounds that `ExponentialSnapshot` has.

        `buckets` has the columns of scales, zero counts, positives and negatives.
        The number of a line that has the column of positives is the count of all. If `openmetrics`, bounds are written as that
        wants it, and a row whose sum or first bound is below 0 has no lines but those of its buckets and its time. A note has a
        value in place of the number of a bucket.
        """
        return False

    def write_json_rows(
        self, numbers: Sequence[Any], before: Sequence[Any] | None, most: int, start: str = "", end: str = "", /
    ) -> bool:
        """Append the rows of values, or of distributions with explicit buckets, as JSON: `[place,value]` each, or
        `[place,count,sum,counts…]`; of the first `most` rows those that differ from `before`, the same of an earlier snapshot
        of the same series, or all if that is None. NaN is `null`, infinities are `"+Inf"` and `"-Inf"`. There is a comma
        between two rows; if there are any, `start` is before the first and `end` after the last.

        `numbers` is the column of values; of distributions a pair, the columns of bucket counts and of sums.

        Return False, and append nothing, where the exporter must write the rows: this engine does not know these columns.
        """
        return False

    def write_json_total(self, numbers: Sequence[Any], /) -> bool:
        """Append the total of all rows as JSON: `[value]` or `[count,sum,counts…]`. Return False as `write_json_rows` does."""
        return False

    def bytes(self) -> bytes:
        """Return what was written, as UTF-8, and begin anew. A lone surrogate becomes `?`."""
        text = "".join(self._parts)
        self._parts = []
        return text.encode("utf-8", "replace")
