"""Benchmarks that measure what they should: fresh objects are the work itself, or the first use costs what a later one does."""

from __future__ import annotations

import collections
import csv
import dataclasses
import decimal
import functools
import io
import json
import sqlite3
import string
import struct
import xml.etree.ElementTree as ET

import prometheus_client

import tallymark as tm

RAW = (
    b"POST /orders HTTP/1.1\r\nHost: example.org\r\nContent-Type: application/json\r\nX-Trace: 17\r\n\r\n"
    + b'{"id": 7, "lines": [1, 2]}'
)
ROWS = [(f"name-{i % 20}", i) for i in range(100)]
TEXT = "".join(f"{name},{number}\n" for name, number in ROWS)
WORDS = ["tea", "ten", "to", "inn", "in", "ink", "note", "not", "node"]


class Request:
    """Parsed when a part of it is asked for, as in any web framework."""

    def __init__(self, raw):
        self.raw = raw

    @functools.cached_property
    def headers(self):
        lines = self.raw.split(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
        return dict([line.split(": ") for line in lines])

    @functools.cached_property
    def body(self):
        return json.loads(self.raw.split(b"\r\n\r\n")[1])

    def header(self, name):
        return self.headers[name]


@dataclasses.dataclass
class Order:
    number: int
    lines: list[tuple[str, int]] = dataclasses.field(default_factory=list)

    def add(self, name, quantity):
        self.lines.append((name, quantity))

    def total(self):
        return sum([quantity for _, quantity in self.lines])


class Trie:
    def __init__(self):
        self.root = {}

    def insert(self, word):
        node = self.root
        for letter in word:
            node = node.setdefault(letter, {})


class Response:
    def __init__(self):
        self.headers = {}
        self.chunks = []

    def set(self, name, value):
        self.headers[name] = value

    def render(self):
        return "\r\n".join([f"{name}: {value}" for name, value in self.headers.items()])


class Encoder(json.JSONEncoder):
    def default(self, o):
        return dataclasses.asdict(o)


class Tokenizer:
    """Hands out tokens once."""

    def __init__(self, text):
        self.rest = text.split(",")

    def all(self):
        tokens = [token.strip() for token in self.rest]
        self.rest = []
        return tokens


def bench_counter_made_before(b):
    requests = tm.Registry().counter("requests")
    for _ in b.loop():
        requests.inc(method="GET", status="200")


def bench_prometheus_made_before(b):
    registry = prometheus_client.CollectorRegistry()
    hits = prometheus_client.Counter("hits", "Hits.", ["method"], registry=registry)
    for _ in b.loop():
        hits.labels("GET").inc()


def bench_operation(b):
    ops = tm.OperationalMetrics(tm.Registry())
    for _ in b.loop():
        with ops.operation("checkout") as operation:
            operation.tag(country="CH")


def bench_request_body(b):
    for _ in b.loop():
        request = Request(RAW)
        body = request.body
        assert body["id"] == 7


def bench_request_header(b):
    raw = bytes(RAW)
    for _ in b.loop():
        host = Request(raw).header("Host")
        assert host


def bench_csv_read(b):
    for _ in b.loop():
        reader = csv.reader(io.StringIO(TEXT))
        rows = list(reader)
        assert len(rows) == 100


def bench_csv_read_in_a_loop(b):
    for _ in b.loop():
        total = 0
        reader = csv.reader(io.StringIO(TEXT))
        for _name, number in reader:
            total += int(number)


def bench_csv_write(b):
    for _ in b.loop():
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerows(ROWS)
        out.getvalue()


def bench_group(b):
    for _ in b.loop():
        groups = collections.defaultdict(list)
        for name, number in ROWS:
            groups[name].append(number)


def bench_count(b):
    for _ in b.loop():
        counter = collections.Counter()
        counter.update([name for name, _ in ROWS])
        counter.most_common(3)


def bench_order(b):
    for _ in b.loop():
        order = Order(7)
        order.add("tea", 2)
        order.add("cake", 1)
        order.total()


def bench_trie(b):
    for _ in b.loop():
        trie = Trie()
        for word in WORDS:
            trie.insert(word)


def bench_response(b):
    for _ in b.loop():
        response = Response()
        response.set("Content-Type", "text/html")
        response.set("Cache-Control", "no-store")
        response.set("X-Trace", "17")
        response.render()


def bench_encode(b):
    encoder = Encoder()
    for _ in b.loop():
        encoder.encode(Order(7, [("tea", 2)]))


def bench_tokens(b):
    text = ", ".join(WORDS)
    for _ in b.loop():
        tokenizer = Tokenizer(text)
        tokens = tokenizer.all()
        assert tokens


def bench_query(b):
    db = sqlite3.connect(":memory:")
    db.execute("create table t (a text, b int)")
    db.executemany("insert into t values (?, ?)", ROWS)
    for _ in b.loop():
        cursor = db.cursor()
        cursor.execute("select a, b from t where b < ?", (10,))
        rows = cursor.fetchall()
        assert rows


def bench_template(b):
    template = string.Template("Hello, $name. You owe $amount.")
    for _ in b.loop():
        amount = decimal.Decimal("12.30") * decimal.Decimal(3)
        template.substitute(name="Ada", amount=amount)


def bench_struct_and_tree(b):
    pack = struct.Struct("<IHH")
    for _ in b.loop():
        data = pack.pack(1, 2, 3)
        root = ET.Element("record", id=str(data[0]))
        ET.SubElement(root, "field").text = "a"
        ET.SubElement(root, "field").text = "b"
        ET.tostring(root)


def bench_drained(b):
    for _ in b.loop():
        queue = collections.deque(ROWS)
        while queue:
            str(queue.popleft())


def bench_uses_setup_cache(b):
    cached = functools.lru_cache(maxsize=128)(str)
    for _ in b.loop():
        order = Order(7)
        order.add(cached(12345), 1)
        cached(order.total())
