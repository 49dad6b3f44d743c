"""OpenMetrics: what it says of each kind of metric, and that nobody's text can change what it says."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from openmetrics_grammar import Family, read
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

import tallymark as tm
from tallymark.engine.exemplar import Exemplar

on_each_engine = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

SCHEMES = ["underscores", "allow-utf-8", "dots", "values"]
ANY = st.text(max_size=12) | st.text('"\\\n\r\0,={} #a\udc80é\u2028', max_size=8)


def render(registry: tm.Registry, created: bool = False, **options: Any) -> str:
    """Return the exposition, without the registry's report on itself."""
    snapshot = registry.snapshot()
    families = [one for one in snapshot.families if not one.name.startswith("tallymark_")]
    return tm.render_openmetrics(tm.Snapshot(tuple(families), snapshot.time), created, **options).decode()


def by_hand(*families: tm.FamilySnapshot, **options: Any) -> list[Family]:
    text = tm.render_openmetrics(tm.Snapshot(families, 0.0), **options).decode()
    list(parse_openmetrics(text))
    return read(text)


def made(kind: str, name: str, data: Any, unit: str = "") -> tm.FamilySnapshot:
    return tm.FamilySnapshot(name, kind, "", unit, data)


def test_an_empty_snapshot_is_an_end() -> None:
    assert tm.render_openmetrics(tm.Snapshot((), 0.0)) == b"# EOF\n"


def test_a_counter(registry: tm.Registry) -> None:
    requests = registry.counter("http.requests", description='Served "fast" \\ well.\nYes.', unit="requests")
    requests.inc(2.5, method="GET", path='a"b\\c\nd')
    assert render(registry) == (
        "# TYPE http_requests counter\n"
        "# UNIT http_requests requests\n"
        '# HELP http_requests Served \\"fast\\" \\\\ well.\\nYes.\n'
        'http_requests_total{method="GET",path="a\\"b\\\\c\\nd"} 2.5\n'
        "# EOF\n"
    )


@pytest.mark.parametrize(
    ("name", "unit", "family", "told"),
    [
        ("sent", "bytes", "sent_bytes", "bytes"),
        ("sent_bytes_total", "bytes", "sent_bytes", "bytes"),
        ("bytes", "bytes", "bytes", ""),  # a unit is told only where the name ends in it, after an underscore
        ("sent", "%", "sent", ""),
        ("sent", "m/s", "sent_m_s", "m_s"),
        ("sent", "\ud800 é", "sent", ""),
        ("sent", "a\nb", "sent_a_b", "a_b"),
    ],
)
def test_a_unit_is_told_where_the_name_ends_in_it(registry: tm.Registry, name: str, unit: str, family: str, told: str) -> None:
    registry.counter(name, unit=unit).inc()
    [one] = read(render(registry))
    assert (one.name, one.unit, one.type) == (family, told, "counter")


def test_when_a_series_was_created_is_told_on_request(registry: tm.Registry) -> None:
    registry.counter("n").inc()
    registry.histogram("h", buckets=[1]).observe(1)
    registry.gauge("g").set(1)
    registry.register(Summaries())
    names = [sample.name for family in read(render(registry, True)) for sample in family.samples]
    assert [name for name in names if name.endswith("_created")] == ["n_created", "h_created"]  # nobody knows the summary's
    assert "created" not in render(registry)
    snapshot = registry.snapshot()
    [sample] = [sample for family in read(render(registry, True)) for sample in family.samples if sample.name == "n_created"]
    assert sample.value == snapshot["n"].data.created[0]


class Summaries:
    def collect(self) -> list[tm.FamilySnapshot]:
        return [tm.family("summary", "s", [({}, (2, 3.0))])]


@pytest.mark.parametrize("created", [(0.0, 5.0), (5.0, 7.0), (math.nan, 5.0), (math.inf, 5.0), (-1.0, 5.0)])
def test_series_that_become_one_were_created_when_the_first_was(created: tuple[float, float]) -> None:
    twins = tuple([tm.TagSet({key: "1"}) for key in ("a.b", "a_b")])
    [family] = by_hand(made("counter", "n", tm.SumData(twins, created, (1.0, 2.0), True)), created=True)
    assert [(one.name, one.value) for one in family.samples] == [("n_total", 3.0), ("n_created", 5.0)]


@pytest.mark.parametrize(
    ("bound", "text"),
    [
        (0.0, "0.0"), (0.001, "0.001"), (0.01, "0.01"), (0.95, "0.95"), (1.0, "1.0"), (1.7, "1.7"), (10.0, "10.0"),
        (1e-10, "1e-10"), (1e-9, "1e-09"), (1e-5, "1e-05"), (0.0001, "0.0001"), (100_000.0, "100000.0"),
        (999_999.5, "999999.5"), (1e6, "1e+06"), (1e10, "1e+10"), (1_048_576.0, "1.048576e+06"),
        (1_234_567.25, "1.23456725e+06"),
        (123_456_789_012_345.6, "1.234567890123456e+14"), (9_007_199_254_740_993.0, "9.007199254740992e+15"),
        (1e16, "1e+16"), (1.5e300, "1.5e+300"), (-2_500_000.0, "-2.5e+06"), (-0.5, "-0.5"),
    ],
)  # fmt: skip
def test_bounds_are_written_as_go_would(bound: float, text: str) -> None:
    data = tm.HistogramData((tm.TagSet(),), (0.0,), (bound,), ((1, 0),), (1.0,), (1.0,), (1.0,))
    [family] = by_hand(made("histogram", "n", data))
    assert [sample.labels["le"] for sample in family.samples if sample.name == "n_bucket"] == [text, "+Inf"]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_bound_reads_as_the_same_number(bound: float) -> None:
    data = tm.HistogramData((tm.TagSet(),), (0.0,), (bound,), ((1, 0),), (1.0,), (1.0,), (1.0,))
    [family] = by_hand(made("histogram", "n", data))
    text = family.samples[0].labels["le"]
    assert float(text) == bound
    assert "." in text or "e" in text


@pytest.mark.parametrize(
    ("bounds", "total", "shown"),
    [((1.0,), 2.5, True), ((0.0,), 0.0, True), ((1.0,), -2.5, False), ((1.0,), math.nan, False), ((-1.0, 1.0), 5.0, False)],
)
def test_a_sum_that_is_no_counter_is_left_out_and_the_count_with_it(
    bounds: tuple[float, ...], total: float, shown: bool
) -> None:
    counts = (1,) * (len(bounds) + 1)
    data = tm.HistogramData((tm.TagSet(),), (0.0,), bounds, (counts,), (total,), (1.0,), (1.0,))
    [family] = by_hand(made("histogram", "n", data))
    assert {"n_sum", "n_count"} & {sample.name for sample in family.samples} == ({"n_sum", "n_count"} if shown else set())


def test_an_info_and_its_tags(registry: tm.Registry) -> None:
    registry.info("service", version="1.2", service="orders")
    [family] = read(render(registry))
    assert (family.name, family.type) == ("service", "info")
    assert [(one.name, one.labels) for one in family.samples] == [("service_info", {"service": "orders", "version": "1.2"})]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(("name", "kind"), [("worker_state", "stateset"), ("worker.state", "stateset"), ("a:b", None)])
def test_a_state_has_the_name_of_its_set_for_a_label(registry: tm.Registry, scheme: str, name: str, kind: str | None) -> None:
    state = registry.state(name, ["on", 'o"ff', ""], tags={"worker": "a", "worker.state": "mine"})
    state.set("on")
    registry.state(name, ["on", 'o"ff', ""], tags={"worker": "b"}).set('o"ff')
    text = render(registry, escaping=scheme)
    [family] = read(text)
    [parsed] = list(parse_openmetrics(text))
    assert family.type == parsed.type == (kind or ("stateset" if scheme == "allow-utf-8" else "gauge"))
    label = family.name if family.type == "stateset" else "state"
    shown = [(one.labels["worker"], one.labels.get(label, ""), one.value) for one in family.samples]
    assert sorted(shown) == [("a", "", 0), ("a", 'o"ff', 0), ("a", "on", 1), ("b", "", 0), ("b", 'o"ff', 1), ("b", "on", 0)]


def test_states_of_one_thing_are_together_and_what_tells_none_is_left_out() -> None:
    rows = [{"w": w, "state": state} for state in ("on", "off") for w in ("a", "b")] + [{"overflow": "true"}]
    data = tm.StateSetData(tuple(map(tm.TagSet, rows)), (0.0,) * 5, (1.0, 0.0, 0.0, 1.0, 1.0))
    [family] = by_hand(made("stateset", "s", data))
    assert [(one.labels["w"], one.labels["s"], one.value) for one in family.samples] == [
        ("a", "on", 1), ("a", "off", 0), ("b", "on", 0), ("b", "off", 1),
    ]  # fmt: skip


def test_the_target_comes_first(registry: tm.Registry) -> None:
    registry.counter("n").inc()
    registry.info("target", version="1")
    assert [family.name for family in read(render(registry))] == ["target", "n"]


def test_a_gauge_that_processes_sum_is_a_gauge() -> None:
    [family] = by_hand(made("gauge", "n", tm.SumData((tm.TagSet(),), (0.0,), (-1.0,), False)))
    assert (family.type, family.samples[0].value) == ("gauge", -1.0)


def test_what_cannot_be_written_is_a_value_error_that_names_what_can() -> None:
    empty = tm.Snapshot((), 0.0)
    with pytest.raises(ValueError, match=r"no version '2\.0\.0' of OpenMetrics here; there are '1\.0\.0', '0\.0\.1'"):
        tm.render_openmetrics(empty, version="2.0.0")
    for render_any in (tm.render_openmetrics, tm.render_prometheus):
        with pytest.raises(
            ValueError, match="no escaping scheme 'x'; there are 'underscores', 'allow-utf-8', 'dots', 'values'"
        ):
            render_any(empty, escaping="x")


def test_both_versions_are_the_same_text(registry: tm.Registry) -> None:
    registry.counter("n").inc()
    assert render(registry, version="0.0.1") == render(registry)


# Exemplars


def one_exemplar(*labels: tuple[str, str], value: float = 1.0, time: float = 5.0) -> Exemplar:
    return Exemplar(labels, value, time)


def counted(*exemplars: Exemplar) -> list[Any]:
    rows = tuple([tm.TagSet({f"a{separator}b": "1"}) for separator, _ in zip("._-/:", exemplars, strict=False)])
    ones = (1.0,) * len(rows)
    data = tm.SumData(rows, ones, ones, True, tuple([(exemplar,) for exemplar in exemplars]))
    [family] = read(tm.render_openmetrics(tm.Snapshot((made("counter", "n", data),), 0.0)).decode())
    return [sample.exemplar for sample in family.samples]


@given(st.lists(st.tuples(st.sampled_from(["trace_id", "b", "c"]), ANY), max_size=3, unique_by=lambda pair: pair[0]))
def test_an_exemplar_reads_as_what_it_was_whatever_is_in_it(pairs: list[tuple[str, str]]) -> None:
    [found] = counted(one_exemplar(*pairs, value=2.5, time=1_700_000_000.125))
    expected = {name: value.encode("utf-8", "replace").decode() for name, value in pairs if value}
    assert found == (expected, 2.5, 1_700_000_000.125)


def test_of_series_that_become_one_the_newest_exemplar_is_told() -> None:
    assert counted(one_exemplar(("a", "old"), time=1), one_exemplar(("a", "new"), time=3), one_exemplar(time=2)) == [
        ({"a": "new"}, 1.0, 3.0)
    ]


@pytest.mark.parametrize(("length", "shown"), [(127, True), (128, False)])
def test_an_exemplar_that_is_too_long_is_left_out(length: int, shown: bool) -> None:
    [found] = counted(one_exemplar(("a", "é" * length)))
    assert (found is not None) == shown


@pytest.mark.parametrize("time", [math.nan, math.inf])
def test_a_time_that_is_none_is_left_out(time: float) -> None:
    assert counted(one_exemplar(("a", "b"), time=time)) == [({"a": "b"}, 1.0, None)]


@given(
    st.lists(st.floats(-10, 10), min_size=1, max_size=4, unique=True).map(sorted),
    st.lists(st.floats() | st.sampled_from([0.0, 1.0, 2.0]), max_size=8),
)
@example([1.0, 2.0], [1.0, 2.0, 2.5])  # a bound is in the bucket below it
def test_an_exemplar_is_at_the_bucket_that_its_value_is_in(bounds: list[float], values: list[float]) -> None:
    exemplars = tuple([one_exemplar(("at", str(i)), value=value, time=float(i)) for i, value in enumerate(values)])
    counts = (1,) * (len(bounds) + 1)
    row = (tm.TagSet(),), (0.0,), tuple(bounds), (counts,), (1.0,), (1.0,), (1.0,), (exemplars,)
    [family] = read(tm.render_openmetrics(tm.Snapshot((made("histogram", "n", tm.HistogramData(*row)),), 0.0)).decode())
    edges = [-math.inf, *bounds, math.inf]
    for sample, (low, high) in zip(family.samples, pairwise(edges), strict=False):
        within = [one for one in exemplars if low < one.value <= high or one.value == low == -math.inf]
        expected = (dict(within[-1].labels), within[-1].value, within[-1].time) if within else None
        assert sample.exemplar == expected


def test_where_no_type_has_exemplars_none_are_told() -> None:
    total = tm.SumData((tm.TagSet(),), (1.0,), (1.0,), True, ((one_exemplar(("a", "b")),),))
    families = [made("gauge", "n", tm.GaugeData((tm.TagSet(),), (1.0,), (1.0,))), made("counter", "n_total", total)]
    assert [(one.type, [sample.exemplar for sample in one.samples]) for one in by_hand(*families)] == [
        ("gauge", [None]), ("unknown", [None]),
    ]  # fmt: skip


# Names that clash in OpenMetrics alone


@pytest.mark.parametrize(
    ("metrics", "types"),
    [
        ([("gauge", "n"), ("counter", "n_total")], {"n": "gauge", "n_total": "unknown"}),
        ([("counter", "n"), ("gauge", "n_created")], {"n_total": "unknown", "n_created": "gauge"}),
        ([("counter", "n"), ("counter", "n_created")], {"n": "counter", "n_created_total": "unknown"}),
        ([("counter", "n"), ("info", "n")], {"n": "counter", "n_info": "gauge"}),
        ([("histogram", "n"), ("counter", "n_sum")], {"n": "histogram", "n_sum_total": "unknown"}),
        ([("histogram", "n"), ("gauge", "n_created")], {"n": "histogram", "n_created_2": "gauge"}),
        ([("counter", "n_total_total"), ("counter", "n")], {"n_total_total": "unknown", "n": "counter"}),
    ],
)
def test_a_series_keeps_its_name_and_loses_its_type_where_families_would_have_one_name(
    registry: tm.Registry, metrics: list[tuple[str, str]], types: dict[str, str]
) -> None:
    for kind, name in metrics:
        made = registry.info(name, a="b") if kind == "info" else getattr(registry, kind)(name)
        if kind == "gauge":
            made.set(1)
    text = render(registry)
    list(parse_openmetrics(text))
    assert {family.name: family.type for family in read(text)} == types
    names = {sample.name for family in read(text) for sample in family.samples}
    for line in tm.render_prometheus(registry.snapshot()).decode().splitlines():
        if not line.startswith("#"):
            assert line.partition("{")[0].partition(" ")[0] in names | {"tallymark_series"}


# Whatever people write


NAMES = st.text("ab_.-/:2", min_size=1, max_size=6).filter(lambda name: name[0] in "ab_:")
SUFFIXES = st.sampled_from(["", "", "_total", ".total", "_created", "_info", "_sum", "_bucket", "_count", "_seconds", "_2"])
UNITS = st.sampled_from(["", "", "seconds", "total", "created", "%", "m/s", '"\n# EOF', "\udc80"])
KEYS = st.text("aé_.-/:0ß", min_size=1, max_size=4).filter(lambda key: key[0] in "aé_ß") | st.sampled_from(
    ["le", "quantile", "exported_le", "state", "__name__", "_name__", "a.b", "a_b"]
)
TAGS = st.dictionaries(KEYS, ANY, max_size=3)
KINDS = st.sampled_from(["counter", "gauge", "histogram", "timer", "info", "state", "summary"])
METRICS = st.tuples(KINDS, st.builds("{}{}".format, NAMES, SUFFIXES), UNITS, ANY, st.lists(TAGS, max_size=3))


def record(registry: tm.Registry, kind: str, name: str, unit: str, description: str, sets: list[dict[str, str]]) -> None:
    if kind == "info":
        registry.info(name, sets[0] if sets else {})
    elif kind == "state":
        for tags in sets:
            registry.state(name, ["on", "off"], tags=tags, description=description).set("on")
    elif kind == "summary":
        unique = {tm.TagSet(tags): (1, 2.0) for tags in sets}
        family = tm.family("summary", name, list(unique.items()), description=description, unit=unit)
        registry.register(Given(family))
    else:
        instrument = getattr(registry, kind)(name, description=description, **({} if kind == "timer" else {"unit": unit}))
        method = {"counter": "inc", "gauge": "set", "histogram": "observe", "timer": "record"}[kind]
        for tags in sets:
            getattr(instrument.with_tags(tags), method)(1)


class Given:
    def __init__(self, family: tm.FamilySnapshot) -> None:
        self.family = family

    def collect(self) -> list[tm.FamilySnapshot]:
        return [self.family]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", SCHEMES)
@on_each_engine
@given(metrics=st.lists(METRICS, max_size=5, unique_by=lambda metric: metric[1]), created=st.booleans())
def test_whatever_names_units_and_texts_are_it_can_be_read_and_nothing_is_lost(
    engine: Any, scheme: str, metrics: list[tuple[str, str, str, str, list[dict[str, str]]]], created: bool
) -> None:
    registry = tm.Registry(engine=engine.name)
    increments = 0
    for metric in metrics:
        try:
            record(registry, *metric)
        except tm.MetricConflictError:  # `info` adds an ending to its name
            continue
        increments += len(metric[-1]) if metric[0] == "counter" else 0
    text = render(registry, created, escaping=scheme)
    families = read(text)
    assert [one.name for one in parse_openmetrics(text)] == [family.name for family in families]
    descriptions = {one.encode("utf-8", "replace").decode() for _, _, _, one, _ in metrics}
    assert {family.help for family in families} <= {*descriptions, ""}
    counters = [family for family in families if family.type in ("counter", "unknown")]
    totals = [sample.value for family in counters for sample in family.samples if not sample.name.endswith("_created")]
    if not created:
        assert sum(totals) == increments


@on_each_engine
@given(tags=st.dictionaries(st.text("aéß_.0", min_size=1, max_size=3).filter(lambda key: key[0] in "aéß"), ANY, max_size=4))
def test_tags_read_as_what_they_were_where_any_name_is_allowed(engine: Any, tags: dict[str, str]) -> None:
    registry = tm.Registry(engine=engine.name)
    registry.gauge("n.m").set(1, **tags)
    [family] = read(render(registry, escaping="allow-utf-8"))
    expected = {key: value.encode("utf-8", "backslashreplace").decode() for key, value in tags.items() if value}
    assert (family.name, family.samples[0].name, family.samples[0].labels) == ("n.m", "n.m", expected)
