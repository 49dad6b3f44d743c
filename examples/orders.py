"""A shop that takes orders and measures itself: `python examples/orders.py [--seconds N]` prints its metrics at the end.

Its tests are beside it, in `test_orders.py`: `python -m pytest examples`.
"""

from __future__ import annotations

import argparse
import random
import time
from contextlib import suppress

import tallymark as tm
from tallymark.operational import OperationalMetrics, Outcome, classify

__all__ = ["Declined", "OutOfStock", "Shop", "run"]

PRICES = {"book": 19.9, "pen": 2.5, "lamp": 45.0}


class OutOfStock(Exception):  # noqa: N818
    """The customer asked for more than there is: not the service's fault."""


class Declined(Exception):  # noqa: N818
    """The bank declined the card."""


class Bank:
    """A simulated payment service: it declines the card `0000`, and does not answer for the card `9999`."""

    def charge(self, card: str, amount: float) -> None:
        """Take the money.

        Raises:
            Declined: the bank declined the card.
            TimeoutError: the bank did not answer.
        """
        if card == "0000":
            raise Declined
        if card == "9999":
            raise TimeoutError("the bank did not answer")


def outcome(error: BaseException) -> tuple[object, object, object]:
    """Return how an operation ended: a customer's mistake is no error of the shop's."""
    if isinstance(error, OutOfStock):
        return Outcome("out_of_stock")
    if isinstance(error, Declined):
        return Outcome("error", "Declined", "bank")
    return classify(error)


class Shop:
    """Takes orders. Records to the current registry."""

    def __init__(self, stock: dict[str, int], bank: Bank | None = None) -> None:
        self._stock = stock
        self._bank = bank or Bank()
        self._ops = OperationalMetrics(prefix="shop", classifier=outcome, in_flight=True)
        self._items = tm.counter("shop_items_sold", description="Items sold, by product.")

    def order(self, product: str, count: int, card: str) -> float:
        """Sell `count` of a product, and return what they cost.

        Raises:
            OutOfStock: there are not as many.
            Declined: the bank declined the card.
            TimeoutError: the bank did not answer.
        """
        with self._ops.operation("order") as op:
            if self._stock.get(product, 0) < count:
                raise OutOfStock(product)
            op.tag(product=product)  # known to be one of few: what customers type must not be a tag
            price = PRICES[product] * count
            self._pay(card, price)
            self._stock[product] -= count
        self._items.inc(count, product=product)
        self._ops.record_value("order", product, price)
        if not self._stock[product]:
            self._ops.record_event("stock", "sold_out", product=product)
        return price

    def _pay(self, card: str, price: float) -> None:
        with self._ops.operation("payment"):
            self._bank.charge(card, price)

    def search(self, text: str) -> list[str]:
        """Return the products whose name has `text` in it."""
        with self._ops.operation("search") as op:
            found = [product for product in PRICES if text in product]
            if not found:
                op.status = "nothing_found"
            return found


def run(seconds: float, seed: int = 1) -> str:
    """Serve random customers for a while, and return the metrics as Prometheus text."""
    chance = random.Random(seed)
    with tm.use(tm.Registry()) as registry:
        shop = Shop({"book": 20, "pen": 500, "lamp": 3})
        end = time.monotonic() + seconds
        while True:
            shop.search(chance.choice(["book", "pen", "en", "sofa"]))
            with suppress(OutOfStock, Declined, TimeoutError):  # already counted in the metrics
                shop.order(chance.choice(list(PRICES)), chance.randint(1, 3), chance.choice(["1234", "1234", "0000", "9999"]))
            if time.monotonic() >= end:
                return tm.render_prometheus(registry.snapshot()).decode()
            time.sleep(0.001)


def main() -> None:
    """Run for the time that the command line gives."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="how long to serve customers (default 2)")
    print(run(parser.parse_args().seconds))


if __name__ == "__main__":
    main()
