"""Sound benchmarks: what is made in the op is made per operation in real life."""
import argparse
import asyncio
import csv
import functools
import hashlib
import heapq
import io
import itertools
import json
import re
import sqlite3
import struct
import tempfile
import zlib
from collections import ChainMap, OrderedDict, deque, namedtuple
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from html.parser import HTMLParser


def bench_json_loads(b):
    """Good: parsing the document is the operation, the text is made above."""
    text = json.dumps({"items": [{"id": i, "name": "n%d" % i, "ok": True} for i in range(40)]})
    for _ in b.loop():
        doc = json.loads(text)
        assert len(doc["items"]) == 40


@dataclass
class User:
    id: int
    name: str
    email: str
    active: bool

    @classmethod
    def from_row(cls, row):
        return cls(int(row[0]), row[1].strip(), row[2].lower(), row[3] == "t")


def bench_rows_to_dataclass(b):
    """Good: one value object per row is what mapping a result set is."""
    rows = [(str(i), " user%d " % i, "U%d@Example.org" % i, "t" if i % 3 else "f") for i in range(50)]
    for _ in b.loop():
        users = [User.from_row(r) for r in rows]
        sum(u.active for u in users)


def bench_sha256_message(b):
    """Good: a hash object is for one message only."""
    chunks = [bytes([i]) * 1024 for i in range(16)]
    for _ in b.loop():
        h = hashlib.sha256()
        for c in chunks:
            h.update(c)
        h.hexdigest()


def bench_invoice_total(b):
    """Good: amounts arrive as text, so Decimals are made per invoice."""
    cent = Decimal("0.01")
    vat = Decimal("1.20")
    lines = [("%d.%02d" % (i * 7 % 90, i * 13 % 100), i % 5 + 1) for i in range(25)]
    for _ in b.loop():
        total = Decimal(0)
        for price, qty in lines:
            total += Decimal(price) * qty
        (total * vat).quantize(cent, rounding=ROUND_HALF_UP)


LOG_LINE = re.compile(r'(?P<host>\S+) \S+ \S+ \[(?P<when>[^\]]+)\] "(?P<verb>\w+) (?P<path>\S+)[^"]*" (?P<status>\d+)')


def bench_access_log_match(b):
    """Good: pattern compiled at import, a match object and a dict per line."""
    line = '10.0.0.1 - - [10/Oct/2023:13:55:36 +0000] "GET /index.html HTTP/1.1" 200 2326'
    for _ in b.loop():
        m = LOG_LINE.match(line)
        entry = m.groupdict()
        entry["status"] = int(entry["status"])


def bench_render_table(b):
    """Good: a StringIO per render is how output is collected."""
    rows = [(i, "item %d" % i, i * 1.5) for i in range(30)]
    for _ in b.loop():
        out = io.StringIO()
        out.write("<table>")
        for row in rows:
            out.write("<tr>")
            for cell in row:
                out.write("<td>%s</td>" % cell)
            out.write("</tr>")
        out.write("</table>")
        out.getvalue()


class LinkExtractor(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.links = []
        self.text = []

    def handle_starttag(self, tag, attrs):
        if tag == "a":
            self.links.extend(v for k, v in attrs if k == "href")

    def handle_data(self, data):
        self.text.append(data)


def bench_extract_links(b):
    """Good: an HTML parser is a per-document object and the feeding is the work."""
    page = "<html><body>" + "".join('<p>n %d <a href="/p/%d">x</a></p>' % (i, i) for i in range(30)) + "</body></html>"
    for _ in b.loop():
        p = LinkExtractor()
        p.feed(page)
        p.close()
        assert len(p.links) == 30


def bench_bfs(b):
    """Good: each search needs its own queue and visited set."""
    graph = {n: [(n * 2) % 101, (n * 3 + 1) % 101, (n + 7) % 101] for n in range(101)}
    for _ in b.loop():
        queue = deque([(0, 0)])
        seen = {0}
        far = 0
        while queue:
            node, dist = queue.popleft()
            far = max(far, dist)
            for nxt in graph[node]:
                if nxt not in seen:
                    seen.add(nxt)
                    queue.append((nxt, dist + 1))


class Request:
    def __init__(self, method, target, headers):
        self.method = method
        self.path, _, self.query_string = target.partition("?")
        self.headers = {k.lower(): v for k, v in headers}
        self.params = {}

    @property
    def query(self):
        return dict(p.split("=", 1) for p in self.query_string.split("&") if p)


class App:
    def __init__(self):
        self.routes = []

    def route(self, method, template):
        pattern = re.compile("^" + re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template) + "$")

        def add(fn):
            self.routes.append((method, pattern, fn))
            return fn
        return add

    def dispatch(self, request):
        for method, pattern, fn in self.routes:
            if method == request.method:
                m = pattern.match(request.path)
                if m:
                    request.params = m.groupdict()
                    return fn(request)
        return 404, ""


def bench_app_dispatch(b):
    """Good: app and routes are made above; a Request is made per request."""
    app = App()
    for name in ("users", "posts", "tags", "files"):
        app.route("GET", "/%s" % name)(lambda r: (200, "list"))
        app.route("GET", "/%s/{id}" % name)(lambda r: (200, r.params["id"] + str(r.query)))
    headers = [("Host", "example.org"), ("Accept", "text/html"), ("X-Trace", "abc")]
    for _ in b.loop():
        req = Request("GET", "/tags/17?page=2&size=10", headers)
        status, body = app.dispatch(req)
        assert status == 200


class Exchange:
    """One request/response with completion callbacks."""

    def __init__(self, path):
        self.path = path
        self.callbacks = []
        self.notes = []

    def on_done(self, fn):
        self.callbacks.append(fn)

    def finish(self, body):
        for fn in self.callbacks:
            fn(self, body)


def _note(kind, exchange, body):
    exchange.notes.append((kind, exchange.path, len(body)))


def bench_exchange_callbacks(b):
    """Good: callbacks close over this request's state, so they belong to it."""
    body = b"x" * 300
    for _ in b.loop():
        ex = Exchange("/upload")
        sizes = []
        ex.on_done(functools.partial(_note, "access"))
        ex.on_done(functools.partial(_note, "audit"))
        ex.on_done(lambda e, data: sizes.append(len(data)))
        ex.finish(body)
        assert sizes == [300]


def bench_sqlite_transfer(b):
    """Good: connection and schema above, a transaction and a cursor per transfer."""
    conn = sqlite3.connect(":memory:")
    conn.execute("create table account (id integer primary key, balance integer)")
    conn.executemany("insert into account values (?, ?)", [(i, 1000) for i in range(20)])
    conn.commit()
    for _ in b.loop():
        with conn:
            cur = conn.cursor()
            cur.execute("update account set balance = balance - 5 where id = ?", (3,))
            cur.execute("update account set balance = balance + 5 where id = ?", (4,))
            cur.execute("select balance from account where id in (3, 4)")
            cur.fetchall()
    conn.close()


Sale = namedtuple("Sale", "day shop amount")


def bench_csv_report(b):
    """Good: reader, rows and totals are per file; the text is made beforehand."""
    text = "day,shop,amount\n" + "".join("%d,s%d,%d\n" % (i % 7, i % 4, i * 3) for i in range(60))
    for _ in b.loop():
        reader = csv.reader(io.StringIO(text))
        next(reader)
        totals = {}
        for sale in map(Sale._make, reader):
            totals[sale.shop] = totals.get(sale.shop, 0) + int(sale.amount)


TOKEN = re.compile(r"\s*(?:(\d+)|(.))")


class Num:
    def __init__(self, value):
        self.value = value

    def eval(self):
        return self.value


class BinOp:
    OPS = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__}

    def __init__(self, op, left, right):
        self.op, self.left, self.right = op, left, right

    def eval(self):
        return self.OPS[self.op](self.left.eval(), self.right.eval())


class ExprParser:
    def __init__(self, text):
        self.tokens = TOKEN.findall(text)
        self.pos = 0

    def peek(self):
        return self.tokens[self.pos][1] if self.pos < len(self.tokens) else None

    def expr(self):
        node = self.term()
        while self.peek() in ("+", "-"):
            op = self.tokens[self.pos][1]
            self.pos += 1
            node = BinOp(op, node, self.term())
        return node

    def term(self):
        node = self.atom()
        while self.peek() == "*":
            self.pos += 1
            node = BinOp("*", node, self.atom())
        return node

    def atom(self):
        num, sym = self.tokens[self.pos]
        self.pos += 1
        if sym == "(":
            node = self.expr()
            self.pos += 1
            return node
        return Num(int(num))


def bench_parse_expression(b):
    """Good: a recursive-descent parser holds one input's position, so it is made per input."""
    source = "1 + 2 * (3 + 4 * 5) - 6 * (7 - 8) + 9 * 10"
    for _ in b.loop():
        tree = ExprParser(source).expr()
        assert tree.eval() == 143


Packet = namedtuple("Packet", "kind flags seq length")
HEADER = struct.Struct("!BBIH")


def bench_decode_packets(b):
    """Good: Struct is module-level; packets are the result."""
    data = b"".join(HEADER.pack(i % 4, 1, i, 64) for i in range(40))
    for _ in b.loop():
        packets = [Packet(*fields) for fields in HEADER.iter_unpack(data)]
        packets[-1].seq


class FieldRule:
    def __init__(self, name, convert, check):
        self.name, self.convert, self.check = name, convert, check


class ValidationResult:
    def __init__(self):
        self.data = {}
        self.errors = {}


class FormSchema:
    def __init__(self, *rules):
        self.rules = rules

    def load(self, payload):
        result = ValidationResult()
        for rule in self.rules:
            try:
                value = rule.convert(payload[rule.name])
                if not rule.check(value):
                    raise ValueError("invalid")
            except KeyError:
                result.errors[rule.name] = "missing"
            except ValueError as exc:
                result.errors[rule.name] = str(exc)
            else:
                result.data[rule.name] = value
        return result


def bench_schema_load(b):
    """Good: the schema is made once above; a result object comes out of each load."""
    schema = FormSchema(
        FieldRule("name", str.strip, bool),
        FieldRule("age", int, lambda v: 0 <= v < 150),
        FieldRule("email", str.lower, lambda v: "@" in v),
        FieldRule("zip", int, lambda v: v > 9999),
    )
    for _ in b.loop():
        payload = {"name": " Bob ", "age": "41", "email": "Bob@Example.org"}
        result = schema.load(payload)
        assert "zip" in result.errors


class FormatTemplate:
    def __init__(self, source):
        self.parts = []
        for i, piece in enumerate(re.split(r"\{\{\s*(\w+)\s*\}\}", source)):
            self.parts.append((i % 2 == 1, piece))

    def render(self, context):
        return "".join(str(context[p]) if is_var else p for is_var, p in self.parts)


def bench_template_render(b):
    """Good: template compiled above; only the render context is made in the op."""
    template = FormatTemplate("Dear {{ name }}, your order {{ order }} of {{ site }} ships on {{ day }}. {{ footer }}")
    site_globals = {"site": "shop.example", "footer": "Bye"}
    for _ in b.loop():
        ctx = ChainMap({"name": "Ada", "order": 815, "day": "Monday"}, site_globals)
        template.render(ctx)


def bench_spool_upload(b):
    """Good: a temporary file per upload is what a server does."""
    chunk = b"data" * 512
    for _ in b.loop():
        with tempfile.TemporaryFile() as f:
            for _i in range(8):
                f.write(chunk)
            f.seek(0)
            size = len(f.read())
        assert size == 16384


class LRU:
    def __init__(self, maxsize):
        self.maxsize = maxsize
        self.data = OrderedDict()

    def get(self, key, default=None):
        try:
            self.data.move_to_end(key)
        except KeyError:
            return default
        return self.data[key]

    def set(self, key, value):
        self.data[key] = value
        self.data.move_to_end(key)
        if len(self.data) > self.maxsize:
            self.data.popitem(last=False)


def bench_lru_mixed(b):
    """Good: a warm cache above the loop, hits, misses and evictions in it."""
    cache = LRU(64)
    for i in range(64):
        cache.set(("k", i), [i])
    keys = [("k", i * 7 % 90) for i in range(40)]
    for _ in b.loop():
        for key in keys:
            if cache.get(key) is None:
                cache.set(key, [key[1]])


@dataclass(order=True)
class Job:
    due: int
    ident: int
    name: str = ""


def bench_scheduler_tick(b):
    """Good: the queue lives above the loop, new jobs come in with every tick."""
    counter = itertools.count()
    pending = [Job(i, next(counter), "seed") for i in range(100)]
    heapq.heapify(pending)
    for _ in b.loop():
        for delay in (5, 120, 30):
            heapq.heappush(pending, Job(pending[0].due + delay, next(counter), "job"))
        for _i in range(3):
            heapq.heappop(pending)


def bench_deflate_response(b):
    """Good: a compressobj is a stream's state and cannot be used for a second response."""
    parts = [("line %d of the response body\n" % i).encode() * 10 for i in range(20)]
    for _ in b.loop():
        comp = zlib.compressobj(6)
        out = [comp.compress(p) for p in parts]
        out.append(comp.flush())
        b"".join(out)


class Span:
    __slots__ = ("name", "parent", "attributes", "events")

    def __init__(self, name, parent):
        self.name, self.parent = name, parent
        self.attributes, self.events = {}, []


class Tracer:
    def __init__(self, limit):
        self.stack = []
        self.done = deque(maxlen=limit)

    @contextmanager
    def span(self, name):
        span = Span(name, self.stack[-1] if self.stack else None)
        self.stack.append(span)
        try:
            yield span
        finally:
            self.done.append(self.stack.pop())


def bench_nested_spans(b):
    """Good: the tracer is shared, a span is by definition one per traced call."""
    tracer = Tracer(limit=200)
    for _ in b.loop():
        with tracer.span("request") as root:
            root.attributes["http.path"] = "/cart"
            with tracer.span("db") as child:
                child.events.append("query")
            with tracer.span("render"):
                pass


class Clock:
    def __init__(self):
        self.zone = "UTC"


class UnitOfWork:
    def __init__(self, clock):
        self.clock, self.dirty = clock, []


class CartHandler:
    def __init__(self, uow, clock):
        self.uow, self.clock = uow, clock

    def add(self, item):
        self.uow.dirty.append((item, self.clock.zone))
        return len(self.uow.dirty)


class Scope:
    def __init__(self, parent):
        self.parent = parent
        self.cache = {}

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.cache.clear()

    def get(self, cls):
        if cls in self.parent.singletons:
            return self.parent.singletons[cls]
        if cls not in self.cache:
            deps = self.parent.plans[cls]
            self.cache[cls] = cls(*[self.get(d) for d in deps])
        return self.cache[cls]


class Services:
    def __init__(self):
        self.singletons, self.plans = {}, {}


def bench_request_scope(b):
    """Good: container wired above; a scope with its handler and unit of work is per request."""
    services = Services()
    services.singletons[Clock] = Clock()
    services.plans[UnitOfWork] = [Clock]
    services.plans[CartHandler] = [UnitOfWork, Clock]
    for _ in b.loop():
        with Scope(services) as scope:
            handler = scope.get(CartHandler)
            handler.add("book")
            handler.add("pen")


def bench_parse_args(b):
    """Good: parser built once above; parsing gives a fresh Namespace each time."""
    parser = argparse.ArgumentParser(prog="sync")
    parser.add_argument("-n", "--dry-run", action="store_true")
    parser.add_argument("--exclude", action="append", default=None)
    parser.add_argument("--level", type=int, default=1)
    parser.add_argument("paths", nargs="+")
    for _ in b.loop():
        ns = parser.parse_args(["-n", "--exclude", "*.pyc", "--level=3", "src", "dst"])
        assert ns.level == 3


def bench_gather_queries(b):
    """Good: the event loop is there beforehand; coroutines and tasks are per call."""
    async def query(n):
        await asyncio.sleep(0)
        return {"id": n, "rows": [n] * 3}

    async def handler():
        results = await asyncio.gather(*(query(n) for n in range(8)))
        return {r["id"]: sum(r["rows"]) for r in results}

    loop = asyncio.new_event_loop()
    try:
        for _ in b.loop():
            loop.run_until_complete(handler())
    finally:
        loop.close()
