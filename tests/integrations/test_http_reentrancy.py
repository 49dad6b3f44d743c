"""Requests whose own objects run code, or hold each other, where nobody expects it: both engines do the same."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest
from http_driver import active, environ_of

import tallymark as tm
from tallymark.integrations.wsgi import MetricsMiddleware


def server(*begun: Any) -> Callable[[bytes], object]:
    return len


@pytest.fixture(params=["native", "reference"])
def registry(request: pytest.FixtureRequest) -> tm.Registry:
    return tm.Registry(engine=request.param)


class Key:
    """A key of an environ that is met where another one is looked for."""

    def __init__(self, where: str, run: Callable[[], object]) -> None:
        self.where = where
        self.run = run

    def __hash__(self) -> int:
        return hash(self.where)

    def __eq__(self, other: object) -> bool:
        self.run()
        return False


def answers(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b"hello"]


def test_a_key_that_takes_a_header_away_while_the_next_one_is_looked_for(registry: tm.Registry) -> None:
    middleware = MetricsMiddleware(answers, registry=registry)
    for number in range(12345678, 12345698):
        environ: Any = environ_of()
        environ[Key("HTTP_TRANSFER_ENCODING", lambda at=environ: at.pop("CONTENT_LENGTH", None))] = ""
        environ["CONTENT_LENGTH"] = f"{number}"  # held by nothing else
        assert list(middleware(environ, server)) == [b"hello"]
    assert active(registry) == 0


@pytest.mark.parametrize("header", ["HTTP_TRANSFER_ENCODING", "CONTENT_LENGTH"])
def test_a_key_that_raises_while_a_header_is_looked_for(registry: tm.Registry, header: str) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    environ: Any = environ_of()
    environ[Key(header, fail)] = ""
    with pytest.raises(ZeroDivisionError):
        MetricsMiddleware(answers, registry=registry)(environ, server)
    assert active(registry) == 0
