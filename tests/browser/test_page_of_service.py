"""The page of a real registry: from `tm.serve()`, fed by events, and from `tm.wsgi_app()`, which is asked again and again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from fake_feed import FakeFeed
from page_viewer import Viewer
from playwright.sync_api import Browser

import tallymark as tm


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def registry() -> tm.Registry:
    """One engine is enough: both tell the feed the same."""
    return tm.Registry()


@pytest.fixture(params=["events", "poll"])
def address(request: pytest.FixtureRequest, registry: tm.Registry) -> Iterator[str]:
    """Where the registry's page is."""
    if request.param == "events":
        with tm.serve(0, registry=registry) as server:
            yield server.url.removesuffix("metrics")
        return
    with make_server("127.0.0.1", 0, tm.wsgi_app(registry), handler_class=Quiet) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_the_page_of_a_service_shows_what_it_records(
    chromium: Browser, feed: FakeFeed, registry: tm.Registry, address: str
) -> None:
    operations = tm.OperationalMetrics(registry, in_flight=True)
    operations.record_operation("<b>pay</b>", "success", 0.02)
    sizes = registry.histogram("size", unit="bytes", exponential=True)
    sizes.observe(1000)
    viewer = Viewer(chromium, feed)
    viewer.page.goto(address)
    viewer.page.wait_for_function("() => window.tallymark?.store.families.has('operation_duration')")
    for _ in range(30):
        operations.record_operation("<b>pay</b>", "error", 0.02)
        sizes.observe(1000)
    recorded = "() => tallymark.table.table.rows.some((row) => row.count === 30 && row.errors === 30)"
    viewer.page.wait_for_function(recorded)
    row = viewer.row("<b>pay</b>")
    assert row["errors"] == "100 %"
    assert row["p50"] == "17.5 ms"  # in the middle of the bucket from 10 to 25 ms
    viewer.page.keyboard.press("/")
    viewer.page.keyboard.type("size")
    viewer.page.keyboard.press("Enter")
    viewer.page.wait_for_function("() => document.querySelector('.plot-card .legend').innerText.includes('B')")
    assert viewer.complaints == []
    viewer.context.close()
