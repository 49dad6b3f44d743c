"""How to test a service's metrics: each test makes a strict registry the current one, and reads its snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest
from orders import Declined, OutOfStock, Shop, run

import tallymark as tm


@pytest.fixture
def registry() -> Iterator[tm.Registry]:
    """A registry for one test. A strict one raises for bad data, which production only counts."""
    with tm.use(tm.Registry(strict=True)) as registry:
        yield registry


@pytest.fixture
def shop(registry: tm.Registry) -> Shop:
    """A shop that records to that registry."""
    return Shop({"book": 3, "lamp": 1})


def value(registry: tm.Registry, name: str, **tags: str) -> float | None:
    """Return what a counter or gauge shows for exactly these tags."""
    found = registry.snapshot().find(name, tags)
    return None if found is None else found.value


def test_an_order_is_counted_timed_and_sold(shop: Shop, registry: tm.Registry) -> None:
    assert shop.order("book", 2, "1234") == 39.8
    assert value(registry, "shop_operations", operation="order", status="success", product="book") == 1
    assert value(registry, "shop_operations", operation="payment", status="success") == 1
    assert value(registry, "shop_items_sold", product="book") == 2
    snapshot = registry.snapshot()
    lasted = snapshot.find("shop_operation_duration", operation="order", status="success", product="book")
    amount = snapshot.find("shop_amounts", {"name": "order", "category": "book"})
    assert lasted is not None
    assert lasted.histogram.count == 1
    assert amount is not None
    assert amount.histogram.sum == 39.8


def test_a_declined_card_is_an_error_of_payment_and_order(shop: Shop, registry: tm.Registry) -> None:
    with pytest.raises(Declined):
        shop.order("book", 1, "0000")
    errors = {"error_type": "Declined", "error_category": "bank"}
    assert value(registry, "shop_operation_errors", operation="payment", **errors) == 1
    assert value(registry, "shop_operation_errors", operation="order", product="book", **errors) == 1
    assert value(registry, "shop_items_sold", product="book") is None


def test_a_bank_that_does_not_answer_is_a_timeout(shop: Shop, registry: tm.Registry) -> None:
    with pytest.raises(TimeoutError):
        shop.order("book", 1, "9999")
    assert value(registry, "shop_operations", operation="payment", status="timeout") == 1
    assert not [series for series in registry.snapshot()["shop_operation_errors"] if series.value]


def test_too_large_an_order_is_no_error(shop: Shop, registry: tm.Registry) -> None:
    with pytest.raises(OutOfStock):
        shop.order("book", 99, "1234")
    assert value(registry, "shop_operations", operation="order", status="out_of_stock") == 1
    assert not [series for series in registry.snapshot()["shop_operation_errors"] if series.value]


def test_the_last_item_is_an_event(shop: Shop, registry: tm.Registry) -> None:
    shop.order("lamp", 1, "1234")
    assert value(registry, "shop_events", kind="stock", action="sold_out", product="lamp") == 1


def test_a_search_that_finds_nothing_has_its_own_status(shop: Shop, registry: tm.Registry) -> None:
    assert shop.search("sofa") == []
    assert shop.search("en") == ["pen"]
    assert value(registry, "shop_operations", operation="search", status="nothing_found") == 1
    assert value(registry, "shop_operations", operation="search", status="success") == 1


def test_nothing_stays_in_flight(shop: Shop, registry: tm.Registry) -> None:
    for card in ("1234", "0000", "9999"):
        with suppress(Declined, TimeoutError):
            shop.order("book", 1, card)
    assert {series.value for series in registry.snapshot()["shop_operations_in_flight"]} == {0}


def test_the_program_shows_what_it_did() -> None:
    text = run(seconds=0.05)
    assert 'shop_operations_total{operation="search",status="success"}' in text
    assert 'shop_operations_in_flight{operation="order"} 0.0' in text
