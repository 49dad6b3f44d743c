"""Micro-benchmarks whose loop body is the operation and nothing else."""
import argparse
import ast
import copy
import csv
import difflib
import hashlib
import heapq
import io
import json
import logging
import os
import re
import sqlite3
import struct
import tempfile
import zipfile
import zlib
from collections import Counter, OrderedDict
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from decimal import Decimal, ROUND_HALF_EVEN, localcontext
from html.parser import HTMLParser
from itertools import groupby, islice
from operator import itemgetter
from xml.etree import ElementTree as ET

LOREM = (
    "It was a bright cold day in spring and the clocks were striking. The wind came in "
    "gusts along the street; a man with a paper bag walked past the house twice. "
) * 6


# --------------------------------------------------------------- routing

@dataclass
class Request:
    method: str
    path: str
    headers: dict = field(default_factory=dict)
    params: dict = field(default_factory=dict)


@dataclass
class Response:
    status: int
    body: bytes


class App:
    def __init__(self):
        self.routes = []

    def route(self, method, pattern):
        rx = re.compile(re.sub(r"<(\w+)>", r"(?P<\1>[^/]+)", pattern) + r"\Z")

        def deco(fn):
            self.routes.append((method, rx, fn))
            return fn
        return deco

    def handle(self, request):
        for method, rx, fn in self.routes:
            if method == request.method and (m := rx.match(request.path)):
                request.params = m.groupdict()
                return Response(200, fn(request).encode())
        return Response(404, b"not found")


def bench_app_handle(b):
    """Good: the application is built once; each op makes and handles one request."""
    app = App()
    for name in ("users", "teams", "repos", "issues"):
        app.route("GET", f"/{name}")(lambda req: "[]")
        app.route("GET", f"/{name}/<id>")(lambda req: '{"id": "%s"}' % req.params["id"])
    for _ in b.loop():
        req = Request("GET", "/repos/42", {"accept": "application/json"})
        resp = app.handle(req)
        assert resp.status == 200


# --------------------------------------------------------------- http parse

RAW = (b"POST /orders?dry=1 HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: bench\r\n"
       b"Content-Type: text/plain\r\nAccept: */*\r\nContent-Length: 5\r\n\r\nhello")


def parse_request(raw):
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _version = first.split(" ")
    headers = {}
    for line in lines:
        k, _, v = line.partition(":")
        headers[k.strip().lower()] = v.strip()
    req = Request(method, target, headers)
    return req, body[:int(headers["content-length"])]


def bench_parse_http_request(b):
    """Good: the request object and its headers are the result of parsing the bytes."""
    for _ in b.loop():
        req, body = parse_request(RAW)
        assert body == b"hello"


# --------------------------------------------------------------- json

def bench_json_roundtrip(b):
    """Good: decoding to fresh objects and encoding them again is exactly what is measured."""
    text = json.dumps([{"id": i, "tags": ["a", "b"], "score": i / 4} for i in range(40)])
    for _ in b.loop():
        doc = json.loads(text)
        doc[3]["score"] = 9.5
        out = json.dumps(doc)
        assert out


# --------------------------------------------------------------- validation

@dataclass(frozen=True)
class Problem:
    where: str
    message: str


class FormValidator:
    def __init__(self, **rules):
        self.rules = {k: re.compile(v) for k, v in rules.items()}

    def validate(self, form):
        problems = []
        for name, rx in self.rules.items():
            value = form.get(name)
            if value is None:
                problems.append(Problem(name, "missing"))
            elif not rx.fullmatch(value):
                problems.append(Problem(name, f"bad value {value!r}"))
        return problems


def bench_validate_form(b):
    """Good: one validator for all ops, only the list of found problems is made anew."""
    v = FormValidator(name=r"\w[\w ]+", email=r"[^@]+@[^@]+", zip=r"\d{4}[A-Z]{2}", age=r"\d+")
    form = {"name": "Ann Lee", "email": "ann.example.org", "zip": "1234AB"}
    for _ in b.loop():
        problems = v.validate(form)
        assert len(problems) == 2


# --------------------------------------------------------------- sqlite transaction

def bench_sqlite_transfer(b):
    """Good: connection and schema are above; an op is a transaction, as in a real transfer."""
    con = sqlite3.connect(":memory:")
    con.execute("CREATE TABLE account (id INTEGER PRIMARY KEY, balance INTEGER)")
    con.executemany("INSERT INTO account VALUES (?, ?)", [(i, 1000) for i in range(50)])
    con.commit()
    for _ in b.loop():
        with con:
            cur = con.cursor()
            cur.execute("UPDATE account SET balance = balance - 1 WHERE id = ?", (7,))
            cur.execute("UPDATE account SET balance = balance + 1 WHERE id = ?", (8,))
            row = cur.execute("SELECT balance FROM account WHERE id = 8").fetchone()
            cur.close()
        assert row[0] > 1000
    con.close()


# --------------------------------------------------------------- file

def bench_save_document(b):
    """Good: saving opens, writes and renames a file each time, that is the operation."""
    text = LOREM
    with tempfile.TemporaryDirectory() as d:
        target = os.path.join(d, "doc.txt")
        for _ in b.loop():
            with open(target + ".tmp", "w", encoding="utf-8") as f:
                f.write(text)
            os.replace(target + ".tmp", target)


# --------------------------------------------------------------- zip

def bench_zip_export(b):
    """Good: an export makes a new archive in a new buffer every time a user asks for one."""
    files = {f"row{i}.txt": (LOREM[i:] * 2).encode() for i in range(6)}
    for _ in b.loop():
        buf = io.BytesIO()
        with zipfile.ZipFile(buf, "w", zipfile.ZIP_DEFLATED) as z:
            for name, data in files.items():
                z.writestr(name, data)
        archive = buf.getvalue()
        assert archive[:2] == b"PK"


# --------------------------------------------------------------- zlib stream

def bench_deflate_stream(b):
    """Good: a compressor object holds one stream, so each message needs its own."""
    chunks = [(LOREM * 8 + str(i)).encode() for i in range(3)]
    for _ in b.loop():
        c = zlib.compressobj(6)
        out = [c.compress(chunk) for chunk in chunks]
        out.append(c.flush())
        packed = b"".join(out)
        assert packed


# --------------------------------------------------------------- digest

def bench_etag(b):
    """Good: a digest object is per payload by nature and hashing is the work."""
    payload = LOREM.encode() * 20
    view = memoryview(payload)
    for _ in b.loop():
        h = hashlib.sha256()
        for off in range(0, len(view), 4096):
            h.update(view[off:off + 4096])
        etag = '"%s"' % h.hexdigest()[:24]
        assert len(etag) == 26


# --------------------------------------------------------------- csv

CSV_TEXT = "sku,qty,price\r\n" + "".join(f"A{i:03d},{i % 7},{i * 3}\r\n" for i in range(80))


def bench_csv_import(b):
    """Good: a reader is made per uploaded text, and going through its rows is the cost."""
    for _ in b.loop():
        total = 0
        for row in csv.DictReader(io.StringIO(CSV_TEXT)):
            total += int(row["qty"]) * int(row["price"])
        assert total > 0


# --------------------------------------------------------------- xml

FEED = "<feed>" + "".join(
    f"<entry id='{i}'><title>Post {i}</title><link href='/p/{i}'/></entry>" for i in range(30)
) + "</feed>"


def bench_feed_titles(b):
    """Good: parses a document and reads its tree; a feed is parsed on each fetch."""
    for _ in b.loop():
        tree = ET.fromstring(FEED)
        titles = [e.findtext("title") for e in tree.iter("entry")]
        assert len(titles) == 30


# --------------------------------------------------------------- argparse

def make_parser():
    p = argparse.ArgumentParser(prog="tool")
    p.add_argument("-j", "--jobs", type=int, default=1)
    p.add_argument("--color", choices=["auto", "never"], default="auto")
    p.add_argument("paths", nargs="+")
    return p


def bench_parse_args(b):
    """Good: the parser is made before the loop; each op parses one command line."""
    parser = make_parser()
    argv = ["-j", "4", "--color=never", "src", "tests"]
    for _ in b.loop():
        ns = parser.parse_args(argv)
        assert ns.jobs == 4


# --------------------------------------------------------------- logging

class NullStream:
    written = 0

    def write(self, s):
        self.written += len(s)

    def flush(self):
        pass


def bench_log_info(b):
    """Good: logger, handler and formatter stand ready, an op formats and emits a record."""
    log = logging.Logger("bench.good")
    h = logging.StreamHandler(NullStream())
    h.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(h)
    for _ in b.loop():
        log.info("user %s logged in from %s", "ann", "10.0.0.1", extra={"req": 5})


# --------------------------------------------------------------- value objects

@dataclass(frozen=True)
class Vec:
    x: float
    y: float
    z: float = 0.0

    def __add__(self, o):
        return Vec(self.x + o.x, self.y + o.y, self.z + o.z)

    def scaled(self, k):
        return Vec(self.x * k, self.y * k, self.z * k)


def bench_vector_step(b):
    """Good: immutable vectors are made by the arithmetic itself, as in every simulation step."""
    pos, vel = Vec(0.0, 1.0), Vec(0.5, -0.25, 1.0)
    gravity = Vec(0.0, 0.0, -9.81)
    for _ in b.loop():
        v2 = vel + gravity.scaled(0.01)
        p2 = pos + v2.scaled(0.01)
        nudged = replace(p2, z=max(p2.z, 0.0))
        assert nudged.z >= 0


# --------------------------------------------------------------- decimals

def bench_invoice_total(b):
    """Good: a local context per invoice is the documented usage, and the sums are the work."""
    lines = [(Decimal(i), Decimal("19.95") + i) for i in range(1, 60)]
    cent = Decimal("0.01")
    vat = Decimal("1.21")
    for _ in b.loop():
        with localcontext() as ctx:
            ctx.prec = 20
            ctx.rounding = ROUND_HALF_EVEN
            net = sum((q * p for q, p in lines), Decimal(0))
            gross = (net * vat).quantize(cent)
        assert gross > net


# --------------------------------------------------------------- graph

def grid_graph(n):
    g = {}
    for x in range(n):
        for y in range(n):
            g[x, y] = [((x + dx, y + dy), 1 + (x * 7 + y * 3) % 5)
                       for dx, dy in ((1, 0), (0, 1), (-1, 0), (0, -1))
                       if 0 <= x + dx < n and 0 <= y + dy < n]
    return g


GRID = grid_graph(12)


def shortest(graph, src, dst):
    dist, heap = {src: 0}, [(0, src)]
    while heap:
        d, node = heapq.heappop(heap)
        if node == dst:
            return d
        if d > dist[node]:
            continue
        for nxt, w in graph[node]:
            nd = d + w
            if nd < dist.get(nxt, 1 << 30):
                dist[nxt] = nd
                heapq.heappush(heap, (nd, nxt))
    raise ValueError("unreachable")


def bench_shortest_path(b):
    """Good: the graph is a constant; distances and heap belong to one run of the search."""
    for _ in b.loop():
        cost = shortest(GRID, (0, 0), (11, 11))
        assert cost > 0


# --------------------------------------------------------------- word counts

def bench_word_count(b):
    """Good: the counter is the result that is asked for, one per text."""
    word = re.compile(r"[a-z]+")
    for _ in b.loop():
        counts = Counter(word.findall(LOREM.lower()))
        top = counts.most_common(3)
        assert top[0][1] > 5


# --------------------------------------------------------------- request context

current_user = ContextVar("current_user", default=None)


@dataclass
class RequestScope:
    user: str
    cache: dict = field(default_factory=dict)


@contextmanager
def request_scope(user):
    scope = RequestScope(user)
    token = current_user.set(scope)
    try:
        yield scope
    finally:
        current_user.reset(token)


def render_greeting(names):
    scope = current_user.get()
    if "greeting" not in scope.cache:
        scope.cache["greeting"] = "Hello " + names[scope.user]
    return scope.cache["greeting"]


def bench_request_scope(b):
    """Good: a server really opens such a scope for each request and closes it after."""
    names = {"ann": "Ann Lee", "joe": "Joe Doe"}
    for _ in b.loop():
        with request_scope("ann"):
            first = render_greeting(names)
            second = render_greeting(names)
            assert first is second


# --------------------------------------------------------------- executor

def _tail_sum(block):
    return sum(block[8:])


def bench_pool_submit(b):
    """Good: the pool lives for the whole benchmark and an op is submitting and waiting."""
    blocks = [bytes(range(i, i + 32)) for i in range(4)]
    with ThreadPoolExecutor(max_workers=2) as pool:
        for _ in b.loop():
            futures = [pool.submit(_tail_sum, blk) for blk in blocks]
            results = [f.result() for f in futures]
            assert len(results) == 4


# --------------------------------------------------------------- html

class LinkCollector(HTMLParser):
    def __init__(self):
        super().__init__()
        self.links = []

    def handle_starttag(self, tag, attrs):
        if tag == "a":
            self.links.append(dict(attrs).get("href"))


HTML_PAGE = "<html><body>" + "".join(
    f'<p class="x">text {i} <a href="/p/{i}">go</a></p>' for i in range(25)) + "</body></html>"


def bench_collect_links(b):
    """Good: such a parser keeps the state of one page, feeding it that page is the work."""
    for _ in b.loop():
        collector = LinkCollector()
        collector.feed(HTML_PAGE)
        collector.close()
        assert len(collector.links) == 25


# --------------------------------------------------------------- lint

SOURCE = '''
import os, sys
def f(a, b=[]):
    try:
        return a + b
    except:
        pass
class K:
    def m(self, items):
        out = []
        for i in items:
            if i == None:
                continue
            out.append(lambda: i)
        return out
'''


class Linter(ast.NodeVisitor):
    def __init__(self, filename):
        self.filename = filename
        self.found = []

    def visit_ExceptHandler(self, node):
        if node.type is None:
            self.found.append((self.filename, node.lineno, "bare except"))
        self.generic_visit(node)

    def visit_FunctionDef(self, node):
        if any(isinstance(d, (ast.List, ast.Dict)) for d in node.args.defaults):
            self.found.append((self.filename, node.lineno, "mutable default"))
        self.generic_visit(node)


def bench_lint_file(b):
    """Good: a linter parses each file and walks it with a visitor that gathers its findings."""
    for _ in b.loop():
        tree = ast.parse(SOURCE)
        linter = Linter("x.py")
        linter.visit(tree)
        assert len(linter.found) == 2


# --------------------------------------------------------------- cache

class LRU:
    def __init__(self, size):
        self.size, self.data = size, OrderedDict()

    def get(self, key, make):
        try:
            self.data.move_to_end(key)
            return self.data[key]
        except KeyError:
            value = self.data[key] = make(key)
            if len(self.data) > self.size:
                self.data.popitem(last=False)
            return value


def bench_lru_mixed(b):
    """Good: works on one full cache, with hits and misses as in the steady state."""
    lru = LRU(5)
    for i in range(5):
        lru.get(i, str)
    keys = [1, 5, 70, 1, 9, 71, 5, 72, 1, 12]
    for _ in b.loop():
        for k in keys:
            lru.get(k, str)


# --------------------------------------------------------------- report

RECORD = struct.Struct("<HIf")
BLOB = b"".join(RECORD.pack(i // 10, i, i * 0.5) for i in range(120))


def bench_decode_and_group(b):
    """Good: rows, iterators and sums are the output of decoding a packet."""
    by_station = itemgetter(0)
    for _ in b.loop():
        rows = islice(RECORD.iter_unpack(BLOB), 100)
        report = {st: sum(r[2] for r in grp) for st, grp in groupby(rows, by_station)}
        assert len(report) == 10


# --------------------------------------------------------------- diff

def bench_diff_revisions(b):
    """Good: the diff of two revisions is computed from scratch whenever one is shown."""
    old = [f"line {i}" for i in range(40)]
    new = copy.copy(old)
    new[10] = "changed"
    del new[20:23]
    for _ in b.loop():
        patch = list(difflib.unified_diff(old, new, "a", "b", lineterm=""))
        assert patch
