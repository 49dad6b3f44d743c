"""Who may read the metrics: what is admitted, what is not, and that no secret is shown."""

from __future__ import annotations

import base64
import copy
import hmac
import logging
import pickle
import traceback
from collections.abc import Callable

import hypothesis.strategies as st
import pytest
from hypothesis import given
from raw_http import Client, get

import tallymark as tm
from tallymark.serve import auth as auth_module
from tallymark.serve.auth import refusal
from tallymark.serve.pages import PageRequest

USER, PASSWORD, TOKEN = "prometheus", "pässwörd: 密码", "tøken-._~+/="
BASIC, BEARER = tm.BasicAuth(USER, PASSWORD), tm.BearerAuth(TOKEN)

secrets = st.text(st.characters(min_codepoint=33, exclude_categories=["Cs", "Z", "Cc"]), min_size=1)


def basic(user: str, password: str) -> str:
    """Return the field that a client sends, as a server reads it."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def bearer(token: str) -> str:
    return f"Bearer {token.encode().decode('latin-1')}"


@pytest.fixture
def registry() -> tm.Registry:
    """A fresh registry. The record path is not near, so one engine will do."""
    return tm.Registry()


# What is admitted


@given(secrets, secrets)
def test_what_was_given_is_admitted(user: str, password: str) -> None:
    user = user.replace(":", "_")
    assert tm.BasicAuth(user, password).admits(basic(user, password))
    assert tm.BearerAuth(password).admits(bearer(password))


@pytest.mark.parametrize("change", [str.lower, str.upper, str.title])
def test_the_scheme_is_in_any_case_and_spaces_around_are_nothing(change: Callable[[str], str]) -> None:
    for auth, field in [(BASIC, basic(USER, PASSWORD)), (BEARER, bearer(TOKEN))]:
        scheme, rest = field.split(" ")
        assert auth.admits(f" {change(scheme)}   {rest} \t")


@pytest.mark.parametrize(
    "field",
    [
        basic(USER, PASSWORD[:-1]), basic(USER, f"{PASSWORD} "), basic(USER, ""), basic("", PASSWORD), basic("", ""),
        basic(USER.upper(), PASSWORD), basic(PASSWORD, USER), basic(USER, PASSWORD) + "\n", basic(USER, PASSWORD)[:-1],
        basic(USER, PASSWORD) + "=", basic(USER, PASSWORD).replace("Basic ", "Basic"), basic(USER, PASSWORD)[6:],
        f"{basic(USER, PASSWORD)},{basic(USER, PASSWORD)}", basic(USER, PASSWORD).replace("Basic", "Bearer"),
        f"Basic {base64.b64encode(USER.encode()).decode()}", "Basic", "Basic ", "Basic =", "Basic \xff", "Basic \u20ac", "",
        f"Basic {USER}:{PASSWORD.encode().decode('latin-1')}",
    ],
)  # fmt: skip
def test_another_user_or_password_or_form_is_not_admitted(field: str) -> None:
    assert not BASIC.admits(field)


@pytest.mark.parametrize(
    "field",
    [
        bearer(TOKEN[:-1]), bearer(f"{TOKEN}="), bearer(TOKEN.upper()), bearer(TOKEN)[7:], f"Bearer {TOKEN}x", "Bearer",
        "Bearer ",
        f"Bearer{bearer(TOKEN)[7:]}", f"Token {bearer(TOKEN)[7:]}", f"{bearer(TOKEN)},{bearer(TOKEN)}", "Bearer \u20ac", "",
        f"Bearer {basic('', TOKEN)[6:]}",
    ],
)  # fmt: skip
def test_another_token_or_form_is_not_admitted(field: str) -> None:
    assert not BEARER.admits(field)


@given(st.one_of(st.text(), st.builds("{} {}".format, st.sampled_from(["Basic", "bearer", "BASIC", "Bearer"]), st.text())))
def test_nothing_else_is_admitted_and_nothing_raises(field: str) -> None:
    assert not BASIC.admits(field)
    assert not BEARER.admits(field)


@given(st.binary())
def test_bytes_in_base64_are_admitted_only_if_they_are_the_credentials(data: bytes) -> None:
    field = f"Basic {base64.b64encode(data).decode()}"
    assert BASIC.admits(field) == (data == f"{USER}:{PASSWORD}".encode())


def test_all_comparisons_take_the_same_time_whatever_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """One comparison of two digests of equal length, by the function that is made for it."""
    compared: list[tuple[bytes, bytes]] = []

    class Recorder:
        @staticmethod
        def compare_digest(one: bytes, other: bytes) -> bool:
            compared.append((one, other))
            return hmac.compare_digest(one, other)

    monkeypatch.setattr(auth_module, "hmac", Recorder)
    for user, password in [(USER, PASSWORD), (USER, "x"), ("x", PASSWORD), ("x", "y" * 1000)]:
        BASIC.admits(basic(user, password))
    BEARER.admits(bearer(TOKEN))
    BEARER.admits(bearer("x"))
    assert [(len(one), len(other)) for one, other in compared] == [(32, 32)] * 6


# What can be no secret


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("", "p"), "user must not be empty"), (("u", ""), "password must not be empty"),
        (("u:v", "hunter2"), "user must not have a colon"), (("u", "hunter2\n"), "password must not have line breaks.*strip"),
        (("u\0", "hunter2"), "user must not have line breaks"), (("u", "hunter2\ud800"), "password has a lone surrogate"),
    ],
)  # fmt: skip
def test_credentials_that_no_client_can_send_are_rejected_and_not_shown(arguments: tuple[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        tm.BasicAuth(*arguments)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("", "token must not be empty.*missing"), ("secret\n", r"token must not have line breaks.*\.strip\(\)"),
        ("two words", "token must not have spaces"), ("\u3000x", "token must not have spaces"), ("\udcff", "lone surrogate"),
    ],
)  # fmt: skip
def test_tokens_that_no_client_can_send_are_rejected(token: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tm.BearerAuth(token)


def test_what_is_no_text_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="password must be a str, not bytes"):
        tm.BasicAuth("u", b"p")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="token must be a str, not NoneType"):
        tm.BearerAuth(None)  # type: ignore[arg-type]


@pytest.mark.parametrize("auth", [BASIC, BEARER], ids=["basic", "bearer"])
def test_an_object_keeps_no_secret(auth: tm.BasicAuth | tm.BearerAuth) -> None:
    kept = repr(auth) + str(auth) + repr(pickle.dumps(auth)) + repr([getattr(auth, name) for name in auth.__slots__])
    for secret in (USER, PASSWORD, TOKEN):
        assert secret not in kept
        assert repr(secret.encode())[2:-1] not in kept
    assert copy.copy(auth).admits(basic(USER, PASSWORD) if auth is BASIC else bearer(TOKEN))


# Over HTTP

CASES = [("basic", BASIC, basic(USER, PASSWORD)), ("bearer", BEARER, bearer(TOKEN))]


@pytest.mark.parametrize(("name", "auth", "field"), CASES, ids=[name for name, _, _ in CASES])
def test_the_endpoint_asks_for_credentials(
    registry: tm.Registry, tls: tm.TLS | None, name: str, auth: tm.BasicAuth | tm.BearerAuth, field: str
) -> None:
    with tm.serve(0, registry=registry, tls=tls, auth=auth) as server:
        for path in ("/metrics", "/", "/nothing"):
            refused = get(server, path)
            assert (refused.status, refused.body) == (401, b"401 Unauthorized\n")
            assert refused.fields["www-authenticate"].lower().startswith(f'{name} realm="metrics"')
            assert get(server, path, authorization=f"{field}x").status == 401
            assert get(server, path, authorization=field).status == (404 if path == "/nothing" else 200)
        assert get(server, "/healthz").body == b"ok\n"  # for probes, which have no credentials


def test_a_browser_is_told_that_it_cannot_send_a_token() -> None:
    browser = PageRequest("GET", "/", "", {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    told = refusal(BEARER, browser)
    assert told
    assert (told.status, b"a browser cannot send a token. tm.BasicAuth" in told.body) == (401, True)
    asked = refusal(BASIC, browser)  # it asks for them
    assert asked
    assert asked.body == b"401 Unauthorized\n"


def test_a_client_may_try_again_on_the_same_connection(registry: tm.Registry) -> None:
    with tm.serve(0, registry=registry, auth=BASIC) as server, Client(server) as client:
        assert client.ask(b"GET /metrics HTTP/1.1\r\n\r\n").status == 401
        assert client.ask(b"GET /metrics HTTP/1.1\r\nAuthorization: \xff\xfe\r\n\r\n").status == 401
        request = f"GET /metrics HTTP/1.1\r\nAuthorization: {basic(USER, PASSWORD)}\r\n\r\n"
        assert client.ask(request.encode()).status == 200


def test_who_is_refused_costs_no_rendering(registry: tm.Registry) -> None:
    asked: list[int] = []
    registry.gauge("asked", callback=lambda: asked.append(1) or 1)
    with tm.serve(0, registry=registry, auth=BEARER) as server:
        assert get(server).status == 401
        assert get(server, authorization="Bearer x").status == 401
    assert asked == []


@given(st.binary().filter(lambda data: not {10, 13, 0} & set(data)))
def test_any_field_is_answered(data: bytes) -> None:
    request = PageRequest("GET", "/metrics", "", {"authorization": data.decode("latin-1")})
    for auth in (BASIC, BEARER):
        answer = refusal(auth, request)
        assert answer
        assert (answer.status, answer.body) == (401, b"401 Unauthorized\n")


# Configuration


@pytest.mark.parametrize("auth", [("user", "password"), "token", tm.BasicAuth])
def test_what_is_no_auth_shows_the_right_call(registry: tm.Registry, auth: object) -> None:
    for take in (lambda: tm.serve(0, registry=registry, auth=auth), lambda: tm.asgi_app(registry, auth=auth),
                 lambda: tm.wsgi_app(registry, auth=auth)):  # fmt: skip
        with pytest.raises(TypeError, match=r"auth must be tm.BasicAuth\(user, password\) or tm.BearerAuth\(token\), not"):
            take()


def test_credentials_that_cross_the_network_as_plain_text_are_warned_of(
    registry: tm.Registry, certificates: object, caplog: pytest.LogCaptureFixture
) -> None:
    tls = tm.TLS(certificates.cert, certificates.key)  # type: ignore[attr-defined]
    with caplog.at_level(logging.WARNING, "tallymark"):
        for host, arguments in [("127.0.0.1", {"auth": BASIC}), ("0.0.0.0", {}), ("0.0.0.0", {"auth": BASIC, "tls": tls})]:
            tm.serve(0, host, registry, **arguments).close()  # type: ignore[arg-type]
        assert caplog.records == []
        tm.serve(0, "0.0.0.0", registry, auth=BASIC).close()
    assert "plain text; tm.serve(tls=...) encrypts them" in caplog.text
    assert len(caplog.records) == 1
