"""Benchmarks that measure what they should, written after the detector was mended: nothing was tuned on them."""

from __future__ import annotations

import array
import base64
import collections
import dataclasses
import datetime
import difflib
import email.message
import fractions
import functools
import gzip
import hashlib
import hmac
import io
import itertools
import json
import queue
import re
import shlex
import sqlite3
import string
import struct
import textwrap
import threading
import urllib.parse
import uuid

import prometheus_client

import tallymark as tm


class Token:
    """A signed token whose claims are decoded when they are asked for."""

    def __init__(self, text):
        self.head, self.body, self.signature = text.split(".")
        self._claims = None

    @property
    def claims(self):
        if self._claims is None:
            self._claims = json.loads(base64.urlsafe_b64decode(self.body + "=="))
        return self._claims

    def claim(self, name, default=None):
        return self.claims.get(name, default)


def bench_token(b):
    body = base64.urlsafe_b64encode(json.dumps({"sub": "ada", "roles": ["admin", "user"], "exp": 99}).encode()).decode()
    text = f"e30.{body.rstrip('=')}.c2ln"
    for _ in b.loop():
        token = Token(text)
        assert token.claim("sub") == "ada"
        assert "admin" in token.claims["roles"]


@dataclasses.dataclass
class Invoice:
    customer: str
    lines: list = dataclasses.field(default_factory=list)

    def add(self, text, amount):
        self.lines.append((text, amount))

    def render(self, currency):
        return "\n".join([f"{text}: {amount} {currency}" for text, amount in self.lines])


def bench_invoice(b):
    for _ in b.loop():
        invoice = Invoice("Ada")
        invoice.add("tea", 3)
        invoice.add("cake", 4)
        assert invoice.render("CHF").endswith("4 CHF")


def bench_sign(b):
    for _ in b.loop():
        mac = hmac.new(b"secret", b"GET\n/items\n", hashlib.sha256)
        mac.update(b"host:example.org")
        assert len(mac.hexdigest()) == 64


def bench_gzip(b):
    text = b"the quick brown fox " * 50
    for _ in b.loop():
        packed = io.BytesIO()
        with gzip.GzipFile(fileobj=packed, mode="wb") as file:
            file.write(text)
        assert len(packed.getvalue()) < 100


class Form:
    def __init__(self, body):
        self.body = body

    @functools.cached_property
    def fields(self):
        return urllib.parse.parse_qs(self.body)

    def first(self, name):
        return self.fields[name][0]


def bench_form(b):
    for _ in b.loop():
        form = Form("name=Ada+Lovelace&mail=ada%40example.org&topic=engines&topic=poetry")
        assert form.first("name") == "Ada Lovelace"
        assert form.first("mail") == "ada@example.org"


def bench_difference(b):
    old, new = ["one", "two", "three", "four", "five"], ["one", "too", "three", "for", "five"]
    for _ in b.loop():
        matcher = difflib.SequenceMatcher(None, old, new)
        assert len(matcher.get_opcodes()) == 5


def bench_split_command(b):
    for _ in b.loop():
        lexer = shlex.shlex("run --name 'my app' -v", posix=True, punctuation_chars=True)
        assert list(lexer)[-1] == "-v"


def bench_fractions(b):
    for _ in b.loop():
        half = fractions.Fraction(1, 2)
        third = fractions.Fraction("1/3")
        assert (half + third).denominator == 6


class Cell:
    def __init__(self, row, column, value=None):
        self.row, self.column, self.value = row, column, value


class Sheet:
    def __init__(self, width, height):
        self.cells = [[Cell(row, column) for column in range(width)] for row in range(height)]

    def put(self, row, column, value):
        self.cells[row][column].value = value

    def total(self):
        return sum([cell.value or 0 for line in self.cells for cell in line])


def bench_sheet(b):
    for _ in b.loop():
        sheet = Sheet(5, 4)
        sheet.put(0, 0, 10)
        sheet.put(3, 4, 32)
        assert sheet.total() == 42


class Tree:
    def __init__(self, key):
        self.key, self.left, self.right = key, None, None

    def insert(self, key):
        side = "left" if key < self.key else "right"
        below = getattr(self, side)
        if below is None:
            setattr(self, side, Tree(key))
        else:
            below.insert(key)

    def __iter__(self):
        yield from self.left or ()
        yield self.key
        yield from self.right or ()


def bench_tree(b):
    for _ in b.loop():
        tree = Tree(50)
        for key in (30, 70, 20, 40, 60, 80):
            tree.insert(key)
        assert list(tree)[0] == 20  # noqa: RUF015


def bench_message(b):
    for _ in b.loop():
        message = email.message.Message()
        message["From"] = "ada@example.org"
        message["To"] = "bob@example.org"
        message.set_payload("Hello")
        assert message.as_string().endswith("Hello")


def bench_line_protocol(b):
    pattern = re.compile(r"(?P<name>\w+)=(?P<value>\S+)")
    for _ in b.loop():
        found = pattern.match("temperature=21.5")
        fields = found.groupdict()
        assert float(fields["value"]) == 21.5


def bench_row_objects(b):
    db = sqlite3.connect(":memory:")
    db.row_factory = sqlite3.Row
    for _ in b.loop():
        cursor = db.execute("select 1 as number, 'ada' as name")
        row = cursor.fetchone()
        assert row["name"] == "ada"


def bench_timer_context(b):
    timer = tm.Registry().timer("requests")
    for _ in b.loop():
        timer.record(0.25, route="/")


def bench_child(b):
    registry = prometheus_client.CollectorRegistry()
    latency = prometheus_client.Summary("latency", "Latency.", ["route"], registry=registry)
    for _ in b.loop():
        child = latency.labels("/items")
        child.observe(0.25)


def bench_handoff(b):
    jobs = queue.Queue()
    lock = threading.Lock()
    for _ in b.loop():
        jobs.put(("resize", 7))
        with lock:
            name, number = jobs.get()
        assert (name, number) == ("resize", 7)


class Command:
    """One thing to do, which can be undone."""

    def __init__(self, document, text):
        self.document, self.text, self.before = document, text, None

    def do(self):
        self.before = list(self.document)
        self.document.append(self.text)

    def undo(self):
        self.document[:] = self.before


def bench_command(b):
    document = ["a", "b"]
    for _ in b.loop():
        command = Command(document, "c")
        command.do()
        command.undo()
        assert document == ["a", "b"]


def frame(kind, payload):
    header = struct.Struct(">BHI")
    checksum = sum(payload) & 0xFFFFFFFF
    return header.pack(kind, len(payload), checksum) + payload


def bench_frame(b):
    payload = bytes(range(64))
    for _ in b.loop():
        assert len(frame(1, payload)) == 71


def bench_wrap(b):
    text = "The quick brown fox jumps over the lazy dog. " * 6
    for _ in b.loop():
        lines = textwrap.wrap(text, 40)
        assert len(lines) > 6


def bench_schedule(b):
    for _ in b.loop():
        start = datetime.datetime(2024, 1, 31, 9, tzinfo=datetime.UTC)
        days = [start + datetime.timedelta(days=i) for i in range(5)]
        numbers = array.array("q", [int(day.timestamp()) for day in days])
        names = collections.OrderedDict(zip(string.ascii_lowercase, numbers, strict=False))
        assert next(iter(names)) == "a"
        assert uuid.uuid5(uuid.NAMESPACE_DNS, "example.org").version == 5
        assert list(itertools.accumulate([1, 2, 3])) == [1, 3, 6]
