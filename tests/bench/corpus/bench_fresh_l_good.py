"""Sound benchmarks: long-lived state is made above the loop, the op builds only what a real operation builds."""
import argparse
import asyncio
import collections
import contextvars
import csv
import datetime as dt
import difflib
import hashlib
import heapq
import hmac
import io
import ipaddress
import itertools
import json
import os
import re
import sqlite3
import struct
import tempfile
import xml.etree.ElementTree as ET
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal, ROUND_HALF_UP
from email.message import EmailMessage
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit


def bench_json_order_roundtrip(b):
    """Good: parsing the body and dumping the answer is the operation; the encoder is shared."""
    body = json.dumps({"id": 12, "lines": [{"sku": f"S-{i}", "qty": i % 4 + 1, "price": 250 + i} for i in range(25)]})
    encoder = json.JSONEncoder(separators=(",", ":"), sort_keys=True)
    for _ in b.loop():
        order = json.loads(body)
        order["total"] = sum(line["qty"] * line["price"] for line in order["lines"])
        out = encoder.encode(order)
    assert out.startswith('{"id":12')


def bench_insert_order_tx(b):
    """Good: one transaction per order on a connection whose schema was created before the loop."""
    db = sqlite3.connect(":memory:")
    db.executescript("""
        CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER, state TEXT);
        CREATE TABLE line (order_id INTEGER, sku TEXT, qty INTEGER);
        CREATE INDEX ix_line ON line(order_id);
    """)
    lines = [("A-1", 2), ("B-7", 1), ("C-3", 4)]
    for _ in b.loop():
        with db:
            cur = db.execute("INSERT INTO orders (customer, state) VALUES (?, 'open')", (5,))
            db.executemany("INSERT INTO line VALUES (?, ?, ?)", [(cur.lastrowid, s, q) for s, q in lines])
    db.close()


def bench_spool_upload(b):
    """Good: each upload really opens, writes and removes its own file; the directory exists already."""
    chunk = b"x" * 4096
    with tempfile.TemporaryDirectory() as root:
        path = os.path.join(root, "upload.part")
        final = os.path.join(root, "upload.bin")
        for _ in b.loop():
            with open(path, "wb") as fh:
                for _i in range(4):
                    fh.write(chunk)
            os.replace(path, final)
            size = os.stat(final).st_size
            os.unlink(final)
        assert size == 16384


def bench_executor_fanout(b):
    """Good: the executor lives outside the loop; futures are the per-request objects."""
    shards = [list(range(i, i + 50)) for i in range(6)]
    with ThreadPoolExecutor(max_workers=3) as pool:
        list(pool.map(sum, shards))
        for _ in b.loop():
            futures = [pool.submit(sum, shard) for shard in shards]
            total = sum(f.result() for f in futures)
    assert total == 8100


def bench_cli_parse_args(b):
    """Good: the parser is declared once; the op only parses an argv into a Namespace."""
    p = argparse.ArgumentParser(prog="shipctl")
    sub = p.add_subparsers(dest="cmd", required=True)
    for name in ("deploy", "rollback", "scale"):
        s = sub.add_parser(name)
        s.add_argument("service")
        s.add_argument("--region", choices=["eu", "us"], default="eu")
        s.add_argument("--replicas", type=int, default=1)
    argv = ["scale", "billing", "--region", "us", "--replicas", "4"]
    for _ in b.loop():
        ns = p.parse_args(argv)
    assert ns.replicas == 4


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
    headers: dict = field(default_factory=dict)


class App:
    def __init__(self):
        self.routes = []

    def route(self, method, pattern):
        rx = re.compile("^" + re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", pattern) + "$")

        def deco(fn):
            self.routes.append((method, rx, fn))
            return fn
        return deco

    def handle(self, raw):
        head, *lines = raw.split("\r\n")
        method, path, _version = head.split(" ")
        req = Request(method, path, dict(line.split(": ", 1) for line in lines if line))
        for m, rx, fn in self.routes:
            if m == method and (match := rx.match(path)):
                req.params = match.groupdict()
                return fn(req)
        return Response(404, b"not found")


def bench_http_dispatch(b):
    """Good: a Request and a Response per call, as any framework makes; routes registered up front."""
    app = App()
    for res in ("users", "orders", "items", "carts", "coupons", "refunds"):
        @app.route("GET", f"/{res}/{{id}}")
        def view(req, res=res):
            return Response(200, f"{res} {req.params['id']}".encode(), {"content-type": "text/plain"})
    raw = "GET /carts/81 HTTP/1.1\r\nHost: shop.example\r\nAccept: */*\r\nUser-Agent: bench\r\n\r\n"
    for _ in b.loop():
        resp = app.handle(raw)
    assert resp.body == b"carts 81"


def bench_render_table(b):
    """Good: formats forty rows with a row format that is made beforehand."""
    row_fmt = "<tr><td>{id}</td><td>{name}</td><td>{price:.2f}</td></tr>".format
    rows = [{"id": i, "name": f"item {i}", "price": i * 1.25} for i in range(40)]
    for _ in b.loop():
        parts = ["<table>"]
        parts.extend(row_fmt(**r) for r in rows)
        parts.append("</table>")
        page = "\n".join(parts)
    assert page.endswith("</table>")


def bench_csv_export(b):
    """Good: a report is a new buffer with its own writer each time; writing the rows is the work."""
    rows = [(i, f"customer {i}", "2024-03-%02d" % (i % 28 + 1), i * 99) for i in range(60)]
    for _ in b.loop():
        buf = io.StringIO(newline="")
        w = csv.writer(buf)
        w.writerow(("id", "name", "since", "cents"))
        w.writerows(rows)
        data = buf.getvalue().encode()


def bench_feed_parse(b):
    """Good: builds an element tree because the document arrives per request."""
    feed = "<feed>" + "".join(
        f"<entry id='{i}'><title>News {i}</title><link href='https://e.org/{i}'/></entry>" for i in range(20)) + "</feed>"
    for _ in b.loop():
        root = ET.fromstring(feed)
        entries = [(e.get("id"), e.findtext("title"), e.find("link").get("href")) for e in root.iter("entry")]
    assert len(entries) == 20


def bench_response_deflate(b):
    """Good: deflate state belongs to one response, so a compressobj per op is how servers do it."""
    chunks = [(b"line %d: the quick brown fox " % i) * 12 for i in range(8)]
    for _ in b.loop():
        z = zlib.compressobj(6)
        out = bytearray()
        for c in chunks:
            out += z.compress(c)
        out += z.flush()


@dataclass(frozen=True)
class Money:
    amount: Decimal
    currency: str = "EUR"

    def __add__(self, other):
        return Money(self.amount + other.amount, self.currency)

    def times(self, k):
        return Money((self.amount * k).quantize(Decimal("0.01"), ROUND_HALF_UP), self.currency)


def bench_invoice_total(b):
    """Good: immutable Money values are made throughout; that is the arithmetic."""
    cart = [(Money(Decimal("19.99")), 3), (Money(Decimal("4.50")), 10), (Money(Decimal("120.00")), 1)] * 4
    vat = Decimal("1.19")
    for _ in b.loop():
        total = Money(Decimal(0))
        for price, qty in cart:
            total = total + price.times(qty)
        gross = total.times(vat)
    assert gross.currency == "EUR"


def dijkstra(graph, src, dst):
    dist, heap = {src: 0}, [(0, src)]
    while heap:
        d, u = heapq.heappop(heap)
        if u == dst:
            return d
        if d > dist[u]:
            continue
        for v, w in graph[u]:
            nd = d + w
            if nd < dist.get(v, 1 << 30):
                dist[v] = nd
                heapq.heappush(heap, (nd, v))
    return None


def bench_shortest_path(b):
    """Good: the road graph is shared; distances and the heap are the query's own working state."""
    n = 12
    graph = {(x, y): [((x + dx, y + dy), 1 + (x * 7 + y * 3 + dx) % 9)
                      for dx, dy in ((1, 0), (0, 1), (-1, 0), (0, -1))
                      if 0 <= x + dx < n and 0 <= y + dy < n]
             for x in range(n) for y in range(n)}
    for _ in b.loop():
        cost = dijkstra(graph, (0, 0), (n - 1, n - 1))
    assert cost


def bench_word_frequencies(b):
    """Good: the Counter is the result of the operation."""
    word = re.compile(r"[a-z']+")
    text = ("It was the best of times, it was the worst of times, it was the age of wisdom " * 10).lower()
    for _ in b.loop():
        counts = collections.Counter(m.group() for m in word.finditer(text))
        top = counts.most_common(5)
    assert top[0][1] == 30


def bench_compose_mail(b):
    """Good: every outgoing mail is its own EmailMessage, serialising it is the job."""
    recipients = itertools.cycle(["ada@example.org", "bob@example.org", "cyd@example.org"])
    for _ in b.loop():
        msg = EmailMessage()
        msg["From"] = "shop@example.org"
        msg["To"] = next(recipients)
        msg["Subject"] = "Your order has shipped"
        msg.set_content("Hello,\n\nyour parcel is on its way.\n\nThe shop\n")
        wire = msg.as_bytes()


def bench_diff_revisions(b):
    """Good: a SequenceMatcher is made for one pair of texts, and each op compares one pair."""
    old = [f"setting_{i} = {i}" for i in range(60)]
    new = [("setting_%d = %d" % (i, i * 2)) if i % 11 == 0 else line for i, line in enumerate(old)]
    for _ in b.loop():
        sm = difflib.SequenceMatcher(None, old, new, autojunk=False)
        ops = [op for op in sm.get_opcodes() if op[0] != "equal"]
    assert ops


def bench_gather_lookups(b):
    """Good: one event loop for the run; the coroutines and tasks are what the request costs."""
    table = {i: f"user-{i}" for i in range(100)}

    async def lookup(uid):
        await asyncio.sleep(0)
        return table[uid]

    async def request():
        return await asyncio.gather(*(lookup(u) for u in range(0, 100, 10)))

    loop = asyncio.new_event_loop()
    try:
        for _ in b.loop():
            names = loop.run_until_complete(request())
    finally:
        loop.close()
    assert names[3] == "user-30"


_current = contextvars.ContextVar("current")


class RequestContext:
    def __init__(self, user, trace_id):
        self.user, self.trace_id = user, trace_id
        self.spans = []

    def __enter__(self):
        self._token = _current.set(self)
        return self

    def __exit__(self, *exc):
        _current.reset(self._token)


def load_permissions(grants):
    ctx = _current.get()
    ctx.spans.append(("load_permissions", ctx.trace_id))
    return frozenset(p for role in grants[ctx.user] for p in role)


def bench_request_context(b):
    """Good: the context belongs to a request by design and the permission work happens within it."""
    roles = [[f"perm:{r}:{i}" for i in range(15)] for r in ("read", "write", "admin")]
    grants = {"ada": roles, "bob": roles[:1]}
    for _ in b.loop():
        with RequestContext("ada", "4bf92f35") as ctx:
            perms = load_permissions(grants)
            allowed = "perm:admin:3" in perms
        assert allowed and ctx.spans


class LRU:
    def __init__(self, cap):
        self.cap, self.data = cap, collections.OrderedDict()

    def get(self, key, load):
        try:
            self.data.move_to_end(key)
            return self.data[key]
        except KeyError:
            value = self.data[key] = load(key)
            if len(self.data) > self.cap:
                self.data.popitem(last=False)
            return value


def bench_lru_mixed(b):
    """Good: a warmed cache above the loop, a fixed mix of hits and misses within."""
    cache = LRU(32)
    keys = [(i * i) % 97 for i in range(80)]
    for k in keys:
        cache.get(k, str)
    for _ in b.loop():
        for k in keys:
            cache.get(k, str)


TOKEN = re.compile(r"\s*(?:(\d+)|(.))")


class Calc:
    """Recursive descent over a single expression: holds that expression's tokens and position."""

    def __init__(self, text):
        self.toks = [int(n) if n else op for n, op in TOKEN.findall(text)]
        self.pos = 0

    def peek(self):
        return self.toks[self.pos] if self.pos < len(self.toks) else None

    def take(self):
        self.pos += 1
        return self.toks[self.pos - 1]

    def expr(self):
        v = self.term()
        while self.peek() in ("+", "-"):
            v = v + self.term() if self.take() == "+" else v - self.term()
        return v

    def term(self):
        v = self.atom()
        while self.peek() == "*":
            self.take()
            v *= self.atom()
        return v

    def atom(self):
        t = self.take()
        if t == "(":
            t = self.expr()
            self.take()
        return t


def bench_eval_expression(b):
    """Good: the Calc object is only the cursor over one input; the token pattern is compiled at import."""
    src = "(1 + 2) * 3 - 4 * (5 - 6 * 2) + 7 * (8 + 9 * (10 - 3)) - 11"
    for _ in b.loop():
        value = Calc(src).expr()
    assert value == 9 + 28 + 497 - 11


def bench_zip_attachments(b):
    """Good: each download is a newly written archive, the members are prepared."""
    files = [(f"doc_{i}.txt", (f"page {i} " * 80).encode()) for i in range(4)]
    for _ in b.loop():
        buf = io.BytesIO()
        with zipfile.ZipFile(buf, "w", zipfile.ZIP_DEFLATED) as zf:
            for name, data in files:
                info = zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0))
                zf.writestr(info, data)
        blob = buf.getvalue()


def bench_merge_logs(b):
    """Good: lazily merges three sorted logs and groups them by minute; iterators are single-use by nature."""
    logs = [[(t * 7 + k, f"host{k}", "GET /") for t in range(40)] for k in range(3)]
    for _ in b.loop():
        merged = heapq.merge(*map(iter, logs))
        per_minute = {m: sum(1 for _e in g) for m, g in itertools.groupby(merged, key=lambda e: e[0] // 60)}
    assert sum(per_minute.values()) == 120


class LinkCollector(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.links = []

    def handle_starttag(self, tag, attrs):
        if tag == "a":
            self.links += [v for k, v in attrs if k == "href"]


def bench_extract_links(b):
    """Good: HTMLParser keeps the state of one page, so one per page; feeding the page dominates."""
    page = "<html><body>" + "".join(
        f"<p class='x'>Item <a href='/item/{i}'>number {i}</a> &amp; more</p>" for i in range(15)) + "</body></html>"
    for _ in b.loop():
        c = LinkCollector()
        c.feed(page)
        c.close()
    assert len(c.links) == 15


def bench_verify_signed_urls(b):
    """Good: an HMAC per URL is unavoidable, the key was derived above."""
    key = hashlib.pbkdf2_hmac("sha256", b"secret", b"salt", 1000)

    def sign(url):
        u = urlsplit(url)
        query = urlencode(sorted(parse_qsl(u.query)))
        canon = urlunsplit((u.scheme, u.netloc, u.path, query, ""))
        return hmac.new(key, canon.encode(), hashlib.sha256).hexdigest()

    urls = [f"https://cdn.example.org/f/{i}?w=200&h={i}&expires=1700000000" for i in range(6)]
    signed = [(u, sign(u)) for u in urls]
    for _ in b.loop():
        for url, sig in signed:
            assert hmac.compare_digest(sign(url), sig)


Reading = collections.namedtuple("Reading", "ts sensor value ok")


def bench_decode_telemetry(b):
    """Good: named tuples, datetimes and addresses are the decoded rows; struct and networks are made once."""
    rec = struct.Struct("!IHd?4s")
    nets = [ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("10.2.0.0/16")]
    packet = b"".join(rec.pack(1700000000 + i, i % 5, i * 0.5, i % 7 != 0, bytes((10, 1 + i % 3, 0, i))) for i in range(30))
    for _ in b.loop():
        rows = []
        for ts, sensor, value, ok, raw in rec.iter_unpack(packet):
            addr = ipaddress.IPv4Address(raw)
            if any(addr in n for n in nets):
                when = dt.datetime.fromtimestamp(ts, dt.timezone.utc)
                rows.append(Reading(when, sensor, value, ok))
    assert len(rows) == 20
