"""`InfluxDB`: its lines, its requests, and what its answers mean."""

from __future__ import annotations

import base64
import gzip
import math
from typing import Any

import pytest
from golden_file import golden
from hypothesis import example, given
from hypothesis import strategies as st
from influx_parser import parse_influx
from one_report import body
from one_report import send as send_and_keep
from receiving_server import receiving

import tallymark as tm
from everything import everything, family, tags
from tallymark.backends import InfluxDB
from tallymark.client.errors import AddressError
from tallymark.report.errors import SendError, TooLargeError

NOWHERE = "http://127.0.0.1:9"


def gauges(*rows: dict[str, str], values: Any = None, name: str = "g", time: float = 1.5) -> tm.Snapshot:
    numbers = tuple(values or map(float, range(len(rows))))
    return tm.Snapshot((family(name, "gauge", tm.GaugeData(tags(*rows), (0.0,) * len(rows), numbers)),), time)


def backend_to(url: str = NOWHERE, **options: Any) -> InfluxDB:
    return InfluxDB(url, database="d", **options)


def test_the_bytes_are_these() -> None:
    made = body(backend_to(prefix="app.", tags={"host": "h", "route": "ours"}), everything())
    assert made == golden("influx.txt", made)
    found = parse_influx(made)
    assert all(one.measurement.startswith("app.") and one.time == 1_700_000_010_250_000_000 for one in found)
    assert len({(one.measurement, *one.tags.items()) for one in found}) == len(found)


ODD = st.text() | st.sampled_from(
    ["a b", "a,b=c", "a\\", "\\", "\\\\", "a\\,b", "a\\\\,b", "", "\n", "a\nb c=1", "\\ ", "\\\n", '"', "#"]
)
KEYS = st.from_regex(r"[A-Za-zé_][A-Za-z0-9_./:-]*", fullmatch=True) | st.sampled_from(
    ["time", "_field", "gauge", "exported_time", "count", "_measurement"]
)


@given(st.dictionaries(KEYS, ODD, max_size=4), st.dictionaries(KEYS, ODD, max_size=2), st.floats(), st.text())
@pytest.mark.slow
@example({"a": "b,c=d"}, {}, 1.0, "g")
@example({"time": "now"}, {"gauge": "b"}, 1.0, "g")
@example({"a": "b\\"}, {"c": "\\,d=e"}, 1.0, "#")
def test_nobody_forges_a_line_a_tag_or_a_field(own: dict[str, str], common: dict[str, str], value: float, name: str) -> None:
    told: list[tuple[str, str]] = []
    backend = backend_to(tags=common)
    backend.on_dropped = lambda *what: told.append(what)
    found = parse_influx(body(backend, gauges(own, values=[value], name=name)))
    assert len(found) == math.isfinite(value)
    assert math.isfinite(value) or (name, "unsupported_value") in told
    for one in found:
        assert one.fields == {"gauge": value}
        wanted = {key: text for key, text in {**common, **own}.items() if text}
        assert len(one.tags) == len(wanted)
        assert list(one.tags) == sorted(one.tags)
        assert (one.tags == wanted and one.measurement == name) or (name, "name") in told


@pytest.mark.slow
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20), st.booleans())
def test_a_distribution_has_the_same_fields_in_each_report_all_of_them_floats(values: list[float], exponential: bool) -> None:
    registry = tm.Registry(self_metrics=False)
    spread = registry.histogram("h", exponential=True) if exponential else registry.histogram("h", buckets=[-1.5, 0, 1000])
    for value in values:
        spread.observe(value)
    for one in parse_influx(body(backend_to(), registry.snapshot())):
        assert one.fields["count"] == one.fields["+Inf"] == spread.snapshot().count
        if not exponential:
            assert list(one.fields)[-4:] == ["-1.5", "0", "1000", "+Inf"]
            assert one.fields["0"] == sum(value <= 0 for value in values)
        bounds = [one.fields[key] for key in one.fields if key not in ("count", "sum", "min", "max")]
        assert bounds == sorted(bounds)


def test_series_whose_tags_become_the_same_are_told_as_one() -> None:
    rows = tags({"a": "x\n"}, {"a": "x_"}, {"a": "z"})
    counter = family("c", "counter", tm.SumData(rows, (0.0,) * 3, (1.0, 2.0, 4.0), True))
    found = parse_influx(body(backend_to(), tm.Snapshot((counter,), 1.0)))
    assert [(one.tags, one.fields) for one in found] == [({"a": "x_"}, {"counter": 3.0}), ({"a": "z"}, {"counter": 4.0})]


def test_a_series_that_influxdb_would_drop_is_left_out_and_told() -> None:
    told: list[tuple[str, str]] = []
    backend = backend_to()
    backend.on_dropped = lambda *what: told.append(what)
    found = parse_influx(body(backend, gauges({"a": "é" * 33000}, {"a": "b"})))
    assert [(one.tags, told) for one in found] == [({"a": "b"}, [("g", "name")])]


@pytest.mark.parametrize(
    ("time", "wanted"), [(math.nan, 0), (-5.0, 0), (math.inf, 0), (1e300, 2**63 - 2), (1.25, 1_250_000_000)]
)
def test_a_clock_that_is_wrong_makes_no_line_invalid(time: float, wanted: int) -> None:
    assert [one.time for one in parse_influx(body(backend_to(), gauges({}, time=time)))] == [wanted]


def send(backend: InfluxDB, snapshot: tm.Snapshot) -> int:
    try:
        return send_and_keep(backend, snapshot)
    finally:
        backend.close()


@pytest.mark.parametrize(
    ("options", "path", "credentials"),
    [
        ({"database": "a b&c"}, "/write?db=a+b%26c&precision=ns", None),
        ({"database": "d", "retention_policy": "week"}, "/write?db=d&rp=week&precision=ns", None),
        ({"database": "d", "auth": ("u", "p:w")}, "/write?db=d&precision=ns", "Basic dTpwOnc="),
        ({"database": "d", "token": "u:p"}, "/write?db=d&precision=ns", "Token u:p"),
        ({"org": "o", "bucket": "b/1", "token": "t=="}, "/api/v2/write?org=o&bucket=b%2F1&precision=ns", "Token t=="),
        (
            {"org": "o", "bucket": "b", "headers": {"authorization": "Mine"}},
            "/api/v2/write?org=o&bucket=b&precision=ns",
            "Mine",
        ),
    ],
)
def test_requests_are_those_of_the_api(options: dict[str, Any], path: str, credentials: str | None) -> None:
    with receiving() as server:
        for base in ("", "/", "/base/"):
            backend = InfluxDB(server.url + base, **options)
            sent = send(backend, gauges({"a": "b"}))
            _, got, fields, raw = server.sent[-1]
            assert got == base.rstrip("/") + path
            assert fields.get("Authorization") == credentials
            assert (fields["Content-Encoding"], fields["Content-Type"]) == ("gzip", "text/plain; charset=utf-8")
            assert gzip.decompress(raw) == b"g,a=b gauge=0.0 1500000000\n"
            assert len(raw) == sent
            for secret in ("p:w", "dTpwOnc=", "t==", "u:p"):
                assert secret not in repr(backend) + backend.address


def test_credentials_in_the_url_work_and_are_never_shown() -> None:
    with receiving((401, {}, b'{"error":"authorization failed"}')) as server:
        backend = InfluxDB(server.url.replace("//", "//us%3Aer:pa%40ss@"), database="d", compress=False)
        with pytest.raises(SendError, match=r"answers 401: authorization failed\. Are the credentials right\?") as info:
            send(backend, gauges({}))
    _, _, fields, raw = server.sent[0]
    assert base64.b64decode(fields["Authorization"].removeprefix("Basic ")) == b"us:er:pa@ss"
    assert (raw, "Content-Encoding" in fields) == (b"g gauge=0.0 1500000000\n", False)
    assert "pa@ss" not in str(info.value) + repr(backend)
    assert "pa%40ss" not in str(info.value) + repr(backend)
    assert not info.value.again


@pytest.mark.parametrize(
    ("status", "answer", "words", "again"),
    [
        (400, b'{"error":"partial write: field type conflict: x dropped=1"}', "answers 400: partial write: field type", False),
        (400, b'{"code":"invalid","message":"unable to parse \'x\\u001b\'"}', r"unable to parse 'x\\x1b'", False),
        (404, b'{"error":"database not found: \\"d\\""}', "not found: .*", False),
        (404, b'{"code":"not found","message":"bucket \\"d\\" not found"}', 'bucket "d" not found; create it, or name', False),
        (404, b"404 page not found", r"404 page not found\. Is this its URL\?", False),
        (301, b"", "redirects to nowhere; give the URL that it should be sent to", False),
        (500, b'{"error":"timeout"}', "answers 500: timeout", True),
        (503, b"[1]", r"answers 503: \[1\]", True),
        (429, b'{"message": 7}', "answers 429: ", True),
        (200, b"", "", False),
    ],
)  # fmt: skip
def test_answers_mean_what_the_api_says(status: int, answer: bytes, words: str, again: bool) -> None:
    with receiving((status, {"Retry-After": "7"}, answer)) as server:
        if status == 200:
            assert send(backend_to(server.url), gauges({})) > 0
            return
        with pytest.raises(SendError, match=words) as info:
            send(backend_to(server.url), gauges({}))
    assert (info.value.again, info.value.after) == (again, 7.0 if status != 404 or b"page" in answer else 0.0)


def test_what_is_too_large_is_told_so_that_it_can_be_split() -> None:
    with receiving((413, {}, b'{"error":"Request Entity Too Large"}')) as server, pytest.raises(TooLargeError):
        send(backend_to(server.url), gauges({}))


def test_nobody_listens() -> None:
    with pytest.raises(SendError, match="cannot be reached: nobody listens there") as info:
        send(backend_to(), gauges({}))
    assert info.value.again


@pytest.mark.parametrize(
    ("url", "options", "words"),
    [
        (NOWHERE, {}, "needs database= .* given is nothing"),
        (NOWHERE, {"bucket": "b"}, "given is bucket"),
        (NOWHERE, {"database": "d", "org": "o", "bucket": "b"}, "given is database, org, bucket"),
        (NOWHERE, {"database": "d", "token": "t", "auth": ("u", "p")}, "credentials in token and in another"),
        (NOWHERE, {"database": "d", "token": "t", "headers": {"authorization": "x"}}, "credentials in token and in another"),
        ("http://u:p@127.0.0.1:9", {"database": "d", "token": "t"}, "credentials in the URL and in headers"),
        (NOWHERE, {"database": "d", "token": "t\n"}, r"if it is read from a file, \.strip\(\) it"),
        (f"{NOWHERE}/write?db=d", {"database": "d"}, "url must be that of the server alone"),
        (f"{NOWHERE}/write?u=me&p=s3cret", {"database": "d"}, r"not http://127.0.0.1:9/write\?u=me&p=…$"),
        (f"{NOWHERE}/api/v2/write", {"database": "d"}, "url must be that of the server alone"),
        ("ftp://a", {"database": "d"}, "only http:// and https://"),
    ],
)
def test_mistakes_are_told_at_once(url: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        InfluxDB(url, **options)
    assert issubclass(AddressError, ValueError)


def test_wrong_types_are_told_at_once() -> None:
    with pytest.raises(TypeError, match="database must be a str, not int"):
        InfluxDB(NOWHERE, database=7)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="url must be a str, not tuple"):
        InfluxDB(("127.0.0.1", 8086), database="d")  # type: ignore[arg-type]
