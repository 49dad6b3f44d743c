"""The protobuf runtime is an extra: what holds without it, and beside other users of it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from protobuf_pages import page

from tallymark.export.protobuf import available


def test_rendering_without_the_runtime_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name == "google" or name.startswith("google.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "google", None)
    assert not available()
    with pytest.raises(ImportError, match=r"pip install 'tallymark\[protobuf\]'"):
        page()


def test_a_runtime_that_is_too_old_is_not_available(monkeypatch: pytest.MonkeyPatch) -> None:
    assert available()
    monkeypatch.setattr("google.protobuf.__version__", "4.25.9")
    assert not available()
    with pytest.raises(ImportError, match=r"pip install 'tallymark\[protobuf\]'"):
        page()


def test_an_unknown_escaping_is_an_error() -> None:
    with pytest.raises(ValueError, match="no escaping scheme 'utf-8'"):
        page(escaping="utf-8")


def test_asking_whether_it_is_available_does_not_import_the_runtime() -> None:
    program = "import sys; from tallymark.export.protobuf import available; print(available(), *sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    answer, *modules = done.stdout.split()
    assert answer == "True"
    assert {name for name in modules if name.startswith("google.protobuf.")} == set()


def test_other_messages_of_the_same_names_are_not_disturbed() -> None:
    program = """
from google.protobuf import descriptor_pb2, descriptor_pool
other = descriptor_pb2.FileDescriptorProto(name="io/prometheus/client/metrics.proto", package="io.prometheus.client")
other.message_type.add(name="Metric").field.add(name="other", number=1, type=9, label=1)
pool = descriptor_pool.Default()
pool.AddSerializedFile(other.SerializeToString())
import tallymark as tm
from tallymark.export.protobuf import render_protobuf
registry = tm.Registry(self_metrics=False)
registry.counter("n").inc()
assert render_protobuf(registry.snapshot())
assert [field.name for field in pool.FindMessageTypeByName("io.prometheus.client.Metric").fields] == ["other"]
"""
    subprocess.run([sys.executable, "-c", program], check=True)
