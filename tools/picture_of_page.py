"""Draw the live page of the demo, docs/figures/page-dark.png and page-light.png: `python tools/picture_of_page.py`.

It needs Chromium. The demo runs for a minute and a half, so that charts are full. The name of this machine is not shown.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

FIGURES = Path(__file__).parents[1] / "docs" / "figures"
SECONDS = 75
SIZE = {"width": 1280, "height": 950}
COLOURS = 200
"""More than the page has, but for the edges of letters."""
MOST_BYTES = 250_000


def main() -> int:
    """Run the demo and make the pictures; return the exit status."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        print("Chromium is not installed", file=sys.stderr)
        return 1
    port = free_port()
    command = [sys.executable, "-m", "tallymark", "demo", "--seconds", str(SECONDS + 60), "--port", str(port)]
    demo = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
            page = browser.new_page(viewport=SIZE, device_scale_factor=1.5)
            look(page, f"http://127.0.0.1:{port}/")
            return max(save(page, scheme) for scheme in ("dark", "light"))
    finally:
        demo.terminate()
        demo.wait()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def look(page: Page, url: str) -> None:
    """Open the page, and have it show the operation that is busiest."""
    time.sleep(2)
    page.goto(url)
    page.keyboard.press("1")
    page.wait_for_function("() => tallymark.store.service")
    page.evaluate("() => Object.assign(tallymark.store.service, { name: 'demo', host: 'web-1' })")
    page.wait_for_timeout(SECONDS * 1000)
    page.locator("#operations .row-name").first.click()
    page.mouse.move(0, 0)
    page.wait_for_timeout(2000)


def save(page: Page, scheme: str) -> int:
    """Save a picture of the page in a scheme of colours. Return 1 if it is too large, else 0."""
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.wait_for_timeout(1500)
    picture = Image.open(BytesIO(page.screenshot())).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    path = FIGURES / f"page-{scheme}.png"
    picture.save(path, optimize=True)
    print(path, path.stat().st_size)
    return int(path.stat().st_size > MOST_BYTES)


if __name__ == "__main__":
    sys.exit(main())
