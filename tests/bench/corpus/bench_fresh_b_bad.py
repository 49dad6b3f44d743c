"""Benchmarks that measure initialisation, in shapes of mistakes of public benchmark suites: nothing was tuned on them."""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import enum
import functools
import inspect
import itertools
import queue
import re
import sqlite3
import ssl
import threading
import unittest.mock
import urllib.parse
import urllib.request


def command_line():
    parser = argparse.ArgumentParser("tool")
    parser.add_argument("--port", type=int, default=80)
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("name")
    return parser


def bench_parse_command_line(b):
    for _ in b.loop():
        parser = command_line()
        options = parser.parse_args(["--port", "8080", "web"])
        assert options.port == 8080


def bench_count_rows(b):
    rows = [(i, i * i) for i in range(5)]
    for _ in b.loop():
        with contextlib.closing(sqlite3.connect(":memory:")) as db:
            db.executescript("create table squares (n int, square int); create index by_n on squares (n)")
            db.executemany("insert into squares values (?, ?)", rows)
            assert db.execute("select count(*) from squares").fetchone() == (5,)


def bench_dataclass_attributes(b):
    for _ in b.loop():

        @dataclasses.dataclass
        class Item:
            name: str
            price: float
            quantity: int = 1

        tea = Item("tea", 3.5)
        assert tea.price * tea.quantity == 3.5


def bench_named_tuple(b):
    for _ in b.loop():
        color = collections.namedtuple("Color", "red green blue")
        teal = color(0, 128, 128)
        sum(teal)


def bench_enum_lookup(b):
    for _ in b.loop():
        level = enum.Enum("Level", "DEBUG INFO WARNING ERROR")
        assert level["INFO"].value == 2


class Lexer:
    """Its one pattern is joined and compiled when it is made."""

    def __init__(self, kinds):
        joined = "|".join([f"(?P<{name}>{pattern})" for name, pattern in kinds.items()])
        self.pattern = re.compile(joined + f"|(?P<other{next(SERIAL)}>.)")

    def tokens(self, text):
        return [(found.lastgroup, found.group()) for found in self.pattern.finditer(text)]


SERIAL = itertools.count()
KINDS = {"number": r"\d+(?:\.\d*)?", "name": r"[A-Za-z_]\w*", "sign": r"[-+*/()=]", "space": r"[ \t]+"}


def bench_lexer(b):
    for _ in b.loop():
        lexer = Lexer(KINDS)
        assert len(lexer.tokens("a = b + 12.5")) == 9


class Engine:
    """Compiles a template to a Python function, and keeps it."""

    def __init__(self):
        self.compiled = {}

    def render(self, source, **values):
        function = self.compiled.get(source)
        if function is None:
            code = "def render(values):\n    return ''.join([" + ", ".join(map(self.part, source.split("|"))) + "])\n"
            scope = {}
            exec(compile(code, "<template>", "exec"), scope)
            function = self.compiled[source] = scope["render"]
        return function(values)

    def part(self, text):
        return f"str(values[{text[1:]!r}])" if text.startswith("$") else repr(text)


def bench_render_page(b):
    for _ in b.loop():
        html = Engine().render("<h1>|$title|</h1><p>|$text|</p>", title="News", text="None today.")
        assert html.endswith("</p>")


class Injector:
    """Makes what a constructor's annotations ask for, and keeps one of each."""

    def __init__(self):
        self.single = {}

    def get(self, kind):
        if kind not in self.single:
            wanted = inspect.signature(kind).parameters.values()
            self.single[kind] = kind(*[self.get(one.annotation) for one in wanted])
        return self.single[kind]


class Clock:
    def __init__(self):
        self.zone = "UTC"


def _store_init(self, clock):
    self.clock = clock


_store_init.__annotations__["clock"] = Clock
Store = type("Store", (), {"__init__": _store_init})


def bench_inject(b):
    for _ in b.loop():
        injector = Injector()
        assert injector.get(Store).clock.zone == "UTC"


class Bus:
    """Sorts its subscribers by priority whenever one is added."""

    def __init__(self):
        self.handlers = collections.defaultdict(list)

    def subscribe(self, topic, handler, priority=0):
        entries = self.handlers[topic]
        entries.append((priority, len(entries), handler))
        entries.sort(key=lambda entry: entry[:2])

    def publish(self, topic, event):
        for _, _, handler in self.handlers[topic]:
            handler(event)


def bench_publish(b):
    seen = collections.deque(maxlen=10)
    for _ in b.loop():
        bus = Bus()
        for priority in (3, 1, 2):
            bus.subscribe("orders", seen.append, priority)
        bus.publish("orders", "order 7")


class Link:
    def __init__(self, host):
        self.host = host
        self.lock = threading.Lock()
        self.buffers = [bytearray(256) for _ in range(4)]

    def query(self, text):
        return len(text)


class LinkPool:
    def __init__(self, host, size):
        self.free = queue.LifoQueue()
        for _ in range(size):
            self.free.put(Link(host))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        while not self.free.empty():
            self.free.get()

    @contextlib.contextmanager
    def link(self):
        link = self.free.get()
        yield link
        self.free.put(link)


def bench_query_by_pool(b):
    for _ in b.loop():
        with LinkPool("db.example.org", 4) as pool, pool.link() as link:
            link.query("select 1")


def bench_single_dispatch(b):
    for _ in b.loop():
        show = functools.singledispatch(repr)
        show.register(int, hex)
        show.register(list, len)
        assert show(255) == "0xff"


def bench_open_data_url(b):
    for _ in b.loop():
        opener = urllib.request.build_opener()
        with opener.open("data:text/plain,hello") as answer:
            assert answer.read() == b"hello"


class Mailer:
    def __init__(self, transport):
        self.transport = transport

    def welcome(self, name):
        return self.transport.send(f"{name}@example.org", "Welcome")


def bench_mailer(b):
    for _ in b.loop():
        transport = unittest.mock.MagicMock()
        transport.send.return_value = "queued"
        assert Mailer(transport).welcome("ada") == "queued"


def bench_rule(b):
    order = {"total": 120, "country": "CH", "items": 4}
    for _ in b.loop():
        rule = compile("total > 100 and country in ('CH', 'AT') and items < 10", "<rule>", "eval")
        assert eval(rule, {}, order)


def bench_tls_hello(b):
    for _ in b.loop():
        context = ssl.create_default_context()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname="example.org")
        with contextlib.suppress(ssl.SSLWantReadError):
            tls.do_handshake()
