"""The page as bytes: what it holds, and what its policy lets a browser do."""

from __future__ import annotations

import ast
import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Literal

import pytest
from fake_feed import FILES

import tallymark
from tallymark.serve.dashboard import dashboard

TELLING = ("reject", "note", "dropped", "tell")
"""Functions that are told a reason."""

both_feeds = pytest.mark.parametrize("feed", ["events", "poll"])


def digest_of(element: str, body: str) -> str:
    (inside,) = re.findall(f"<{element}>(.*?)</{element}>", body, re.DOTALL)
    return f"'sha256-{b64encode(sha256(inside.encode()).digest()).decode()}'"


@both_feeds
def test_the_policy_allows_the_pages_own_style_and_script_and_nothing_else(feed: Literal["events", "poll"]) -> None:
    page = dashboard(feed)
    body = page.body.decode()
    policy = dict(page.headers)["Content-Security-Policy"]
    assert policy == (
        f"default-src 'none'; script-src {digest_of('script', body)}; style-src {digest_of('style', body)}; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    assert f'<meta name="tallymark-feed" content="{feed}">' in body


@both_feeds
def test_the_page_is_put_together_once(feed: Literal["events", "poll"]) -> None:
    assert dashboard(feed) is dashboard(feed)
    assert dict(dashboard(feed).headers)["Content-Type"] == "text/html; charset=utf-8"


def test_the_page_refers_to_nothing_else() -> None:
    body = dashboard("events").body.decode()
    addresses = set(re.findall(r"https?://[^\s\"'<>)]+", body))
    assert addresses == {"http://www.w3.org/2000/svg"}  # a name, which nobody asks for
    assert not re.search(r"@import|\burl\(|<link(?! rel=\"icon\" href=\"data:)|<script .*src", body)


def test_no_text_can_become_markup() -> None:
    scripts = {file.name: file.read_text(encoding="utf-8") for file in FILES.glob("*.js")}
    ways = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser|srcdoc"
    makes_markup = re.compile(ways)
    assert [name for name, text in scripts.items() if makes_markup.search(text)] == []
    assert ' style="' not in (FILES / "page.html").read_text(encoding="utf-8")


def test_every_file_of_the_script_is_in_the_page() -> None:
    body = dashboard("events").body.decode()
    for file in FILES.glob("*.js"):
        assert file.read_text(encoding="utf-8") in body, f"{file.name} is not in the page"
        assert len(file.read_text(encoding="utf-8").splitlines()) <= 300


def test_the_page_explains_every_reason_for_which_data_is_rejected() -> None:
    told = set(re.findall(r'^ {2,4}\[?"([a-z_]+)",', (FILES / "reasons.js").read_text(encoding="utf-8"), re.MULTILINE))
    assert told == reasons_in_code()


def reasons_in_code() -> set[str]:
    """Return the reasons for which data is rejected or noted anywhere."""
    found = {"name", "too_long", "tags_failed", "route_failed"}  # not as a text in the call
    for file in Path(tallymark.__file__).parent.rglob("*.py"):
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and ast.unparse(call.func).rpartition(".")[2].strip("_") in TELLING:
                texts = [part.value for part in call.args[:2] if isinstance(part, ast.Constant)]
                found |= {text for text in texts if isinstance(text, str) and text.isidentifier()}
    return found
