"""Prometheus' protobuf format: the only one that carries native histograms.

Its messages are made with the protobuf runtime, which the extra `protobuf` installs. Nothing of it is imported before the first
page is rendered.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/#protobuf-format
"""

from __future__ import annotations

from io import BytesIO

from tallymark.export.escaping import UNDERSCORES, check_scheme
from tallymark.metric.portions import portions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from tallymark.metric.snapshot import Snapshot

__all__ = ["CONTENT_TYPE", "available", "render_protobuf"]

CONTENT_TYPE = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"

_PARTS = 16
"""Parts of a page, each of some hundred series, that are put together at once."""
_OLDEST = 5
"""The first major version of the runtime that this is tested with; the extra asks for it."""


def available() -> bool:
    """Return True if the runtime is installed, in a version that serves. Imports nothing of it but its version."""
    try:
        from google.protobuf import __version__ as version
    except ImportError:
        return False
    return int(version.partition(".")[0]) >= _OLDEST


def render_protobuf(
    snapshot: Snapshot, *, classic: bool = False, escaping: str = UNDERSCORES, tags: Mapping[str, str] | None = None
) -> bytes:
    """Return a snapshot as messages `io.prometheus.client.MetricFamily`, each after its length.

    Names, labels and the merging of series are those of the text format. An exponential histogram is a native one. Prometheus
    knows no buckets that are wider than by a factor of 65,536 (scale -4): a series of a lower scale has classic buckets.

    Args:
        classic: give native histograms classic buckets too, for scrapers that want both: `scrape_classic_histograms` or
            `always_scrape_classic_histograms` in Prometheus' configuration.
        escaping: what becomes of names that not every scraper takes: one of `SCHEMES` in `escaping.py`.
        tags: labels of all series. A series' own of the same name win, even if they are empty.

    Raises:
        ImportError: the runtime is not installed, or too old.
        ValueError: there is no such escaping scheme.
    """
    check_scheme(escaping)
    if not available():
        raise ImportError("Prometheus' protobuf format needs the package protobuf: pip install 'tallymark[protobuf]'")
    from tallymark.export.protobuf_families import families  # on first use: it imports the runtime

    parts = families(snapshot, classic=classic, escaping=escaping, tags=tags or {})
    page = BytesIO()
    for some in portions(len(parts), _PARTS):  # to join them all at once would hold up other threads
        page.write(b"".join(parts[some]))
        parts[some] = [b""] * len(parts[some])  # given back at once: else the page and its parts take twice the memory
    return page.getvalue()
