"""Sound benchmarks: the op is per-request work, or works on state made above the loop."""
import base64
import csv
import decimal
import difflib
import email.message
import functools
import hashlib
import heapq
import hmac
import html.parser
import io
import itertools
import json
import logging
import os
import random
import re
import sqlite3
import struct
import tempfile
import xml.etree.ElementTree as ET
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor


# --------------------------------------------------------------------------
# small classes
# --------------------------------------------------------------------------

class Query:
    """SQL builder; one is made for each query."""

    def __init__(self, table):
        self._table, self._where, self._order, self._limit, self._args = table, [], None, None, []

    def where(self, expr, *args):
        self._where.append(expr)
        self._args.extend(args)
        return self

    def order_by(self, col):
        self._order = col
        return self

    def limit(self, n):
        self._limit = n
        return self

    def build(self):
        sql = "SELECT * FROM " + self._table
        if self._where:
            sql += " WHERE " + " AND ".join(self._where)
        if self._order:
            sql += " ORDER BY " + self._order
        if self._limit is not None:
            sql += " LIMIT %d" % self._limit
        return sql, tuple(self._args)


class Request:
    def __init__(self, method, target, headers):
        self.method = method
        self.path, _, self._query = target.partition("?")
        self.headers = {k.lower(): v for k, v in headers}

    @functools.cached_property
    def args(self):
        return dict(p.partition("=")[::2] for p in self._query.split("&") if p)

    @functools.cached_property
    def cookies(self):
        raw = self.headers.get("cookie", "")
        return dict(p.strip().partition("=")[::2] for p in raw.split(";") if p)


class Response:
    def __init__(self, status=200):
        self.status = status
        self.headers = []
        self.body = b""

    def set_header(self, k, v):
        self.headers.append((k, v))

    def set_json(self, obj):
        self.body = json.dumps(obj).encode()
        self.set_header("Content-Type", "application/json")
        self.set_header("Content-Length", str(len(self.body)))

    def serialize(self):
        head = "HTTP/1.1 %d OK\r\n" % self.status
        head += "".join("%s: %s\r\n" % h for h in self.headers)
        return head.encode() + b"\r\n" + self.body


class LinkParser(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.links = []

    def handle_starttag(self, tag, attrs):
        if tag == "a":
            self.links.extend(v for k, v in attrs if k == "href")


class Router:
    def __init__(self):
        self._routes = []

    def add(self, pattern, handler):
        self._routes.append((re.compile(pattern + "$"), handler))

    def dispatch(self, path):
        for rx, handler in self._routes:
            m = rx.match(path)
            if m:
                return handler(*m.groups())
        return None


class RunningStats:
    """Welford accumulator; one per window."""

    def __init__(self):
        self.n, self.mean, self._m2 = 0, 0.0, 0.0

    def push(self, x):
        self.n += 1
        d = x - self.mean
        self.mean += d / self.n
        self._m2 += d * (x - self.mean)

    @property
    def variance(self):
        return self._m2 / (self.n - 1) if self.n > 1 else 0.0


class LazySeq:
    def __init__(self, src, ops=()):
        self._src, self._ops = src, ops

    def map(self, fn):
        return LazySeq(self._src, self._ops + ((map, fn),))

    def filter(self, fn):
        return LazySeq(self._src, self._ops + ((filter, fn),))

    def take(self, n):
        it = iter(self._src)
        for op, fn in self._ops:
            it = op(fn, it)
        return list(itertools.islice(it, n))


class FrameDecoder:
    """Length-prefixed frames of one connection or message."""

    def __init__(self):
        self._buf = bytearray()

    def feed(self, chunk):
        self._buf += chunk
        out = []
        while len(self._buf) >= 2:
            (n,) = struct.unpack_from(">H", self._buf)
            if len(self._buf) < 2 + n:
                break
            out.append(bytes(self._buf[2:2 + n]))
            del self._buf[:2 + n]
        return out


class UnitOfWork:
    def __init__(self, store):
        self._store, self._pending = store, {}

    def __enter__(self):
        return self

    def set(self, key, value):
        self._pending[key] = value

    def __exit__(self, exc_type, exc, tb):
        if exc_type is None:
            self._store.update(self._pending)


# --------------------------------------------------------------------------
# per-request and per-message objects
# --------------------------------------------------------------------------

def bench_query_builder(b):
    """Sound: a query object is made for each query in real use; building it is the work."""
    for _ in b.loop():
        q = Query("orders").where("status = ?", "open").where("total > ?", 100)
        q.order_by("created").limit(20)
        sql, args = q.build()


def bench_request_parse(b):
    """Sound: one Request per HTTP request, with its lazy properties computed once each."""
    headers = [("Host", "example.org"), ("Cookie", "sid=abc; theme=dark"), ("Accept", "*/*")]
    for _ in b.loop():
        req = Request("GET", "/search?q=asv&page=3", headers)
        page = int(req.args["page"])
        sid = req.cookies["sid"]


def bench_response_serialize(b):
    """Sound: a response is per request."""
    payload = {"items": [{"id": i, "name": "item %d" % i} for i in range(20)]}
    for _ in b.loop():
        resp = Response(200)
        resp.set_header("X-Request-Id", "7f3a")
        resp.set_json(payload)
        wire = resp.serialize()


def bench_html_links(b):
    """Sound: HTMLParser holds the state of one document, so it is made per document."""
    page = "<html><body>" + "".join(
        '<p>text <a href="/p/%d">link</a></p>' % i for i in range(30)) + "</body></html>"
    for _ in b.loop():
        parser = LinkParser()
        parser.feed(page)
        parser.close()
        n = len(parser.links)


def bench_xml_pull(b):
    """Sound: an XMLPullParser serves one document only."""
    chunks = [b"<feed>"] + [b"<entry id='%d'><t>x</t></entry>" % i for i in range(25)] + [b"</feed>"]
    for _ in b.loop():
        parser = ET.XMLPullParser(["end"])
        for chunk in chunks:
            parser.feed(chunk)
        parser.close()
        ids = [el.get("id") for _, el in parser.read_events() if el.tag == "entry"]


def bench_sign_message(b):
    """Sound: a MAC object is made per message; the key is fixed above the loop."""
    key = os.urandom(32)
    body = b"amount=10&to=alice" * 20
    for _ in b.loop():
        mac = hmac.new(key, digestmod="sha256")
        mac.update(b"POST /transfer\n")
        mac.update(body)
        signature = mac.hexdigest()


def bench_hash_chunks(b):
    """Sound: one digest per blob, fed in chunks."""
    chunks = [bytes([i]) * 1024 for i in range(16)]
    for _ in b.loop():
        h = hashlib.blake2b(digest_size=20, person=b"blob")
        for c in chunks:
            h.update(c)
        name = base64.b32encode(h.digest()).decode().lower()


def bench_deflate_message(b):
    """Sound: a compressobj is the stream state of one message (no context takeover)."""
    msg = json.dumps([{"k": i, "v": "value"} for i in range(60)]).encode()
    for _ in b.loop():
        c = zlib.compressobj(6, zlib.DEFLATED, -15)
        out = c.compress(msg) + c.flush(zlib.Z_SYNC_FLUSH)
        frame = out[:-4]


def bench_frame_decoder(b):
    """Sound: the decoder is the state of one connection; the op decodes its whole stream."""
    stream = b"".join(struct.pack(">H", 40) + b"z" * 40 for _ in range(40))
    pieces = [stream[i:i + 100] for i in range(0, len(stream), 100)]
    for _ in b.loop():
        dec = FrameDecoder()
        frames = []
        for p in pieces:
            frames += dec.feed(p)


def bench_email_compose(b):
    """Sound: one EmailMessage per mail sent, serialised as a mailer would."""
    for _ in b.loop():
        msg = email.message.EmailMessage()
        msg["Subject"] = "Your invoice 2024-17"
        msg["From"] = "billing@example.org"
        msg["To"] = "customer@example.org"
        msg.set_content("Dear customer,\n\nplease find your invoice attached.\n")
        raw = msg.as_bytes()


def bench_csv_export(b):
    """Sound: an export writes one buffer with one writer for each download."""
    rows = [(i, "name, %d" % i, i * 1.5) for i in range(100)]
    for _ in b.loop():
        buf = io.StringIO()
        writer = csv.writer(buf)
        writer.writerow(("id", "name", "total"))
        writer.writerows(rows)
        text = buf.getvalue()


def bench_zip_bundle(b):
    """Sound: the archive is the product of the op, one per bundle."""
    files = {"doc%d.txt" % i: b"hello world " * 30 for i in range(4)}
    for _ in b.loop():
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as zf:
            for name, data in files.items():
                zf.writestr(name, data)
        size = out.tell()


def bench_running_stats(b):
    """Sound: the accumulator belongs to one window of samples."""
    samples = [random.Random(4).gauss(10, 2) for _ in range(200)]
    for _ in b.loop():
        acc = RunningStats()
        for x in samples:
            acc.push(x)
        spread = acc.variance ** 0.5


def bench_lazy_sequence(b):
    """Sound: a lazy chain is made per computation; its evaluation is the work."""
    numbers = range(10_000)
    for _ in b.loop():
        seq = LazySeq(numbers).map(lambda x: x * x).filter(lambda x: x % 3 == 1)
        first = seq.take(50)


def bench_decimal_context(b):
    """Sound: a local context per invoice computation is what accounting code does."""
    prices = [decimal.Decimal("19.99") + i for i in range(30)]
    rate = decimal.Decimal("0.19")
    for _ in b.loop():
        with decimal.localcontext() as ctx:
            ctx.prec = 12
            ctx.rounding = decimal.ROUND_HALF_UP
            total = sum(p * (1 + rate) for p in prices)
        cents = total.quantize(decimal.Decimal("0.01"))


def bench_diff_report(b):
    """Sound: a SequenceMatcher compares one pair of texts, so it is made per pair."""
    old = ["line %d" % i for i in range(40)]
    new = old[:10] + ["inserted"] + old[12:]
    for _ in b.loop():
        sm = difflib.SequenceMatcher(None, old, new)
        changes = [op for op in sm.get_opcodes() if op[0] != "equal"]


# --------------------------------------------------------------------------
# state made above the loop
# --------------------------------------------------------------------------

def bench_sqlite_transaction(b):
    """Sound: connection and table are made above the loop; the op is one transaction."""
    conn = sqlite3.connect(":memory:")
    conn.execute("CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER)")
    conn.executemany("INSERT INTO accounts VALUES (?, ?)", [(i, 1000) for i in range(20)])
    conn.commit()
    for _ in b.loop():
        with conn:
            cur = conn.cursor()
            cur.execute("UPDATE accounts SET balance = balance - 1 WHERE id = ?", (3,))
            cur.execute("UPDATE accounts SET balance = balance + 1 WHERE id = ?", (4,))
    conn.close()


def bench_unit_of_work(b):
    """Sound: a unit of work is per request, over a store made above the loop."""
    store = {"k%d" % i: i for i in range(100)}
    for _ in b.loop():
        with UnitOfWork(store) as uow:
            uow.set("k5", 50)
            uow.set("k6", store["k5"] + 1)


def bench_router_request(b):
    """Sound: routes are added above the loop; the op dispatches requests."""
    router = Router()
    for name in ("users", "orders", "items", "carts"):
        router.add(r"/%s/(\d+)" % name, lambda pk, name=name: (name, int(pk)))
    for _ in b.loop():
        hit = router.dispatch("/carts/17")
        miss = router.dispatch("/nothing/here")


def bench_logger_adapter(b):
    """Sound: logger and handler are made above; an adapter with the request's id is per request."""
    logger = logging.Logger("web")
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(logging.Formatter("%(rid)s %(message)s"))
    logger.addHandler(handler)
    for _ in b.loop():
        log = logging.LoggerAdapter(logger, {"rid": "r-81"})
        log.info("start %s", "/search")
        log.info("done in %d ms", 12)


def bench_executor_gather(b):
    """Sound: the pool lives outside the loop; the op submits a batch and collects it."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        pool.submit(len, "warm").result()
        words = ["alpha", "beta", "gamma", "delta"]
        for _ in b.loop():
            futures = [pool.submit(str.upper, w) for w in words]
            out = [f.result() for f in futures]


def bench_prometheus_observe(b):
    """Sound: metrics are registered above the loop; the op is a request's instrumentation."""
    from prometheus_client import CollectorRegistry, Counter, Histogram
    registry = CollectorRegistry()
    hits = Counter("hits", "Hits", ["route"], registry=registry)
    latency = Histogram("latency_seconds", "Latency", ["route"], registry=registry)
    for _ in b.loop():
        hits.labels("/search").inc()
        latency.labels("/search").observe(0.034)
        with latency.labels("/cart").time():
            pass


def bench_merge_segments(b):
    """Sound: merge iterators are made per merge over segments sorted above the loop."""
    rng = random.Random(7)
    segments = [sorted(rng.randrange(5000) for _ in range(80)) for _ in range(4)]
    for _ in b.loop():
        merged = heapq.merge(*segments)
        uniq = [k for k, _ in itertools.groupby(merged)]
        top = uniq[-10:]


def bench_atomic_save(b):
    """Sound: a temporary file per save, then a rename, is how documents are saved."""
    doc = {"title": "notes", "lines": ["line %d" % i for i in range(20)]}
    with tempfile.TemporaryDirectory() as folder:
        target = os.path.join(folder, "doc.json")
        for _ in b.loop():
            with tempfile.NamedTemporaryFile("w", dir=folder, delete=False) as tmp:
                json.dump(doc, tmp)
            os.replace(tmp.name, target)
