"""Sound micro-benchmarks: the op makes only what belongs to one request, message or row."""
import argparse
import codecs
import collections
import contextlib
import copy
import csv
import dataclasses
import decimal
import email.message
import functools
import graphlib
import hashlib
import heapq
import hmac
import html.parser
import http.cookies
import io
import itertools
import json
import logging
import operator
import re
import sqlite3
import string
import tempfile
import threading
import time
import urllib.parse
import xml.etree.ElementTree as ET
import zlib


# --- requests ---------------------------------------------------------------

class Request:
    """One request; its parts are computed when first asked for."""

    def __init__(self, environ):
        self.environ = environ

    @functools.cached_property
    def query(self):
        return urllib.parse.parse_qs(self.environ.get("QUERY_STRING", ""))

    @functools.cached_property
    def cookies(self):
        jar = http.cookies.SimpleCookie(self.environ.get("HTTP_COOKIE", ""))
        return {name: morsel.value for name, morsel in jar.items()}

    @functools.cached_property
    def json(self):
        return json.loads(self.environ["wsgi.input"])


class Response:
    """One response."""

    def __init__(self, body, status=200, headers=None):
        self.body, self.status = body, status
        self.headers = {"content-type": "application/json", **(headers or {})}

    def encode(self):
        raw = json.dumps(self.body).encode()
        lines = ["HTTP/1.1 %d OK" % self.status]
        lines += ["%s: %s" % pair for pair in self.headers.items()]
        lines += ["content-length: %d" % len(raw), "", ""]
        return "\r\n".join(lines).encode() + raw


class Router:
    """Compiled patterns to views."""

    def __init__(self, table):
        self.table = [
            (re.compile("^" + re.sub(r"<(\w+)>", r"(?P<\1>[^/]+)", p) + "$"), view)
            for p, view in table
        ]

    def handle(self, path):
        for regex, view in self.table:
            found = regex.match(path)
            if found:
                return view(**found.groupdict())
        return Response({"error": "not found"}, status=404)


def bench_request_lazy_parts(b):
    """Sound: a request object is really made per request, and so are its lazy parts."""
    environ = {
        "QUERY_STRING": "page=2&sort=name&tag=a&tag=b",
        "HTTP_COOKIE": "sid=abc123; theme=dark",
        "wsgi.input": b'{"name": "Ada", "roles": ["admin"]}',
    }
    for _ in b.loop():
        request = Request(environ)
        page = int(request.query["page"][0])
        assert request.cookies["sid"] and request.json["roles"]
        assert len(request.query["tag"]) == page


def bench_route_to_response(b):
    """Sound: the router is made above; only the response is made per request."""
    router = Router([
        ("/", lambda: Response({"index": True})),
        ("/users/<uid>", lambda uid: Response({"id": uid})),
        ("/users/<uid>/posts/<slug>", lambda uid, slug: Response({"id": uid, "slug": slug})),
    ])
    for _ in b.loop():
        raw = router.handle("/users/42/posts/hello").encode()
        missing = router.handle("/nowhere")
        assert raw and missing.status == 404


# --- templates and command lines ------------------------------------------------

def bench_render_mail(b):
    """Sound: the template is made above; the substitutions belong to each mail."""
    template = string.Template("Dear $name,\nyour order $order of $total has shipped.\n")
    customers = [{"name": "Ada", "order": 17}, {"name": "Bob", "order": 18}]
    for _ in b.loop():
        mails = []
        for customer in customers:
            context = collections.ChainMap({"total": "12.50 EUR"}, customer)
            mails.append(template.substitute(context))
        assert len(mails) == 2


def bench_parse_args(b):
    """Sound: the parser is built above; each op parses one argument list to a namespace."""
    parser = argparse.ArgumentParser(prog="deploy", add_help=False)
    parser.add_argument("-v", "--verbose", action="count", default=0)
    parser.add_argument("--env", choices=("dev", "prod"), default="dev")
    parser.add_argument("builds", type=int, nargs="+")
    for _ in b.loop():
        options = parser.parse_args(["-v", "--env", "prod", "118", "119"])
        assert options.builds == [118, 119]


# --- parsing documents -----------------------------------------------------------

class LinkExtractor(html.parser.HTMLParser):
    """Collects the links of one page (holds the state of that page)."""

    def __init__(self, base):
        super().__init__(convert_charrefs=True)
        self.base = base
        self.links = []

    def handle_starttag(self, tag, attrs):
        if tag == "a":
            href = dict(attrs).get("href")
            if href:
                self.links.append(urllib.parse.urljoin(self.base, href))


def bench_extract_links(b):
    """Sound: an HTMLParser holds one document's state, so a crawler makes one per page."""
    page = "<html><body>" + "".join(
        '<p>see <a class="x" href="/p/%d">page %d</a></p>' % (i, i) for i in range(8)
    ) + "</body></html>"
    for _ in b.loop():
        extractor = LinkExtractor("https://example.org/")
        extractor.feed(page)
        extractor.close()
        assert len(extractor.links) == 8


def bench_parse_feed(b):
    """Sound: parsing the feed is the operation; the tree belongs to that document."""
    feed = "<rss><channel>" + "".join(
        "<item><title>t%d</title><guid>%d</guid></item>" % (i, i) for i in range(12)
    ) + "</channel></rss>"
    for _ in b.loop():
        root = ET.fromstring(feed)
        titles = [item.findtext("title") for item in root.iter("item")]
        assert titles[3] == "t3"


def bench_json_roundtrip(b):
    """Sound: decoding one event, changing it and encoding it is what a worker does per message."""
    line = json.dumps({"id": 5, "user": {"name": "ada"}, "items": list(range(20))})
    for _ in b.loop():
        event = json.loads(line)
        event["user"]["seen"] = True
        assert json.dumps(event, separators=(",", ":"))


def bench_decode_stream(b):
    """Sound: an incremental decoder keeps the half characters of one stream, so one per stream."""
    raw = ("h\u00e9llo w\u00f6rld \u20ac " * 20).encode()
    chunks = [raw[i:i + 7] for i in range(0, len(raw), 7)]
    make_decoder = codecs.getincrementaldecoder("utf-8")
    for _ in b.loop():
        decoder = make_decoder(errors="strict")
        text = "".join(decoder.decode(chunk) for chunk in chunks)
        text += decoder.decode(b"", final=True)
        assert text.endswith("\u20ac ")


# --- per message crypto and encoders -----------------------------------------------

def bench_sign_webhook(b):
    """Sound: an HMAC object is made for each message; it cannot be used again."""
    secret = b"whsec_0123456789abcdef"
    body = b'{"event": "order.paid", "id": 17}'
    for _ in b.loop():
        mac = hmac.new(secret, b"1700000000.", hashlib.sha256)
        mac.update(body)
        signature = "t=1700000000,v1=" + mac.hexdigest()
        assert hmac.compare_digest(signature, signature)


def bench_compress_response(b):
    """Sound: a compressor holds one body's window, so each response needs its own."""
    parts = [("row %d;" % i).encode() * 10 for i in range(20)]
    for _ in b.loop():
        encoder = zlib.compressobj(level=6, wbits=31)
        body = b"".join(map(encoder.compress, parts)) + encoder.flush()
        assert body[:2] == b"\x1f\x8b"


def bench_compose_mail(b):
    """Sound: the message object is the mail itself, one for each recipient."""
    for _ in b.loop():
        message = email.message.EmailMessage()
        message["From"] = "shop@example.org"
        message["To"] = "ada@example.org"
        message["Subject"] = "Your order 17"
        message.set_content("Thank you.\n")
        assert message.as_bytes()


# --- database ---------------------------------------------------------------------

class Select:
    """Builder of one query."""

    def __init__(self, table, *columns):
        self.table, self.columns = table, columns or ("*",)
        self.conditions, self.params, self.order, self.count = [], [], None, None

    def where(self, condition, *params):
        self.conditions.append(condition)
        self.params.extend(params)
        return self

    def order_by(self, column):
        self.order = column
        return self

    def limit(self, count):
        self.count = count
        return self

    def build(self):
        sql = "SELECT %s FROM %s" % (", ".join(self.columns), self.table)
        if self.conditions:
            sql += " WHERE " + " AND ".join(self.conditions)
        if self.order:
            sql += " ORDER BY " + self.order
        if self.count is not None:
            sql += " LIMIT %d" % self.count
        return sql, tuple(self.params)


class ResultSet:
    """Rows of one query as dicts, fetched lazily by pages."""

    def __init__(self, cursor, page=10):
        self.cursor, self.page = cursor, page
        self.names = [d[0] for d in cursor.description]

    def __iter__(self):
        while True:
            rows = self.cursor.fetchmany(self.page)
            if not rows:
                return
            for row in rows:
                yield dict(zip(self.names, row))


def _shop():
    """A database with some orders."""
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT, total REAL)")
    db.executemany("INSERT INTO orders VALUES (?, ?, ?)",
                   [(i, "c%d" % (i % 4), i * 1.5) for i in range(40)])
    db.commit()
    return db


def bench_build_query(b):
    """Sound: a query builder is made per query; building the SQL is the operation."""
    for _ in b.loop():
        sql, params = (
            Select("orders", "id", "total")
            .where("customer = ?", "ada").where("total > ?", 10)
            .order_by("total").limit(20).build()
        )
        assert sql.count("?") == len(params)


def bench_read_result_set(b):
    """Sound: the connection is opened above; cursor and result set belong to the query."""
    with contextlib.closing(_shop()) as db:
        for _ in b.loop():
            cursor = db.execute("SELECT id, customer, total FROM orders WHERE total > ?", (20,))
            total = sum(row["total"] for row in ResultSet(cursor, page=8))
            assert total > 100


def bench_update_in_transaction(b):
    """Sound: a transaction per unit of work on a connection opened above the loop."""
    with contextlib.closing(_shop()) as db:
        for _ in b.loop():
            with db:
                db.execute("UPDATE orders SET total = total + 1 WHERE id = ?", (7,))
                db.execute("INSERT OR REPLACE INTO orders VALUES (?, ?, ?)", (99, "eve", 1.0))


# --- tracing, metrics, logs -----------------------------------------------------------

class Span:
    """One timed piece of work."""

    def __init__(self, tracer, name, attributes):
        self.tracer, self.name, self.attributes = tracer, name, attributes
        self.parent = tracer.stack[-1] if tracer.stack else None
        self.error = None

    def __enter__(self):
        self.start = time.perf_counter_ns()
        self.tracer.stack.append(self)
        return self

    def __exit__(self, kind, exc, tb):
        self.duration = time.perf_counter_ns() - self.start
        self.error = kind and kind.__name__
        self.tracer.stack.pop()
        self.tracer.finished.append(self)
        return False


class Tracer:
    """Makes spans and keeps the last ones."""

    def __init__(self, keep=64):
        self.stack = []
        self.finished = collections.deque(maxlen=keep)

    def span(self, name, **attributes):
        return Span(self, name, attributes)


def bench_nested_spans(b):
    """Sound: spans are made per request as context managers; the tracer is made above."""
    tracer = Tracer(keep=16)
    for _ in b.loop():
        with tracer.span("request", method="GET") as outer:
            with tracer.span("query", table="users") as inner:
                inner.attributes["rows"] = 3
        assert inner.parent is outer


def bench_log_with_context(b):
    """Sound: logger and handler are wired above; adapter and record belong to one request."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s %(request_id)s %(message)s"))
    logger = logging.Logger("app", level=logging.INFO)
    logger.addHandler(handler)
    for _ in b.loop():
        log = logging.LoggerAdapter(logger, {"request_id": "r-17"})
        log.info("GET %s -> %d", "/users/42", 200)
        log.debug("not shown %r", handler)
        stream.seek(0)
        stream.truncate()


# --- errors, copies, buffers, locks -----------------------------------------------------

class ValidationError(ValueError):
    """What was wrong with one payload."""

    def __init__(self, errors):
        super().__init__("%d errors" % len(errors))
        self.errors = errors

    def as_dict(self):
        return {"errors": [{"field": f, "message": m} for f, m in sorted(self.errors.items())]}


def _check_signup(form):
    """Raises if the form is wrong."""
    errors = {}
    if "@" not in form.get("email", ""):
        errors["email"] = "not an address"
    if len(form.get("password", "")) < 8:
        errors["password"] = "too short"
    if errors:
        raise ValidationError(errors)
    return form


def bench_reject_form(b):
    """Sound: the exception and its report belong to the one rejected form."""
    form = {"email": "nobody", "password": "123"}
    for _ in b.loop():
        try:
            _check_signup(form)
        except ValidationError as exc:
            report = exc.as_dict()
        assert len(report["errors"]) == 2


def bench_copy_defaults(b):
    """Sound: each tenant's request takes its own deep copy of the defaults to change."""
    defaults = {"limits": {"rate": 10, "burst": [1, 2, 5]}, "flags": {"beta": False}, "tags": ["a"]}
    for _ in b.loop():
        settings = copy.deepcopy(defaults)
        settings["limits"].update(rate=50)
        settings["tags"].append("tenant-7")
    assert defaults["tags"] == ["a"]


def bench_export_csv(b):
    """Sound: buffer and writer are temporary, one pair for each exported file."""
    rows = [{"id": i, "name": "item, %d" % i, "price": i / 4} for i in range(15)]
    for _ in b.loop():
        buffer = io.StringIO(newline="")
        writer = csv.DictWriter(buffer, fieldnames=("id", "name", "price"))
        writer.writeheader()
        writer.writerows(rows)
        assert buffer.getvalue().count("\r\n") == 16


def bench_receive_upload(b):
    """Sound: a spooled temporary file per upload, as form parsers make them."""
    chunks = [b"x" * 512 for _ in range(6)]
    for _ in b.loop():
        digest = hashlib.sha1()
        with tempfile.SpooledTemporaryFile(max_size=1 << 16) as upload:
            for chunk in chunks:
                upload.write(chunk)
                digest.update(chunk)
            size = upload.tell()
        assert size == 3072 and digest.hexdigest()


class Pending:
    """The reply to one call, to be set by another thread; with its own lock."""

    def __init__(self, call_id):
        self.call_id = call_id
        self._ready = threading.Condition(threading.Lock())
        self._result = None
        self.done = False

    def set(self, result):
        with self._ready:
            self._result, self.done = result, True
            self._ready.notify_all()

    def get(self, timeout=1.0):
        with self._ready:
            self._ready.wait_for(lambda: self.done, timeout)
            return self._result


def bench_rpc_reply(b):
    """Sound: each call in flight has its own lock and condition, as futures do."""
    waiting = {}
    ids = itertools.count()
    for _ in b.loop():
        call_id = next(ids)
        waiting[call_id] = Pending(call_id)
        waiting[call_id].set({"ok": True})
        assert waiting.pop(call_id).get()["ok"]


# --- streams, values, algorithms ----------------------------------------------------------

@dataclasses.dataclass(frozen=True, order=True)
class Money:
    """An amount with its currency."""

    amount: decimal.Decimal
    currency: str = "EUR"

    def __add__(self, other):
        if other.currency != self.currency:
            raise ValueError("currencies differ")
        return Money(self.amount + other.amount, self.currency)


def bench_invoice_by_customer(b):
    """Sound: small value objects made per row, then sorted, grouped and summed."""
    lines = [("c%d" % (i % 3), "%d.25" % i) for i in range(18)]
    for _ in b.loop():
        priced = [(who, Money(decimal.Decimal(amount))) for who, amount in lines]
        priced.sort(key=operator.itemgetter(0))
        totals = {}
        for who, group in itertools.groupby(priced, key=operator.itemgetter(0)):
            totals[who] = functools.reduce(operator.add, (money for _, money in group))
        assert max(totals.values()) == totals["c2"]


def _events(lines):
    """Parses lines to events."""
    for line in lines:
        stamp, _, rest = line.partition(" ")
        level, _, text = rest.partition(" ")
        yield int(stamp), level, text


def bench_merge_streams(b):
    """Sound: generators are made per pass over the data; a spent one is of no more use."""
    first = ["%d INFO a%d" % (i, i) for i in range(0, 40, 2)]
    second = ["%d WARN b%d" % (i, i) for i in range(1, 40, 2)]
    for _ in b.loop():
        merged = heapq.merge(_events(first), _events(second))
        warnings = (text for _, level, text in merged if level == "WARN")
        assert len(list(itertools.islice(warnings, 10))) == 10


def bench_plan_build(b):
    """Sound: a topological sorter is used up by one run, and the graph differs per build."""
    graph = {"app": {"web", "db"}, "web": {"core"}, "db": {"core"}, "core": set(), "docs": {"app"}}
    changed = ("core", "db")
    for _ in b.loop():
        sorter = graphlib.TopologicalSorter(graph)
        for target in changed:
            sorter.add(target + ":test", target)
        order = list(sorter.static_order())
        assert order.index("core") < order.index("app")
