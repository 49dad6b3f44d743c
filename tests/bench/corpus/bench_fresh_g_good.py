"""Sound micro-benchmarks: per-request objects, or work on state made above the loop."""
import copy
import csv
import hashlib
import heapq
import io
import itertools
import json
import logging
import operator
import os
import pickle
import re
import sqlite3
import string
import tempfile
import time
import uuid
import xml.etree.ElementTree as ET
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import cached_property, lru_cache
from pathlib import PurePosixPath
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit


class Request:
    """A request with lazily parsed parts."""

    def __init__(self, method, url, headers, body=b""):
        self.method = method
        self.url = url
        self.raw_headers = headers
        self.body = body

    @cached_property
    def parts(self):
        return urlsplit(self.url)

    @cached_property
    def query(self):
        return parse_qs(self.parts.query)

    @cached_property
    def headers(self):
        return {k.lower(): v for k, v in self.raw_headers}

    @cached_property
    def json(self):
        return json.loads(self.body)


class ValidationError(Exception):
    def __init__(self, field_name, reason):
        super().__init__(f"{field_name}: {reason}")
        self.field_name = field_name
        self.reason = reason


@dataclass
class LineItem:
    sku: str
    qty: int
    price: Decimal


@dataclass
class Invoice:
    number: str
    items: list = field(default_factory=list)

    def add(self, sku, qty, price):
        self.items.append(LineItem(sku, qty, Decimal(price)))
        return self

    def total(self):
        return sum((i.qty * i.price for i in self.items), Decimal(0))


class Transaction:
    """Applies staged writes to a store on a clean exit."""

    def __init__(self, store):
        self.store = store
        self.staged = {}

    def __enter__(self):
        return self

    def __exit__(self, exc_type, exc, tb):
        if exc_type is None:
            self.store.update(self.staged)
        self.staged.clear()
        return False

    def put(self, key, value):
        self.staged[key] = value


class Timer:
    def __init__(self, sink):
        self.sink = sink

    def __enter__(self):
        self.start = time.perf_counter()
        return self

    def __exit__(self, *exc):
        self.elapsed = time.perf_counter() - self.start
        self.sink.append(self.elapsed)


class InventoryService:
    def __init__(self):
        self.stock = {}
        self.reserved = defaultdict(int)

    def load(self, rows):
        for sku, qty in rows:
            self.stock[sku] = qty

    def reserve(self, sku, qty):
        if self.stock[sku] - self.reserved[sku] < qty:
            return False
        self.reserved[sku] += qty
        return True

    def release(self, sku, qty):
        self.reserved[sku] -= qty


class LRU:
    def __init__(self, maxsize):
        self.maxsize = maxsize
        self.data = OrderedDict()

    def put(self, key, value):
        self.data[key] = value
        self.data.move_to_end(key)
        if len(self.data) > self.maxsize:
            self.data.popitem(last=False)

    def get(self, key, default=None):
        if key in self.data:
            self.data.move_to_end(key)
            return self.data[key]
        return default


def bench_request_lazy_parse(b):
    """Sound: one Request object is made per request and its lazy parts are parsed once each."""
    headers = [("Host", "example.org"), ("Content-Type", "application/json")]
    body = b'{"name": "ann", "tags": [1, 2, 3]}'
    for _ in b.loop():
        req = Request("POST", "https://example.org/api/users?page=2&sort=name", headers, body)
        req.query["page"][0]
        req.headers["content-type"]
        req.json["tags"]


def bench_invoice_total(b):
    """Sound: an invoice and its items are per-order data; the classes exist already."""
    for _ in b.loop():
        inv = Invoice("INV-1")
        inv.add("a", 2, "9.99").add("b", 1, "24.50").add("c", 10, "0.15")
        inv.total().quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)


def bench_dataclass_replace_asdict(b):
    """Sound: copies and serialises a record as an API handler does for each row."""
    base = LineItem("sku-9", 1, Decimal("3.20"))
    for _ in b.loop():
        item = replace(base, qty=4)
        asdict(item)
        item == base


def bench_exception_handling(b):
    """Sound: the exception is made, raised and caught per bad input."""
    for _ in b.loop():
        try:
            raise ValidationError("age", "must be positive")
        except ValidationError as exc:
            msg = str(exc)
            reason = exc.reason
        msg.endswith(reason)


def bench_transaction_commit(b):
    """Sound: a short-lived transaction is opened per unit of work on a store made above the loop."""
    store = {}
    for _ in b.loop():
        with Transaction(store) as tx:
            tx.put("a", 1)
            tx.put("b", 2)
        store["a"] + store["b"]


def bench_timer_context(b):
    """Sound: a timer is made per timed section and reports to a long-lived sink."""
    sink = deque(maxlen=100)
    for _ in b.loop():
        with Timer(sink) as t:
            sum(range(50))
        t.elapsed < 10


def bench_datetime_parse_format(b):
    """Sound: parses and shifts a timestamp per log record."""
    for _ in b.loop():
        ts = datetime.fromisoformat("2024-03-10T12:34:56+00:00")
        later = ts + timedelta(days=3, hours=4)
        later.astimezone(timezone(timedelta(hours=2))).strftime("%Y-%m-%d %H:%M")


def bench_url_and_path(b):
    """Sound: URL and path objects are per-request values."""
    for _ in b.loop():
        url = urljoin("https://cdn.example.org/assets/", "img/logo.png")
        path = PurePosixPath(urlsplit(url).path)
        thumb = path.with_name(path.stem + "_small").with_suffix(".webp")
        str(thumb) + "?" + urlencode({"v": 3, "w": 200})


def bench_uuid_and_hash(b):
    """Sound: each message gets its own id and its own digest object."""
    payload = b"x" * 1024
    for _ in b.loop():
        mid = uuid.uuid4()
        h = hashlib.sha256()
        h.update(mid.bytes)
        h.update(payload)
        h.hexdigest()


def bench_csv_export(b):
    """Sound: a buffer and csv writer are made per export, as a download handler does."""
    rows = [{"id": i, "name": f"n{i}", "note": 'say "hi", ok'} for i in range(30)]
    for _ in b.loop():
        buf = io.StringIO()
        writer = csv.DictWriter(buf, fieldnames=["id", "name", "note"])
        writer.writeheader()
        writer.writerows(rows)
        buf.getvalue()


def bench_bytesio_framing(b):
    """Sound: length-prefixed frames are written to and read from a per-message buffer."""
    messages = [b"hello", b"world" * 10, b"", b"z" * 200]
    for _ in b.loop():
        buf = io.BytesIO()
        for m in messages:
            buf.write(len(m).to_bytes(4, "big"))
            buf.write(m)
        buf.seek(0)
        while head := buf.read(4):
            buf.read(int.from_bytes(head, "big"))


def bench_elementtree_document(b):
    """Sound: one document tree is parsed, changed and serialised per message."""
    xml = "<orders>" + "".join(f'<order id="{i}"><qty>{i}</qty></order>' for i in range(20)) + "</orders>"
    for _ in b.loop():
        root = ET.fromstring(xml)
        for el in root.iter("qty"):
            el.text = str(int(el.text) + 1)
        ET.SubElement(root, "order", id="new")
        ET.tostring(root)


def bench_email_roundtrip(b):
    """Sound: an email message is built, serialised and parsed back per mail sent."""
    for _ in b.loop():
        msg = EmailMessage()
        msg["From"] = "a@example.org"
        msg["To"] = "b@example.org"
        msg["Subject"] = "Invoice 42"
        msg.set_content("Hello,\nplease find the invoice.\n")
        raw = msg.as_bytes()
        message_from_bytes(raw, policy=policy.default)["Subject"]


def bench_word_count(b):
    """Sound: a Counter per text is the work itself."""
    text = "the quick brown fox jumps over the lazy dog and the cat " * 10
    for _ in b.loop():
        counts = Counter(text.split())
        counts.update(["the", "fox"])
        counts.most_common(3)


def bench_heap_and_deque(b):
    """Sound: a work heap and a window are made per computation and used many times."""
    values = [(i * 7919) % 211 for i in range(100)]
    for _ in b.loop():
        heap = []
        window = deque(maxlen=5)
        for v in values:
            heapq.heappush(heap, v)
            window.append(v)
        [heapq.heappop(heap) for _ in range(10)]
        sum(window)


def bench_generator_pipeline(b):
    """Sound: a lazy pipeline is made per batch and drained."""
    lines = [f"{i},{i % 3},{i * 2}" for i in range(100)]
    for _ in b.loop():
        fields = (line.split(",") for line in lines)
        kept = (f for f in fields if f[1] != "0")
        total = sum(int(f[2]) for f in itertools.islice(kept, 40))
        total // 2


def bench_sort_group(b):
    """Sound: sorts and groups rows per report."""
    rows = [{"dept": "abc"[i % 3], "pay": (i * 37) % 101} for i in range(60)]
    for _ in b.loop():
        ordered = sorted(rows, key=operator.itemgetter("dept", "pay"))
        {k: sum(r["pay"] for r in g)
         for k, g in itertools.groupby(ordered, key=operator.itemgetter("dept"))}


def bench_pickle_and_deepcopy(b):
    """Sound: the copy and the pickle round trip are the operations measured."""
    inv = Invoice("INV-7").add("a", 1, "1.00").add("b", 2, "2.00")
    for _ in b.loop():
        dup = copy.deepcopy(inv)
        data = pickle.dumps(dup, protocol=pickle.HIGHEST_PROTOCOL)
        pickle.loads(data).total()


def bench_sqlite_query_open_connection(b):
    """Sound: queries a database opened and filled above the loop."""
    conn = sqlite3.connect(":memory:")
    conn.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, score REAL)")
    conn.executemany("INSERT INTO users VALUES (?, ?, ?)", [(i, f"u{i}", i / 3) for i in range(200)])
    for _ in b.loop():
        cur = conn.execute("SELECT id, name FROM users WHERE id BETWEEN ? AND ?", (50, 70))
        names = [row[1] for row in cur.fetchall()]
        ",".join(names)
    conn.close()


def bench_regex_and_template(b):
    """Sound: pattern and template are compiled above the loop; the op matches and renders."""
    pattern = re.compile(r'(?P<ip>\S+) \S+ \S+ \[(?P<ts>[^\]]+)\] "(?P<req>[^"]*)" (?P<code>\d{3})')
    tmpl = string.Template("$ip asked for $req and got $code")
    line = '10.0.0.1 - - [10/Mar/2024:12:00:00 +0000] "GET / HTTP/1.1" 200'
    for _ in b.loop():
        m = pattern.match(line)
        tmpl.substitute(m.groupdict())


def bench_logger_call(b):
    """Sound: the logger and its handler are set up once; the op only logs."""
    stream = io.StringIO()
    logger = logging.Logger("app", level=logging.INFO)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger.addHandler(handler)
    for _ in b.loop():
        logger.debug("not shown %s", 1)
        logger.info("user %s logged in from %s", "ann", "10.0.0.1")
        stream.seek(0)
        stream.truncate()


def bench_prometheus_inc_observe(b):
    """Sound: metrics are registered once above the loop; the op increments and observes."""
    from prometheus_client import CollectorRegistry, Counter as PromCounter, Histogram
    registry = CollectorRegistry()
    requests = PromCounter("requests", "Requests", ["method", "code"], registry=registry)
    latency = Histogram("latency_seconds", "Latency", registry=registry)
    for _ in b.loop():
        requests.labels("GET", "200").inc()
        with latency.time():
            len("handled")


def bench_service_and_cache_hit(b):
    """Sound: works on a loaded service, a full LRU and a warm lru_cache made above the loop."""
    svc = InventoryService()
    svc.load((f"sku{i}", 100) for i in range(50))
    cache = LRU(64)
    for i in range(64):
        cache.put(i, str(i))

    @lru_cache(maxsize=None)
    def normalise(name):
        return name.strip().lower()

    normalise("  SKU7 ")
    for _ in b.loop():
        sku = normalise("  SKU7 ")
        svc.reserve(sku, 3)
        cache.get(12)
        svc.release(sku, 3)


def bench_tempfile_write_read(b):
    """Sound: writes and reads back a small file in a directory made once, as an upload handler does."""
    with tempfile.TemporaryDirectory() as tmp:
        target = os.path.join(tmp, "upload.json")
        for _ in b.loop():
            with open(target, "w", encoding="utf-8") as fh:
                json.dump({"id": 1, "items": list(range(20))}, fh)
            with open(target, encoding="utf-8") as fh:
                json.load(fh)
