"""Micro-benchmarks whose op does per-request / per-message work (all sound)."""
import ast
import collections
import contextlib
import contextvars
import copy
import csv
import dataclasses
import datetime
import decimal
import difflib
import email
import email.message
import email.policy
import enum
import fractions
import functools
import hashlib
import heapq
import hmac
import io
import ipaddress
import itertools
import json
import logging
import pathlib
import pickle
import re
import sqlite3
import statistics
import string
import struct
import textwrap
import threading
import tokenize
import urllib.parse
import uuid
import zipfile
import zlib
from html.parser import HTMLParser
from xml.etree import ElementTree


# ----------------------------------------------------------------- classes

class HttpRequest:
    """A request parsed lazily: each part is worked out when first asked for."""

    def __init__(self, raw):
        head, _, self.body = raw.partition(b"\r\n\r\n")
        start, *self._header_lines = head.split(b"\r\n")
        self.method, self.target, self.version = start.decode().split(" ")

    @functools.cached_property
    def headers(self):
        out = {}
        for line in self._header_lines:
            name, _, value = line.decode("latin-1").partition(":")
            out[name.strip().lower()] = value.strip()
        return out

    @functools.cached_property
    def query(self):
        return dict(urllib.parse.parse_qsl(self.target.partition("?")[2]))

    @functools.cached_property
    def json(self):
        return json.loads(self.body)

    @functools.cached_property
    def cookies(self):
        pairs = (p.partition("=") for p in self.headers.get("cookie", "").split(";"))
        return {k.strip(): v for k, _, v in pairs}


class Status(enum.Enum):
    NEW = "new"
    PAID = "paid"
    SHIPPED = "shipped"


@dataclasses.dataclass
class OrderLine:
    sku: str
    quantity: int
    price: decimal.Decimal

    @property
    def total(self):
        return self.quantity * self.price


@dataclasses.dataclass
class Order:
    id: int
    status: Status
    created: datetime.datetime
    lines: list

    @classmethod
    def from_json(cls, data):
        return cls(data["id"], Status(data["status"]),
                   datetime.datetime.fromisoformat(data["created"]),
                   [OrderLine(d["sku"], d["qty"], decimal.Decimal(d["price"]))
                    for d in data["lines"]])


class Frame:
    __slots__ = ("kind", "flags", "stream", "payload")

    def __init__(self, kind, flags, stream, payload):
        self.kind = kind
        self.flags = flags
        self.stream = stream
        self.payload = payload


class PingFrame(Frame):
    __slots__ = ()


class LinkCollector(HTMLParser):
    """Collects the links of one page; it keeps the page's state."""

    def __init__(self):
        super().__init__()
        self.links = []

    def handle_starttag(self, tag, attrs):
        if tag == "a":
            self.links.extend(v for k, v in attrs if k == "href")


class Store:
    def __init__(self, data):
        self.data = data

    def begin(self):
        return Transaction(self)


class Transaction:
    """Buffered writes over a store, dropped upon an exception."""

    def __init__(self, store):
        self.store = store
        self.writes = {}

    def __enter__(self):
        return self

    def get(self, key):
        return self.writes.get(key, self.store.data.get(key))

    def set(self, key, value):
        if value < 0:
            raise ValueError("balance of %s below zero" % key)
        self.writes[key] = value

    def __exit__(self, kind, error, tb):
        if kind is None:
            self.store.data.update(self.writes)
        return False


class UserRow:
    """What an ORM hands out per row: columns, with derived ones on demand."""

    def __init__(self, row, columns):
        self._row = row
        self._columns = columns

    def __getattr__(self, name):
        try:
            return self._row[self._columns[name]]
        except KeyError:
            raise AttributeError(name) from None

    @functools.cached_property
    def display_name(self):
        return ("%s %s" % (self.first, self.last)).title()

    @functools.cached_property
    def prefs(self):
        return json.loads(self.prefs_json)


class Flight:
    """One computation in flight that others may wait for."""

    def __init__(self):
        self.done = threading.Event()
        self.lock = threading.Lock()
        self.result = None

    def finish(self, value):
        with self.lock:
            self.result = value
        self.done.set()


class Routes:
    """A router: compiled when frozen, then only used."""

    def __init__(self):
        self.table = []

    def add(self, template, name):
        regex = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template)
        self.table.append((re.compile(regex + "$"), name))

    def match(self, path):
        for regex, name in self.table:
            m = regex.match(path)
            if m:
                return name, m.groupdict()
        raise LookupError(path)


current_span = contextvars.ContextVar("current_span", default=None)


class Span:
    def __init__(self, name):
        self.name = name
        self.parent = current_span.get()
        self.attributes = {}
        self.events = []

    def __enter__(self):
        self._token = current_span.set(self)
        return self

    def __exit__(self, *exc):
        current_span.reset(self._token)
        return False


class NameFinder(ast.NodeVisitor):
    def __init__(self):
        self.loaded = set()
        self.stored = set()

    def visit_Name(self, node):
        kind = self.stored if isinstance(node.ctx, ast.Store) else self.loaded
        kind.add(node.id)


def read_frames(view, header):
    offset = 0
    while offset < len(view):
        size, kind, flags, stream = header.unpack_from(view, offset)
        offset += header.size
        make = PingFrame if kind == 6 else Frame
        yield make(kind, flags, stream, bytes(view[offset:offset + size]))
        offset += size


# -------------------------------------------------------------- benchmarks

def bench_parse_request(b):
    """Sound: a request object is per request, and its lazy parts are worked out once or twice in it."""
    raw = (b"POST /items?page=2&sort=name HTTP/1.1\r\nHost: example.org\r\n"
           b"Cookie: sid=abc; theme=dark\r\nContent-Type: application/json\r\n"
           b"\r\n" + b'{"name": "lamp", "tags": ["a", "b"]}')
    for _ in b.loop():
        request = HttpRequest(raw)
        page = int(request.query["page"]) if request.method == "POST" else 0
        name = request.json["name"]
        sid = request.cookies["sid"], request.headers["host"]
        (page, name, sid)


def bench_order_from_json(b):
    """Sound: each message becomes new dataclass, Decimal, datetime objects; the Enum is only looked up."""
    raw = json.dumps({
        "id": 5, "status": "paid", "created": "2024-03-01T10:00:00",
        "lines": [{"sku": "s%d" % i, "qty": i + 1, "price": "%d.95" % i}
                  for i in range(8)]})
    for _ in b.loop():
        order = Order.from_json(json.loads(raw))
        total = sum(line.total for line in order.lines)
        total.quantize(decimal.Decimal("0.01"))


def bench_inflate_stream(b):
    """Sound: a (de)compress object holds one stream's state and cannot be used again."""
    zdict = b'{"level":"info","message":"","service":"api","user":'
    message = b'{"level":"info","message":"started","service":"api","user":12}'
    for _ in b.loop():
        comp = zlib.compressobj(level=6, zdict=zdict)
        packed = comp.compress(message) + comp.flush()
        unpack = zlib.decompressobj(zdict=zdict)
        unpack.decompress(packed) + unpack.flush()


def bench_rewrite_url(b):
    """Sound: URLs and their queries are values, parsed and put together per request."""
    url = "https://user@example.org:8443/a/b%20c?utm_source=x&id=7&id=8#frag"
    for _ in b.loop():
        parts = urllib.parse.urlsplit(url)
        query = [(k, v) for k, v in urllib.parse.parse_qsl(parts.query)
                 if not k.startswith("utm_")]
        clean = parts._replace(query=urllib.parse.urlencode(query), fragment="")
        clean.geturl()


def bench_csv_upload(b):
    """Sound: a csv reader and writer are bound to one text, so they are per message."""
    text = "sku,qty,price\r\n" + "".join(
        'item-%d,%d,"%d,50"\r\n' % (i, i, i) for i in range(40))
    for _ in b.loop():
        out = io.StringIO(newline="")
        writer = csv.DictWriter(out, ["sku", "amount"])
        writer.writeheader()
        for row in csv.DictReader(io.StringIO(text, newline="")):
            amount = int(row["qty"]) * float(row["price"].replace(",", "."))
            writer.writerow({"sku": row["sku"], "amount": "%.2f" % amount})
        out.getvalue()


def bench_feed_titles(b):
    """Sound: the document is parsed per feed; the tree is the result of the work."""
    xml = "<rss><channel>%s</channel></rss>" % "".join(
        "<item><title>t%d</title><link>http://x/%d</link></item>" % (i, i)
        for i in range(30))
    for _ in b.loop():
        root = ElementTree.fromstring(xml)
        titles = [item.findtext("title") for item in root.iter("item")]
        len(titles)


def bench_sign_message(b):
    """Sound: a hash object takes up one message, so each message needs its own."""
    key, chunks = b"k" * 32, [bytes([i]) * 512 for i in range(8)]
    for _ in b.loop():
        digest = hashlib.sha256()
        for chunk in chunks:
            digest.update(chunk)
        tag = hmac.new(key, digest.digest(), "sha256").hexdigest()
        hmac.compare_digest(tag, "0" * 64)


def bench_zip_report(b):
    """Sound: an archive is what the op produces and then reads, one per report."""
    files = {"a.txt": "alpha " * 50, "data/b.json": json.dumps(list(range(100)))}
    for _ in b.loop():
        buf = io.BytesIO()
        with zipfile.ZipFile(buf, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in files.items():
                archive.writestr(name, text)
        with zipfile.ZipFile(buf) as archive:
            archive.read("data/b.json")


def bench_access_pipeline(b):
    """Sound: generators are used up per batch; networks are made above, addresses per line."""
    blocked = [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("192.168.4.0/22")]
    lines = ["%d.%d.4.%d GET /p/%d %d" % (10 + i % 3, i, i, i, 200 + i % 2 * 204)
             for i in range(40)]
    for _ in b.loop():
        fields = (line.split() for line in lines)
        parsed = ((ipaddress.ip_address(f[0]), f[2], int(f[3])) for f in fields)
        allowed = (p for p in parsed if not any(p[0] in net for net in blocked))
        by_status = sorted(allowed, key=lambda p: p[2])
        {k: len(list(g)) for k, g in itertools.groupby(by_status, lambda p: p[2])}


def bench_shortest_path(b):
    """Sound: the heap, the deque and the visited set belong to one search."""
    graph = {n: [((n * 7 + k) % 60, k + 1) for k in range(4)] for n in range(60)}
    for _ in b.loop():
        heap, dist = [(0, 0)], {0: 0}
        while heap:
            d, node = heapq.heappop(heap)
            if d > dist[node]:
                continue
            for to, cost in graph[node]:
                if d + cost < dist.get(to, 1 << 30):
                    dist[to] = d + cost
                    heapq.heappush(heap, (d + cost, to))
        queue, seen = collections.deque([0]), {0}
        while queue:
            for to, _cost in graph[queue.popleft()]:
                if to not in seen:
                    seen.add(to)
                    queue.append(to)


def bench_word_summary(b):
    """Sound: a Counter of one text's words and its wrapped form are the result of the op."""
    text = "it was the best of times it was the worst of times " * 12
    for _ in b.loop():
        counts = collections.Counter(text.split())
        top = counts.most_common(3)
        lengths = [len(w) for w in counts.elements()]
        (top, statistics.fmean(lengths), fractions.Fraction(counts["it"], len(lengths)))
        textwrap.shorten(text, 60)


def bench_clone_state(b):
    """Sound: copying and pickling make new objects by their nature."""
    state = {"user": {"id": 1, "roles": ["a", "b"]},
             "cart": [OrderLine("s%d" % i, i, decimal.Decimal(i)) for i in range(6)]}
    for _ in b.loop():
        draft = copy.deepcopy(state)
        draft["cart"].append(OrderLine("new", 1, decimal.Decimal("2.5")))
        pickle.loads(pickle.dumps(draft, protocol=5)) == state


def bench_transfer_rolls_back(b):
    """Sound: a transaction and the exception it raises are per operation; the store is made above."""
    store = Store({"a": 100, "b": 50})
    for _ in b.loop():
        with store.begin() as tx:
            tx.set("a", tx.get("a") - 30)
            tx.set("b", tx.get("b") + 30)
        with store.begin() as tx:
            tx.set("b", tx.get("b") - 30)
            tx.set("a", tx.get("a") + 30)
        try:
            with store.begin() as tx:
                tx.set("b", tx.get("b") + 500)
                tx.set("a", tx.get("a") - 500)
        except ValueError as error:
            str(error)


def bench_cache_hit(b):
    """Sound: the lru_cache is made and filled above; the op is the hit and the use of it."""
    @functools.lru_cache(maxsize=256)
    def permissions(user, realm):
        return frozenset("%s:%s:%d" % (realm, user, i) for i in range(user % 5 + 3))

    for user in range(50):
        permissions(user, "docs")
    for _ in b.loop():
        granted = permissions(17, "docs") | permissions(23, "docs")
        "docs:17:1" in granted


def bench_compose_email(b):
    """Sound: each mail is a message object of its own; the policy is a module's constant."""
    policy = email.policy.SMTP
    for _ in b.loop():
        msg = email.message.EmailMessage(policy=policy)
        msg["From"] = "shop@example.org"
        msg["To"] = "Ada <ada@example.org>"
        msg["Subject"] = "Order 12 has been shipped"
        msg.set_content("Hello,\n\nyour order is on its way.\n")
        msg.add_alternative("<p>On its <b>way</b>.</p>", subtype="html")
        msg.as_bytes()


def bench_query_users(b):
    """Sound: connection, schema and rows are made above; the op is a query with a cursor of its own."""
    conn = sqlite3.connect(":memory:")
    conn.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, age INT)")
    conn.executemany("INSERT INTO users (name, age) VALUES (?, ?)",
                     [("u%d" % i, i % 70) for i in range(300)])
    for _ in b.loop():
        with contextlib.closing(conn.cursor()) as cur:
            cur.execute("SELECT id, name FROM users WHERE age > ? ORDER BY name LIMIT 20", (60,))
            [dict(zip(("id", "name"), row)) for row in cur]
    conn.close()


def bench_log_with_context(b):
    """Sound: logger and handler are made above; the adapter is made per request, as services do."""
    stream = io.StringIO()
    logger = logging.Logger("corpus_e.good", logging.INFO)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s %(rid)s %(message)s"))
    logger.addHandler(handler)
    for _ in b.loop():
        log = logging.LoggerAdapter(logger, {"rid": "r-17"})
        log.info("user %s did %s", "ada", "login")
        log.debug("not written %r", stream)
        stream.seek(0)
        stream.truncate()


def bench_route_and_render(b):
    """Sound: router and template are compiled above; the op matches and renders one page."""
    routes = Routes()
    for template, name in [("/", "home"), ("/users/{id}", "user"),
                           ("/users/{id}/posts/{post}", "post")]:
        routes.add(template, name)
    page = string.Template("<h1>$name $post</h1><p>by $id</p>")
    for _ in b.loop():
        name, values = routes.match("/users/42/posts/7")
        html = page.substitute(values, name=name)
        html.encode()


def bench_page_links(b):
    """Sound: an HTMLParser subclass holds the state of one page, so it is made per page."""
    html = "<html><body>%s</body></html>" % "".join(
        '<p>text &amp; <a href="/p/%d" class=x>link</a></p>' % i for i in range(25))
    root = pathlib.PurePosixPath("/p")
    for _ in b.loop():
        collector = LinkCollector()
        collector.feed(html)
        collector.close()
        [p.name for p in map(pathlib.PurePosixPath, collector.links) if p.parent == root]


def bench_single_flight(b):
    """Sound: each job in flight has its Event, Lock and id; the table of flights is made above."""
    flights = {}
    for _ in b.loop():
        key = uuid.uuid5(uuid.NAMESPACE_URL, "https://example.org/job/1")
        flight = flights.setdefault(key, Flight())
        flight.finish({"rows": 3})
        flight.done.wait(0)
        flights.pop(key).result


def bench_nested_spans(b):
    """Sound: spans are objects per call; the context variable's token is set and reset."""
    for _ in b.loop():
        with Span("request") as outer:
            outer.attributes["http.method"] = "GET"
            with Span("db.query") as inner:
                inner.attributes.update({"db.rows": 3})
                current_span.get().events.append("fetched")
            outer.attributes["child"] = inner.parent is outer


def bench_decode_frames(b):
    """Sound: the Struct is made above; frames with slots are made per frame off the wire."""
    header = struct.Struct(">HBBI")
    wire = b"".join(header.pack(16, 6 if i % 4 == 0 else 0, 1, i) + b"x" * 16
                    for i in range(24))
    for _ in b.loop():
        frames = list(read_frames(memoryview(wire), header))
        pings = [f.stream for f in frames if isinstance(f, PingFrame)]
        b"".join(f.payload for f in frames if f.kind == 0)
        len(pings)


def bench_orm_rows(b):
    """Sound: row objects are made per row, and their lazy properties are worked out per row."""
    columns = {"id": 0, "first": 1, "last": 2, "prefs_json": 3}
    rows = [(i, "ada", "byron%d" % i, '{"theme": "dark", "size": %d}' % i)
            for i in range(15)]
    for _ in b.loop():
        users = [UserRow(row, columns) for row in rows]
        names = [user.display_name for user in users]
        sizes = sum(u.prefs["size"] for u in users if u.prefs["theme"] == "dark")
        (names, sizes)


def bench_review_snippet(b):
    """Sound: parsing, tokenizing and diffing two short sources is the work itself."""
    old = "def f(x, y):\n    total = x + y\n    return total * rate\n"
    new = "def f(x, y):\n    # sum\n    total = x + y + 1\n    return total\n"
    for _ in b.loop():
        finder = NameFinder()
        finder.visit(ast.parse(new))
        comments = [t.string for t in tokenize.generate_tokens(io.StringIO(new).readline)
                    if t.type == tokenize.COMMENT]
        diff = list(difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm=""))
        (finder.loaded - finder.stored, comments, diff)
