"""What Tallymark offers: `__all__` of its public packages, and nothing beside it."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest

import tallymark as tm
import tallymark.bench
import tallymark.bridges
import tallymark.export
import tallymark.testing

PACKAGES = [tm, tallymark.testing, tallymark.bench, tallymark.bridges, tallymark.export]
KINDS = ["counter", "gauge", "histogram", "timer"]

PUBLIC = """
    BasicAuth BearerAuth Collector Configuration ConfigurationError Counter DURATION_BUCKETS Exemplar
    ExponentialHistogramData FamilySnapshot Gauge GaugeData Histogram HistogramData HistogramSnapshot Host InfoData
    MetricConflictError NullRegistry OPENMETRICS_CONTENT_TYPE Operation OperationalMetrics Outcome PROMETHEUS_CONTENT_TYPE
    Registry ReportError Reporter SIZE_BUCKETS SeriesView Server SharedFileError Snapshot State StateSetData SumData
    SummaryData TLS TagError TagLimits TagSet Timer Timing VALUE_BUCKETS __version__ asgi_app classify configure counter
    current_span_exemplar delta detect_host engine_name exponential_buckets family gauge histogram info linear_buckets
    process_metrics registry render_openmetrics render_prometheus report_once report_to serve state timer use wsgi_app
"""


def own_names(module: ModuleType) -> list[str]:
    return [name for name in dir(module) if not (name.startswith("__") and name.endswith("__"))]


def documented(module: ModuleType) -> list[tuple[str, Any]]:
    """Return the public classes and functions of a module."""
    named = [(name, getattr(module, name)) for name in module.__all__]
    return [(name, one) for name, one in named if inspect.isclass(one) or inspect.isroutine(one)]


ALL = [(module.__name__, name, one) for module in PACKAGES for name, one in documented(module)]


def test_the_public_names_are_these() -> None:
    """To take one away is to break who uses it; to add one is to keep it for good."""
    assert sorted(tm.__all__) == PUBLIC.split()


@pytest.mark.parametrize("module", PACKAGES, ids=lambda module: module.__name__)
def test_a_public_package_offers_its_names_and_no_others(module: ModuleType) -> None:
    packages = {"backends", "bench", "bridges", "export", "integrations", "testing"} if module is tm else set()
    assert len(set(module.__all__)) == len(module.__all__)
    assert set(own_names(module)) == {name for name in module.__all__ if not name.startswith("__")} | packages
    assert dir(module) == sorted(dir(module))


@pytest.mark.parametrize("module", PACKAGES, ids=lambda module: module.__name__)
def test_every_public_name_is_there_and_the_same_each_time(module: ModuleType) -> None:
    assert module.__doc__
    for name in module.__all__:
        assert getattr(module, name) is getattr(module, name)
    everything: dict[str, Any] = {}
    exec(f"from {module.__name__} import *", everything)
    assert set(module.__all__) <= everything.keys()


@pytest.mark.parametrize("module", PACKAGES, ids=lambda module: module.__name__)
def test_a_name_that_is_not_there_is_an_attribute_error_that_names_it(module: ModuleType) -> None:
    with pytest.raises(AttributeError, match=f"module '{module.__name__}' has no attribute 'countr'"):
        module.countr
    assert not hasattr(module, "_private")


def test_type_checkers_see_the_same_names() -> None:
    """What is imported when it is first asked for is imported under `TYPE_CHECKING` too."""
    source = inspect.getsource(tm)
    checked = source[source.index("if TYPE_CHECKING:") : source.index("_HOMES")]
    for name in set(tm.__all__) - {"__version__", *vars(importlib.import_module("tallymark.metric.context"))}:
        assert name in checked, name


@pytest.mark.parametrize(("module", "name", "one"), ALL, ids=[f"{module}.{name}" for module, name, _ in ALL])
def test_every_public_class_and_function_says_what_it_is_for(module: str, name: str, one: Any) -> None:
    text = inspect.getdoc(one)
    assert text, f"{module}.{name}"
    if not inspect.isclass(one):
        return
    for member, value in vars(one).items():
        if not member.startswith("_") and (
            inspect.isroutine(value) or isinstance(value, property | classmethod | staticmethod)
        ):
            assert inspect.getdoc(getattr(one, member)), f"{module}.{name}.{member}"


# The front door


@pytest.mark.parametrize("name", [*KINDS, "info", "state"])
def test_a_function_of_the_front_door_takes_what_the_method_takes(name: str) -> None:
    function, method = inspect.signature(getattr(tm, name)), inspect.signature(getattr(tm.Registry, name))
    parameters = list(method.parameters.values())[1:]
    assert list(function.parameters.values()) == parameters
    assert function.return_annotation == method.return_annotation


@pytest.mark.parametrize("name", KINDS)
def test_no_option_of_the_front_door_goes_unchecked(name: str) -> None:
    for owner in (tm, tm.Registry):
        parameters = inspect.signature(getattr(owner, name)).parameters.values()
        assert not [one for one in parameters if one.kind in (one.VAR_KEYWORD, one.VAR_POSITIONAL)]
        assert [one.name for one in parameters if one.kind is not one.KEYWORD_ONLY and one.name != "self"] == ["name"]
        assert all(one.default is None or one.default == "" for one in parameters if one.kind is one.KEYWORD_ONLY)
    with tm.use(tm.Registry()), pytest.raises(TypeError, match="documentation"):
        getattr(tm, name)("n", documentation="…")


@pytest.mark.parametrize("name", KINDS)
def test_every_option_reaches_the_registry(name: str) -> None:
    options: dict[str, Any] = {
        "description": "Text.", "tags": {"a": "1"}, "tag_keys": ("a", "b"), "ttl": 5.0, "limits": tm.TagLimits(max_series=5),
    }  # fmt: skip
    if name != "timer":
        options["unit"] = "bytes"
    if name in ("histogram", "timer"):
        options |= {"buckets": (1.0, 2.0), "exponential": False}
    else:
        options["callback"] = lambda: [({"b": "2"}, 7.0)]
    if name == "gauge":
        options["aggregate"] = "max"
    given = set(inspect.signature(getattr(tm, name)).parameters) - {"name"}
    assert given == options.keys()
    with tm.use(tm.Registry()) as registry:
        one = getattr(tm, name)("n", **options)
        found = one._family.options
        assert (one.description, dict(one.tags), found.tag_keys, found.ttl) == ("Text.", {"a": "1"}, ("a", "b"), 5.0)
        assert found.limits.max_series == 5
        assert one.unit == ("seconds" if name == "timer" else "bytes")
        assert found.aggregate == ("max" if name == "gauge" else "")
        if "buckets" in options:
            assert one.bounds == (1.0, 2.0)
        else:
            assert registry.snapshot().find("n", a="1", b="2") is not None


@pytest.mark.parametrize(
    "first", ["tallymark.serve.pages", "tallymark.serve.endpoint", "tallymark.serve.server", "tallymark.serve", "tallymark"]
)
def test_serve_is_the_function_whatever_was_imported_first(first: str) -> None:
    code = f"import {first}, inspect, tallymark as tm; assert inspect.isfunction(tm.serve)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
