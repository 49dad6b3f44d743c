"""The native engine's classes look like those of the reference: names, signatures, docstrings, special methods."""

from __future__ import annotations

import copy
import importlib.util
import inspect
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import tallymark as tm
from tallymark.engine import load_engine, native, reference

ROOT = Path(__file__).parents[2]
CLASSES = (
    "TagSet",
    "Instrument",
    "Counter",
    "Gauge",
    "Histogram",
    "Timer",
    "Timing",
    "OperationRecorder",
    "Family",
    "Exposition",
)
FUNCTIONS = ("difference", "frozen", "number_lines", "observation_lines", "tag_fields", "tag_texts")
CONSTRUCTED = ("TagSet", "Timing", "OperationRecorder", "Family", "Exposition")

OWN_SEAM = {"Family": {"find", "find_given", "named", "wake", "drop", "series"}}
"""What the reference's instruments ask of their family, and nobody else does: native has it in C."""


def public_names(cls: type) -> set[str]:
    return {name for name in dir(cls) if not name.startswith("_")}


def members() -> Iterator[tuple[str, str]]:
    """Yield each public member of the reference's classes: class and name."""
    for class_name in CLASSES:
        for name in sorted(public_names(getattr(reference, class_name)) - OWN_SEAM.get(class_name, set())):
            yield class_name, name


def kind_of(member: Any) -> str:
    if inspect.isroutine(member):
        return "method"
    return "property" if inspect.isdatadescriptor(member) else type(member).__name__


def plain(signature: inspect.Signature) -> inspect.Signature:
    """Return a signature without annotations, which C has none of."""
    parameters = [one.replace(annotation=one.empty) for one in signature.parameters.values()]
    return signature.replace(parameters=parameters, return_annotation=signature.empty)


def test_both_engines_offer_the_same_names() -> None:
    assert native.__all__ == reference.__all__
    assert {"name", *CLASSES, *FUNCTIONS} == set(reference.__all__)


@pytest.mark.parametrize("class_name", CLASSES)
def test_a_class_has_the_same_public_names(class_name: str) -> None:
    wanted = public_names(getattr(reference, class_name)) - OWN_SEAM.get(class_name, set())
    assert public_names(getattr(native, class_name)) == wanted


@pytest.mark.parametrize("class_name", CLASSES)
def test_a_class_has_the_same_name_and_docstring(class_name: str) -> None:
    ours, theirs = getattr(native, class_name), getattr(reference, class_name)
    assert (ours.__name__, ours.__qualname__) == (theirs.__name__, theirs.__qualname__)
    assert inspect.getdoc(ours) == inspect.getdoc(theirs) != ""


@pytest.mark.parametrize("class_name", CONSTRUCTED)
def test_a_class_is_called_with_the_same_arguments(class_name: str) -> None:
    ours, theirs = getattr(native, class_name), getattr(reference, class_name)
    assert plain(inspect.signature(ours)) == plain(inspect.signature(theirs))


@pytest.mark.parametrize(("class_name", "name"), list(members()))
def test_a_member_is_of_the_same_kind(class_name: str, name: str) -> None:
    ours, theirs = [inspect.getattr_static(getattr(engine, class_name), name) for engine in (native, reference)]
    assert kind_of(ours) == kind_of(theirs)
    if kind_of(theirs) == "str":
        assert ours == theirs


@pytest.mark.parametrize(("class_name", "name"), list(members()))
def test_a_method_has_the_same_signature(class_name: str, name: str) -> None:
    ours, theirs = [getattr(getattr(engine, class_name), name) for engine in (native, reference)]
    if kind_of(theirs) == "method":
        ours, theirs = plain(inspect.signature(ours)), plain(inspect.signature(theirs))
        # A method of C takes its object by position alone, which a call does not show.
        (_, *ours_rest), (_, *theirs_rest) = ours.parameters.values(), theirs.parameters.values()
        assert ours_rest == theirs_rest


@pytest.mark.parametrize(("class_name", "name"), list(members()))
def test_a_member_has_the_same_docstring(class_name: str, name: str) -> None:
    ours, theirs = [inspect.getattr_static(getattr(engine, class_name), name) for engine in (native, reference)]
    if not inspect.ismemberdescriptor(theirs):  # Python's slots carry no docstring
        assert inspect.getdoc(ours) == inspect.getdoc(theirs) != ""


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_the_same_signature_and_docstring(name: str) -> None:
    ours, theirs = getattr(native, name), getattr(reference, name)
    assert plain(inspect.signature(ours)) == plain(inspect.signature(theirs))
    assert inspect.getdoc(ours) == inspect.getdoc(theirs) != ""


def test_docs_h_is_what_the_tool_writes_today() -> None:
    spec = importlib.util.spec_from_file_location("native_docs", ROOT / "tools/native_docs.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.HEADER.read_text() == tool.render(), "run `python tools/native_docs.py`, and build again"


@pytest.mark.parametrize("kind", ["counter", "gauge", "histogram", "timer"])
def test_an_instrument_is_of_its_engine(engine: Any, registry: tm.Registry, kind: str) -> None:
    one = getattr(registry, kind)("n")
    assert type(one) is getattr(engine, kind.capitalize())
    assert isinstance(one, engine.Instrument)
    assert (type(one).kind, one.kind) == (kind, kind)


@pytest.mark.parametrize("kind", ["counter", "gauge", "histogram", "timer"])
def test_instruments_are_made_by_registries_alone(engine: Any, kind: str) -> None:
    with pytest.raises(TypeError, match=rf"made by a registry: registry\.{kind}\(name\)"):
        getattr(engine, kind.capitalize())("n")


@pytest.mark.parametrize("attribute", ["name", "description", "unit", "tags", "value", "kind", "anything"])
def test_an_instrument_has_no_attribute_that_can_be_set(registry: tm.Registry, attribute: str) -> None:
    counter = registry.counter("n")
    with pytest.raises(AttributeError):
        setattr(counter, attribute, 1)
    with pytest.raises(AttributeError):
        delattr(counter, attribute)


def test_instruments_are_equal_only_to_themselves(registry: tm.Registry) -> None:
    counter, other = registry.counter("n"), registry.counter("m")
    assert counter == counter.with_tags()
    assert counter != other
    assert len({counter, other, registry.counter("n")}) == 2


@pytest.mark.parametrize("kind", ["counter", "gauge", "histogram", "timer"])
def test_an_instrument_cannot_be_copied_because_a_copy_would_record_into_the_void(registry: tm.Registry, kind: str) -> None:
    one = getattr(registry, kind)("n")
    for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match=rf"cannot pickle .*{kind.capitalize()}"):
            attempt(one)


# Tag sets are mappings


def test_a_tag_set_is_a_mapping(engine: Any) -> None:
    tags = engine.TagSet(b="2", a="1")
    assert isinstance(tags, Mapping)
    assert issubclass(engine.TagSet, Mapping)
    assert (list(tags.keys()), list(tags.values())) == (["a", "b"], ["1", "2"])
    assert tags.keys() & {"a", "c"} == {"a"}
    assert ("a", "1") in tags.items()
    assert "2" in tags.values()
    assert {**tags} == dict(tags) == {"a": "1", "b": "2"}
    assert [repr(view) for view in (tags.keys(), tags.items())] == [f"KeysView({tags!r})", f"ItemsView({tags!r})"]


def test_a_tag_set_matches_patterns(engine: Any) -> None:
    match engine.TagSet(method="GET", status="200"):
        case {"method": "POST"}:
            found: Any = "the wrong one"
        case {"method": "GET", **rest}:
            found = rest
        case _:
            found = "nothing"
    assert found == {"status": "200"}
    match engine.TagSet(a="1"):
        case [*_]:
            pytest.fail("a tag set is no sequence")


def test_a_tag_set_compares_with_mappings_from_either_side(engine: Any) -> None:
    tags = engine.TagSet(a="1")
    other = load_engine("reference" if engine.name == "native" else "native").TagSet(a="1")
    for equal in ({"a": "1"}, other, engine.TagSet({"a": 1})):
        assert tags == equal
        assert equal == tags
        assert (tags != equal) is False
    for unequal in ({"a": 1}, {}, {"a": "1", "b": "2"}, other.__class__(), [("a", "1")], "a", None, engine.TagSet()):
        assert tags != unequal
        assert unequal != tags
        assert (tags == unequal) is False
    assert hash(tags) == hash(engine.TagSet({"a": 1}))


@pytest.mark.parametrize("compare", ["__lt__", "__le__", "__gt__", "__ge__"])
def test_tag_sets_have_no_order(engine: Any, compare: str) -> None:
    assert getattr(engine.TagSet(a="1"), compare)(engine.TagSet(b="1")) is NotImplemented


def test_what_no_mapping_does_a_tag_set_does_not(engine: Any) -> None:
    tags = engine.TagSet(a="1")
    with pytest.raises(TypeError, match="not reversible"):
        reversed(tags)
    with pytest.raises(TypeError, match="unsupported operand"):
        tags | tags
    for lookup in (tags.__getitem__, tags.__contains__, tags.get):
        with pytest.raises(TypeError, match="unhashable type: 'list'"):
            lookup([])
    for attribute in ("anything", "_items_", "__dict__"):
        with pytest.raises(AttributeError):
            setattr(tags, attribute, 1)


def test_get_takes_its_arguments_by_keyword_too(engine: Any) -> None:
    tags = engine.TagSet(a="1")
    assert tags.get(key="a") == "1"
    assert tags.get("b", default="x") == "x"
    assert tags.get(default="x", key="b") == "x"
    for wrong in ({}, {"other": 1}, {"key": "a", "other": 1}):
        with pytest.raises(TypeError):
            tags.get(**wrong)
    with pytest.raises(TypeError):
        tags.get("a", key="a")
    with pytest.raises(TypeError):
        tags.get("a", 1, 2)


def test_a_pickled_tag_set_comes_back_as_its_own_kind(engine: Any) -> None:
    tags = engine.TagSet(a="1", b="é")
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(tags, protocol)) is tags
    assert copy.deepcopy({"tags": [tags]})["tags"][0] is tags


def test_label_text_is_kept_with_the_tag_set(engine: Any) -> None:
    tags = engine.TagSet(only_here="1")
    assert tags._label_text is None
    tags._keep_label_text("x")
    assert engine.TagSet({"only_here": 1})._label_text == "x"
    with pytest.raises(AttributeError):
        tags._label_text = "y"
    assert not hasattr(tags, "label_text")
    assert tags == {"only_here": "1"}
