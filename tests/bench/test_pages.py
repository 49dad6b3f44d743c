"""The HTML page of a result."""

import re
from html.parser import HTMLParser

import pytest
from bench_results import NEW, OLD, benchmark, run, times

from tallymark.bench.compare.compare import compare
from tallymark.bench.show.html import comparison_html, run_html

VOID = {"meta", "circle", "line"}


class Checked(HTMLParser):
    """Fails on a tag that is not closed in its place, and keeps what is shown."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.texts = [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


PAGES = {"run": lambda: run_html(OLD), "comparison": lambda: comparison_html(compare(OLD, NEW, noise=0.01))}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole_and_needs_nothing_from_elsewhere(name):
    page = PAGES[name]()
    checked = Checked(page)
    assert not re.search(r"https?:|src=|href=|@import|url\(|<script", page)
    assert any("bench_order" in text for text in checked.texts)
    assert page == PAGES[name]()


def test_every_value_is_drawn():
    tags = [tag for tag, _ in Checked(run_html(OLD)).tags]
    assert tags.count("svg") == 2
    assert tags.count("circle") == 2 * 10 * 3
    both = [attributes.get("class") for tag, attributes in Checked(PAGES["comparison"]()).tags if tag == "circle"]
    assert both.count("old") == both.count("new") == 2 * 10 * 3


def test_dots_lie_where_their_values_are():
    page = run_html(run(benchmark(time=times(1e-6, processes=2, step=1.0))))
    assert sorted({float(x) for x in re.findall(r'cx="([\d.]+)"', page)}) == [60.0, 580.0]


def test_hostile_names_are_text():
    page = run_html(run(benchmark("<script>alert(1)</script>&\"'")))
    assert "<script" not in page
    assert any("<script>alert(1)</script>" in text for text in Checked(page).texts)


def test_a_single_value_is_drawn_too():
    Checked(run_html(run(benchmark(time=times(0.0, processes=1)))))
    Checked(run_html(run()))
