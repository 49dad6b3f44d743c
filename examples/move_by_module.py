"""A service that moves from prometheus_client and OpenTelemetry, one module at a time: `python examples/move_by_module.py`.

It has three modules. Before, each measures itself with a library of its own; after each step, one more does so with Tallymark.
There is one endpoint at all times, and it shows the same metrics after each step: dashboards and alerts stay as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import prometheus_client
from opentelemetry.sdk.metrics import MeterProvider

import tallymark as tm

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["STEPS", "serve_all", "shown"]


# The modules, each as it was and as it will be.


def orders_with_prometheus_client(theirs: Any) -> Callable[[], None]:
    """Count orders as before: with prometheus_client."""
    orders = prometheus_client.Counter("shop_orders", "Orders taken.", ["kind"], registry=theirs)
    latency = prometheus_client.Histogram("shop_order_seconds", "Time for an order.", buckets=(0.1, 1), registry=theirs)

    def take_order() -> None:
        with latency.time():
            orders.labels("book").inc()

    return take_order


def orders_with_tallymark() -> Callable[[], None]:
    """Count orders as they will be: the name in Prometheus is the same."""
    orders = tm.counter("shop_orders", description="Orders taken.", tag_keys=("kind",))
    latency = tm.timer("shop_order", description="Time for an order.", buckets=(0.1, 1))

    def take_order() -> None:
        with latency.time():
            orders.inc(kind="book")

    return take_order


def stock_with_opentelemetry(provider: MeterProvider) -> Callable[[], None]:
    """Count what is taken from the stock as before: with OpenTelemetry."""
    taken = provider.get_meter("stock").create_counter("shop.stock.taken", description="Taken from the stock.")
    return lambda: taken.add(2, {"shelf": "a"})


def stock_with_tallymark() -> Callable[[], None]:
    """Count what is taken from the stock as it will be."""
    taken = tm.counter("shop.stock.taken", description="Taken from the stock.")
    return lambda: taken.inc(2, shelf="a")


def mail_with_tallymark() -> Callable[[], None]:
    """Count mail with Tallymark: this module is new."""
    sent = tm.counter("shop_mail_sent", description="Mail sent.")
    return sent.inc


# The service. `serve_all` is all that a service needs to move.


def serve_all(theirs: Any) -> MeterProvider:
    """Show what all libraries measure at one endpoint: that of `tm.serve()`."""
    tm.registry().register(tm.bridges.from_prometheus_client(theirs))
    return MeterProvider([tm.bridges.from_opentelemetry(scopes=False, target_info=False)], shutdown_on_exit=False)


STEPS = ("before", "orders moved", "stock moved")


def shown(step: int) -> str:
    """Return the page of the endpoint after a step, and after each module did its work once."""
    with tm.use(tm.Registry()):
        theirs = prometheus_client.CollectorRegistry()
        provider = serve_all(theirs)
        work = [
            orders_with_prometheus_client(theirs) if step < 1 else orders_with_tallymark(),
            stock_with_opentelemetry(provider) if step < 2 else stock_with_tallymark(),
            mail_with_tallymark(),
        ]
        for module in work:
            module()
        return tm.render_prometheus(tm.registry().snapshot()).decode()


if __name__ == "__main__":
    for step, name in enumerate(STEPS):
        print(f"# {name}\n{shown(step)}")
