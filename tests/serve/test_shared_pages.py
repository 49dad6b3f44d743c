"""`SharedPages`: who shares a page, who waits, and who must let go. Clock, renderer and clients are the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import tallymark as tm
from tallymark.serve.limits import Limits
from tallymark.serve.pages import Page, PageRequest
from tallymark.serve.renderer import Renderer
from tallymark.serve.shared_pages import SharedPages

REQUEST = PageRequest("GET", "/metrics", "", {})


class Timer:
    def __init__(self, at: float, work: Callable[[], None]) -> None:
        self.at, self.work, self.cancelled = at, work, False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """A clock that the test moves, and what is to be done at which time."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now

    def call_at(self, at: float, work: Callable[[], None]) -> Timer:
        self.timers.append(Timer(at, work))
        return self.timers[-1]

    def move(self, seconds: float) -> None:
        self.now += seconds
        due = [timer for timer in self.timers if timer.at <= self.now]
        self.timers = [timer for timer in self.timers if timer.at > self.now]
        for timer in due:
            if not timer.cancelled:
                timer.work()


class Client:
    """Keeps the pages that it gets; it has sent a page when the test says so."""

    def __init__(self, pages: SharedPages) -> None:
        self.pages = pages
        self.got: list[bytes] = []
        self.aborted = False

    def ask(self, variant: str = "identity") -> Client:
        self.pages.ask(variant, REQUEST, self)
        return self

    def respond(self, page: Page) -> None:
        self.got.append(page.body)

    def abort(self) -> None:
        self.aborted = True
        self.pages.leave(self)


class Shop:
    """Shared pages, and a renderer whose pages are ready when the test says so: b"1", b"2" and so on."""

    def __init__(self, registry: tm.Registry, **limits: float) -> None:
        self.loop: Any = Loop()
        self.pages = SharedPages(Renderer(registry), self.loop, Limits(**limits))  # type: ignore[arg-type]
        self.pages.renderer.make = lambda request, made: self.begun.append(request)  # type: ignore[method-assign]
        self.begun: list[PageRequest] = []
        self.made = 0

    def client(self) -> Client:
        return Client(self.pages)

    def finish(self) -> None:
        self.made += 1
        self.pages._send(Page(200, (), b"%d" % self.made))

    def send_one(self) -> Client:
        client = self.client().ask()
        self.finish()
        assert client.got
        return client


@pytest.fixture
def shop(registry: tm.Registry) -> Shop:
    return Shop(registry, pages=2, hold=5)


def test_all_who_ask_while_a_page_is_made_share_the_next_one(shop: Shop) -> None:
    first, *others = [shop.client().ask() for _ in range(250)]
    assert len(shop.begun) == 1
    shop.finish()
    assert first.got == [b"1"]
    assert len(shop.begun) == 2
    shop.finish()
    assert all(other.got == [b"2"] for other in others)
    assert len(shop.begun) == 2


def test_who_asks_after_a_page_was_begun_does_not_get_that_page(shop: Shop) -> None:
    shop.client().ask()
    late = shop.client().ask()
    shop.finish()
    assert late.got == []
    shop.finish()
    assert late.got == [b"2"]


def test_variants_are_made_one_after_another(shop: Shop) -> None:
    plain, packed = shop.client().ask("identity"), shop.client().ask("gzip")
    assert len(shop.begun) == 1
    shop.finish()
    shop.finish()
    assert (plain.got, packed.got) == ([b"1"], [b"2"])


def test_while_as_many_pages_as_allowed_are_being_sent_no_further_one_is_made(shop: Shop) -> None:
    slow, other = shop.send_one(), shop.send_one()
    newcomer = shop.client().ask()
    shop.loop.move(4.9)
    assert len(shop.begun) == 2
    shop.pages.leave(other)  # it has received all
    assert len(shop.begun) == 3
    shop.finish()
    assert newcomer.got == [b"3"]
    assert not slow.aborted


def test_the_oldest_page_makes_room_when_it_was_held_long_enough(shop: Shop) -> None:
    oldest = [shop.client(), shop.client()]
    blocker = shop.client().ask()
    for client in oldest:
        client.ask()
    shop.finish()
    shop.pages.leave(blocker)
    shop.finish()
    shop.loop.move(3)
    younger = shop.send_one()
    newcomers = [shop.client().ask(), shop.client().ask()]
    shop.loop.move(1.9)
    assert not oldest[0].aborted
    shop.loop.move(0.2)
    assert [client.aborted for client in oldest] == [True, True]
    assert not younger.aborted
    shop.finish()
    assert [client.got for client in newcomers] == [[b"4"], [b"4"]]


def test_the_renderer_frees_each_page_that_nobody_is_sent_any_more(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    freed: list[bytes] = []
    monkeypatch.setattr(shop.pages.renderer, "free", lambda held: freed.extend([page.body for page in held]))
    oldest, younger = shop.send_one(), shop.send_one()
    newcomer = shop.client().ask()
    assert freed == []
    shop.loop.move(5)
    assert oldest.aborted
    assert freed == [b"1"]
    shop.finish()
    shop.pages.leave(younger)
    shop.pages.leave(newcomer)
    assert freed == [b"1", b"2", b"3"]


def test_a_crowd_that_never_reads_holds_no_more_pages_than_allowed(shop: Shop) -> None:
    most = 0
    for _ in range(50):
        for _ in range(5):
            shop.client().ask()
        shop.loop.move(1)
        if shop.pages._making:
            shop.finish()
        most = max(most, len(shop.pages._sending))
    assert most == 2
    assert len(shop.begun) < 2 + 2 * 50 / 5


def test_a_page_that_nobody_waits_for_any_more_is_not_made(shop: Shop) -> None:
    shop.client().ask()
    gone = shop.client().ask()
    shop.pages.leave(gone)
    shop.pages.leave(gone)
    shop.finish()
    assert len(shop.begun) == 1
    assert gone.got == []


def test_who_leaves_while_its_page_is_made_gets_nothing_and_holds_nothing(shop: Shop) -> None:
    gone = shop.client().ask()
    shop.pages.leave(gone)
    shop.finish()
    assert gone.got == []
    assert not shop.pages._sending


def test_after_the_stop_only_the_page_that_is_being_made_is_sent(shop: Shop) -> None:
    promised, waiting = shop.client().ask(), shop.client().ask()
    assert shop.pages.stop() == [promised]
    waiting.abort()
    shop.finish()
    assert promised.got == [b"1"]
    asyncio.run(shop.pages.close())
    assert len(shop.begun) == 1
    assert shop.pages.stop() == []
