"""The page of a real registry: it shows the numbers that were recorded."""

from __future__ import annotations

from fake_feed import FakeFeed
from page_viewer import Viewer
from playwright.sync_api import Browser

import tallymark as tm


def test_the_page_of_a_service_shows_what_it_records(chromium: Browser, feed: FakeFeed) -> None:
    registry = tm.Registry()
    with tm.serve(0, registry=registry) as server:
        watch(Viewer(chromium, feed), registry, server.page_url)


def watch(viewer: Viewer, registry: tm.Registry, address: str) -> None:
    operations = tm.OperationalMetrics(registry, in_flight=True)
    operations.record_operation("<b>pay</b>", "success", 0.02)
    sizes = registry.histogram("size", unit="bytes", exponential=True)
    sizes.observe(1000)
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
