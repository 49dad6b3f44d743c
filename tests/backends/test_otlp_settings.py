"""What an OTLP backend is told: by arguments, which raise what cannot be used, and by the environment, where it is logged."""

from __future__ import annotations

import logging
import os
import ssl
import subprocess
import sys
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from tallymark.backends import OTLP
from tallymark.backends.otlp_resource import Identity
from tallymark.backends.otlp_tls import Certificates
from tallymark.backends.otlp_variables import Variables
from tallymark.client.errors import AddressError

FILE = __file__
"""A file that passes for a PEM file, as it has this: -----BEGIN TEST-----."""


def read(**variables: str) -> Variables:
    return Variables({f"OTEL_EXPORTER_OTLP_{name}": value for name, value in variables.items()})


# The environment


@pytest.mark.parametrize(
    ("variables", "protocol", "url"),
    [
        ({}, "http/protobuf", "http://localhost:4318/v1/metrics"),
        ({}, "grpc", "http://localhost:4317"),
        ({"ENDPOINT": "http://c:4318"}, "http/protobuf", "http://c:4318/v1/metrics"),
        ({"ENDPOINT": "http://c:4318/"}, "http/protobuf", "http://c:4318/v1/metrics"),
        ({"ENDPOINT": "https://c/otlp/?a=b"}, "http/protobuf", "https://c/otlp/v1/metrics?a=b"),
        ({"METRICS_ENDPOINT": "http://m:1/mine"}, "http/protobuf", "http://m:1/mine"),
        ({"METRICS_ENDPOINT": "http://m:1"}, "http/protobuf", "http://m:1"),
        ({"ENDPOINT": "http://c:1", "METRICS_ENDPOINT": "http://m:1/x"}, "http/protobuf", "http://m:1/x"),
        ({"ENDPOINT": " "}, "http/protobuf", "http://localhost:4318/v1/metrics"),
        ({"ENDPOINT": "http://c:4317/ignored"}, "grpc", "http://c:4317"),
        ({"ENDPOINT": "c:4317"}, "grpc", "https://c:4317"),
        ({"ENDPOINT": "c:4317", "INSECURE": "True"}, "grpc", "http://c:4317"),
        ({"ENDPOINT": "https://c:4317", "METRICS_INSECURE": "true"}, "grpc", "https://c:4317"),
        ({"ENDPOINT": "[::1]:4317"}, "grpc", "https://[::1]:4317"),
    ],
)
def test_the_endpoint_is_what_the_variables_say(variables: dict[str, str], protocol: str, url: str) -> None:
    assert read(**variables).address(protocol).url == url


def test_the_variable_for_metrics_wins_and_each_has_a_default() -> None:
    found = read(
        PROTOCOL="grpc", METRICS_PROTOCOL="HTTP/protobuf", COMPRESSION="GZip", METRICS_TIMEOUT="2500",
        TIMEOUT="9000", METRICS_TEMPORALITY_PREFERENCE="Delta", CERTIFICATE=FILE,
    )  # fmt: skip
    assert (found.protocol(), found.compression(), found.timeout(), found.temporality()) == (
        "http/protobuf", "gzip", 2.5, "delta",
    )  # fmt: skip
    assert (found.file("CERTIFICATE"), found.file("CLIENT_KEY")) == (FILE, None)
    empty = read()
    assert (empty.protocol(), empty.compression(), empty.timeout(), empty.temporality()) == (
        "http/protobuf", "none", 10.0, "cumulative",
    )  # fmt: skip
    assert empty.headers() == {}
    assert read(METRICS_TEMPORALITY_PREFERENCE="lowmemory").temporality() == "delta"


def test_headers_have_percent_codes() -> None:
    found = read(HEADERS="api-key=a%2Cb%3D%20c , X-Other = 2,,empty=").headers()
    assert found == {"api-key": "a,b= c", "x-other": "2", "empty": ""}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PROTOCOL", "http/json", "'http/json', but 'http/protobuf' or 'grpc' can be used; taken instead: http/protobuf"),
        ("METRICS_COMPRESSION", "br", "'br', but 'none' or 'gzip' can be used; taken instead: none"),
        ("TIMEOUT", "10s", "'10s', but must be a number of milliseconds, such as 10000; taken instead: 10 s"),
        ("TIMEOUT", "-1", "'-1', but must be"),
        ("TIMEOUT", "²", "'²', but must be"),
        ("TIMEOUT", "0", "'0', but must be"),
        ("METRICS_TEMPORALITY_PREFERENCE", "both", "'both', but 'cumulative' or 'delta' or 'lowmemory' can be used"),
        (
            "ENDPOINT",
            "ftp://c",
            "cannot be used: ftp://c: only http:// and https:// can be used; taken instead: http://localhost",
        ),
        ("METRICS_CLIENT_KEY", "/is/not/there", "cannot be used: [Errno"),
        ("CERTIFICATE", "/", "cannot be used: [Errno"),
        ("CERTIFICATE", os.devnull, "/dev/null is no PEM file"),
        ("HEADERS", "no value", "a header is written as name=value"),
        ("HEADERS", "a b=secret", "'a b' is not the name of a header"),
        ("HEADERS", "content-length=5", "'content-length' is a header that cannot be chosen"),
        ("HEADERS", "a=secret%0d%0ab: c", "the value of 'a' has characters that are not printable ASCII"),
    ],
)
def test_what_cannot_be_used_is_named_with_what_is_taken_and_without_secrets(
    name: str, value: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    found = read(**{name: value})
    with caplog.at_level(logging.WARNING, "tallymark"):
        found.protocol(), found.compression(), found.timeout(), found.temporality(), found.headers()
        found.address("http/protobuf"), found.file("CERTIFICATE"), found.file("CLIENT_KEY")
    (message,) = caplog.messages
    assert f"OTEL_EXPORTER_OTLP_{name} " in message
    assert said in message
    assert "secret" not in message


def test_a_timeout_that_was_meant_to_be_seconds_is_noted(caplog: pytest.LogCaptureFixture) -> None:
    assert read(TIMEOUT="10").timeout() == 0.01
    assert "in milliseconds" in caplog.text


def test_a_password_in_an_endpoint_that_cannot_be_used_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    read(ENDPOINT="http://u:secret@c:port/").address("http/protobuf")
    assert "ENDPOINT" in caplog.text
    assert "secret" not in caplog.text


def test_a_backend_takes_from_the_environment_what_it_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20secret,x=1")
    told = OTLP()
    assert (told.address, told.temporality, told.keeps) == ("http://c:4318/v1/metrics", "delta", "all")
    assert told._headers == {"authorization": "Bearer secret", "x": "1"}
    other = OTLP("http://m:1", temporality="cumulative", headers={})
    assert (other.address, other.temporality, other.keeps) == ("http://m:1/v1/metrics", "cumulative", "latest")
    assert other._headers == {}
    assert OTLP(auth="mine")._headers == {"authorization": "Bearer mine", "x": "1"}
    assert OTLP("http://u:p@m:1")._headers == {"x": "1"}  # the password of the URL is sent


def test_a_key_without_its_certificate_is_logged_and_left_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_KEY", FILE)
    otlp = OTLP("http://c")
    assert otlp._certificates.client_key is None
    assert "one of them is missing" in caplog.text
    assert otlp.problems == tuple(caplog.messages)


def test_what_is_no_attribute_of_the_resource_is_logged_and_left_out(caplog: pytest.LogCaptureFixture) -> None:
    otlp = OTLP("http://c", environ={"OTEL_RESOURCE_ATTRIBUTES": "team=a=b,broken,, =x,service.name=shop"})
    found = otlp._identity.attributes({}, "")
    assert (found["team"], found["service.name"]) == ("a=b", "shop")
    assert not {"broken", ""} & found.keys()
    wrong = "but an attribute is written as key=value; taken instead: the others"
    assert caplog.messages == [f"OTEL_RESOURCE_ATTRIBUTES has {pair}, {wrong}" for pair in ("'broken'", "'=x'")]
    assert otlp.problems == tuple(caplog.messages)


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return paths: of a certificate, its key, the same key encrypted, and another key; and of what is none of these."""
    folder = tmp_path_factory.mktemp("pem")
    ours, others = [trustme.CA().issue_cert("a.example") for _ in range(2)]
    key = load_pem_private_key(ours.private_key_pem.bytes(), None)
    encrypted = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"hunter2"))
    texts = {
        "own": ours.cert_chain_pems[0].bytes(),
        "key": ours.private_key_pem.bytes(),
        "encrypted": encrypted,
        "other": others.private_key_pem.bytes(),
        "broken": b"-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n",
    }
    for name, text in texts.items():
        (folder / name).write_bytes(text)
    return {name: str(folder / name) for name in texts}


BROKEN_PAIRS = [
    ("other", "own", "is no key that fits the certificate"),
    ("own", "own", "is no key that fits"),
    ("key", "broken", "is no key that fits"),
    ("encrypted", "own", "is encrypted: give a key without a password"),
]


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_files_of_variables_that_cannot_be_used_are_logged_and_left_out(
    protocol: Any, pem: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    for key, own, words in BROKEN_PAIRS:
        caplog.clear()
        variables = {"CERTIFICATE": pem["broken"], "CLIENT_KEY": pem[key], "CLIENT_CERTIFICATE": pem[own]}
        environ = {f"OTEL_EXPORTER_OTLP_{name}": value for name, value in variables.items()}
        otlp = OTLP("https://c", protocol=protocol, environ=environ)
        assert otlp._certificates == Certificates(None, None, None, None)
        first, second = otlp.problems
        assert f"{pem['broken']} has no certificate that can be read" in first
        assert f"{pem[key]} {words}" in second
        assert caplog.messages == [first, second]
    fits = {"OTEL_EXPORTER_OTLP_CLIENT_KEY": pem["key"], "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": pem["own"]}
    assert OTLP("https://c", protocol=protocol, environ=fits)._certificates.client_key == pem["key"]


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_files_of_arguments_that_cannot_be_used_are_an_error_that_names_them(protocol: Any, pem: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=f"{pem['broken']} has no certificate that can be read"):
        OTLP("https://c", protocol=protocol, certificate=pem["broken"])
    for key, own, words in BROKEN_PAIRS:
        with pytest.raises(ValueError, match=f"{pem[key]} {words}"):
            OTLP("https://c", protocol=protocol, client_key=pem[key], client_certificate=pem[own])


# Arguments


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"url": "ftp://c"}, AddressError, "only http:// and https://"),
        ({"url": "http://"}, AddressError, "is not a URL"),
        ({"url": 4318}, TypeError, "url"),
        ({"url": "http://c:4318/v1/metrics", "protocol": "grpc"}, AddressError, "has a path, and gRPC has none"),
        ({"protocol": "http/json"}, ValueError, "protocol must be 'http/protobuf' or 'grpc', not 'http/json'"),
        ({"temporality": "lowmemory"}, ValueError, "temporality must be 'cumulative' or 'delta'"),
        ({"temporality": ["delta"]}, ValueError, "temporality must be"),
        ({"compression": "br"}, ValueError, "compression must be 'none' or 'gzip'"),
        ({"timeout": "10"}, TypeError, "timeout must be a number of seconds"),
        ({"timeout": float("nan")}, ValueError, "timeout must be above 0"),
        ({"headers": {"a": "b\r\nc: d"}}, ValueError, "header 'a'"),
        ({"headers": {"Content-Type": "text/plain"}}, ValueError, "'content-type' is a header that cannot be chosen"),
        ({"headers": [("a", "b")]}, TypeError, "headers must be a mapping"),
        ({"headers": {"Authorization": "x"}, "auth": "y"}, ValueError, "credentials in headers and in auth"),
        ({"tls": True}, TypeError, "tls"),
        ({"tls": ssl.create_default_context(), "certificate": FILE}, ValueError, "give tls, or certificate, not both"),
        ({"tls": ssl.create_default_context(), "protocol": "grpc"}, ValueError, "tls cannot be used with gRPC"),
        ({"client_key": FILE}, ValueError, "client_key and client_certificate belong together"),
        ({"certificate": "/is/not/there"}, OSError, "/is/not/there"),
        ({"certificate": "/is/not/there", "protocol": "grpc"}, OSError, "/is/not/there"),
        ({"certificate": os.devnull}, ValueError, "/dev/null is no PEM file"),
        ({"certificate": os.devnull, "protocol": "grpc"}, ValueError, "/dev/null is no PEM file"),
        ({"resource": {"a": None}}, TypeError, "'a' is a NoneType, but an attribute is a text, a number or a bool"),
        ({"resource": {1: "a"}}, TypeError, "1 is a str"),
        ({"resource": {"a": 2**63}}, ValueError, "more than 64 bits"),
        ({"resource": {"": "x"}}, ValueError, "the key of an attribute must not be empty"),
        ({"include": "a*"}, TypeError, "include must be a list of globs"),
    ],
)
def test_an_argument_that_cannot_be_used_is_an_error_at_once(
    arguments: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error) as caught:
        OTLP(**arguments)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("module", "arguments", "extra"),
    [
        ("opentelemetry.proto.metrics.v1.metrics_pb2", {}, "tallymark[otlp]"),
        ("opentelemetry.proto.collector.metrics.v1.metrics_service_pb2", {}, "tallymark[otlp]"),
        ("grpc", {"protocol": "grpc"}, "tallymark[otlp-grpc]"),
        ("google.rpc.status_pb2", {"protocol": "grpc"}, "tallymark[otlp-grpc]"),
    ],
)
def test_a_missing_package_is_one_error_that_names_the_extra(
    module: str, arguments: Any, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith(("tallymark.export.otlp", "tallymark.backends.otlp_"))]:
        monkeypatch.delitem(sys.modules, name)
    import tallymark.export

    monkeypatch.delattr(tallymark.export, "otlp", raising=False)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError) as caught:
        OTLP(**arguments)
    assert f"pip install '{extra}'" in str(caught.value)


@pytest.mark.slow
def test_what_is_not_needed_is_not_imported() -> None:
    program = """if True:
        import sys
        import tallymark as tm
        from tallymark import backends
        def of_others():
            return sorted(name for name in sys.modules if name.split(".")[0] in ("opentelemetry", "google", "grpc"))
        assert of_others() == []
        backends.OTLP
        assert of_others() == [], of_others()
        backend = backends.OTLP("http://127.0.0.1:1")
        assert "grpc" not in sys.modules and "opentelemetry.sdk" not in sys.modules
        backends.OTLP("http://127.0.0.1:1", protocol="grpc")
        assert "grpc" in sys.modules and "opentelemetry.sdk" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


# The resource


def attributes(environ: dict[str, str], given: Any = None, target: Any = None) -> dict[str, Any]:
    return Identity(given or {}, environ).attributes(target or {}, "")


def test_an_attribute_is_that_of_who_knows_best() -> None:
    environ = {"OTEL_RESOURCE_ATTRIBUTES": "service.name=a,team=x%20y,host.name=h", "ENVIRONMENT": "staging"}
    found = attributes(environ)
    assert (found["service.name"], found["team"], found["host.name"]) == ("a", "x y", "h")
    assert found["deployment.environment.name"] == "staging"
    environ["OTEL_SERVICE_NAME"] = "b"
    assert attributes(environ)["service.name"] == "b"
    assert attributes(environ, {"service.name": "c"})["service.name"] == "c"
    target = {"service.name": "d", "host.name": "e", "service.instance.id": "f"}
    assert attributes({}, target=target).items() >= target.items()
    assert attributes(environ, target={"service.name": "d"})["service.name"] == "b"
    assert attributes({})["service.name"] == f"unknown_service:{os.path.basename(sys.executable)}"
    assert attributes({"OTEL_RESOURCE_ATTRIBUTES": "service.instance.id=mine"})["service.instance.id"] == "mine"


def test_the_processes_that_share_a_registry_are_one_instance_and_others_are_not() -> None:
    one, other = Identity({}, {}), Identity({}, {})
    assert one.attributes({}, "") == one.attributes({}, "")
    ids = [
        each.attributes({}, name)["service.instance.id"]
        for name in ("", "/dev/shm/a", "/dev/shm/b\udc80")
        for each in (one, other)
    ]
    assert ids[0] != ids[1]
    assert ids[2] == ids[3]
    assert len({ids[2], ids[4], ids[0], ids[1]}) == 4
