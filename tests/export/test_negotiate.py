"""Which format a scraper gets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tallymark as tm
from tallymark.export import Format, negotiate, protobuf

TEXT = "text/plain; version=0.0.4; charset=utf-8"
TEXT_1 = "text/plain; version=1.0.0; charset=utf-8; escaping={}"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
OPENMETRICS_0 = "application/openmetrics-text; version=0.0.1; charset=utf-8"
PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"

PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROTOBUF_FIRST = f"{PROTOBUF};q=0.7,{PROMETHEUS_3}"
PLAIN, FAMILY = b"# TYPE http_requests_total counter", b"# TYPE http_requests counter"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.fixture
def snapshot() -> tm.Snapshot:
    registry = tm.Registry(self_metrics=False)
    registry.counter("http.requests").inc(2, **{"http.method": "GET"})
    return registry.snapshot()


@pytest.mark.parametrize(
    ("accept", "content_type", "start"),
    [
        ("", TEXT, PLAIN),
        ("*/*", TEXT, PLAIN),
        (BROWSER, TEXT, PLAIN),
        (PROMETHEUS_2, OPENMETRICS, FAMILY),
        (PROMETHEUS_3, f"{OPENMETRICS}; escaping=allow-utf-8", b'# TYPE "http.requests" counter'),
        ("application/openmetrics-text", OPENMETRICS, FAMILY),
        ("application/openmetrics-text; version=0.0.1", OPENMETRICS_0, FAMILY),
        ("application/openmetrics-text;version=0.0.1;escaping=dots", OPENMETRICS_0, FAMILY),
        ("application/openmetrics-text;version=1.0.0;escaping=dots", f"{OPENMETRICS}; escaping=dots", b"# TYPE http_dot_"),
        ("application/openmetrics-text;version=1.0.0;escaping=values", f"{OPENMETRICS}; escaping=values", b"# TYPE U__http_2e"),
        ("application/openmetrics-text;version=1.0.0;escaping=runes", f"{OPENMETRICS}; escaping=underscores", FAMILY),
        ("text/plain", TEXT, PLAIN),
        ("text/*;q=0.1", TEXT, PLAIN),
        ("text/plain;version=0.0.4;escaping=allow-utf-8", TEXT, PLAIN),
        ("text/plain;version=1.0.0", TEXT_1.format("underscores"), PLAIN),
        ("text/plain;version=1.0.0;escaping=allow-utf-8", TEXT_1.format("allow-utf-8"), b'# TYPE "http.req'),
        # Weights
        ("text/plain;version=0.0.4;q=0.9, application/openmetrics-text;version=1.0.0;q=0.8", TEXT, b""),
        ("text/plain;version=0.0.4;q=0.8, application/openmetrics-text;version=1.0.0;q=0.9", OPENMETRICS, b""),
        ("text/plain;q=0.5, application/openmetrics-text", OPENMETRICS, b""),
        ("application/openmetrics-text, text/plain", OPENMETRICS, b""),
        ("text/plain, application/openmetrics-text", TEXT, b""),
        ("application/openmetrics-text;q=0, text/plain;q=0.001", TEXT, b""),
        ("application/openmetrics-text;q=0", TEXT, b""),
        # However it is written
        ('APPLICATION/OpenMetrics-Text ; VERSION="1.0.0" ; Escaping=Dots ; Q=0.1', f"{OPENMETRICS}; escaping=dots", b""),
        # What is not offered
        ("application/openmetrics-text;version=2.0.0;q=0.9,application/openmetrics-text;version=1.0.0;q=0.1", OPENMETRICS, b""),
        ("application/openmetrics-text;version=2.0.0", TEXT, b""),
        ("text/plain;version=2.0.0, application/openmetrics-text;q=0.1", OPENMETRICS, b""),
        ("application/json", TEXT, b""),
        (f"{PROTOBUF};q=0.9;encoding=text, application/openmetrics-text;q=0.1", OPENMETRICS, b""),
        ("application/vnd.google.protobuf, application/openmetrics-text;q=0.1", OPENMETRICS, b""),
        # What is malformed
        ("application/openmetrics-text;q=2, text/plain", TEXT, b""),
        ("application/openmetrics-text;q=, text/plain", TEXT, b""),
        ("application/openmetrics-text;q=1e0, text/plain", TEXT, b""),
        ("application/openmetrics-text;q=nan, text/plain", TEXT, b""),
        (",;=,;;,=;q,", TEXT, b""),
    ],
)  # fmt: skip
def test_a_scraper_gets_what_it_prefers_of_what_there_is(
    snapshot: tm.Snapshot, accept: str, content_type: str, start: bytes
) -> None:
    got = negotiate(accept)
    assert got.content_type == content_type
    assert got.render(snapshot).startswith(start)
    assert got.render(snapshot).endswith(b"# EOF\n") == content_type.startswith("application/openmetrics-text")


def test_protobuf_is_offered_where_its_extra_is_installed(snapshot: tm.Snapshot) -> None:
    assert negotiate(PROTOBUF_FIRST).content_type == protobuf.CONTENT_TYPE
    utf8 = negotiate(f"{PROTOBUF};escaping=allow-utf-8")
    assert utf8.content_type == f"{protobuf.CONTENT_TYPE}; escaping=allow-utf-8"
    assert negotiate(PROTOBUF).render(snapshot) == protobuf.render_protobuf(snapshot)
    assert (
        utf8.render(snapshot)
        == protobuf.render_protobuf(snapshot, escaping="allow-utf-8")
        != negotiate(PROTOBUF).render(snapshot)
    )


def test_where_it_is_not_installed_the_next_format_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protobuf, "available", lambda: False)
    assert negotiate(PROTOBUF_FIRST).content_type == negotiate(PROMETHEUS_3).content_type
    assert negotiate(PROTOBUF).content_type == TEXT


def test_classic_buckets_come_on_request_where_there_are_native_ones() -> None:
    one = (1.0,)
    data = tm.ExponentialHistogramData((tm.TagSet(),), one, (0,), (0,), ((0, (1,)),), ((0, ()),), one, one, one)
    snapshot = tm.Snapshot((tm.FamilySnapshot("n", "histogram", "", "", data),), 0.0)
    native, both = (negotiate(PROTOBUF, classic=classic).render(snapshot) for classic in (False, True))
    assert (native, both) == tuple([protobuf.render_protobuf(snapshot, classic=classic) for classic in (False, True)])
    assert native != both
    assert negotiate("", classic=True).render(snapshot) == tm.render_prometheus(snapshot)


PIECES = st.sampled_from(
    [*"/;,=*\"' \t\0\xff", "é", "\udc80", "\n", "q", "version", "escaping", "1.0.0", "0.0.4", "0.5", "text", "plain",
     "application", "openmetrics-text", "allow-utf-8", "text/plain", "application/openmetrics-text", "*/*", PROTOBUF,
     PROMETHEUS_3]
)  # fmt: skip
KNOWN = {
    TEXT, OPENMETRICS, OPENMETRICS_0, *[TEXT_1.format(one) for one in ("underscores", "allow-utf-8", "dots", "values")],
    *[f"{OPENMETRICS}; escaping={one}" for one in ("underscores", "allow-utf-8", "dots", "values")],
}  # fmt: skip


@given(st.text(max_size=60) | st.lists(PIECES, max_size=30).map("".join))
def test_whatever_a_header_is_there_is_a_format_and_nothing_of_the_header_is_repeated(accept: str) -> None:
    got = negotiate(accept)
    assert got.content_type in KNOWN or got.content_type.startswith("application/vnd.google.protobuf")


@pytest.mark.parametrize("part", [",", ";", "a;q=1,", "text/plain;a=b;", "*/*;q=0.5,"])
def test_of_a_long_header_only_the_start_is_looked_at(part: str) -> None:
    header = part * 100_000 + "application/openmetrics-text"
    looked: list[str] = []

    class Header(str):
        __slots__ = ()

        def split(self, separator: str | None = None, most: int = -1) -> list[str]:  # type: ignore[override]
            looked.extend(found := super().split(separator, most))
            return found  # type: ignore[return-value]

    assert negotiate(Header(header)).content_type == TEXT
    assert len(looked) < 100


def test_formats_are_values() -> None:
    assert negotiate("") == negotiate("*/*") == Format(tm.PROMETHEUS_CONTENT_TYPE, tm.render_prometheus)
    assert negotiate(PROMETHEUS_2).content_type == tm.OPENMETRICS_CONTENT_TYPE
