"""Micro-benchmarks whose op remakes what a service makes once at start-up."""
import argparse
import codecs
import configparser
import enum
import functools
import io
import json
import logging
import queue
import re
import sqlite3
import string
from collections import defaultdict, namedtuple
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal


class Router:
    """Small path router: patterns compiled on registration."""

    def __init__(self, prefix=""):
        self.prefix = prefix
        self.routes = []

    def add(self, method, path, handler):
        pattern = re.sub(r"<(\w+)>", r"(?P<\1>[^/]+)", self.prefix + path)
        self.routes.append((method, re.compile("^" + pattern + "$"), handler))

    def dispatch(self, method, path):
        for m, pattern, handler in self.routes:
            if m != method:
                continue
            match = pattern.match(path)
            if match:
                return handler(**match.groupdict())
        raise LookupError(path)


class EventBus:
    def __init__(self):
        self._handlers = defaultdict(list)

    def subscribe(self, topic, handler, priority=0):
        self._handlers[topic].append((priority, handler))
        self._handlers[topic].sort(key=lambda item: -item[0])

    def publish(self, topic, payload):
        count = 0
        for _, handler in self._handlers.get(topic, ()):
            handler(payload)
            count += 1
        return count


class SchemaValidator:
    TYPES = {"str": str, "int": int, "float": float, "list": list}

    def __init__(self, schema):
        self.checks = []
        for name, spec in schema.items():
            self.checks.append((
                name,
                self.TYPES[spec["type"]],
                spec.get("required", False),
                re.compile(spec["pattern"]) if "pattern" in spec else None,
                spec.get("min"),
            ))

    def validate(self, doc):
        errors = []
        for name, typ, required, pattern, minimum in self.checks:
            if name not in doc:
                if required:
                    errors.append((name, "missing"))
                continue
            value = doc[name]
            if not isinstance(value, typ):
                errors.append((name, "type"))
            elif pattern is not None and not pattern.match(value):
                errors.append((name, "pattern"))
            elif minimum is not None and value < minimum:
                errors.append((name, "min"))
        return errors


class Tokenizer:
    def __init__(self, rules, keywords=()):
        self.keywords = frozenset(keywords)
        self.master = re.compile("|".join(f"(?P<{n}>{p})" for n, p in rules))

    def tokenize(self, text):
        for m in self.master.finditer(text):
            kind = m.lastgroup
            if kind == "WS":
                continue
            if kind == "NAME" and m.group() in self.keywords:
                kind = "KEYWORD"
            yield kind, m.group()


class StateMachine:
    def __init__(self, initial):
        self.initial = initial
        self.transitions = {}

    def add_transition(self, source, event, target):
        self.transitions[source, event] = target

    def run(self, events):
        state = self.initial
        for event in events:
            state = self.transitions[state, event]
        return state


class TemplateEngine:
    def __init__(self, filters=None):
        self.filters = dict(filters or {})
        self.templates = {}

    def register_filter(self, name, func):
        self.filters[name] = func

    def add_template(self, name, source):
        parts = []
        for i, chunk in enumerate(re.split(r"\{\{(.*?)\}\}", source)):
            if i % 2:
                var, *filters = [p.strip() for p in chunk.split("|")]
                parts.append((var, filters))
            else:
                parts.append(chunk)
        self.templates[name] = parts

    def render(self, name, **ctx):
        out = []
        for part in self.templates[name]:
            if isinstance(part, str):
                out.append(part)
            else:
                value = ctx[part[0]]
                for f in part[1]:
                    value = self.filters[f](value)
                out.append(str(value))
        return "".join(out)


class ConnectionPool:
    def __init__(self, factory, size):
        self.factory = factory
        self.size = size
        self._idle = queue.LifoQueue(size)

    def warm_up(self):
        while not self._idle.full():
            self._idle.put(self.factory())

    def acquire(self):
        return self._idle.get_nowait()

    def release(self, conn):
        self._idle.put_nowait(conn)

    def close(self):
        while not self._idle.empty():
            self._idle.get_nowait().close()


class TTLCache:
    def __init__(self, maxsize=256):
        self.maxsize = maxsize
        self._data = {}
        self.hits = self.misses = 0

    def set(self, key, value):
        if len(self._data) >= self.maxsize:
            self._data.pop(next(iter(self._data)))
        self._data[key] = value

    def get(self, key):
        if key in self._data:
            self.hits += 1
            return self._data[key]
        self.misses += 1
        return None


def bench_sqlite_insert_select(b):
    """Bad: opens an in-memory database and creates its table in every op; a service opens it once."""
    rows = [(i, f"user{i}", i * 1.5) for i in range(10)]
    for _ in b.loop():
        conn = sqlite3.connect(":memory:")
        conn.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, score REAL)")
        conn.execute("CREATE INDEX ix_name ON users (name)")
        conn.executemany("INSERT INTO users VALUES (?, ?, ?)", rows)
        conn.execute("SELECT score FROM users WHERE name = ?", ("user7",)).fetchone()
        conn.close()


def bench_argparse_parse(b):
    """Bad: builds the argument parser each time; the parse_args call is a small part of the op."""
    argv = ["--host", "localhost", "--port", "9000", "-v", "serve"]
    for _ in b.loop():
        parser = argparse.ArgumentParser(prog="svc", description="service runner")
        parser.add_argument("command", choices=["serve", "migrate", "shell"])
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("-v", "--verbose", action="count", default=0)
        args = parser.parse_args(argv)
        assert args.port == 9000


def bench_namedtuple_points(b):
    """Bad: makes the namedtuple class in the op; class creation dwarfs the two instances."""
    for _ in b.loop():
        Point = namedtuple("Point", ["x", "y", "z"])
        p = Point(1, 2, 3)
        q = p._replace(x=10)
        q.x + p.y


def bench_dataclass_order(b):
    """Bad: the dataclass is defined (and its methods exec'd) in the op, then instantiated once."""
    for _ in b.loop():
        @dataclass(order=True)
        class Order:
            id: int
            customer: str
            lines: list = field(default_factory=list)

        order = Order(1, "acme")
        order.lines.append(("sku-1", 3))
        order == Order(2, "acme")


def bench_enum_lookup(b):
    """Bad: creates the Enum type in each op before looking up two members."""
    names = ["PENDING", "PAID", "SHIPPED", "DELIVERED", "CANCELLED"]
    for _ in b.loop():
        Status = enum.Enum("Status", names)
        s = Status["SHIPPED"]
        Status(s.value).name.lower()


def bench_string_template_subclass(b):
    """Bad: defines a Template subclass (compiling its pattern) and the template itself for one render."""
    values = {"user_name": "Ann", "order_id": "A-17", "total": "12.50"}
    for _ in b.loop():
        class MailTemplate(string.Template):
            delimiter = "%"
            idpattern = r"[a-z]+_?[a-z]*"

        tmpl = MailTemplate("Dear %user_name, your order %order_id of %total has shipped.")
        body = tmpl.substitute(values)
        body.encode("utf-8")


def bench_lru_cache_fib(b):
    """Bad: wraps a fresh lru_cache every time so the cache is always cold."""
    for _ in b.loop():
        @functools.lru_cache(maxsize=128)
        def fib(n):
            return n if n < 2 else fib(n - 1) + fib(n - 2)

        fib(30)
        fib(25)


def bench_prometheus_counter(b):
    """Bad: new registry and Counter per op; a process registers its metrics once, then increments."""
    from prometheus_client import CollectorRegistry, Counter
    for _ in b.loop():
        registry = CollectorRegistry()
        c = Counter("http_requests", "Requests served", ["method", "code"], registry=registry)
        c.labels("GET", "200").inc()
        c.labels("POST", "500").inc()


def bench_logger_info(b):
    """Bad: builds logger, handler and formatter in each op to emit one or two records."""
    for _ in b.loop():
        stream = io.StringIO()
        logger = logging.Logger("svc", level=logging.INFO)
        handler = logging.StreamHandler(stream)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
        logger.addHandler(handler)
        logger.info("request %s took %d ms", "/users", 12)
        logger.warning("slow query: %s", "select 1")


def bench_thread_pool_map(b):
    """Bad: starts and shuts down a ThreadPoolExecutor for one small map; services keep the pool."""
    items = list(range(8))
    for _ in b.loop():
        with ThreadPoolExecutor(max_workers=2) as pool:
            squares = list(pool.map(lambda n: n * n, items))
        sum(squares)


def bench_router_dispatch(b):
    """Bad: registers all routes in every op, then dispatches a single request."""
    config = [("GET", "/users", lambda: "list"),
              ("POST", "/users", lambda: "create"),
              ("GET", "/users/<uid>", lambda uid: uid),
              ("GET", "/users/<uid>/posts/<pid>", lambda uid, pid: (uid, pid)),
              ("DELETE", "/users/<uid>", lambda uid: None)]
    for _ in b.loop():
        router = Router(prefix="/api")
        for method, path, handler in config:
            router.add(method, path, handler)
        router.dispatch("GET", "/api/users/42/posts/7")


def bench_event_bus_publish(b):
    """Bad: rebuilds the bus and its subscriptions for each pair of published events."""
    seen = []
    for _ in b.loop():
        bus = EventBus()
        for topic in ("user.created", "user.deleted", "order.paid"):
            bus.subscribe(topic, lambda payload: None)
            bus.subscribe(topic, lambda payload: seen.clear(), priority=5)
        bus.publish("user.created", {"id": 1})
        bus.publish("order.paid", {"id": 9, "total": 3})


def bench_validator_check(b):
    """Bad: compiles the schema validator from its dict each time to check one document."""
    schema = {
        "name": {"type": "str", "required": True, "pattern": r"^[A-Za-z ]+$"},
        "email": {"type": "str", "required": True, "pattern": r"^[^@\s]+@[^@\s]+$"},
        "age": {"type": "int", "min": 0},
        "tags": {"type": "list"},
    }
    doc = {"name": "Ann Lee", "email": "ann@example.org", "age": 31, "tags": []}
    for _ in b.loop():
        validator = SchemaValidator(schema)
        errors = validator.validate(doc)
        assert not errors


def bench_tokenizer_regex_cold(b):
    """Bad: purges the re cache and recompiles the token regex before tokenizing one line."""
    rules = [("NUM", r"\d+(?:\.\d+)?"), ("NAME", r"[A-Za-z_]\w*"),
             ("OP", r"[-+*/=<>()]"), ("WS", r"\s+")]
    for _ in b.loop():
        re.purge()
        tok = Tokenizer(rules, keywords=["if", "else", "return"])
        tokens = list(tok.tokenize("if x1 > 3.5 return (y + 2) * z"))
        len(tokens)


def bench_state_machine_and_template(b):
    """Bad: sets up the engine, its filters and templates and the workflow each time, uses each once."""
    edges = [("new", "pay", "paid"), ("paid", "ship", "shipped"),
             ("shipped", "deliver", "done"), ("new", "cancel", "cancelled")]
    for _ in b.loop():
        fsm = StateMachine("new")
        for source, event, target in edges:
            fsm.add_transition(source, event, target)
        engine = TemplateEngine()
        engine.register_filter("upper", str.upper)
        engine.register_filter("trim", str.strip)
        engine.add_template("status", "<p>Order {{ oid }} is {{ state | trim | upper }}</p>")
        engine.render("status", oid=12, state=fsm.run(["pay", "ship", "deliver"]))


def bench_config_singledispatch(b):
    """Bad: parses the app config and registers singledispatch handlers in the op for three calls."""
    text = "[server]\nhost = localhost\nport = 8080\n[db]\nurl = sqlite://\npool = 5\n"
    for _ in b.loop():
        cfg = configparser.ConfigParser()
        cfg.read_string(text)

        @functools.singledispatch
        def encode(value):
            return str(value)

        encode.register(int, lambda v: v.to_bytes(4, "big"))
        encode.register(list, lambda v: [encode(x) for x in v])
        encode(cfg.getint("server", "port"))
        encode([1, "a", 2.5])


def bench_pool_and_cache_warmup(b):
    """Bad: fills a connection pool and a cache in each op and then takes one thing out of each."""
    for _ in b.loop():
        pool = ConnectionPool(lambda: sqlite3.connect(":memory:"), size=3)
        pool.warm_up()
        cache = TTLCache(maxsize=64)
        for i in range(50):
            cache.set(f"key:{i}", i)
        conn = pool.acquire()
        conn.execute("SELECT ?", (cache.get("key:33"),)).fetchone()
        pool.release(conn)
        pool.close()


def bench_json_encoder_registry(b):
    """Bad: defines a JSONEncoder subclass, its type registry and a codec table to encode one payload."""
    payload = {"at": datetime(2024, 1, 2, 3, 4), "day": date(2024, 1, 2), "price": Decimal("9.99")}
    for _ in b.loop():
        class ApiEncoder(json.JSONEncoder):
            registry = {}

            def default(self, o):
                return self.registry[type(o)](o)

        ApiEncoder.registry[datetime] = datetime.isoformat
        ApiEncoder.registry[date] = date.isoformat
        ApiEncoder.registry[Decimal] = str
        table = codecs.make_encoding_map(codecs.make_identity_dict(range(256)))
        text = ApiEncoder(sort_keys=True).encode(payload)
        codecs.charmap_encode(text, "strict", table)
