"""Names and tags that were made to hurt are shown, cut, and never run."""

from __future__ import annotations

from collections.abc import Callable

from fake_feed import FakeService
from page_viewer import Viewer

LONG = "x" * 10_000
ATTACKS = {
    '<img src=x onerror="alert(1)">': '<img src=x onerror="alert(1)">',
    '"><script>alert(1)</script>': '"><script>alert(1)</script>',
    "</style></script><svg onload=alert(1)>": "</style></script><svg onload=alert(1)>",
    "javascript:alert(1)": "javascript:alert(1)",
    "\u202egnp.exe": "\\u{202e}gnp.exe",
    "\u2066left\u2069": "\\u{2066}left\\u{2069}",
    "zero\u200bwidth\ufeff": "zero\\u{200b}width\\u{feff}",
    "line\nbreak\x00": "line\\u{a}break\\u{0}",
    "عربي": "عربي",
    "👩‍👩‍👧‍👦🎉": "👩‍👩‍👧‍👦🎉",
    "__proto__": "__proto__",
    "constructor": "constructor",
    "{{7*7}}${7*7}": "{{7*7}}${7*7}",
    "": "",
    LONG: "x" * 89 + "…",
}
"""What is fed, and how it is to be seen."""


def attack(service: FakeService) -> None:
    for text in ATTACKS:
        service.request(text, 0.01, status=text, method=text)
        service.observe("operation_duration", 0.02, {"operation": text, "status": text})
        service.inc("attacked", 1, **{text or "empty": text, "other": "y"})
        service.inc("tallymark_rejected", 1, metric=text, reason=text)
        service.inc(f"attack {text[:300]}", 1, tag=text)
        service.families[f"attack {text[:300]}"] |= {"description": text, "unit": text, "kind": text}
        service.set("level", 1, tag=text)


def test_attacked_names_and_tags_are_shown_and_run_nothing(view: Callable[..., Viewer], service: FakeService) -> None:
    service.service |= dict.fromkeys(("name", "host", "python", "engine", "version"), '<b onclick="alert(1)">\u202e')
    attack(service)
    viewer = view().open(service.reading(complete=True))
    documents = []
    for _ in range(12):
        attack(service)
        documents.append(service.reading())
    viewer.show(*documents)
    for shown in ATTACKS.values():
        viewer.row(shown)
    assert viewer.text("#service") == '<b onclick="alert(1)">\\u{202e}'
    own = "() => document.querySelectorAll('script').length + document.querySelectorAll('img, iframe, b, style').length"
    assert viewer.page.evaluate(own) == 2
    assert (
        viewer.page.evaluate("() => Math.max(...[...document.querySelectorAll('bdi')].map((one) => one.textContent.length))")
        < 1000
    )
    wide = "() => document.documentElement.scrollWidth <= innerWidth"
    assert viewer.page.evaluate(wide)


def test_what_is_attacked_can_be_found_and_plotted(view: Callable[..., Viewer], service: FakeService) -> None:
    attack(service)
    viewer = view().open(service.reading(complete=True))
    attack(service)
    viewer.show(service.reading())
    for query in ("<script>", "xxxxxxxx", "__proto__", "عربي", "onerror"):
        viewer.page.keyboard.press("/")
        viewer.page.keyboard.insert_text(query)
        assert viewer.page.locator("[role=option]").count() > 0, query
        for _ in range(3):
            viewer.page.keyboard.press("Shift+Enter")
            viewer.page.keyboard.press("ArrowDown")
        viewer.page.keyboard.press("Escape")
    attack(service)
    viewer.show(service.reading())
    assert viewer.page.locator(".plot-card").count() >= 10
    assert viewer.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
