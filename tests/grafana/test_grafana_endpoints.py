"""What a source has is found by its names, however they are spelled; conditions on it mean what they say."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any
from wsgiref.util import setup_testing_defaults

import hypothesis
import pytest
from grafana_service import ODD, celery, endpoint, http, operations
from hypothesis import strategies

import tallymark as tm
from tallymark.grafana.distribution import Classic, Native
from tallymark.grafana.endpoint import Endpoint
from tallymark.grafana.errors import GrafanaError
from tallymark.grafana.promql import Spelling, parse_selector
from tallymark.integrations.wsgi import MetricsMiddleware
from tallymark.metric.data import SummaryData
from tallymark.read.text import TextReader

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment


def found(*recorders: Any, **options: Any) -> list[tuple[str, str]]:
    return [(subject.slug, subject.duration.name) for subject in endpoint(*recorders, **options).subjects()]


def test_what_a_service_is_asked_for_is_found() -> None:
    assert found() == [
        ("http", "http_server_request_duration_seconds"),
        ("operations", "operation_duration_seconds"),
        ("celery", "celery_task_duration_seconds"),
    ]


@pytest.mark.parametrize(
    ("escaping", "name", "label"),
    [
        ("underscores", "http_server_request_duration_seconds", "http_route"),
        ("allow-utf-8", "http.server.request.duration_seconds", '"http.route"'),
        ("dots", "http_dot_server_dot_request_dot_duration__seconds", "http_dot_route"),
        ("values", "U__http_2e_server_2e_request_2e_duration__seconds", "U__http_2e_route"),
    ],
)
def test_names_are_those_that_the_scraper_sees(escaping: str, name: str, label: str) -> None:
    (subject,) = endpoint(http, escaping=escaping).subjects()
    assert subject.duration.name == name
    assert subject.label("http.route") == label
    assert subject.by == ("http.route", "http.request.method")
    # No request has failed yet: how the tag will be spelled is known all the same.
    assert Spelling(escaping).condition("error.type", "!=", "") in subject.failed([])[1]


def test_what_the_integrations_of_web_servers_record_is_found_with_all_that_belongs_to_it() -> None:
    def record(registry: tm.Registry) -> None:
        def answer(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
            start_response("200 OK", [])
            return [b"hello"]

        app = MetricsMiddleware(answer, registry=registry, route=lambda environ: "/orders")
        environ: WSGIEnvironment = {}
        setup_testing_defaults(environ)
        with closing(app(environ, lambda *args: lambda data: None)) as body:
            assert list(body) == [b"hello"]

    (subject,) = endpoint(record).subjects()
    assert (subject.slug, subject.by) == ("http", ("http.route", "http.request.method"))
    assert 0.5 in subject.duration.bounds
    assert subject.in_progress == "http_server_active_requests"
    assert {title: size.name for title, size in subject.others.items()} == {
        "Size of request bodies": "http_server_request_body_size_bytes",
        "Size of response bodies": "http_server_response_body_size_bytes",
    }


def test_a_server_that_has_no_routes_is_one_too() -> None:
    (subject,) = endpoint(_timer("http.server.request.duration", **{"http.request.method": "GET"})).subjects()
    assert subject.by == ("http.request.method",)
    assert subject.label("http.route") == "http_route"


@pytest.mark.parametrize("kind", ["http", "operations", "celery"])
def test_who_asks_for_one_kind_gets_no_other(kind: str) -> None:
    assert [subject.slug for subject in endpoint().subjects([kind])] == [kind]


def _timer(name: str, **tags: str) -> Any:
    return lambda registry: registry.timer(name).record(0.1, **tags)


@pytest.mark.parametrize(
    "recorder",
    [
        _timer("operation_duration"),
        _timer("operation_duration", task="a"),
        _timer("preoperation_duration", operation="a"),
        _timer("a_http_server_request_duration", **{"http.route": "/"}),
        lambda registry: registry.counter("operation_duration").inc(operation="a"),
        lambda registry: registry.timer("operation_duration", tag_keys=("operation",)),
    ],
    ids=["no tag", "another tag", "no prefix", "prefix of another", "counter", "no series"],
)
def test_what_only_looks_like_it_is_not_taken_for_it(recorder: Any) -> None:
    with pytest.raises(
        GrafanaError, match=r"^http://127\.0\.0\.1:9464/metrics has neither http_server_request_duration_seconds"
    ):
        endpoint(recorder).subjects()


def test_sums_and_counts_alone_have_no_quantiles() -> None:
    tags = (tm.TagSet(operation="a"),)
    family = tm.FamilySnapshot("operation_duration_seconds", "summary", "", "", SummaryData(tags, (0.0,), (1,), (0.5,)))
    with pytest.raises(GrafanaError, match="has no operation_duration_seconds with the tag operation"):
        Endpoint(tm.Snapshot((family,), 0.0), "here").subjects(["operations"])


@pytest.mark.parametrize(
    ("exponential", "histograms", "expected"),
    [
        (False, "auto", Classic), (False, "native", Native), (False, "classic", Classic),
        (True, "auto", Native), (True, "native", Native), (True, "classic", Classic),
    ],
)  # fmt: skip
def test_histograms_are_native_where_they_are_or_on_request(exponential: bool, histograms: str, expected: type) -> None:
    def record(registry: tm.Registry) -> None:
        _timer("celery.task.duration", task="a")(registry) if not exponential else registry.timer(
            "celery.task.duration", exponential=True
        ).record(0.1, task="a")

    (subject,) = endpoint(record, histograms=histograms).subjects()
    assert type(subject.duration) is expected


@hypothesis.given(strategies.text(), strategies.sampled_from(["=", "!="]))
def test_any_value_comes_back_from_a_condition(value: str, operator: str) -> None:
    condition = Spelling("allow-utf-8").condition("http.route", operator, value)
    assert parse_selector(f"{condition}, job='api'") == [("http.route", operator, value), ("job", "=", "api")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("{}", []),
        ('job="api"', [("job", "=", "api")]),
        (' { job = "api" , env !~ "a|b", } ', [("job", "=", "api"), ("env", "!~", "a|b")]),
        ("path=`a\\b`", [("path", "=", "a\\b")]),
        (r"path='it\'s'", [("path", "=", "it's")]),
    ],
)
def test_selectors_are_written_as_in_prometheus(text: str, expected: list[tuple[str, str, str]]) -> None:
    assert parse_selector(text) == expected


@pytest.mark.parametrize(
    "text", ["api", "job=", "job=api", 'job="a', 'job="a" env="b"', '1a="b"', 'job=="a"', ',job="a"', 'a="b",,']
)
def test_what_is_no_selector_is_told_with_the_place(text: str) -> None:
    with pytest.raises(GrafanaError, match=r"selector .* cannot be read from .* on; write it as"):
        parse_selector(text)


def test_a_broken_regular_expression_is_told() -> None:
    with pytest.raises(GrafanaError, match=r"'\(' is not a regular expression"):
        parse_selector('job=~"("')


@pytest.mark.parametrize("value", ["(?=a)", "a(?!b)", "(?<=a)b", "(?P<x>a)(?P=x)", "(a)\\\\1", "a++", "(?>a)", "a{2}+"])
def test_what_only_python_has_in_regular_expressions_is_told(value: str) -> None:
    with pytest.raises(GrafanaError, match=r"Prometheus knows no .* in regular expressions"):
        parse_selector(f'job=~"{value}"')


@pytest.mark.parametrize("value", ["a+", "[*+]+", "(?:a|b)+?", "(?i)a", "(?P<x>a)", "[^]+]+", "a\\\\++"])
def test_what_both_have_is_taken(value: str) -> None:
    assert parse_selector(f'job=~"{value}"') == [("job", "=~", value.replace("\\\\", "\\"))]


@pytest.mark.parametrize(
    "names",
    [
        ("a__b_operation_duration_seconds", "a_b_operation_duration_seconds"),
        ("A_b_operation_duration_seconds", "a_b_operation_duration_seconds"),
        ("operation_duration_seconds", "operation_duration"),
        ("operation_duration_seconds", "operation_duration_milliseconds"),
    ],
)
def test_of_what_would_have_the_same_names_the_first_is_taken(names: tuple[str, str]) -> None:
    page = "".join([f'# TYPE {name} histogram\n{name}_bucket{{operation="a",le="1"}} 1\n' for name in names])
    units = "".join([f"# UNIT {name} milliseconds\n" for name in names if name.endswith("milliseconds")])
    found = Endpoint(tm.Snapshot(TextReader().families(units + page), 0.0), "here").subjects()
    assert [subject.duration.name for subject in found] == [names[0]]


def test_odd_tags_break_no_expression() -> None:
    def record(registry: tm.Registry) -> None:
        for recorder in (http, operations, celery):
            recorder(registry)
        registry.timer("operation_duration").record(0.1, operation=ODD)

    assert found(record) == found()
