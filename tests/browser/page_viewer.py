"""`Viewer`: somebody who looks at the page."""

from __future__ import annotations

from typing import Any

from fake_feed import FakeFeed
from playwright.sync_api import Browser, ConsoleMessage


class Viewer:
    """A page in the browser, and all that it complains of."""

    def __init__(self, chromium: Browser, feed: FakeFeed, **context: Any) -> None:
        self.feed = feed
        self.context = chromium.new_context(**({"viewport": {"width": 1280, "height": 900}, "locale": "en-US"} | context))
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(f"{error}\n{error.stack}"))
        self.page.on("dialog", lambda dialog: (self.complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def open(self, first: dict[str, Any]) -> Viewer:
        """Open the page, whose first document is this."""
        self.feed.latest = first
        self.page.goto(self.feed.url)
        self.see(first)
        return self

    def show(self, *documents: dict[str, Any]) -> Viewer:
        """Send documents, and wait until the page shows the last."""
        for document in documents:
            self.feed.send(document)
        return self.see(documents[-1])

    def see(self, document: dict[str, Any]) -> Viewer:
        shown = "time => Date.parse(document.getElementById('status-time').dateTime) === Math.floor(time * 1000)"
        self.page.wait_for_function(shown, arg=document["time"])
        return self

    def text(self, selector: str) -> str:
        return self.page.locator(selector).inner_text()

    def row(self, name: str, table: str = "#operations") -> dict[str, str]:
        """Return the cells of the row that has a name, by column."""
        script = """([table, name]) => {
            const row = [...document.querySelectorAll(`${table} tbody tr`)].find(
                (one) => one.querySelector('bdi')?.textContent === name);
            if (!row) return null;
            return Object.fromEntries([...row.children].map((cell) => [cell.className.match(/col-(\\w+)/)[1], cell.innerText]));
        }"""
        found = self.page.evaluate(script, [table, name])
        assert found is not None, f"no row {name!r} in {table}"
        return {key: " ".join(text.split()) for key, text in found.items()}
