"""`name[]`: the families that a scrape asks for, by any name that a scraper may know them by."""

from __future__ import annotations

import pytest

import tallymark as tm
from everything import everything
from tallymark.export.selection import only


def chosen(*names: str, snapshot: tm.Snapshot | None = None) -> list[str]:
    return [family.name for family in only(snapshot or everything(), names).families]


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("http_requests_total", "http.requests"),
        ("http_requests", "http.requests"),
        ("http_requests_created", "http.requests"),
        ("http.requests_total", "http.requests"),
        ("http_dot_requests__total", "http.requests"),
        ("U__http_2e_requests__total", "http.requests"),
        ("sent_total", "sent.total"),
        ("in_flight_req_s", "in.flight"),
        ("took_seconds", "took"),
        ("took_seconds_bucket", "took"),
        ("took_seconds_count", "took"),
        ("size_bytes_sum", "size"),
        ("pause_seconds_count", "pause"),
        ("build", "build"),
        ("build_info", "build"),
        ("worker_state", "worker.state"),
        ("worker.state", "worker.state"),
        ("target_info", "target_info"),
    ],
)
def test_a_family_is_found_by_its_name_and_by_those_of_its_samples(name: str, family: str) -> None:
    assert chosen(name) == [family]


@pytest.mark.parametrize(
    "name", ["", "nobody", "http", "http_requests_total ", "HTTP_requests_total", "took", ".*", "\0", "é", "\udc80"]
)
def test_a_name_that_is_nobodys_matches_nothing(name: str) -> None:
    assert chosen(name) == []
    assert chosen(name, "build") == ["build"]


def test_a_gauge_and_a_counter_of_one_family_name_both_match() -> None:
    assert chosen("jobs") == ["jobs", "jobs_total"]
    assert chosen("jobs_total") == ["jobs_total"]


def test_the_order_is_that_of_the_snapshot_and_time_stays() -> None:
    assert chosen("build", "sent_bytes", "build") == ["sent", "build"]
    assert only(everything(), ["x"]).time == everything().time


def test_a_family_has_the_name_that_it_has_beside_the_others() -> None:
    gauges = [tm.family("gauge", name, [({}, 1.0)]) for name in ("a.b", "a_b", "a/b")]
    snapshot = tm.Snapshot(tuple(gauges), 0.0)
    assert b"a_b_3 1.0\n" in tm.render_prometheus(snapshot)
    assert b"a_b_3 1.0\n" in tm.render_prometheus(only(snapshot, ["a_b_3"]))
