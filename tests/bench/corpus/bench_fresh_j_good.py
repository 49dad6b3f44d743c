"""Benchmarks whose op does per-operation work only; standing state is made above."""
import argparse
import asyncio
import collections
import concurrent.futures
import contextvars
import csv
import dataclasses
import decimal
import difflib
import gzip
import heapq
import hmac
import io
import json
import os
import re
import sqlite3
import string
import struct
import tempfile
import zipfile
import zlib
from email.message import EmailMessage


# ------------------------------------------------------------ router, requests

class Request:
    __slots__ = ("method", "path", "headers", "params")

    def __init__(self, method, path, headers):
        self.method = method
        self.path = path
        self.headers = {k.lower(): v for k, v in headers}
        self.params = {}


class Response:
    def __init__(self, status, body):
        self.status = status
        self.body = body
        self.headers = {"content-length": str(len(body))}


class Router:
    def __init__(self):
        self._routes = []

    def add(self, pattern, fn):
        self._routes.append((re.compile(pattern + "$"), fn))

    def dispatch(self, req):
        for rx, fn in self._routes:
            m = rx.match(req.path)
            if m:
                req.params = m.groupdict()
                return fn(req)
        return Response(404, b"")


def bench_router_dispatch(b):
    """Good: the router stands; each op is one request object and its response."""
    router = Router()
    for name in ("users", "orders", "items", "tags"):
        router.add(rf"/{name}/(?P<id>\d+)", lambda r: Response(200, r.params["id"].encode()))
    headers = [("Host", "x.org"), ("Accept", "*/*"), ("X-Trace", "abc123")]
    for _ in b.loop():
        req = Request("GET", "/items/42", headers)
        resp = router.dispatch(req)
        assert resp.status == 200


# ------------------------------------------------------------- document parser

class ExprParser:
    """A recursive-descent parser; one instance belongs to one input text."""

    TOKEN = re.compile(r"\s*(?:(\d+)|(.))")

    def __init__(self, text):
        self.toks = [m.group(1) or m.group(2) for m in self.TOKEN.finditer(text)]
        self.pos = 0

    def peek(self):
        return self.toks[self.pos] if self.pos < len(self.toks) else None

    def next(self):
        t = self.peek()
        self.pos += 1
        return t

    def expr(self):
        node = self.term()
        while self.peek() in ("+", "-"):
            node = (self.next(), node, self.term())
        return node

    def term(self):
        node = self.atom()
        while self.peek() in ("*", "/"):
            node = (self.next(), node, self.atom())
        return node

    def atom(self):
        t = self.next()
        if t == "(":
            node = self.expr()
            self.next()
            return node
        return int(t)


def bench_parse_expression(b):
    """Good: the parser object is the cursor over this text, one per text parsed."""
    text = "1 + 2 * (3 - 4) * (5 + 6 * (7 - 8)) - 9 * 10 + (11 - 12)"
    for _ in b.loop():
        tree = ExprParser(text).expr()


# ------------------------------------------------------------------- event bus

@dataclasses.dataclass(frozen=True)
class Event:
    topic: str
    seq: int
    payload: dict


class Bus:
    def __init__(self):
        self.handlers = collections.defaultdict(list)

    def on(self, topic, fn):
        self.handlers[topic].append(fn)

    def emit(self, ev):
        return [h(ev) for h in self.handlers[ev.topic]]


def bench_bus_emit(b):
    """Good: handlers are registered once, each op creates and emits one event."""
    bus = Bus()
    for k in range(12):
        bus.on("paid", lambda ev, k=k: ev.seq + k)
        bus.on("lost", lambda ev, k=k: None)
    seq = 0
    for _ in b.loop():
        seq += 1
        bus.emit(Event("paid", seq, {"amount": 10, "cur": "EUR"}))


# --------------------------------------------------------------- search in trie

class Node:
    __slots__ = ("kids", "word")

    def __init__(self):
        self.kids = {}
        self.word = None


class Completion:
    __slots__ = ("word", "score")

    def __init__(self, word, score):
        self.word = word
        self.score = score


def _insert(root, word):
    n = root
    for c in word:
        if c not in n.kids:
            n.kids[c] = Node()
        n = n.kids[c]
    n.word = word


def bench_autocomplete(b):
    """Good: walks a finished trie and returns fresh result objects for one query."""
    root = Node()
    for a in "abcdef":
        for c in "aeiou":
            for d in "lmnrst":
                _insert(root, "pre" + a + c + d)

    for _ in b.loop():
        node = root
        for ch in "preb":
            node = node.kids[ch]
        stack, found = [node], []
        while stack:
            cur = stack.pop()
            if cur.word:
                found.append(Completion(cur.word, 1.0 / len(cur.word)))
            stack.extend(cur.kids.values())
        found.sort(key=lambda c: c.word)


# -------------------------------------------------------------- request context

_current = contextvars.ContextVar("current", default=None)


class RequestContext:
    """Per-request state, as web frameworks push and pop."""

    def __init__(self, app, request_id):
        self.app = app
        self.request_id = request_id
        self.scratch = {}

    def __enter__(self):
        self._token = _current.set(self)
        return self

    def __exit__(self, *exc):
        _current.reset(self._token)


def _view():
    ctx = _current.get()
    ctx.scratch["user"] = ctx.app["users"][ctx.request_id % 3]
    return f"hello {ctx.scratch['user']}"


def bench_request_context(b):
    """Good: entering a context per request is what happens in production."""
    app = {"users": ["ann", "bob", "cy"], "debug": False}
    rid = 0
    for _ in b.loop():
        rid += 1
        with RequestContext(app, rid):
            _view()


# ------------------------------------------------------------------- hash join

class HashJoin:
    """A physical join operator; its hash table is of these very inputs."""

    def __init__(self, left, right, key):
        self.left, self.right, self.key = left, right, key

    def rows(self):
        key = self.key
        buckets = collections.defaultdict(list)
        for r in self.left:
            buckets[r[key]].append(r)
        for r in self.right:
            for other in buckets.get(r[key], ()):
                yield {**other, **r}


def bench_hash_join(b):
    """Good: executes one join; hashing one of the inputs is part of any hash join."""
    people = [{"pid": i, "name": f"p{i}"} for i in range(40)]
    sales = [{"pid": i * 7 % 50, "eur": i} for i in range(200)]
    for _ in b.loop():
        out = list(HashJoin(people, sales, "pid").rows())


# --------------------------------------------------------------------- geometry

class Vec:
    __slots__ = ("x", "y", "z")

    def __init__(self, x, y, z):
        self.x = x
        self.y = y
        self.z = z

    def __add__(self, o):
        return Vec(self.x + o.x, self.y + o.y, self.z + o.z)

    def __mul__(self, k):
        return Vec(self.x * k, self.y * k, self.z * k)


def bench_vec_integrate(b):
    """Good: value objects made by arithmetic are the operation itself."""
    pos = Vec(0.0, 0.0, 0.0)
    vel = Vec(1.0, 0.5, -0.25)
    acc = Vec(0.0, -9.81, 0.0)
    for _ in b.loop():
        p, v = pos, vel
        for _step in range(20):
            v = v + acc * 0.01
            p = p + v * 0.01


# ----------------------------------------------------------------- LRU in steady state

class LRU:
    def __init__(self, size):
        self.size = size
        self.d = collections.OrderedDict()

    def get(self, key, make):
        try:
            self.d.move_to_end(key)
            return self.d[key]
        except KeyError:
            val = self.d[key] = make(key)
            if len(self.d) > self.size:
                self.d.popitem(last=False)
            return val


def bench_lru_mixed(b):
    """Good: one warm cache serves a mix of hits, misses and evictions."""
    cache = LRU(64)
    for k in range(64):
        cache.get(k, str)
    keys = [(i * i) % 97 for i in range(50)]
    for _ in b.loop():
        for k in keys:
            cache.get(k, str)


# ------------------------------------------------------------- wire serialisation

@dataclasses.dataclass
class Reading:
    sensor: int
    ts: int
    value: float


class ReadingCodec:
    def __init__(self):
        self._s = struct.Struct("<IQd")

    def decode_all(self, buf):
        return [Reading(*t) for t in self._s.iter_unpack(buf)]

    def encode_all(self, items):
        out = bytearray()
        for r in items:
            out += self._s.pack(r.sensor, r.ts, r.value)
        return bytes(out)


def bench_codec_roundtrip(b):
    """Good: a ready codec decodes a batch into records and encodes it again."""
    codec = ReadingCodec()
    wire = codec.encode_all([Reading(i, 10**9 + i, i / 8) for i in range(50)])
    for _ in b.loop():
        items = codec.decode_all(wire)
        assert codec.encode_all(items) == wire


# ------------------------------------------------------------------ shortest path

def bench_shortest_path(b):
    """Good: the graph is fixed; distances and the frontier heap belong to one query."""
    n = 12
    graph = {}
    for x in range(n):
        for y in range(n):
            graph[x, y] = [((x + dx, y + dy), 1 + (x * 3 + y * 5) % 4)
                           for dx, dy in ((1, 0), (0, 1), (-1, 0), (0, -1))
                           if 0 <= x + dx < n and 0 <= y + dy < n]
    for _ in b.loop():
        dist = {(0, 0): 0}
        heap = [(0, (0, 0))]
        while heap:
            d, u = heapq.heappop(heap)
            if u == (n - 1, n - 1):
                break
            if d > dist[u]:
                continue
            for v, w in graph[u]:
                nd = d + w
                if nd < dist.get(v, 1 << 30):
                    dist[v] = nd
                    heapq.heappush(heap, (nd, v))


# ========================================================== library operations

def bench_json_transform(b):
    """Good: parse one document, change it, write it back."""
    doc = json.dumps({"items": [{"id": i, "tags": ["a", "b"], "qty": i % 5} for i in range(40)]})
    for _ in b.loop():
        data = json.loads(doc)
        data["items"] = [it for it in data["items"] if it["qty"]]
        json.dumps(data)


def bench_csv_parse(b):
    """Good: a reader belongs to the one file that it reads."""
    text = "id,name,qty\n" + "".join(f'{i},"item, {i}",{i % 9}\n' for i in range(60))
    for _ in b.loop():
        reader = csv.DictReader(io.StringIO(text, newline=""))
        total = sum(int(r["qty"]) for r in reader)


def bench_sqlite_transaction(b):
    """Good: one transaction with a few writes on the standing connection."""
    conn = sqlite3.connect(":memory:")
    conn.execute("create table acct (id integer primary key, bal int)")
    conn.executemany("insert into acct values (?, ?)", [(i, 1000) for i in range(100)])
    conn.commit()
    for _ in b.loop():
        with conn:
            conn.execute("update acct set bal = bal - 1 where id = 3")
            conn.execute("update acct set bal = bal + 1 where id = 4")
        conn.execute("select sum(bal) from acct").fetchone()
    conn.close()


def bench_zip_read_member(b):
    """Good: opening the received archive and reading a member is the operation."""
    buf = io.BytesIO()
    with zipfile.ZipFile(buf, "w", zipfile.ZIP_DEFLATED) as z:
        for i in range(6):
            z.writestr(f"part-{i}.txt", f"line {i}\n" * 200)
    blob = buf.getvalue()
    for _ in b.loop():
        with zipfile.ZipFile(io.BytesIO(blob)) as z:
            z.read("part-4.txt")


def bench_gzip_page(b):
    """Good: each response body gets its own gzip stream, as every server does."""
    page = b"".join(b"<li class='row'>entry %d</li>\n" % i for i in range(150))
    for _ in b.loop():
        out = io.BytesIO()
        with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=6, mtime=0) as f:
            f.write(page)
        out.getvalue()


def bench_zdict_message(b):
    """Good: shared dictionary from above; a compressor object serves one message only."""
    zdict = b'{"id": "name": "status": "active" "created_at": "2024-'
    msg = json.dumps({"id": 17, "name": "pump", "status": "active",
                      "created_at": "2024-05-01", "log": list(range(200))}).encode()
    for _ in b.loop():
        c = zlib.compressobj(6, zdict=zdict)
        packed = c.compress(msg) + c.flush()
        d = zlib.decompressobj(zdict=zdict)
        assert d.decompress(packed) == msg


def bench_sign_message(b):
    """Good: an hmac object is made per message and cannot be used again."""
    key = bytes(range(32))
    chunks = [bytes([i]) * 512 for i in range(8)]
    for _ in b.loop():
        mac = hmac.new(key, digestmod="sha256")
        for c in chunks:
            mac.update(c)
        mac.hexdigest()


def bench_file_append_read(b):
    """Good: the operation opens the file, as a journal writer and reader do."""
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "journal.log")
        for _ in b.loop():
            with open(path, "w", encoding="utf-8") as f:
                for i in range(30):
                    f.write(f"{i} commit\n")
            with open(path, encoding="utf-8") as f:
                n = sum(1 for _line in f)


def bench_pool_submit(b):
    """Good: the pool lives outside; each op submits jobs and waits for their futures."""
    pool = concurrent.futures.ThreadPoolExecutor(2)
    list(pool.map(abs, range(8)))
    for _ in b.loop():
        futs = [pool.submit(pow, 3, k, 1009) for k in range(6)]
        sum(f.result() for f in futs)
    pool.shutdown()


def bench_argparse_args(b):
    """Good: only the parse of one argument vector is timed."""
    parser = argparse.ArgumentParser(prog="tool")
    parser.add_argument("-n", type=int, default=1)
    parser.add_argument("--out")
    parser.add_argument("files", nargs="*")
    argv = ["-n", "4", "--out", "x.txt", "a", "b", "c"]
    for _ in b.loop():
        ns = parser.parse_args(argv)
        assert ns.n == 4 and len(ns.files) == 3


def bench_invoice_totals(b):
    """Good: a local decimal context around one invoice, Decimals made from its text."""
    lines = [("19.99", "3"), ("0.333", "12"), ("1250.00", "1"), ("7.105", "8")] * 4
    cent = decimal.Decimal("0.01")
    for _ in b.loop():
        with decimal.localcontext() as ctx:
            ctx.rounding = decimal.ROUND_HALF_EVEN
            total = decimal.Decimal(0)
            for price, qty in lines:
                total += (decimal.Decimal(price) * decimal.Decimal(qty)).quantize(cent)


def bench_close_matches(b):
    """Good: a SequenceMatcher is bound to the pair of texts under comparison."""
    old = [f"line {i} alpha" for i in range(40)]
    new = [f"line {i} alpha" if i % 7 else f"changed {i}" for i in range(42)]
    for _ in b.loop():
        sm = difflib.SequenceMatcher(None, old, new, autojunk=False)
        ops = sm.get_opcodes()


def bench_mail_render(b):
    """Good: fills a prepared template and builds the one message that gets sent."""
    tpl = string.Template("Dear $name,\n\nyour order $order has shipped.\n")
    people = [("Ann", 1), ("Bo", 2)]
    for _ in b.loop():
        for name, order in people:
            m = EmailMessage()
            m["Subject"] = f"Order {order}"
            m["To"] = f"{name.lower()}@example.org"
            m.set_content(tpl.substitute(name=name, order=order))
            m.as_bytes()


def bench_gather_tasks(b):
    """Good: runs a handful of coroutines on an event loop that is already there."""
    loop = asyncio.new_event_loop()

    async def step(k):
        await asyncio.sleep(0)
        return k * k

    async def main():
        return sum(await asyncio.gather(*(step(k) for k in range(10))))

    for _ in b.loop():
        assert loop.run_until_complete(main()) == 285
    loop.close()
