"""What all backends over HTTP have in common: URL, headers, credentials, certificates."""

from __future__ import annotations

import base64
import ssl
from typing import Any

import pytest

import tallymark as tm
from tallymark.backends.http import http_client
from tallymark.client.errors import AddressError

URL = "http://metrics.example:9090/api/v1/write"
SECRET = "s3cret"


def authorization(**settings: Any) -> str | None:
    return http_client(settings.pop("url", URL), **settings)._fields.get("Authorization")


def basic(text: str) -> str:
    return f"Basic {base64.b64encode(text.encode()).decode()}"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, None),
        ({"auth": ("user", SECRET)}, basic(f"user:{SECRET}")),
        ({"auth": ("user", "")}, basic("user:")),
        ({"auth": ("Zoë", "pässword:1")}, basic("Zoë:pässword:1")),
        ({"auth": "abc.DEF-123"}, "Bearer abc.DEF-123"),
        ({"headers": {"authorization": "Token x"}}, "Token x"),
        ({"url": "http://u%40x:p%3A@metrics.example/"}, basic("u@x:p:")),
    ],
)
def test_credentials_are_sent_as_their_scheme_has_them(settings: dict[str, Any], expected: str | None) -> None:
    assert authorization(**settings) == expected


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"auth": tm.BasicAuth("user", SECRET)}, TypeError, "keeps only a digest"),
        ({"auth": tm.BearerAuth(SECRET)}, TypeError, "keeps only a digest"),
        ({"auth": ["user", SECRET]}, TypeError, "not list"),
        ({"auth": ("user", SECRET, "more")}, TypeError, "not tuple"),
        ({"auth": ("user", 7)}, TypeError, "not tuple"),
        ({"auth": ""}, ValueError, "must not be empty"),
        ({"auth": ("", SECRET)}, ValueError, "must not be empty"),
        ({"auth": ("user:x", SECRET)}, ValueError, "colon"),
        ({"auth": f"{SECRET}\n"}, ValueError, "line breaks"),
        ({"auth": f"Bearer {SECRET}"}, ValueError, "without 'Bearer '"),
        ({"auth": ("user", f"{SECRET}\ud800")}, ValueError, "cannot be sent"),
        ({"auth": SECRET, "headers": {"AUTHORIZATION": SECRET}}, ValueError, "in headers and in auth"),
        ({"auth": SECRET, "url": f"http://u:{SECRET}@metrics.example/"}, ValueError, "in the URL and in auth"),
        ({"headers": [("A", "b")]}, TypeError, "not list"),
        ({"headers": {"A": 1}}, TypeError, "header 'A'"),
        ({"headers": {1: "b"}}, TypeError, "each name"),
        ({"headers": {"A b": "c"}}, ValueError, "'A b'"),
        ({"headers": {"A": f"{SECRET}\r\nX: y"}}, ValueError, "'A' has line breaks"),
        ({"headers": {"A": f"{SECRET}€"}}, ValueError, "Latin-1"),
        ({"tls": "cert.pem"}, TypeError, "ssl.SSLContext"),
        ({"url": 9090}, TypeError, "url"),
        ({"url": f"ftp://u:{SECRET}@metrics.example/"}, AddressError, "only http:// and https://"),
        ({"url": f"http://u:{SECRET}@:99999/"}, AddressError, "not a URL"),
        ({"url": f"u:{SECRET}@metrics.example:9090/write"}, AddressError, "…@metrics.example:9090/write"),
        ({"url": f"u:a/b//{SECRET}@metrics.example"}, AddressError, "…@metrics.example"),
        ({"url": f"ftp://metrics.example/?u=me&p={SECRET}&x=y"}, AddressError, "?u=me&p=…&x=y"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_an_error_at_once_without_secrets(
    settings: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as caught:
        authorization(**settings)
    assert words in str(caught.value)
    assert SECRET not in str(caught.value)


def test_the_repr_of_an_address_has_no_credentials() -> None:
    """Those who collect errors show the locals of each frame."""
    address = http_client(f"http://user:{SECRET}@metrics.example/?token={SECRET}").address
    assert repr(address) == "<Address http://metrics.example/?token=…>"
    assert address.credentials == basic(f"user:{SECRET}")


@pytest.mark.parametrize("field", ["p", "token", "api_key", "X-Access-Token", "PASSWORD", "sig", "auth"])
def test_a_secret_in_a_query_is_sent_and_not_shown(field: str) -> None:
    address = http_client(f"{URL}?tenant=7&{field}={SECRET}&x=y").address
    assert address.target == f"/api/v1/write?tenant=7&{field}={SECRET}&x=y"
    assert address.url == f"{URL}?tenant=7&{field}=…&x=y"


def test_certificates_and_fields_are_handed_on() -> None:
    context = ssl.create_default_context()
    client = http_client("https://metrics.example", headers={"x-scope-orgid": "team"}, tls=context)
    assert client._tls is context
    assert client._fields["X-Scope-Orgid"] == "team"
