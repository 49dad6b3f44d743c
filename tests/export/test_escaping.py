"""Names under each escaping scheme: as Prometheus' own library has them, and never two alike."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.exposition import escape_label_name, escape_metric_name

import tallymark as tm
from tallymark.export.escaping import SCHEMES, is_label_name, is_metric_name, label_name, metric_names, quoted
from tallymark.metric.names import exposition_name, spelled_name

KINDS = ["counter", "gauge", "histogram", "timer", "summary", "info", "stateset"]
NAMES = st.text("ab_.-/:2U", min_size=1, max_size=8).filter(lambda name: name[0] in "ab_:U") | st.sampled_from(
    ["U__a_2e_b", "a.b", "a_b", "a__b", "a_dot_b", "a.total", "a_total", "a.seconds", "a_seconds", "a.info", "__", "U__"]
)
KEYS = st.tuples(NAMES, st.sampled_from(KINDS), st.sampled_from(["", "", "seconds", "bytes", "%", "b", "2", "total"]))


def named(*keys: tuple[str, str, str]) -> list[tm.FamilySnapshot]:
    empty = tm.GaugeData((), (), ())
    return [tm.FamilySnapshot(name, kind, "", unit, empty) for name, kind, unit in keys]


@pytest.mark.parametrize(
    ("name", "kind", "unit", "spelled"),
    [
        ("http.requests", "counter", "", "http.requests_total"),
        ("http.requests.total", "counter", "", "http.requests_total"),
        ("http.server.request.duration", "timer", "seconds", "http.server.request.duration_seconds"),
        ("took.seconds", "timer", "seconds", "took_seconds"),
        ("sent.bytes.total", "counter", "bytes", "sent_bytes_total"),
        ("bytes", "counter", "bytes", "bytes_total"),
        ("m/s", "gauge", "m/s", "m/s"),
        ("a-b", "gauge", "req/s", "a-b_req_s"),
        ("build.info", "info", "", "build_info"),
        ("a_b", "gauge", "", "a_b"),
    ],
)
def test_a_name_is_spelled_as_it_was_given_but_for_unit_and_ending(name: str, kind: str, unit: str, spelled: str) -> None:
    assert spelled_name(name, kind, unit, exposition_name(name, kind, unit)) == spelled
    assert metric_names(named((name, kind, unit)), "allow-utf-8") == [spelled]


def test_a_name_that_has_a_number_has_it_under_every_scheme() -> None:
    keys = [("a.b", "counter", ""), ("a_b", "counter", ""), ("a-b", "counter", "")]
    assert metric_names(named(*keys), "underscores") == ["a_b_total", "a_b_2_total", "a_b_3_total"]
    assert metric_names(named(*keys), "allow-utf-8") == ["a.b_total", "a_b_2_total", "a-b_3_total"]
    assert metric_names(named(*keys), "dots") == ["a_dot_b__total", "a__b__2__total", "a__b__3__total"]
    assert metric_names(named(*keys), "values") == ["U__a_2e_b__total", "a_b_2_total", "U__a_2d_b__3__total"]


def test_a_name_that_no_registry_could_have_given_stands() -> None:
    [family] = named(("a.b", "gauge", ""))
    odd = tm.FamilySnapshot(family.name, family.kind, "", "", family.data, "other")
    assert metric_names([odd], "allow-utf-8") == ["other"]


@pytest.mark.parametrize("scheme", SCHEMES)
@settings(max_examples=80)
@given(keys=st.lists(KEYS, min_size=1, max_size=8, unique=True))
def test_no_two_metrics_have_one_name(scheme: str, keys: list[tuple[str, str, str]]) -> None:
    names = metric_names(named(*keys), scheme)
    assert len(set(names)) == len(names)
    for name, (_, kind, _) in zip(names, keys, strict=True):
        assert is_metric_name(name) or scheme == "allow-utf-8"
        assert name.endswith({"counter": "_total", "info": "_info"}.get(kind, ""))


@pytest.mark.parametrize("scheme", SCHEMES)
@given(key=KEYS)
def test_prometheus_own_library_would_write_the_same(scheme: str, key: tuple[str, str, str]) -> None:
    [name], [spelled] = (metric_names(named(key), one) for one in (scheme, "allow-utf-8"))
    if not (scheme == "values" and spelled.startswith("U__")):  # which it leaves as it is, though it may be another's
        assert name == escape_metric_name(spelled, scheme).strip('"')


@pytest.mark.parametrize("scheme", SCHEMES)
@given(key=st.text(max_size=8) | st.text("a_.é0U", max_size=6))
def test_the_name_of_a_label_is_allowed_and_not_reserved(scheme: str, key: str) -> None:
    name = label_name(key, scheme)
    assert name
    assert not name.startswith("__")
    assert is_label_name(name) or scheme == "allow-utf-8"
    theirs = escape_label_name(key, scheme)
    # Not where a name is reserved, could be another's, or ends in the newline that their pattern does not see.
    if not key.startswith(("__", "U__")) and not theirs.startswith("__") and not key.endswith("\n"):
        assert name == theirs or quoted(name) == theirs or key == ""


def test_tags_that_become_one_label_are_joined_under_every_scheme(registry: tm.Registry) -> None:
    registry.gauge("n").set(1, **{"a.b": "1", "a-b": "2", "a_b": "3", "__c": "4", "_c": "5"})
    lines = {scheme: line_of("n", registry, scheme) for scheme in SCHEMES}
    assert lines == {
        "underscores": 'n{_c="4;5",a_b="2;1;3"} 1.0',
        "allow-utf-8": 'n{_c="4;5","a-b"="2","a.b"="1",a_b="3"} 1.0',
        "dots": 'n{_c="4;5",a__b="2;3",a_dot_b="1"} 1.0',
        "values": 'n{U__a_2d_b="2",U__a_2e_b="1",_c="4;5",a_b="3"} 1.0',
    }


def test_dots_write_a_label_that_every_other_scheme_leaves_as_it_is(
    registry: tm.Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tallymark.export.labels._exact", True)
    registry.gauge("n").set(1, a_b="1")
    lines = [line_of("n", registry, scheme) for scheme in SCHEMES]
    assert lines == ['n{a_b="1"} 1.0', 'n{a_b="1"} 1.0', 'n{a__b="1"} 1.0', 'n{a_b="1"} 1.0']


def line_of(name: str, registry: tm.Registry, scheme: str) -> str:
    text = tm.render_prometheus(registry.snapshot(), escaping=scheme).decode()
    return next(line for line in text.splitlines() if line.startswith(f"{name}{{"))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_series_with_the_same_labels_are_one_under_every_scheme(registry: tm.Registry, scheme: str) -> None:
    for tags in ({"__c": "1"}, {"_c": "1"}, {"_c": "1", "empty": ""}):
        registry.counter("n").inc(**tags)
        registry.gauge("g").set(len(tags), **tags)
    text = tm.render_prometheus(registry.snapshot(), escaping=scheme).decode()
    assert 'n_total{_c="1"} 3.0\n' in text.replace("n__total", "n_total")
    assert text.count('g{_c="1"} ') == 1


def test_a_scheme_that_needs_no_quotes_uses_the_text_that_is_kept(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = tm.Registry(engine=engine.name)
    registry.counter("n").inc(plain="once for all schemes")
    first = tm.render_prometheus(registry.snapshot())
    monkeypatch.setattr("tallymark.export.labels.escape_value", lambda text: f"again: {text}")
    for scheme in ("underscores", "allow-utf-8", "values"):
        assert b"again: once" not in tm.render_openmetrics(registry.snapshot(), escaping=scheme)
        assert first.splitlines()[1] in tm.render_openmetrics(registry.snapshot(), escaping=scheme)


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_a_label_that_looks_like_the_result_of_values_is_escaped(engine: str) -> None:
    registry = tm.Registry(engine=engine, self_metrics=False)
    registry.counter("n").inc(U__x="1")
    assert b'\nn_total{U__U____x="1"} 1.0\n' in tm.render_prometheus(registry.snapshot(), escaping="values")
