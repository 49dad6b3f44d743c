"""Benchmarks that measure set-up: each op builds anew what the service builds once."""
import argparse
import asyncio
import collections
import configparser
import functools
import hashlib
import heapq
import hmac
import inspect
import logging
import logging.config
import mimetypes
import queue
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field


# --------------------------------------------------------------------------
# standard library
# --------------------------------------------------------------------------

def bench_thread_pool_fanout(b):
    """Bad: starts and joins a four-worker pool per op; the service keeps one pool for its lifetime."""
    shards = [list(range(i, i + 20)) for i in range(4)]
    for _ in b.loop():
        with ThreadPoolExecutor(max_workers=4) as pool:
            total = sum(pool.map(sum, shards))
    assert total == 880


SCHEMA = """
CREATE TABLE customer (id INTEGER PRIMARY KEY, email TEXT UNIQUE NOT NULL, created INTEGER);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customer(id), state TEXT);
CREATE TABLE line (id INTEGER PRIMARY KEY, order_id INTEGER REFERENCES orders(id), sku TEXT, qty INTEGER);
CREATE INDEX ix_orders_customer ON orders(customer_id);
CREATE INDEX ix_orders_state ON orders(state);
CREATE INDEX ix_line_order ON line(order_id);
CREATE VIEW open_orders AS SELECT * FROM orders WHERE state = 'open';
"""


def bench_insert_customer(b):
    """Bad: connects and creates the whole schema before every single insert."""
    for _ in b.loop():
        db = sqlite3.connect(":memory:")
        db.executescript(SCHEMA)
        db.execute("INSERT INTO customer (email, created) VALUES (?, ?)", ("a@example.org", 1700000000))
        db.commit()
        db.close()


def make_cli():
    p = argparse.ArgumentParser(prog="shipctl")
    p.add_argument("-v", "--verbose", action="count", default=0)
    p.add_argument("--profile", default="default")
    sub = p.add_subparsers(dest="cmd", required=True)
    for name in ("deploy", "rollback", "status", "logs", "scale"):
        s = sub.add_parser(name, help=f"{name} a service")
        s.add_argument("service")
        s.add_argument("--region", choices=["eu", "us", "ap"], default="eu")
        s.add_argument("--timeout", type=float, default=30.0)
        s.add_argument("--dry-run", action="store_true")
    return p


def bench_parse_command(b):
    """Bad: meant to time parse_args for the chat-ops bot, but declares five sub-commands each time."""
    argv = ["-v", "scale", "billing", "--region", "us"]
    for _ in b.loop():
        ns = make_cli().parse_args(argv)
        ns.service


INI = "\n".join(
    f"[service.{n}]\nhost = 10.0.0.{n}\nport = {8000 + n}\ntimeout = 2.5\nretries = 3\nenabled = yes\n"
    for n in range(12)
)


def bench_config_get(b):
    """Bad: 'config lookup' benchmark reads the complete INI text per lookup; the app loads it at boot."""
    for _ in b.loop():
        cfg = configparser.ConfigParser()
        cfg.read_string(INI)
        port = cfg.getint("service.7", "port")
        host = cfg.get("service.7", "host")
    assert (host, port) == ("10.0.0.7", 8007)


LOG_CONF = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"},
        "short": {"format": "%(levelname)s %(message)s"},
    },
    "handlers": {
        "sink": {"class": "logging.NullHandler", "formatter": "plain"},
        "audit": {"class": "logging.NullHandler", "formatter": "short"},
    },
    "loggers": {
        "corpus_l.app": {"handlers": ["sink"], "level": "INFO", "propagate": False},
        "corpus_l.audit": {"handlers": ["audit"], "level": "INFO", "propagate": False},
    },
}


def bench_log_one_line(b):
    """Bad: applies the logging configuration before each log record."""
    for _ in b.loop():
        logging.config.dictConfig(LOG_CONF)
        log = logging.getLogger("corpus_l.app")
        log.info("order %s accepted", 4711)


def bench_upload_content_type(b):
    """Bad: a fresh MimeTypes (copies of all the type maps) for every uploaded file name."""
    for _ in b.loop():
        types = mimetypes.MimeTypes()
        types.add_type("application/x-invoice", ".inv")
        ctype, _enc = types.guess_type("scan-0001.inv")
    assert ctype == "application/x-invoice"


# --------------------------------------------------------------------------
# our own code
# --------------------------------------------------------------------------

class Node:
    __slots__ = ("children", "param", "handler")

    def __init__(self):
        self.children = {}
        self.param = None
        self.handler = None


class Router:
    def __init__(self):
        self.roots = {}

    def add(self, method, path, handler):
        node = self.roots.setdefault(method, Node())
        for part in path.strip("/").split("/"):
            if part.startswith("{"):
                if node.param is None:
                    node.param = (part[1:-1], Node())
                node = node.param[1]
            else:
                node = node.children.setdefault(part, Node())
        node.handler = handler

    def match(self, method, path):
        node, params = self.roots[method], {}
        for part in path.strip("/").split("/"):
            nxt = node.children.get(part)
            if nxt is None:
                if node.param is None:
                    return None, params
                name, nxt = node.param
                params[name] = part
            node = nxt
        return node.handler, params


RESOURCES = "users orders invoices items carts coupons refunds shipments stores tickets".split()


def bench_route_request(b):
    """Bad: registers fifty routes in order to match one path."""
    for _ in b.loop():
        router = Router()
        for res in RESOURCES:
            router.add("GET", f"/api/v1/{res}", f"{res}_list")
            router.add("POST", f"/api/v1/{res}", f"{res}_create")
            router.add("GET", f"/api/v1/{res}/{{id}}", f"{res}_get")
            router.add("PUT", f"/api/v1/{res}/{{id}}", f"{res}_put")
            router.add("DELETE", f"/api/v1/{res}/{{id}}", f"{res}_delete")
        handler, params = router.match("GET", "/api/v1/orders/42")
    assert handler == "orders_get" and params == {"id": "42"}


def compile_schema(schema):
    kind = schema["type"]
    if kind == "object":
        props = {k: compile_schema(v) for k, v in sorted(schema["properties"].items())}
        required = frozenset(schema.get("required", ()))

        def check_object(value):
            return (isinstance(value, dict) and required <= value.keys()
                    and all(props[k](v) for k, v in value.items() if k in props))
        return check_object
    if kind == "array":
        item = compile_schema(schema["items"])
        return lambda value: isinstance(value, list) and all(map(item, value))
    if kind == "integer":
        lo, hi = schema.get("min", 0), schema.get("max", 10**9)
        return lambda value: isinstance(value, int) and lo <= value <= hi
    limit = schema.get("maxLength", 200)
    return lambda value: isinstance(value, str) and len(value) <= limit


ADDRESS = {"type": "object", "required": ["street", "zip"],
           "properties": {n: {"type": "string", "maxLength": 80}
                          for n in ("street", "street2", "city", "zip", "state", "country", "phone")}}
ORDER_SCHEMA = {
    "type": "object", "required": ["id", "ship"],
    "properties": {
        "id": {"type": "integer"}, "ship": ADDRESS, "bill": ADDRESS, "pickup": ADDRESS, "return": ADDRESS,
        "lines": {"type": "array", "items": {
            "type": "object", "required": ["sku", "qty"],
            "properties": {"sku": {"type": "string"}, "qty": {"type": "integer", "max": 99},
                           "note": {"type": "string"}, "options": {"type": "array", "items": {"type": "string"}}}}},
    },
}


def bench_validate_order(b):
    """Bad: compiles the order schema to closures on each validation; it never changes at run time."""
    order = {"id": 5, "ship": {"street": "Hauptstr. 1", "zip": "10115"}, "lines": [{"sku": "A-1", "qty": 2}]}
    for _ in b.loop():
        validate = compile_schema(ORDER_SCHEMA)
        assert validate(order)


class TemplateEngine:
    def __init__(self, sources):
        self._fns = {}
        for name, src in sources.items():
            self._fns[name] = self._compile(name, src)

    def _compile(self, name, src):
        lines = ["def render(ctx):", "    out = []"]
        for i, piece in enumerate(src.replace("}}", "{{").split("{{")):
            if i % 2:
                lines.append(f"    out.append(str(ctx[{piece.strip()!r}]))")
            else:
                lines.append(f"    out.append({piece!r})")
        lines.append("    return ''.join(out)")
        ns = {}
        exec(compile("\n".join(lines), f"<tpl {name}>", "exec"), ns)
        return ns["render"]

    def render(self, name, /, **ctx):
        return self._fns[name](ctx)


TEMPLATES = {
    "welcome": "Hello {{ name }}, welcome to {{ shop }}!",
    "receipt": "Order {{ order }} for {{ name }}: {{ total }} EUR",
    "reset": "Hi {{ name }}, use {{ link }} within {{ hours }} hours.",
    "shipped": "{{ name }}, your parcel {{ parcel }} left {{ city }}.",
}


def bench_render_mail(b):
    """Bad: compiles all four mail templates with exec() for one render."""
    for _ in b.loop():
        engine = TemplateEngine(TEMPLATES)
        text = engine.render("receipt", order=17, name="Ada", total="12.50")
    assert text == "Order 17 for Ada: 12.50 EUR"


CATALOG = [
    (i, f"{c} {m} {t} with {x}")
    for i, (c, m, t, x) in enumerate(
        (c, m, t, x)
        for c in ("red", "blue", "green")
        for m in ("cotton", "linen", "wool")
        for t in ("shirt", "jacket", "scarf", "hat")
        for x in ("pockets", "buttons")
    )
]


class SearchIndex:
    def __init__(self, docs):
        self.postings = collections.defaultdict(set)
        for doc_id, text in docs:
            for word in text.lower().split():
                self.postings[word].add(doc_id)

    def query(self, text):
        sets = [self.postings.get(w, set()) for w in text.lower().split()]
        return sorted(set.intersection(*sets))


def search_products(q):
    idx = SearchIndex(CATALOG)
    return idx.query(q)


def bench_product_search(b):
    """Bad: the helper indexes the entire catalogue for each query, hidden one call deep."""
    for _ in b.loop():
        hits = search_products("blue wool hat")
    assert len(hits) == 2


def bench_frame_checksum(b):
    """Bad: fills the 256-entry CRC table per frame, the table is a constant."""
    frame = bytes(range(48))
    for _ in b.loop():
        table = []
        for n in range(256):
            c = n
            for _bit in range(8):
                c = (c >> 1) ^ 0xEDB88320 if c & 1 else c >> 1
            table.append(c)
        crc = 0xFFFFFFFF
        for byte in frame:
            crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
        crc ^= 0xFFFFFFFF


class Clock: ...
class Settings: ...


class Database:
    def __init__(self, settings: Settings):
        self.settings = settings


class Mailer:
    def __init__(self, settings: Settings, clock: Clock):
        self.clock = clock


class UserRepo:
    def __init__(self, db: Database):
        self.rows = {1: "ada", 2: "bob"}


class Billing:
    def __init__(self, repo: UserRepo, mailer: Mailer, clock: Clock):
        self.repo = repo

    def owner(self, uid):
        return self.repo.rows[uid]


class Container:
    def __init__(self):
        self.specs = {}
        self.singletons = {}

    def register(self, cls):
        params = list(inspect.signature(cls).parameters.values())
        self.specs[cls] = [p.annotation for p in params if isinstance(p.annotation, type)
                           and p.annotation is not p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]

    def get(self, cls):
        if cls not in self.singletons:
            self.singletons[cls] = cls(*[self.get(d) for d in self.specs[cls]])
        return self.singletons[cls]


def bench_billing_owner(b):
    """Bad: wires the whole dependency container with inspect.signature, then reads one dict entry."""
    for _ in b.loop():
        container = Container()
        for cls in (Clock, Settings, Database, Mailer, UserRepo, Billing):
            container.register(cls)
        svc = container.get(Billing)
        name = svc.owner(2)
    assert name == "bob"


class FakeConnection:
    def __init__(self, dsn, password):
        self.dsn = dsn
        # SCRAM-like handshake
        salted = hashlib.pbkdf2_hmac("sha256", password, dsn.encode(), 64)
        self.proof = hmac.new(salted, b"Client Key", "sha256").digest()
        self.n = 0

    def execute(self, sql, *args):
        self.n += 1
        return [(self.n, sql, args)]


class ConnectionPool:
    def __init__(self, dsn, password, size=8):
        self.idle = queue.LifoQueue()
        for _ in range(size):
            self.idle.put(FakeConnection(dsn, password))

    def __enter__(self):
        self.conn = self.idle.get()
        return self.conn

    def __exit__(self, *exc):
        self.idle.put(self.conn)


def bench_pool_query(b):
    """Bad: opens eight authenticated connections, runs one query on one of them, drops the pool."""
    for _ in b.loop():
        with ConnectionPool("db://orders", b"s3cret") as conn:
            rows = conn.execute("SELECT 1 WHERE x = ?", 3)


def timing(nxt):
    @functools.wraps(nxt)
    def inner(req):
        req["t"] = 0
        return nxt(req)
    return inner


def auth(nxt):
    @functools.wraps(nxt)
    def inner(req):
        return nxt(req) if req["token"] == "t" else {"status": 401}
    return inner


def cors(nxt):
    @functools.wraps(nxt)
    def inner(req):
        res = nxt(req)
        res["origin"] = "*"
        return res
    return inner


def gzip_header(nxt):
    @functools.wraps(nxt)
    def inner(req):
        res = nxt(req)
        res["encoding"] = "identity"
        return res
    return inner


def hello_view(req):
    return {"status": 200, "body": "hello"}


def bench_middleware_roundtrip(b):
    """Bad: re-wraps the view in all the middlewares on each request instead of once at app start."""
    for _ in b.loop():
        app = hello_view
        for mw in (gzip_header, cors, auth, timing):
            app = mw(app)
        res = app({"token": "t"})
    assert res["status"] == 200


GRAMMAR = """
stmt -> expr | ID = expr | if expr then stmt else stmt | print expr
expr -> term etail
etail -> + term etail | - term etail | eps
term -> factor ttail
ttail -> * factor ttail | / factor ttail | eps
factor -> ( expr ) | NUM | ID
"""


class LLGrammar:
    """FIRST sets by fixpoint, then a prediction table."""

    def __init__(self, text):
        self.rules = collections.defaultdict(list)
        for line in text.strip().splitlines():
            head, _, rhs = line.partition("->")
            for alt in rhs.split(" | "):
                self.rules[head.strip()].append(alt.split())
        self.first = {nt: set() for nt in self.rules}
        changed = True
        while changed:
            changed = False
            for nt, alts in self.rules.items():
                for alt in alts:
                    new = self.first_of(alt) - self.first[nt]
                    if new:
                        self.first[nt] |= new
                        changed = True
        self.table = {nt: [(self.first_of(alt), alt) for alt in alts] for nt, alts in self.rules.items()}

    def first_of(self, alt):
        out = set()
        for sym in alt:
            got = self.first.get(sym, {sym})
            out |= got - {"eps"}
            if "eps" not in got:
                return out
        out.add("eps")
        return out

    def accepts(self, tokens, start="expr"):
        stack, pos, tokens = [start], 0, tokens + ["$"]
        while stack:
            top = stack.pop()
            if top == "eps":
                continue
            if top not in self.table:
                if tokens[pos] != top:
                    return False
                pos += 1
                continue
            for firsts, alt in self.table[top]:
                if tokens[pos] in firsts or "eps" in firsts:
                    stack.extend(reversed(alt))
                    break
            else:
                return False
        return tokens[pos] == "$"


def bench_accept_formula(b):
    """Bad: recomputes FIRST sets and the prediction table of a fixed grammar for one short formula."""
    tokens = "NUM + ID * NUM".split()
    for _ in b.loop():
        parser = LLGrammar(GRAMMAR)
        ok = parser.accepts(tokens)
    assert ok


# relative frequencies are fixed by the wire protocol
FREQ = {ch: 3 + (i * 37) % 101 for i, ch in enumerate("abcdefghijklmnopqrstuvwxyz0123456789 -_.")}


class HuffmanEncoder:
    def __init__(self, freq):
        heap = [(w, i, ch) for i, (ch, w) in enumerate(freq.items())]
        heapq.heapify(heap)
        n = len(heap)
        while len(heap) > 1:
            w1, _, l = heapq.heappop(heap)
            w2, _, r = heapq.heappop(heap)
            heapq.heappush(heap, (w1 + w2, n, (l, r)))
            n += 1
        self.codes = {}
        self._walk(heap[0][2], "")

    def _walk(self, node, prefix):
        if isinstance(node, str):
            self.codes[node] = prefix
        else:
            self._walk(node[0], prefix + "0")
            self._walk(node[1], prefix + "1")

    def encode(self, text):
        codes = self.codes
        return "".join([codes[c] for c in text])


def bench_encode_message(b):
    """Bad: the codebook depends only on the protocol's fixed frequencies but is rebuilt per message."""
    for _ in b.loop():
        bits = HuffmanEncoder(FREQ).encode("order-4711 shipped")


class Column:
    def __set_name__(self, owner, name):
        self.name = "_" + name

    def __init__(self, typ, default=None):
        self.typ, self.default = typ, default

    def __get__(self, obj, owner=None):
        return self if obj is None else obj.__dict__.get(self.name, self.default)

    def __set__(self, obj, value):
        obj.__dict__[self.name] = self.typ(value)


def model_for(table, spec):
    """make @dataclass-free ORM class + its row dataclass"""
    model = type(table.title(), (), {k: Column(t) for k, t in spec.items()})
    row = dataclass(type(table.title() + "Row", (), {
        "__annotations__": {**spec, "tags": list}, "tags": field(default_factory=list)}))
    return model, row


def bench_hydrate_user(b):
    """Bad: generates the model class and its dataclass for each hydrated row."""
    spec = {"id": int, "name": str, "age": int, "email": str}
    raw = {"id": "7", "name": "Ada", "age": "36", "email": "ada@example.org"}
    for _ in b.loop():
        User, UserRow = model_for("user", spec)
        u = User()
        for k, v in raw.items():
            setattr(u, k, v)
        row = UserRow(u.id, u.name, u.age, u.email)
    assert row.age == 36


async def _fetch_profile(uid):
    await asyncio.sleep(0)
    return {"id": uid, "plan": "pro"}


def bench_async_profile(b):
    """Bad: every call makes and closes an event loop (selector, self-pipe) for one trivial coroutine; the server runs one loop."""
    for _ in b.loop():
        loop = asyncio.new_event_loop()
        try:
            r = loop.run_until_complete(_fetch_profile(9))
        finally:
            loop.close()
    assert r["plan"] == "pro"
