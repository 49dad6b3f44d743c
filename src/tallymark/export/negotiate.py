"""Which format a scraper gets: what it prefers, in `Accept`, of those that can be written here.

Sources: https://prometheus.io/docs/instrumenting/content_negotiation/, RFC 9110, section 12.5.1. Prometheus 2 asks for
OpenMetrics or text 0.0.4; Prometheus 3 for versions 1.0.0, with an escaping scheme; both for protobuf where native histograms
are wanted. OpenMetrics 2.0 is not offered: who asks for nothing else gets text.
"""

from __future__ import annotations

import re
from functools import partial

from tallymark.export import openmetrics, prometheus
from tallymark.export.escaping import SCHEMES, UNDERSCORES
from tallymark.frozen import Frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tallymark.metric.snapshot import Snapshot

__all__ = ["Format", "negotiate", "weight", "weights"]

_MOST = 32
"""Items of a header, and parameters of an item, that are looked at. Prometheus sends six. Without a limit, a long header would
cost milliseconds."""
_WEIGHT = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
_MESSAGES = {"proto": "io.prometheus.client.MetricFamily", "encoding": "delimited"}


class Format(Frozen):
    """How a snapshot is written for a scraper. Formats with the same content type are the same, but for classic buckets.

    Attributes:
        content_type: what the response says that it is.
        render: returns a snapshot as bytes of this type.
    """

    __slots__ = ("content_type", "render")

    content_type: str
    render: Callable[[Snapshot], bytes]


_TEXT = Format(prometheus.CONTENT_TYPE, prometheus.render_prometheus)


def negotiate(accept_header: str, *, classic: bool = False) -> Format:
    """Return the format that suits an `Accept` header best. It is Prometheus text 0.0.4 where nothing else is asked for.

    It never fails, whatever the header is. An item that is malformed, or asks for what is not offered, is passed over.

    Args:
        classic: where the format has native histograms, give them classic buckets too.
    """
    offers = dict(_OFFERS)
    offers["application/vnd.google.protobuf"] = partial(_protobuf, classic=classic)
    items = list(_items(accept_header))
    for _, kind, parameters in sorted(items, key=lambda item: -item[0]):  # of those with one weight, the first stays first
        offer = offers.get(kind)
        made = offer(parameters) if offer else None
        if made is not None:
            return made
    return _TEXT


def _items(header: str) -> Iterator[tuple[float, str, dict[str, str]]]:
    """Yield weight, media type and parameters of each item that is accepted at all."""
    for item in header.split(",", _MOST)[:_MOST]:
        kind, *rest = item.split(";", _MOST)[:_MOST]
        parameters = {}
        for parameter in rest:
            key, _, value = parameter.partition("=")
            parameters[key.strip().lower()] = value.strip().strip('"')
        wanted = weight(parameters.get("q", "1"))
        if wanted > 0:
            yield wanted, kind.strip().lower(), parameters


def weights(header: str) -> dict[str, float]:
    """Return how much each media type is wanted that an `Accept` header names; those that are not accepted are left out."""
    found: dict[str, float] = {}
    for wanted, kind, _ in _items(header):
        found[kind] = max(wanted, found.get(kind, 0.0))
    return found


def weight(text: str) -> float:
    """Return a weight as HTTP has it, from 0 to 1; 0 for what is none."""
    return float(text) if _WEIGHT.fullmatch(text) else 0.0


def _text(parameters: dict[str, str]) -> Format | None:
    match parameters.get("version", ""):
        case "" | "0.0.4":
            return _TEXT
        case "1.0.0":
            scheme = _scheme(parameters)
            content_type = prometheus.CONTENT_TYPE.replace("0.0.4", "1.0.0")
            return Format(f"{content_type}; escaping={scheme}", partial(prometheus.render_prometheus, escaping=scheme))
    return None


def _openmetrics(parameters: dict[str, str]) -> Format | None:
    version = parameters.get("version") or "1.0.0"
    if version not in openmetrics.VERSIONS:
        return None
    content_type = openmetrics.CONTENT_TYPE.replace("1.0.0", version)
    if version != "1.0.0" or "escaping" not in parameters:  # before 1.0.0, nobody knew of escaping
        return Format(content_type, partial(openmetrics.render_openmetrics, version=version))
    scheme = _scheme(parameters)
    return Format(f"{content_type}; escaping={scheme}", partial(openmetrics.render_openmetrics, escaping=scheme))


def _protobuf(parameters: dict[str, str], *, classic: bool) -> Format | None:
    if any(parameters.get(key) != value for key, value in _MESSAGES.items()):
        return None
    from tallymark.export import protobuf  # only some scrapers want it

    if not protobuf.available():
        return None
    scheme = _scheme(parameters)
    told = f"; escaping={scheme}" if "escaping" in parameters else ""
    return Format(f"{protobuf.CONTENT_TYPE}{told}", partial(protobuf.render_protobuf, escaping=scheme, classic=classic))


def _scheme(parameters: dict[str, str]) -> str:
    asked = parameters.get("escaping", "").lower()
    return asked if asked in SCHEMES else UNDERSCORES


_OFFERS: dict[str, Callable[[dict[str, str]], Format | None]] = {
    "text/plain": _text,
    "text/*": _text,
    "*/*": _text,
    "application/openmetrics-text": _openmetrics,
}
"""What is offered of each media type, beside protobuf; `None` where its parameters ask for another version, say."""
