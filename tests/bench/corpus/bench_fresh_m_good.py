"""Sound benchmarks: what is built once is built above the loop; what the op makes, a real op makes."""

import argparse
import array
import atexit
import contextvars
import csv
import difflib
import hashlib
import heapq
import hmac
import io
import json
import logging
import os
import pickle
import re
import sqlite3
import struct
import tempfile
import xml.etree.ElementTree as ET
import zipfile
import zlib
from collections import OrderedDict, deque, namedtuple
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from html.parser import HTMLParser

_TMP = tempfile.TemporaryDirectory()
atexit.register(_TMP.cleanup)


# ------------------------------------------------------ a small web framework

@dataclass
class Request:
    method: str
    path: str
    headers: dict = field(default_factory=dict)
    params: dict = field(default_factory=dict)


class Response:
    def __init__(self, body, status=200):
        self.body = body
        self.status = status
        self.headers = {"Content-Length": str(len(body)), "Content-Type": "text/plain"}


class App:
    def __init__(self):
        self.routes = []

    def route(self, pattern):
        rx = re.compile("^" + re.sub(r"<(\w+)>", r"(?P<\1>[^/]+)", pattern) + "$")

        def deco(fn):
            self.routes.append((rx, fn))
            return fn
        return deco

    def __call__(self, req):
        for rx, fn in self.routes:
            m = rx.match(req.path)
            if m:
                req.params = m.groupdict()
                return fn(req)
        return Response("not found", 404)


def bench_handle_request(b):
    """Good: the app is made once; a Request and a Response per call are what serving means."""
    app = App()
    for res in ("users", "orders", "items"):
        app.route(f"/{res}/<id>")(lambda req, res=res: Response(f"{res} {req.params['id']}"))
    for _ in b.loop():
        req = Request("GET", "/items/9", {"Accept": "*/*"})
        resp = app(req)
        assert resp.status == 200


# -------------------------------------------------------- recursive descent

class ExprParser:
    TOK = re.compile(r"\s*(?:(\d+)|(.))")

    def __init__(self, text):
        self.toks = [(int(n) if n else op) for n, op in self.TOK.findall(text)]
        self.pos = 0

    def peek(self):
        return self.toks[self.pos] if self.pos < len(self.toks) else None

    def take(self):
        t = self.toks[self.pos]
        self.pos += 1
        return t

    def expr(self):
        node = self.term()
        while self.peek() in ("+", "-"):
            node = (self.take(), node, self.term())
        return node

    def term(self):
        node = self.atom()
        while self.peek() in ("*", "/"):
            node = (self.take(), node, self.atom())
        return node

    def atom(self):
        t = self.take()
        if t == "(":
            node = self.expr()
            self.take()
            return node
        return t


def bench_parse_expression(b):
    """Good: a parser object holds one text's position, so one per parsed text is right."""
    src = "1 + 2 * (3 - 4) * 5 + (6 + 7) * 8 - 9 / (10 + 11)"
    for _ in b.loop():
        tree = ExprParser(src).expr()
        assert tree[0] == "-"


# ---------------------------------------------------------- json / csv / xml

def bench_decode_event(b):
    """Good: decoding a message and reading a field is the operation."""
    decoder = json.JSONDecoder()
    raw = json.dumps({"type": "click", "xy": [3, 4], "meta": {"ua": "x" * 30, "tags": list("abc")}})
    for _ in b.loop():
        event = decoder.decode(raw)
        assert event["xy"][1] == 4


Row = namedtuple("Row", "sku qty price")


def bench_csv_import(b):
    """Good: each import opens a reader over its own text and makes a Row per line."""
    text = "\n".join(f"sku{i},{i % 9},{i}.50" for i in range(40))
    for _ in b.loop():
        rows = [Row(sku, int(qty), float(price)) for sku, qty, price in csv.reader(io.StringIO(text))]
        assert len(rows) == 40


def bench_csv_export(b):
    """Good: an export writes to a new buffer with its own writer."""
    fields = ["id", "name", "total"]
    data = [{"id": i, "name": f"n{i}", "total": i * 1.5} for i in range(25)]
    for _ in b.loop():
        buf = io.StringIO()
        w = csv.DictWriter(buf, fields)
        w.writeheader()
        w.writerows(data)
        buf.getvalue()


def bench_xml_titles(b):
    """Good: feed documents are parsed as they arrive; the tree is the result of the op."""
    feed = "<rss>" + "".join(f"<item><title>t{i}</title><n>{i}</n></item>" for i in range(20)) + "</rss>"
    for _ in b.loop():
        root = ET.fromstring(feed)
        [t.text for t in root.iter("title")]


class LinkCollector(HTMLParser):
    def __init__(self):
        super().__init__()
        self.links = []

    def handle_starttag(self, tag, attrs):
        if tag == "a":
            self.links.append(dict(attrs).get("href"))


def bench_extract_links(b):
    """Good: HTMLParser keeps one document's state, so a collector per page is usual, and feeding it dominates."""
    page = "<html><body>" + "".join(f'<p>para {i} <a href="/p/{i}">go</a></p>' for i in range(15)) + "</body></html>"
    for _ in b.loop():
        c = LinkCollector()
        c.feed(page)
        c.close()
        assert len(c.links) == 15


# ------------------------------------------------------------------ database

def bench_sqlite_transaction(b):
    """Good: connection and schema are above the loop; a transaction and its cursor belong to the op."""
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE kv (k TEXT PRIMARY KEY, v INTEGER)")
    for _ in b.loop():
        with db:
            cur = db.cursor()
            cur.execute("INSERT OR REPLACE INTO kv VALUES (?, ?)", ("a", 1))
            cur.execute("UPDATE kv SET v = v + 1 WHERE k = ?", ("a",))
            cur.close()


class Account:
    __slots__ = ("id", "owner", "balance", "_dirty")

    def __init__(self, id, owner, balance):
        self.id = id
        self.owner = owner
        self.balance = balance
        self._dirty = False

    def deposit(self, n):
        self.balance += n
        self._dirty = True


class UnitOfWork:
    """Lives for one request: an identity map and what must be flushed."""

    def __init__(self, db):
        self.db = db
        self.seen = {}

    def __enter__(self):
        return self

    def __exit__(self, et, ev, tb):
        if et is None:
            self.db.executemany("UPDATE acc SET balance = ? WHERE id = ?",
                                [(a.balance, a.id) for a in self.seen.values() if a._dirty])
            self.db.commit()
        else:
            self.db.rollback()

    def load(self, id):
        if id not in self.seen:
            row = self.db.execute("SELECT id, owner, balance FROM acc WHERE id = ?", (id,)).fetchone()
            self.seen[id] = Account(*row)
        return self.seen[id]


def bench_transfer(b):
    """Good: one unit of work per transfer, over a database opened once."""
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE acc (id INTEGER PRIMARY KEY, owner TEXT, balance INTEGER)")
    db.executemany("INSERT INTO acc VALUES (?, ?, ?)", [(i, f"o{i}", 100) for i in range(50)])
    db.commit()
    for _ in b.loop():
        with UnitOfWork(db) as uow:
            uow.load(3).deposit(-5)
            uow.load(4).deposit(5)


# ------------------------------------------------------------ files, archives

def bench_save_and_reread(b):
    """Good: saving a document opens a file each time; the directory exists already."""
    path = os.path.join(_TMP.name, "note.txt")
    text = "line of text\n" * 50
    for _ in b.loop():
        with open(path, "w+", encoding="utf-8") as f:
            f.write(text)
            f.seek(0)
            n = sum(1 for _line in f)
        assert n == 50


def bench_zip_attachments(b):
    """Good: each download makes its own archive, which is the result."""
    files = {f"f{i}.txt": (f"content {i} " * 40).encode() for i in range(4)}
    for _ in b.loop():
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
            for name, data in files.items():
                z.writestr(name, data)
        out.getvalue()


def bench_deflate_stream(b):
    """Good: a compressobj serves one stream only; every response body needs its own."""
    chunks = [(f"chunk {i} " * 100).encode() for i in range(8)]
    for _ in b.loop():
        c = zlib.compressobj(6)
        body = b"".join([c.compress(ch) for ch in chunks] + [c.flush()])
        assert len(body) < 2000


# ------------------------------------------------------------------- crypto

def bench_sign_and_verify(b):
    """Good: HMAC and hash objects hold one message's state; the key is shared."""
    key = b"k" * 32
    msg = b"payload=" + b"z" * 600
    for _ in b.loop():
        digest = hashlib.sha256(msg).hexdigest()
        mac = hmac.new(key, digest.encode(), "sha256")
        assert hmac.compare_digest(mac.digest(), mac.copy().digest())


# ---------------------------------------------------------------- algorithms

def bench_bfs(b):
    """Good: queue and visited set are a traversal's own; the graph is made above."""
    graph = {i: [(i * 3 + 1) % 200, (i * 7 + 2) % 200, (i + 1) % 200] for i in range(200)}
    for _ in b.loop():
        seen = {0}
        queue = deque([(0, 0)])
        depth = 0
        while queue:
            node, depth = queue.popleft()
            for nxt in graph[node]:
                if nxt not in seen:
                    seen.add(nxt)
                    queue.append((nxt, depth + 1))
        assert len(seen) == 200


class Matrix:
    def __init__(self, rows):
        self.rows = rows

    def __matmul__(self, other):
        cols = list(zip(*other.rows))
        return Matrix([[sum(x * y for x, y in zip(r, c)) for c in cols] for r in self.rows])


def bench_matmul(b):
    """Good: the product is a new Matrix; the operands are made once."""
    m = Matrix([[i + j for j in range(10)] for i in range(10)])
    n = Matrix([[i * j + 1 for j in range(10)] for i in range(10)])
    for _ in b.loop():
        p = m @ n
        assert len(p.rows) == 10


def bench_diff_two_versions(b):
    """Good: a SequenceMatcher is made from the two texts it compares, and its opcodes are the work."""
    old = [f"line {i}" for i in range(40)]
    new = old[:10] + ["inserted"] + old[10:30] + ["changed"] + old[31:]
    for _ in b.loop():
        sm = difflib.SequenceMatcher(None, old, new)
        ops = sm.get_opcodes()
        assert ops


# ------------------------------------------------------- scheduler, game, LRU

@dataclass(order=True)
class Event:
    when: int
    seq: int
    name: str = field(compare=False)


class Scheduler:
    def __init__(self):
        self.now = 0
        self.seq = 0
        self.heap = []

    def after(self, dt, name):
        self.seq += 1
        ev = Event(self.now + dt, self.seq, name)
        heapq.heappush(self.heap, ev)
        return ev

    def step(self):
        ev = heapq.heappop(self.heap)
        self.now = ev.when
        return ev


def bench_schedule_and_step(b):
    """Good: a loaded scheduler in a steady state takes and gives back events, which are per-op by nature."""
    s = Scheduler()
    for i in range(300):
        s.after(i * 3 % 101, f"e{i}")
    for _ in b.loop():
        for dt in (5, 60, 17):
            s.after(dt, "again")
            s.step()


def life_step(live):
    counts = {}
    for x, y in live:
        for dx in (-1, 0, 1):
            for dy in (-1, 0, 1):
                if dx or dy:
                    k = (x + dx, y + dy)
                    counts[k] = counts.get(k, 0) + 1
    return {c for c, n in counts.items() if n == 3 or (n == 2 and c in live)}


def bench_life_generation(b):
    """Good: one generation after another; the new set of cells is what a step yields."""
    live = {(x, y) for x in range(0, 20, 4) for y in range(3)}
    for _ in b.loop():
        live = life_step(live)


class LRU:
    def __init__(self, size):
        self.size = size
        self.d = OrderedDict()

    def get(self, key, make):
        try:
            self.d.move_to_end(key)
            return self.d[key]
        except KeyError:
            value = self.d[key] = make(key)
            if len(self.d) > self.size:
                self.d.popitem(last=False)
            return value


def bench_lru_mixed(b):
    """Good: the cache is full and lives above the loop; hits and misses with evictions are the operation."""
    cache = LRU(64)
    for i in range(64):
        cache.get(i, str)
    keys = [1, 2, 100, 3, 101, 1, 2, 102, 3]
    for _ in b.loop():
        for k in keys:
            cache.get(k, str)


# -------------------------------------------------------------- logging, CLI

class ListHandler(logging.Handler):
    def __init__(self):
        super().__init__()
        self.lines = deque(maxlen=100)

    def emit(self, record):
        self.lines.append(self.format(record))


def bench_log_formatted(b):
    """Good: logger, handler and formatter are set up beforehand; a LogRecord per call is logging itself."""
    logger = logging.Logger("good", logging.INFO)
    h = ListHandler()
    h.setFormatter(logging.Formatter("%(levelname)s:%(name)s:%(message)s"))
    logger.addHandler(h)
    for _ in b.loop():
        logger.info("job %s took %.2f s", "nightly", 1.25)
        logger.debug("not shown %d", 3)


def bench_parse_args(b):
    """Good: the parser is reused; each parse returns a new Namespace."""
    p = argparse.ArgumentParser()
    p.add_argument("--n", type=int)
    p.add_argument("--name", default="x")
    p.add_argument("files", nargs="*")
    argv = ["--n", "3", "--name", "bob", "a.txt", "b.txt"]
    for _ in b.loop():
        ns = p.parse_args(argv)
        assert ns.n == 3


# ------------------------------------------------------- money, context, wire

class Money:
    __slots__ = ("amount", "cur")

    def __init__(self, amount, cur):
        self.amount = amount
        self.cur = cur

    def __add__(self, other):
        if self.cur != other.cur:
            raise ValueError("currencies differ")
        return Money(self.amount + other.amount, self.cur)


class Rates:
    def __init__(self, table):
        self.table = {k: Decimal(v) for k, v in table.items()}
        self.cent = Decimal("0.01")

    def convert(self, m, to):
        value = m.amount * self.table[to] / self.table[m.cur]
        return Money(value.quantize(self.cent, ROUND_HALF_EVEN), to)


def bench_basket_total(b):
    """Good: rates are loaded once; Money values are small results of the arithmetic."""
    rates = Rates({"EUR": "1", "USD": "1.08", "GBP": "0.85", "JPY": "161.2"})
    lines = [Money(Decimal(i) + Decimal("0.99"), c) for i, c in enumerate(["USD", "GBP", "JPY", "EUR"] * 3)]
    for _ in b.loop():
        total = Money(Decimal(0), "EUR")
        for m in lines:
            total = total + rates.convert(m, "EUR")


_request_id = contextvars.ContextVar("request_id", default=None)


@contextmanager
def _span(trace, name):
    trace.append(("begin", name, _request_id.get()))
    try:
        yield
    finally:
        trace.append(("end", name))


def _work(rid, trace, table):
    _request_id.set(rid)
    with ExitStack() as stack:
        for name in ("auth", "load", "render"):
            stack.enter_context(_span(trace, name))
        return [table[k] for k in ("a", "b", "c")]


def bench_request_context(b):
    """Good: a copied context, a trace and its spans exist per request in any traced server."""
    table = {"a": 1, "b": 2, "c": 3}
    for _ in b.loop():
        trace = []
        ctx = contextvars.copy_context()
        ctx.run(_work, "r-1", trace, table)
        assert len(trace) == 6


def bench_wire_frames(b):
    """Good: packs samples in a frame, pickles its header and unpacks both; buffers are per frame."""
    head = struct.Struct(">4sHI")
    samples = array.array("h", range(200))
    meta = {"rate": 8000, "channels": 1, "labels": ["left"]}
    for _ in b.loop():
        out = io.BytesIO()
        blob = samples.tobytes()
        out.write(head.pack(b"FRAM", 1, len(blob)))
        out.write(blob)
        pickle.Pickler(out, protocol=4).dump(meta)
        out.seek(0)
        magic, version, size = head.unpack(out.read(head.size))
        back = array.array("h", out.read(size))
        assert pickle.load(out) == meta and len(back) == 200
