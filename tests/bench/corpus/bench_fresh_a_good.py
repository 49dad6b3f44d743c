"""Benchmarks that measure what they should, in shapes that public benchmark suites have: to tune on."""

from __future__ import annotations

import argparse
import ast
import bisect
import collections
import contextlib
import dataclasses
import functools
import html
import html.parser
import itertools
import json
import logging
import pathlib
import sqlite3
import statistics
import tempfile
import urllib.parse
import urllib.request


class Call:
    """A request whose query and cookies are parsed when they are asked for."""

    def __init__(self, method, target, fields):
        self.method = method
        self.target = target
        self.fields = fields

    @functools.cached_property
    def query(self):
        return dict(urllib.parse.parse_qsl(self.target.partition("?")[2]))

    @functools.cached_property
    def cookies(self):
        pairs = [one.strip().partition("=") for one in self.fields.get("cookie", "").split(";")]
        return {name: value for name, _, value in pairs}


def bench_lazy_query(b):
    fields = {"host": "example.org", "cookie": "session=abc; theme=dark; lang=en"}
    for _ in b.loop():
        call = Call("GET", "/search?q=tea&page=2&sort=price", fields)
        assert call.query["page"] == "2"
        assert call.cookies["theme"] == "dark"


class Station:
    def __init__(self, code, name, lines):
        self.code, self.name, self.lines = code, name, lines

    @classmethod
    def parse(cls, record):
        return cls(record["code"], record["name"].title(), set(record["lines"]))


STATIONS = json.dumps([{"code": f"S{i}", "name": f"station {i}", "lines": [i % 3, i % 5]} for i in range(10)])


def bench_stations_from_json(b):
    for _ in b.loop():
        stations = [Station.parse(record) for record in json.loads(STATIONS)]
        assert stations[3].name == "Station 3"


def bench_join_paths(b):
    root = pathlib.PurePosixPath("/srv/media")
    for _ in b.loop():
        path = root / "2024" / "05" / "photo.jpeg"
        assert path.relative_to(root).parts[0] == "2024"
        assert path.suffix == ".jpeg"


class Site:
    def __init__(self):
        self.pages = {}

    def add(self, path, function):
        self.pages[path] = function

    def answer(self, visit):
        return Reply(200, self.pages[visit.path](visit))


class Visit:
    def __init__(self, path, user):
        self.path, self.user = path, user


class Reply:
    def __init__(self, status, text):
        self.status, self.text, self.fields = status, text, [("content-type", "text/plain")]


def bench_answer(b):
    site = Site()
    site.add("/", lambda visit: "hello " + visit.user)
    for _ in b.loop():
        visit = Visit("/", "ada")
        reply = site.answer(visit)
        assert reply.text == "hello ada"


class OutOfStockError(Exception):
    def __init__(self, article, wanted):
        super().__init__(f"{wanted} of {article} wanted")
        self.article = article


def take(stock, article, wanted):
    if stock.get(article, 0) < wanted:
        raise OutOfStockError(article, wanted)


def bench_error(b):
    stock = {"tea": 2}
    for _ in b.loop():
        try:
            take(stock, "tea", 3)
        except OutOfStockError as error:
            assert error.article == "tea"  # noqa: PT017


def numbers(lines):
    for line in lines:
        yield from map(int, line.split())


def bench_pipeline(b):
    lines = ["1 2 3", "4 5 6", "7 8 9"]
    for _ in b.loop():
        source = numbers(lines)
        pairs = itertools.pairwise(source)
        assert sum(one * two for one, two in pairs) == 240


def bench_spooled(b):
    chunk = b"x" * 1000
    for _ in b.loop():
        with tempfile.SpooledTemporaryFile(100_000) as upload:
            upload.write(chunk)
            upload.seek(0)
            assert len(upload.read()) == 1000


class Names(ast.NodeVisitor):
    def __init__(self):
        self.found = set()

    def visit_Name(self, node):
        self.found.add(node.id)


def bench_visit_tree(b):
    source = "total = price * quantity + shipping"
    for _ in b.loop():
        tree = ast.parse(source)
        names = Names()
        names.visit(tree)
        assert len(names.found) == 4


def bench_layers(b):
    defaults, user = {"color": "red", "size": 3, "font": "mono"}, {"size": 5}
    for _ in b.loop():
        options = collections.ChainMap({}, user, defaults)
        options["font"] = "serif"
        assert (options["size"], options["color"]) == (5, "red")


class Basket:
    def __init__(self, customer):
        self.customer = customer
        self.lines = []

    def put(self, article, price, count=1):
        self.lines.append((article, price, count))
        return self

    @functools.cached_property
    def total(self):
        return sum([price * count for _, price, count in self.lines])


def bench_basket(b):
    for _ in b.loop():
        basket = Basket("ada").put("tea", 3.5, 2).put("cake", 4.0).put("milk", 1.5, 3)
        assert basket.total == 15.5


def bench_cursor(b):
    db = sqlite3.connect(":memory:")
    db.execute("create table t (n int)")
    db.executemany("insert into t values (?)", [(i,) for i in range(50)])
    for _ in b.loop():
        with contextlib.closing(db.cursor()) as cursor:
            cursor.execute("select sum(n) from t")
            assert cursor.fetchone() == (1225,)


class Context:
    """What a template sees while it is rendered: values, and filters over them."""

    def __init__(self, values, escape=True):
        self.values = dict(values)
        self.escape = html.escape if escape else str

    def get(self, name):
        return self.escape(str(self.values.get(name, "")))


class Compiled:
    def __init__(self, source):
        self.parts = source.split("|")

    def render(self, context):
        return "".join([context.get(part[1:]) if part.startswith("$") else part for part in self.parts])


def bench_render(b):
    compiled = Compiled("<b>|$title|</b><i>|$author|</i>")
    for _ in b.loop():
        context = Context({"title": "Tea & cake", "author": "Ada"})
        text = compiled.render(context)
        assert "&amp;" in text


def bench_quantiles(b):
    samples = [2.5, 3.1, 2.8, 3.6, 2.2, 2.9]
    for _ in b.loop():
        normal = statistics.NormalDist.from_samples(samples)
        normal.quantiles(n=4)


def bench_make_command_line(b):
    for _ in b.loop():
        argparse.ArgumentParser("tool").add_argument("name")


def bench_make_class(b):
    for _ in b.loop():
        dataclasses.make_dataclass("Point", [("x", int), ("y", int)])


class Scanner:
    """Walks over a text once."""

    def __init__(self, text):
        self.text, self.at = text, 0

    def word(self):
        start = self.at
        while self.at < len(self.text) and self.text[self.at] != " ":
            self.at += 1
        word = self.text[start : self.at]
        self.at += 1
        return word

    def words(self):
        found = []
        while self.at < len(self.text):
            found.append(self.word())
        return found


def bench_scan(b):
    text = "the quick brown fox jumps"
    for _ in b.loop():
        scanner = Scanner(text)
        assert scanner.word() == "the"
        assert scanner.words()[-1] == "jumps"


def bench_format_record(b):
    formatter = logging.Formatter("%(asctime)s %(name)s %(message)s")
    for _ in b.loop():
        record = logging.LogRecord("app", logging.INFO, "app.py", 7, "user %s from %s", ("ada", "CH"), None)
        assert formatter.format(record).endswith("ada from CH")


def bench_sort_by_key(b):
    people = [("Ada", 36), ("Bob", 19), ("Cid", 52), ("Dee", 27)]
    for _ in b.loop():
        by_age = sorted(people, key=lambda person: person[1])

        def named(person):
            return person[0]

        assert next(map(named, by_age)) == "Bob"


class Words:
    """A set that keeps its members in order."""

    def __init__(self):
        self.ordered, self.known = [], set()

    def add(self, word):
        if word not in self.known:
            self.known.add(word)
            bisect.insort(self.ordered, word)


def bench_ordered_set(b):
    text = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "one", "two", "three"]
    for _ in b.loop():
        words = Words()
        for word in text:
            words.add(word)
        assert words.ordered[0] == "eight"


class Span:
    def __init__(self, name, parent=None):
        self.name, self.parent = name, parent
        self.attributes, self.events = {}, []

    def set(self, key, value):
        self.attributes[key] = value

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.events.append(("end", error[0]))


def bench_span(b):
    root = Span("request")
    for _ in b.loop():
        with Span("query", root) as span:
            span.set("table", "users")
            span.set("rows", 3)
