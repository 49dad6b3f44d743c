"""Micro-benchmarks that time the operation; whatever lasts is made above the loop."""

import argparse
import collections
import contextlib
import csv
import hashlib
import heapq
import html.parser
import http.client
import io
import itertools
import json
import logging
import os
import re
import sqlite3
import string
import tempfile
import xml.etree.ElementTree as ET
import zipfile
import zlib
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from decimal import Decimal


# ---- web ------------------------------------------------------------------

class Request:
    def __init__(self, method, path, headers):
        self.method = method
        self.path, _, query = path.partition("?")
        self.headers = {k.lower(): v for k, v in headers}
        self.args = dict(p.split("=", 1) for p in query.split("&") if p)


class Response:
    def __init__(self, body, status=200):
        self.status = status
        self.headers = {"content-length": str(len(body)), "content-type": "text/plain"}
        self.body = body


class App:
    def __init__(self):
        self.routes = []

    def route(self, pattern):
        rx = re.compile(pattern)

        def deco(fn):
            self.routes.append((rx, fn))
            return fn
        return deco

    def __call__(self, request):
        for rx, fn in self.routes:
            m = rx.fullmatch(request.path)
            if m:
                return fn(request, **m.groupdict())
        return Response(b"not found", 404)


def bench_handle_request(b):
    """Good: the app exists already; a request and a response are made per call, as in a real server."""
    app = App()

    @app.route(r"/")
    def index(request):
        return Response(b"hi")

    @app.route(r"/users/(?P<uid>\d+)")
    def user(request, uid):
        return Response(f"user {uid} {request.args.get('lang')}".encode())

    raw_headers = [("Host", "example.org"), ("Accept", "*/*"), ("User-Agent", "x/1")]
    for _ in b.loop():
        req = Request("GET", "/users/42?lang=en&page=2", raw_headers)
        resp = app(req)
    assert resp.status == 200


# ---- serialisation --------------------------------------------------------

@dataclass
class Line:
    sku: str
    qty: int
    price: Decimal


@dataclass
class Order:
    number: int
    lines: list = field(default_factory=list)

    @property
    def total(self):
        return sum((ln.qty * ln.price for ln in self.lines), Decimal(0))


ORDER_JSON = json.dumps({"number": 9, "lines": [
    {"sku": f"S{i}", "qty": i + 1, "price": f"{i}.95"} for i in range(12)]})


def bench_decode_order(b):
    """Good: decoding a document into fresh value objects is exactly the operation."""
    for _ in b.loop():
        data = json.loads(ORDER_JSON)
        order = Order(data["number"], [Line(d["sku"], d["qty"], Decimal(d["price"])) for d in data["lines"]])
        order.total


def bench_csv_export(b):
    """Good: each export has a buffer and a writer of its own; most of the time goes into the rows."""
    rows = [(i, f"name {i}", i * 1.5, "x,y" if i % 3 else 'q"q') for i in range(100)]
    for _ in b.loop():
        buf = io.StringIO()
        writer = csv.writer(buf)
        writer.writerow(("id", "name", "value", "note"))
        writer.writerows(rows)
        buf.getvalue()


def bench_zip_report(b):
    """Good: one archive per report is what the download view does, so opening it belongs to the op."""
    pages = {f"page{i}.txt": (f"line {i}\n" * 80).encode() for i in range(4)}
    for _ in b.loop():
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as zf:
            for name, data in pages.items():
                zf.writestr(name, data)


# ---- database / ORM -------------------------------------------------------

def bench_insert_transaction(b):
    """Good: the connection and schema are there beforehand; a transaction is opened per batch in real life."""
    conn = sqlite3.connect(":memory:")
    conn.execute("CREATE TABLE hit (id INTEGER PRIMARY KEY, path TEXT, ms REAL)")
    batch = [(i, f"/p/{i}", i / 7) for i in range(40)]
    for _ in b.loop():
        with conn:
            conn.execute("DELETE FROM hit")
            conn.executemany("INSERT INTO hit VALUES (?, ?, ?)", batch)
    conn.close()


class City:
    __slots__ = ("id", "name", "people")

    def __init__(self, id, name, people):
        self.id = id
        self.name = name
        self.people = people

    @classmethod
    def from_row(cls, row):
        return cls(*row)


def bench_orm_fetch_all(b):
    """Good: a cursor and fifty entities per query; that is the work of a query and not its preparation."""
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE city (id INTEGER PRIMARY KEY, name TEXT, people INTEGER)")
    db.executemany("INSERT INTO city VALUES (?, ?, ?)", [(i, f"C{i}", i * 1000) for i in range(50)])
    for _ in b.loop():
        cur = db.cursor()
        cur.execute("SELECT id, name, people FROM city ORDER BY people DESC")
        cities = [City.from_row(r) for r in cur]
        cur.close()
    assert len(cities) == 50
    db.close()


# ---- templates ------------------------------------------------------------

class Context(collections.ChainMap):
    """Variables of one rendering."""


class Page:
    def __init__(self, source):
        self.head, self.row, self.tail = (string.Template(s) for s in source.split("---"))

    def render(self, ctx):
        parts = [self.head.substitute(ctx)]
        for item in ctx["items"]:
            parts.append(self.row.substitute(ctx.new_child({"item": item})))
        parts.append(self.tail.substitute(ctx))
        return "".join(parts)


def bench_render_page(b):
    """Good: the template is compiled above the loop, and every rendering needs a context of its own."""
    page = Page("<h1>$title</h1><ul>---<li class=$css>$item</li>---</ul>$footer")
    site = {"footer": "(c)", "css": "row"}
    for _ in b.loop():
        ctx = Context({"title": "List", "items": ["a", "b", "c", "d", "e"]}, site)
        page.render(ctx)


# ---- dependency injection -------------------------------------------------

class Session:
    def __init__(self):
        self.pending = []
        self.closed = False

    def add(self, x):
        self.pending.append(x)

    def close(self):
        self.closed = True


class Services:
    def __init__(self, factories):
        self.factories = factories

    @contextlib.contextmanager
    def scope(self):
        made = {}

        def get(name):
            if name not in made:
                made[name] = self.factories[name](get)
            return made[name]
        try:
            yield get
        finally:
            for obj in made.values():
                if hasattr(obj, "close"):
                    obj.close()


class CommentHandler:
    def __init__(self, session):
        self.session = session

    def handle(self, text):
        for word in text.split():
            self.session.add(word.strip(".,").lower())
        return len(self.session.pending)


def bench_request_scope(b):
    """Good: the container is ready; a scope with its session is opened for each request by design."""
    services = Services({
        "session": lambda get: Session(),
        "comment": lambda get: CommentHandler(get("session")),
    })
    text = "Lorem ipsum dolor sit amet, consectetur adipiscing elit. Sed do eiusmod tempor."
    for _ in b.loop():
        with services.scope() as get:
            get("comment").handle(text)


# ---- parsers and tokenizers -----------------------------------------------

@dataclass(frozen=True)
class Token:
    kind: str
    text: str
    pos: int


TOKEN_RX = re.compile(r"(?P<num>\d+)|(?P<name>[a-z]\w*)|(?P<op>[-+*/()])|(?P<ws>\s+)")


def lex(src):
    for m in TOKEN_RX.finditer(src):
        if m.lastgroup != "ws":
            yield Token(m.lastgroup, m.group(), m.start())


def bench_lexer(b):
    """Good: tokens are the result of lexing; the pattern was compiled at import."""
    src = "alpha + 12 * (beta - 3) / gamma + 7 * (delta + 1)"
    for _ in b.loop():
        tokens = list(lex(src))
    assert len(tokens) == 19


class ExprParser:
    """Recursive descent; an instance is the cursor over one source text."""

    def __init__(self, tokens):
        self.toks = tokens
        self.i = 0

    def peek(self):
        return self.toks[self.i] if self.i < len(self.toks) else None

    def expr(self):
        node = self.term()
        while self.peek() in ("+", "-"):
            op = self.toks[self.i]
            self.i += 1
            node = (op, node, self.term())
        return node

    def term(self):
        node = self.atom()
        while self.peek() in ("*", "/"):
            op = self.toks[self.i]
            self.i += 1
            node = (op, node, self.atom())
        return node

    def atom(self):
        t = self.toks[self.i]
        self.i += 1
        if t == "(":
            node = self.expr()
            self.i += 1
            return node
        return t


def bench_parse_expression(b):
    """Good: the parser object is a trivial cursor that belongs to one text, and parsing dominates."""
    toks = "( a + b ) * c - d / ( e + f * ( g - h ) ) + i * j".split()
    for _ in b.loop():
        ExprParser(toks).expr()


class LinkCollector(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.links = []

    def handle_starttag(self, tag, attrs):
        if tag == "a":
            self.links.extend(v for k, v in attrs if k == "href")


def bench_collect_links(b):
    """Good: an HTMLParser is stateful and used for one document; feeding the page is nearly all of the op."""
    page = "<html><body>" + "".join(f'<p class=x>t <a href="/n/{i}">n {i}</a></p>' for i in range(30)) + "</body></html>"
    for _ in b.loop():
        collector = LinkCollector()
        collector.feed(page)
        collector.close()
    assert len(collector.links) == 30


def bench_xml_feed(b):
    """Good: parses a feed into a new tree each time, for the tree is the parsed result."""
    xml = "<feed>" + "".join(f"<entry id='{i}'><title>T{i}</title></entry>" for i in range(40)) + "</feed>"
    for _ in b.loop():
        root = ET.fromstring(xml)
        titles = [e.findtext("title") for e in root.iter("entry")]


# ---- CLI, logging ---------------------------------------------------------

def bench_parse_argv(b):
    """Good: the parser is built once above the loop and only parse_args is timed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="+")
    parser.add_argument("-n", "--count", type=int, default=1)
    parser.add_argument("--dry-run", action="store_true")
    argv = ["-n", "3", "--dry-run", "a.txt", "b.txt"]
    for _ in b.loop():
        parser.parse_args(argv)


class ListHandler(logging.Handler):
    def __init__(self):
        super().__init__()
        self.last = deque(maxlen=10)

    def emit(self, record):
        self.last.append(self.format(record))


def bench_log_exception(b):
    """Good: logging was configured beforehand; the exception and record are made per event."""
    logger = logging.Logger("bench.good")
    handler = ListHandler()
    handler.setFormatter(logging.Formatter("%(levelname)-8s %(message)s"))
    logger.addHandler(handler)
    for _ in b.loop():
        try:
            raise ValueError("bad quantity")
        except ValueError:
            logger.warning("order %d rejected", 17, exc_info=True)


# ---- files, streams -------------------------------------------------------

def bench_read_config_file(b):
    """Good: times 'load a settings file', so opening the file and splitting it is the operation."""
    fd, path = tempfile.mkstemp(suffix=".ini")
    with os.fdopen(fd, "w") as f:
        for i in range(60):
            f.write(f"key{i} = value {i}\n")
    try:
        for _ in b.loop():
            settings = {}
            with open(path, encoding="utf-8") as fh:
                for line in fh:
                    k, _, v = line.partition("=")
                    settings[k.strip()] = v.strip()
    finally:
        os.unlink(path)


def bench_compress_stream(b):
    """Good: a compressobj holds one stream's state and can't be shared; the chunks dominate."""
    chunks = [bytes((i * j) % 251 for j in range(4096)) for i in range(1, 9)]
    for _ in b.loop():
        z = zlib.compressobj(6)
        n = 0
        for c in chunks:
            n += len(z.compress(c))
        n += len(z.flush())


def bench_etag(b):
    """Good: a hash object is needed per message by definition."""
    blocks = [b"%04d" % i * 256 for i in range(8)]
    for _ in b.loop():
        h = hashlib.sha256()
        for blk in blocks:
            h.update(blk)
        '"%s"' % h.hexdigest()[:16]


# ---- client ---------------------------------------------------------------

class FakeSocket:
    """What http.client needs of a socket to read a response."""

    def __init__(self, data):
        self.data = data

    def makefile(self, mode):
        return io.BytesIO(self.data)


def bench_read_http_response(b):
    """Good: every answer off the wire becomes a new HTTPResponse; reading its headers and body is the work."""
    wire = (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Request-Id: 77\r\n"
            b"Cache-Control: no-store\r\nContent-Length: 11\r\n\r\n{\"ok\":true}")
    for _ in b.loop():
        r = http.client.HTTPResponse(FakeSocket(wire))
        r.begin()
        body = json.loads(r.read())
        r.close()
    assert body == {"ok": True}


# ---- games, science -------------------------------------------------------

class Vec:
    __slots__ = ("x", "y")

    def __init__(self, x, y):
        self.x = x
        self.y = y

    def __add__(self, o):
        return Vec(self.x + o.x, self.y + o.y)

    def __mul__(self, k):
        return Vec(self.x * k, self.y * k)


def bench_particles_step(b):
    """Good: vector arithmetic yields new small vectors, the particles themselves are made above."""
    pos = [Vec(i, i * 2) for i in range(80)]
    vel = [Vec(1, -0.5 * i) for i in range(80)]
    g = Vec(0.0, -9.81)
    dt = 1 / 60
    for _ in b.loop():
        new_vel = [v + g * dt for v in vel]
        [p + v * dt for p, v in zip(pos, new_vel)]


class Grid:
    def __init__(self, n):
        self.n = n
        self.walls = {(x, y) for x in range(n) for y in range(n) if (x * 7 + y * 3) % 5 == 0 and x != y}

    def around(self, p):
        x, y = p
        for q in ((x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1), (x + 1, y + 1)):
            if 0 <= q[0] < self.n and 0 <= q[1] < self.n and q not in self.walls:
                yield q


def bench_path_search(b):
    """Good: frontier and visited map are the working state of one search on a grid that exists already."""
    grid = Grid(16)
    goal = (15, 15)
    for _ in b.loop():
        came = {(0, 0): None}
        todo = deque([(0, 0)])
        while todo:
            here = todo.popleft()
            if here == goal:
                break
            for q in grid.around(here):
                if q not in came:
                    came[q] = here
                    todo.append(q)
    assert goal in came


# ---- scheduler, state machine, cache, ETL ---------------------------------

@dataclass(order=True)
class Job:
    due: int
    name: str = field(compare=False)


class Scheduler:
    def __init__(self):
        self.heap = []
        self.ran = 0

    def schedule(self, job):
        heapq.heappush(self.heap, job)

    def run_due(self, now):
        while self.heap and self.heap[0].due <= now:
            heapq.heappop(self.heap)
            self.ran += 1


def bench_schedule_and_run(b):
    """Good: the scheduler lives above; jobs are what a caller makes each time it schedules something."""
    sched = Scheduler()
    for _ in b.loop():
        for due in (5, 3, 9, 1, 7, 2, 8, 4):
            sched.schedule(Job(due, "tick"))
        sched.run_due(10)


class Lru:
    def __init__(self, size):
        self.size = size
        self.data = OrderedDict()

    def get(self, key, make):
        try:
            self.data.move_to_end(key)
            return self.data[key]
        except KeyError:
            value = self.data[key] = make(key)
            if len(self.data) > self.size:
                self.data.popitem(last=False)
            return value


CacheKey = collections.namedtuple("CacheKey", "user page")


def bench_cache_lookups(b):
    """Good: a cache filled above the loop, looked up with small key tuples as callers do."""
    cache = Lru(64)
    for i in range(64):
        cache.get(CacheKey(i % 8, i // 8), repr)
    for _ in b.loop():
        for u, p in ((1, 1), (7, 2), (3, 5), (0, 0), (6, 6)):
            cache.get(CacheKey(user=u, page=p), repr)


def clean(rows):
    for r in rows:
        yield {k: v.strip() for k, v in r.items()}


def typed(rows):
    for r in rows:
        r["amount"] = float(r["amount"])
        yield r


def positive(rows):
    return (r for r in rows if r["amount"] > 0)


def bench_etl_batch(b):
    """Good: generators are single-use, so the chain over a batch has to be made per batch."""
    raw = [{"id": f" {i}", "country": "NO " if i % 2 else "SE", "amount": f" {i - 10}.5 "} for i in range(60)]
    for _ in b.loop():
        sums = collections.defaultdict(float)
        for r in positive(typed(clean(raw))):
            sums[r["country"]] += r["amount"]


@dataclass
class Event:
    kind: str
    payload: dict
    trail: list = field(default_factory=list)


class Bus:
    def __init__(self):
        self.subs = collections.defaultdict(list)

    def on(self, kind, fn):
        self.subs[kind].append(fn)

    def publish(self, ev):
        for fn in itertools.chain(self.subs[ev.kind], self.subs["*"]):
            fn(ev)
        return ev


def bench_publish_event(b):
    """Good: plug-ins are subscribed before; publishing a new event is what programs do all the time."""
    bus = Bus()
    bus.on("paid", lambda ev: ev.trail.append("mail"))
    bus.on("paid", lambda ev: ev.trail.append(ev.payload["id"]))
    bus.on("*", lambda ev: ev.trail.append("audit"))
    for _ in b.loop():
        ev = bus.publish(Event("paid", {"id": 5, "sum": 12}))
