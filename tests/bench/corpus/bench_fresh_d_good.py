"""Benchmarks that measure what they should, a last unseen set: nothing was tuned on them."""

from __future__ import annotations

import binascii
import codecs
import collections
import contextlib
import csv
import dataclasses
import decimal
import functools
import html.parser
import http.cookies
import io
import itertools
import json
import pathlib
import re
import sqlite3
import struct
import tarfile
import tokenize
import typing
import urllib.parse
import xml.sax
import zlib

import prometheus_client


class Packet:
    """Reads its fields from its bytes when they are asked for."""

    def __init__(self, data):
        self.data = data
        self._header = None

    def header(self):
        if self._header is None:
            version, kind, size = struct.unpack_from(">BBH", self.data)
            self._header = {"version": version, "kind": kind, "size": size, "flags": [kind & 1, kind & 2]}
        return self._header

    def payload(self):
        return self.data[4 : 4 + self.header()["size"]]


def bench_packet(b):
    data = struct.pack(">BBH", 1, 3, 5) + b"hello" + bytes(20)
    for _ in b.loop():
        packet = Packet(data)
        assert packet.header()["kind"] == 3
        assert packet.payload() == b"hello"


class Article(typing.NamedTuple):
    name: str
    price: decimal.Decimal


def bench_articles(b):
    rows = [("tea", "3.50"), ("cake", "4.20"), ("milk", "1.95")]
    for _ in b.loop():
        articles = [Article(name, decimal.Decimal(price)) for name, price in rows]
        assert sum(article.price for article in articles) == decimal.Decimal("9.65")


@dataclasses.dataclass
class Node:
    name: str
    children: list[Node] = dataclasses.field(default_factory=list)

    def child(self, name):
        self.children.append(Node(name))
        return self.children[-1]

    def depth(self):
        return 1 + max([child.depth() for child in self.children], default=0)


def bench_nodes(b):
    for _ in b.loop():
        root = Node("root")
        branch = root.child("branch")
        branch.child("leaf")
        assert root.depth() == 3


class Uploads:
    def __init__(self):
        self.parts = {}

    def receive(self, name, chunk):
        self.parts.setdefault(name, []).append(chunk)

    def finish(self, name):
        return b"".join(self.parts.pop(name))


def bench_upload(b):
    uploads = Uploads()
    for _ in b.loop():
        uploads.receive("a.txt", b"hello ")
        uploads.receive("a.txt", b"world")
        assert uploads.finish("a.txt") == b"hello world"


class Titles(xml.sax.ContentHandler):
    def __init__(self):
        super().__init__()
        self.found, self.inside = [], False

    def startElement(self, name, attrs):
        self.inside = name == "title"

    def characters(self, content):
        if self.inside:
            self.found.append(content)

    def endElement(self, name):
        self.inside = False


def bench_sax(b):
    text = b"<shelf>" + b"<book><title>a</title></book>" * 4 + b"</shelf>"
    for _ in b.loop():
        titles = Titles()
        xml.sax.parseString(text, titles)
        assert titles.found == ["a"] * 4


def bench_tokens_of_source(b):
    source = "x = 1\nif x:\n    y = x + 2\n"
    for _ in b.loop():
        lines = io.StringIO(source)
        tokens = list(tokenize.generate_tokens(lines.readline))
        assert len(tokens) > 10


def bench_decode_in_parts(b):
    parts = ["grüe".encode(), b"zi ", b"wohl"]
    for _ in b.loop():
        decoder = codecs.getincrementaldecoder("utf-8")()
        assert "".join([decoder.decode(part) for part in parts]) == "grüezi wohl"


def bench_tar(b):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for i in range(3):
            info = tarfile.TarInfo(f"{i}.txt")
            info.size = 5
            archive.addfile(info, io.BytesIO(b"hello"))
    for _ in b.loop():
        packed.seek(0)
        with tarfile.open(fileobj=packed) as archive:
            member = archive.getmember("1.txt")
            assert archive.extractfile(member).read() == b"hello"


def bench_decompress(b):
    packed = zlib.compress(b"hello " * 200)
    for _ in b.loop():
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(packed) + unpacker.flush()
        assert len(text) == 1200


class Query:
    """Built step by step; a new object at each."""

    def __init__(self, table, conditions=(), order=None):
        self.table, self.conditions, self.order = table, conditions, order

    def filter(self, **equal):
        return Query(self.table, (*self.conditions, *equal.items()), self.order)

    def order_by(self, column):
        return Query(self.table, self.conditions, column)

    def sql(self):
        where = " and ".join([f"{name} = ?" for name, _ in self.conditions])
        return f"select * from {self.table} where {where} order by {self.order}"


def bench_query_builder(b):
    for _ in b.loop():
        query = Query("users").filter(name="Ada", active=True).order_by("born")
        assert query.sql().endswith("order by born")


class Money:
    def __init__(self, cents, currency):
        self.cents, self.currency = cents, currency

    def plus(self, other):
        return Money(self.cents + other.cents, self.currency)

    def show(self):
        return f"{self.cents / 100:.2f} {self.currency}"


def bench_money(b):
    for _ in b.loop():
        total = Money(350, "CHF").plus(Money(420, "CHF"))
        assert total.show() == "7.70 CHF"


def bench_polygon(b):
    corners = [(0, 0), (4, 0), (4, 3), (0, 3)]

    def area(points):
        pairs = itertools.pairwise([*points, points[0]])
        return abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in pairs)) / 2

    for _ in b.loop():
        assert area(corners) == 12


def bench_write_csv(b):
    rows = [{"name": f"item {i}", "price": i} for i in range(8)]
    for _ in b.loop():
        out = io.StringIO()
        writer = csv.DictWriter(out, ["name", "price"])
        writer.writeheader()
        writer.writerows(rows)
        assert out.getvalue().count("\n") == 9


def bench_blob(b):
    db = sqlite3.connect(":memory:")
    db.execute("create table files (id integer primary key, data blob)")
    db.execute("insert into files values (1, zeroblob(100))")
    for _ in b.loop():
        with db.blobopen("files", "data", 1) as blob:
            blob.write(b"hello")
            blob.seek(0)
            assert blob.read(5) == b"hello"


class Url:
    def __init__(self, text):
        self._text = text

    @functools.cached_property
    def _parts(self):
        return urllib.parse.urlsplit(self._text)

    @property
    def host(self):
        return self._parts.hostname

    def with_path(self, path):
        return Url(urllib.parse.urlunsplit(self._parts._replace(path=path)))


def bench_url_parts(b):
    for _ in b.loop():
        url = Url("https://user@example.org:8080/a/b?c=d#e")
        assert url.host == "example.org"


def bench_set_cookie(b):
    for _ in b.loop():
        cookie = http.cookies.Morsel()
        cookie.set("session", "abc", "abc")
        cookie["httponly"] = True
        assert cookie.OutputString() == "session=abc; HttpOnly"


def bench_checksum(b):
    text = "the quick brown fox"
    for _ in b.loop():
        data = text.encode()
        digest = binascii.crc32(data)
        assert f"{digest:08x}"


class Text(html.parser.HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.parts = []

    def handle_data(self, data):
        self.parts.append(data)

    @property
    def text(self):
        return " ".join(self.parts)


def text_of(page):
    parser = Text()
    parser.feed(page)
    return parser.text


def bench_text_of_page(b):
    for _ in b.loop():
        assert text_of("<h1>Tea</h1><p>and <b>cake</b></p>") == "Tea and  cake"


def bench_tally(b):
    words = ["a", "b", "a", "c", "b", "a", "d", "e", "f", "a"]
    for _ in b.loop():
        tally = collections.Counter(words)
        (first, count), *_ = tally.most_common(2)
        assert (first, count) == ("a", 4)


def bench_count_event(b):
    registry = prometheus_client.CollectorRegistry()
    events = prometheus_client.Counter("events", "Events.", ["kind"], registry=registry)
    for _ in b.loop():
        with contextlib.suppress(KeyError), contextlib.closing(io.StringIO()):
            events.labels("read").inc()


def bench_globs(b):
    names = [f"src/module_{i}/file_{i}.py" for i in range(10)]
    for _ in b.loop():
        found = [pathlib.PurePosixPath(name).stem for name in names if re.search(r"_[3-5]\.py$", name)]
        assert json.dumps(found) == '["file_3", "file_4", "file_5"]'
