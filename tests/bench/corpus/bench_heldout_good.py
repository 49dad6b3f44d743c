"""Benchmarks that measure what they should, on which the detector was never tuned."""

from __future__ import annotations

import array
import collections
import contextlib
import datetime
import email.message
import hashlib
import heapq
import io
import itertools
import json
import pathlib
import queue
import random
import re
import sqlite3
import time
import urllib.parse
import uuid
import zlib

import numpy as np

import tallymark as tm

LOG = "\n".join(f"10.0.0.{i % 8} GET /items/{i} 200 {i * 17}" for i in range(50))
EDGES = [(i, (i * 7) % 30) for i in range(60)]
LINE = re.compile(r"(\S+) (\S+) (\S+) (\d+) (\d+)")


class Point:
    __slots__ = ("x", "y")

    def __init__(self, x, y):
        self.x, self.y = x, y

    def __add__(self, other):
        return Point(self.x + other.x, self.y + other.y)


class Url:
    """Parsed at the first access."""

    def __init__(self, text):
        self.text = text
        self._parts = None

    def parts(self):
        if self._parts is None:
            self._parts = urllib.parse.urlsplit(self.text + "?now")._asdict()
        return self._parts


class Graph:
    def __init__(self):
        self.neighbours = {}

    def connect(self, a, b):
        self.neighbours.setdefault(a, []).append(b)
        self.neighbours.setdefault(b, []).append(a)

    def reachable(self, start):
        seen, todo = {start}, [start]
        while todo:
            for node in self.neighbours[todo.pop()]:
                if node not in seen:
                    seen.add(node)
                    todo.append(node)
        return seen


class Builder:
    def __init__(self):
        self.parts = []

    def where(self, column, value):
        self.parts.append(f"{column} = {value!r}")
        return self

    def limit(self, n):
        self.parts.append(f"limit {n}")
        return self

    def build(self):
        return " ".join(self.parts)


class Parser:
    """A recursive descent over its text."""

    def __init__(self, text):
        self.text, self.at = text, 0

    def parse(self):
        tokens = self.text.split()
        values = []
        while self.at < len(tokens):
            values.append(float(tokens[self.at]))
            self.at += 1
        return values


class Headers(collections.abc.MutableMapping):
    def __init__(self):
        self.store = {}

    def __getitem__(self, key):
        return self.store[key.lower()][1]

    def __setitem__(self, key, value):
        self.store[key.lower()] = (key, value)

    def __delitem__(self, key):
        del self.store[key.lower()]

    def __iter__(self):
        return iter(self.store)

    def __len__(self):
        return len(self.store)


class Event:
    def __init__(self, name, payload):
        self.name = name
        self.payload = payload
        self.time = time.time()

    def to_json(self):
        return json.dumps({"name": self.name, "time": self.time, **self.payload})


def bench_log_lines(b):
    for _ in b.loop():
        lines = io.StringIO(LOG)
        total = 0
        for line in lines:
            total += int(LINE.match(line)[5])


def bench_graph(b):
    for _ in b.loop():
        graph = Graph()
        for a, c in EDGES:
            graph.connect(a, c)
        graph.reachable(0)


def bench_points(b):
    for _ in b.loop():
        a = Point(1.5, 2.5)
        c = a + Point(3.5, 4.5)
        c.x * c.y


def bench_url(b):
    text = "https://example.org/items/7"
    for _ in b.loop():
        url = Url(text)
        parts = url.parts()
        assert parts["path"]


def bench_builder(b):
    for _ in b.loop():
        Builder().where("a", 1).where("b", "x").limit(10).build()


def bench_parser(b):
    text = "1 2 3.5 4 5 6.25 7 8"
    for _ in b.loop():
        assert len(Parser(text).parse()) == 8


def bench_headers(b):
    for _ in b.loop():
        headers = Headers()
        headers["Content-Type"] = "text/html"
        headers["X-Trace"] = "17"
        headers.update({"Accept": "*/*", "Host": "example.org", "Cookie": "a=b", "Origin": "x", "Via": "y", "Age": "1"})


def bench_event(b):
    payload = {"user": 7, "path": "/"}
    for _ in b.loop():
        event = Event("click", payload)
        event.to_json()


def bench_mail(b):
    for _ in b.loop():
        message = email.message.EmailMessage()
        message["Subject"] = "Hello"
        message["To"] = "ada@example.org"
        message.set_content("Hello, world.\n")
        message.as_string()


def bench_hash(b):
    data = b"x" * 4096
    for _ in b.loop():
        digest = hashlib.sha256()
        digest.update(data)
        digest.hexdigest()


def bench_compress(b):
    data = LOG.encode()
    for _ in b.loop():
        packer = zlib.compressobj(1)
        packed = packer.compress(data)
        packed += packer.flush()


def bench_heap(b):
    for _ in b.loop():
        heap = array.array("d", [5.0, 1.0, 3.0, 2.0])
        items = [(value, uuid.UUID(int=i)) for i, value in enumerate(heap)]
        heapq.heapify(items)
        while items:
            heapq.heappop(items)


def bench_dates(b):
    for _ in b.loop():
        day = datetime.datetime(2024, 2, 29, tzinfo=datetime.UTC)
        later = day + datetime.timedelta(days=365)
        later.isoformat()


def bench_queue(b):
    for _ in b.loop():
        jobs = queue.Queue()
        for i in range(20):
            jobs.put(i)
        while not jobs.empty():
            jobs.get()


def bench_numbers(b):
    for _ in b.loop():
        numbers = np.arange(1000.0)
        numbers -= numbers.mean()
        numbers.std()


def bench_random(b):
    for _ in b.loop():
        rng = random.Random(7)
        sample = rng.sample(range(1000), 10)
        rng.shuffle(sample)


def bench_transaction(b):
    db = sqlite3.connect(":memory:")
    db.execute("create table t (a int primary key, b text)")
    for _ in b.loop():
        with db:
            cursor = db.execute("insert or replace into t values (1, 'a')")
            cursor.execute("select * from t")
            cursor.fetchall()


def bench_path(b):
    for _ in b.loop():
        path = pathlib.PurePosixPath("/srv/app") / "static" / "site.css"
        path.with_suffix(".min.css").as_posix()


def bench_registry_made_on_purpose(b):
    for _ in b.loop():
        tm.Registry()


def bench_stack(b):
    for _ in b.loop():
        with contextlib.ExitStack() as stack:
            for part in itertools.islice(LOG.splitlines(), 5):
                stack.callback(part.upper)


def bench_snapshot(b):
    registry = tm.Registry()
    registry.counter("requests").inc(method="GET")
    for _ in b.loop():
        snapshot = registry.snapshot()
        tm.render_prometheus(snapshot)
