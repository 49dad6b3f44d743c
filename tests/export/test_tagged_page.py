"""Labels for all series: a page has the bytes that it has of series whose own tags they are, in text and in protobuf."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tallymark as tm
from everything import everything, family
from tallymark.export.protobuf import render_protobuf
from tallymark.export.relabelling import Relabelling
from tallymark.export.tagged_page import TaggedPage
from tallymark.export.twins import groups_of, merged
from tallymark.frozen import replace

Render = Callable[[tm.Snapshot, Mapping[str, str]], bytes]
FORMATS: dict[str, tuple[Render, Callable[[tm.Snapshot], bytes]]] = {
    "text": (lambda snapshot, tags: TaggedPage(tags).render(snapshot), tm.render_prometheus),
    "protobuf": (
        lambda snapshot, tags: render_protobuf(snapshot, classic=True, tags=tags),
        lambda snapshot: render_protobuf(snapshot, classic=True),
    ),
}

keys = st.sampled_from(["env", "zone", "a.b", "a_b", "le", "quantile", "exported_le", "Z", "é", "user"])
values = st.sampled_from(["", "a", "b", "é", 'q"\\\n', "Q0Q", "\udc80", "x" * 200])
tag_sets = st.dictionaries(keys, values, max_size=4)


def told_before(snapshot: tm.Snapshot, tags: Mapping[str, str]) -> tm.Snapshot:
    """Return a snapshot whose series have these tags as their own."""
    return tm.Snapshot(tuple([with_tags(one, tags) for one in snapshot.families]), snapshot.time)


def with_tags(one: tm.FamilySnapshot, tags: Mapping[str, str]) -> tm.FamilySnapshot:
    data = replace(one.data, tags=tuple([tm.TagSet({**tags, **own}) for own in one.data.tags]))
    groups = sorted(groups_of(data.tags), key=itemgetter(-1))  # of series that become one, the last one's place counts
    return replace(one, data=merged(data, groups) if groups else data)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("tags", [{"zone": "a", "env": "prod"}, {"http.host": "é"}, {"le": "x", "quantile": 'y"'}, {"a": ""}])
def test_a_page_of_everything_has_the_labels(name: str, tags: dict[str, str]) -> None:
    render, plain = FORMATS[name]
    told = Relabelling("", tags).relabelled(everything())
    assert render(told, tags) == plain(told_before(everything(), tags))


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(own=st.lists(tag_sets, max_size=8), tags=tag_sets)
def test_series_of_a_registry_have_the_labels(name: str, engine: Any, own: list[dict[str, str]], tags: dict[str, str]) -> None:
    registry = tm.Registry(engine=engine.name, self_metrics=False)
    for place, one in enumerate(own):
        registry.counter("c").with_tags(one).inc(place + 0.5)
        registry.gauge("g").with_tags(one).set(float("inf") if place == 3 else place)
        registry.histogram("h", buckets=[1, 2]).with_tags(one).observe(place)
    tags = dict(tm.TagSet(tags))  # as a backend has them
    render, plain = FORMATS[name]
    snapshot = registry.snapshot()
    told = Relabelling("", tags).relabelled(snapshot)
    assert render(told, tags) == plain(told_before(snapshot, tags))


@pytest.mark.parametrize("name", FORMATS)
def test_a_value_of_its_own_wins_even_if_it_is_empty(name: str) -> None:
    data = tm.GaugeData((tm.TagSet(env=""), tm.TagSet(env="own"), tm.TagSet(a="1")), (0.0,) * 3, (1.0, float("nan"), 3.0))
    snapshot = tm.Snapshot((family("g", "gauge", data),), 1.0)
    render, plain = FORMATS[name]
    assert render(snapshot, {"env": "prod"}) == plain(told_before(snapshot, {"env": "prod"}))


def test_no_text_is_kept_of_series_whose_tags_the_engine_writes(engine: Any) -> None:
    registry = tm.Registry(engine=engine.name, self_metrics=False)
    registry.counter("c").inc(user="u")
    snapshot = registry.snapshot()
    page = TaggedPage({"env": "prod"})
    assert page.render(snapshot).endswith(b'c_total{env="prod",user="u"} 1.0\n')
    assert [one._label_text for one in snapshot["c"].data.tags] == [None]


@pytest.mark.parametrize("key", ["a_b", "exported_le"])
def test_series_whose_own_tags_are_the_same_labels_are_one(engine: Any, key: str) -> None:
    registry = tm.Registry(engine=engine.name, self_metrics=False)
    for one in ("a.b", "le", key):
        registry.counter("c").with_tags({one: "1"}).inc(2)
        registry.histogram("h", buckets=[1]).with_tags({one: "1"}).observe(0.5)
    snapshot = registry.snapshot()
    page = TaggedPage({"env": "prod"}).render(snapshot)
    assert page == tm.render_prometheus(told_before(snapshot, {"env": "prod"}))
    assert page.count({"a_b": b'\nc_total{a_b="1"', "exported_le": b'\nh_count{env="prod",exported_le="1"'}[key]) == 1
