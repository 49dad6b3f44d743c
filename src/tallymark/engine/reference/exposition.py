"""`Exposition`: the text that an exporter writes."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tallymark.engine.reference.tagset import TagSet

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

    def write_numbers(self, tags: Sequence[TagSet], lines: tuple[tuple[str, Sequence[float] | str], ...], /) -> bool:
        """Append for each row a line of each pair: a name, and a column of numbers or the text of one.

        Return False, and append nothing, where the exporter must write them: this engine does not know these columns, or two
        rows may have the same labels.
        """
        return False

    def write_buckets(
        self,
        tags: Sequence[TagSet],
        bucket_counts: Sequence[Sequence[int]],
        sums: Sequence[float],
        name: str,
        edges: tuple[str, ...],
        /,
    ) -> bool:
        """Append for each row the lines of a histogram: its buckets, cumulative, then its sum and count.

        `edges` are the texts of the buckets' bounds, each with all that is between the labels and the number. Return False as
        `write_numbers`.
        """
        return False

    def bytes(self) -> bytes:
        """Return what was written, as UTF-8, and begin anew."""
        text = "".join(self._parts)
        self._parts = []
        return text.encode()
