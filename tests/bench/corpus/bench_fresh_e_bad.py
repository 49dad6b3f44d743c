"""Micro-benchmarks whose op rebuilds what a service builds once (all bad)."""
import argparse
import configparser
import contextlib
import dataclasses
import enum
import functools
import gettext
import io
import json
import logging
import logging.config
import re
import sqlite3
import string
import struct
import urllib.request
import urllib.response
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from email.message import Message


# ---------------------------------------------------------------- services

class Router:
    """Path router; compiles its routes into one regex at the first match."""

    def __init__(self):
        self._routes = []
        self._matcher = None

    def add(self, method, template, handler):
        self._routes.append((method, template, handler))
        self._matcher = None
        return self

    def _build(self):
        by_method = {}
        for method, template, handler in self._routes:
            by_method.setdefault(method, []).append((template, handler))
        matcher = {}
        for method, entries in by_method.items():
            pieces, handlers = [], []
            for i, (template, handler) in enumerate(entries):
                body = "/".join(
                    "([^/]+)" if seg.startswith("{") else re.escape(seg)
                    for seg in template.split("/"))
                pieces.append("(?P<r%d>%s)" % (i, body))
                names = [s[1:-1] for s in template.split("/")
                         if s.startswith("{")]
                handlers.append((handler, names))
            matcher[method] = (re.compile("^(?:" + "|".join(pieces) + ")$"),
                               handlers)
        return matcher

    def match(self, method, path):
        if self._matcher is None:
            self._matcher = self._build()
        regex, handlers = self._matcher[method]
        m = regex.match(path)
        if m is None:
            return None
        handler, names = handlers[int(m.lastgroup[1:])]
        values = m.groups()[m.lastindex:]
        return handler, dict(zip(names, values))


@dataclasses.dataclass
class Address:
    street: str
    city: str
    zip_code: str


@dataclasses.dataclass
class Customer:
    id: int
    name: str
    address: Address
    tags: list = dataclasses.field(default_factory=list)


class Serializer:
    """Dataclass to dict; the plan for the fields is made at first use."""

    def __init__(self, cls, rename=str.lower):
        self.cls = cls
        self.rename = rename

    @functools.cached_property
    def plan(self):
        steps = []
        for f in dataclasses.fields(self.cls):
            if dataclasses.is_dataclass(f.type):
                nested = Serializer(f.type, self.rename)
                nested.plan
                steps.append((f.name, self.rename(f.name), nested.dump))
            elif f.type is list:
                steps.append((f.name, self.rename(f.name), list))
            else:
                steps.append((f.name, self.rename(f.name), f.type))
        source = "def dump(o, c):\n    return {%s}\n" % ", ".join(
            "%r: c[%d](o.%s)" % (out, i, name)
            for i, (name, out, _) in enumerate(steps))
        space = {}
        exec(compile(source, "<serializer>", "exec"), space)
        return space["dump"], tuple(step[2] for step in steps)

    def dump(self, obj):
        func, converters = self.plan
        return func(obj, converters)


class PairTokenizer:
    """A small byte-pair tokenizer: ranks and the byte table come in __init__."""

    def __init__(self, merges, specials=("<s>", "</s>")):
        self.ids = {bytes([i]): i for i in range(256)}
        self.ranks = {}
        for rank, (left, right) in enumerate(merges):
            self.ranks[left, right] = rank
            self.ids.setdefault(left + right, len(self.ids))
        for special in specials:
            self.ids[special] = len(self.ids)
        self.names = {i: t for t, i in self.ids.items()}

    def encode(self, text):
        parts = [bytes([c]) for c in text.encode()]
        while len(parts) > 1:
            best = min(range(len(parts) - 1), key=lambda i: self.ranks.get(
                (parts[i], parts[i + 1]), 1 << 30))
            if (parts[best], parts[best + 1]) not in self.ranks:
                break
            parts[best:best + 2] = [parts[best] + parts[best + 1]]
        return [self.ids[p] for p in parts]

    def decode(self, ids):
        return b"".join(self.names[i] for i in ids).decode()


class SchemaValidator:
    """Validator compiled out of a JSON-schema-like dict."""

    TYPES = {"string": str, "integer": int, "array": list, "object": dict}

    def __init__(self, schema):
        self._check = self._compile(schema)

    def _compile(self, schema):
        checks = []
        kind = self.TYPES[schema["type"]]
        checks.append(lambda v: isinstance(v, kind))
        if "pattern" in schema:
            search = re.compile(schema["pattern"]).search
            checks.append(lambda v: search(v) is not None)
        if "minimum" in schema:
            low = schema["minimum"]
            checks.append(lambda v: v >= low)
        if "enum" in schema:
            allowed = frozenset(schema["enum"])
            checks.append(lambda v: v in allowed)
        if "items" in schema:
            item = self._compile(schema["items"])
            checks.append(lambda v: all(map(item, v)))
        if "properties" in schema:
            props = {k: self._compile(s)
                     for k, s in schema["properties"].items()}
            required = frozenset(schema.get("required", ()))
            checks.append(lambda v: required <= v.keys())
            checks.append(lambda v: all(
                check(v[k]) for k, check in props.items() if k in v))
        return lambda v: all(check(v) for check in checks)

    def is_valid(self, value):
        return self._check(value)


class Metrics:
    """Counters and histograms by name and labels, made at first touch."""

    BUCKETS = tuple(0.001 * 2 ** i for i in range(14))

    def __init__(self, namespace):
        self.namespace = namespace
        self.counters = {}
        self.histograms = {}

    def inc(self, name, **labels):
        key = (self.namespace + "_" + name, tuple(sorted(labels.items())))
        self.counters[key] = self.counters.get(key, 0) + 1

    def observe(self, name, value):
        hist = self.histograms.get(name)
        if hist is None:
            hist = self.histograms[name] = {le: 0 for le in self.BUCKETS}
        for le in hist:
            if value <= le:
                hist[le] += 1


class EventBus:
    """Topics with wildcards; the handlers of a topic are resolved lazily."""

    def __init__(self):
        self._subs = []
        self._resolved = {}

    def subscribe(self, pattern, handler):
        regex = re.compile(
            "^" + re.escape(pattern).replace(r"\*", "[^.]+") + "$")
        self._subs.append((regex, handler))
        self._resolved.clear()

    def publish(self, topic, payload):
        handlers = self._resolved.get(topic)
        if handlers is None:
            handlers = self._resolved[topic] = [
                h for regex, h in self._subs if regex.match(topic)]
        return [h(payload) for h in handlers]


class Container:
    """Dependency injection: singletons are wired at the first resolve."""

    def __init__(self):
        self._factories = {}
        self._singletons = {}

    def register(self, name, factory):
        self._factories[name] = factory

    def __getitem__(self, name):
        if name not in self._singletons:
            self._singletons[name] = self._factories[name](self)
        return self._singletons[name]


class OrderService:
    def __init__(self, bus, metrics):
        self.bus = bus
        self.metrics = metrics

    def place(self, order):
        self.metrics.inc("orders", region=order["region"])
        self.metrics.observe("total", order["total"] / 1000)
        return self.bus.publish("order.placed", order)


class MemoryHandler(urllib.request.BaseHandler):
    """Opener for mem:// addresses: answers out of memory."""

    def mem_open(self, request):
        headers = Message()
        headers["Content-Type"] = "application/json"
        body = io.BytesIO(json.dumps({"path": request.selector}).encode())
        return urllib.response.addinfourl(body, headers, request.full_url, 200)


# ----------------------------------------------------------------- helpers

def parse_command(argv):
    parser = argparse.ArgumentParser(prog="deploy", add_help=False)
    parser.add_argument("--verbose", "-v", action="count", default=0)
    sub = parser.add_subparsers(dest="command", required=True)
    push = sub.add_parser("push", add_help=False)
    push.add_argument("target", choices=["staging", "prod"])
    push.add_argument("--replicas", type=int, default=1)
    push.add_argument("--label", action="append", default=[])
    pull = sub.add_parser("pull", add_help=False)
    pull.add_argument("target")
    return parser.parse_args(argv)


def validate_document(schema, document):
    validator = SchemaValidator(schema)
    if not validator.is_valid(document):
        raise ValueError("invalid document")
    return document["name"]


def build_mo(messages):
    """Bytes of a .mo catalogue."""
    keys = sorted(messages)
    ids = b"".join(k.encode() + b"\0" for k in keys)
    texts = b"".join(messages[k].encode() + b"\0" for k in keys)
    n = len(keys)
    base = 28 + 16 * n
    id_table, text_table, i, t = [], [], base, base + len(ids)
    for k in keys:
        lk, lt = len(k.encode()), len(messages[k].encode())
        id_table += [lk, i]
        text_table += [lt, t]
        i += lk + 1
        t += lt + 1
    head = struct.pack("<7I", 0x950412DE, 0, n, 28, 28 + 8 * n, 0, base)
    table = struct.pack("<%dI" % (4 * n), *id_table, *text_table)
    return head + table + ids + texts


# -------------------------------------------------------------- benchmarks

def bench_log_line_patterns(b):
    """Bad: the cache of re is purged, so three patterns compile each time for one line."""
    line = '10.1.2.3 - bob [12/Mar/2024:10:11:12 +0000] "GET /a/b?x=1 HTTP/1.1" 200 512'
    for _ in b.loop():
        re.purge()
        head = re.compile(r"^(?P<ip>\d+(?:\.\d+){3}) \S+ (?P<user>\S+)")
        request = re.compile(r'"(?P<verb>[A-Z]+) (?P<path>[^ "]+) HTTP/[\d.]+"')
        tail = re.compile(r"(?P<status>\d{3}) (?P<size>\d+|-)$")
        user = head.match(line)["user"]
        path = request.search(line)["path"]
        status = int(tail.search(line)["status"])
        (user, path, status)


def bench_scan_expression(b):
    """Bad: the re.Scanner (never cached by re) is compiled anew to scan one short text."""
    source = "total = price * (1 + rate) - 12.5"
    for _ in b.loop():
        tokens, rest = re.Scanner([
            (r"[A-Za-z_]\w*", lambda s, t: ("NAME", t)),
            (r"\d+\.\d+", lambda s, t: ("FLOAT", float(t))),
            (r"\d+", lambda s, t: ("INT", int(t))),
            (r"[-+*/=()]", lambda s, t: ("OP", t)),
            (r"\s+", None),
        ]).scan(source)
        names = [t for kind, t in tokens if kind == "NAME"]
        len(names)


def bench_mail_template(b):
    """Bad: the Template subclass (class, pattern made by __init_subclass__) is created per mail."""
    user = {"user.name": "Ada", "order.id": "1234", "order.total": "99.00"}

    def render(values):
        class DottedTemplate(string.Template):
            delimiter = "%"
            idpattern = r"[a-z]+(?:\.[a-z]+)*"

        body = DottedTemplate(
            "Dear %{user.name}, order %{order.id} for %{order.total} is away.")
        return body.substitute(values)

    for _ in b.loop():
        text = render(user)
        text.encode("utf-8")


def bench_chatops_command(b):
    """Bad: a helper of the module builds the whole argparse parser for each command line."""
    argv = ["-vv", "push", "prod", "--replicas", "3", "--label", "a=b"]
    for _ in b.loop():
        args = parse_command(argv)
        dict(label.split("=") for label in args.label)


def bench_read_settings(b):
    """Bad: configuration is parsed again for each read of a few settings."""
    text = "\n".join(
        ["[paths]", "root = /srv/app", "data = %(root)s/data",
         "cache = %(data)s/cache"]
        + ["[svc%d]\nhost = h%d\nport = %d\nretries = 3" % (i, i, 8000 + i)
           for i in range(12)])
    for _ in b.loop():
        settings = configparser.ConfigParser()
        settings.read_string(text)
        cache = settings.get("paths", "cache")
        port = settings["svc3"].getint("port")
        (cache, port)


def bench_log_request(b):
    """Bad: logging is configured again (formatter, handler) before each log record."""
    stream = io.StringIO()
    config = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {
            "format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
        "handlers": {"mem": {"class": "logging.StreamHandler",
                             "formatter": "line", "stream": stream}},
        "loggers": {"corpus_e.access": {
            "level": "INFO", "handlers": ["mem"], "propagate": False}},
    }
    for _ in b.loop():
        logging.config.dictConfig(config)
        log = logging.getLogger("corpus_e.access")
        log.info("%s %s -> %d", "GET", "/users/12", 200)
        stream.seek(0)
        stream.truncate()


def bench_dispatch_by_type(b):
    """Bad: the generic function is made and its types registered for each value list."""
    values = [1, 2.5, "text", [1, 2], {"k": 1}, None]

    def encode_all(items):
        @functools.singledispatch
        def encode(value):
            return repr(value)

        @encode.register(int)
        @encode.register(float)
        def _(value):
            return str(value)

        @encode.register(list)
        def _(value):
            return "[%s]" % ",".join(encode(v) for v in value)

        @encode.register(dict)
        def _(value):
            return "{%s}" % ",".join(
                k + ":" + encode(v) for k, v in value.items())

        return [encode(item) for item in items]

    for _ in b.loop():
        out = encode_all(values)
        ",".join(out)


def bench_rows_of_tables(b):
    """Bad: in a nested loop a namedtuple type and an Enum are created for each table."""
    tables = {
        "users": (["id", "name", "state"], [(1, "ada", "active"), (2, "bob", "idle")]),
        "jobs": (["id", "queue", "state"], [(7, "mail", "idle")]),
    }
    for _ in b.loop():
        active = []
        for table, (columns, rows) in tables.items():
            Row = namedtuple(table.title() + "Row", columns)
            State = enum.Enum("State", {"ACTIVE": "active", "IDLE": "idle"})
            for row in rows:
                record = Row._make(row)
                if State(record.state) is State.ACTIVE:
                    active.append(record)


def bench_insert_and_count(b):
    """Bad: a new database with its schema and indexes is made for two statements."""
    schema = """
        CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, email TEXT UNIQUE);
        CREATE TABLE posts (id INTEGER PRIMARY KEY, user_id INTEGER, body TEXT);
        CREATE INDEX posts_user ON posts (user_id);
        CREATE VIEW busy AS SELECT user_id, count(*) n FROM posts GROUP BY 1;
    """
    for _ in b.loop():
        with contextlib.closing(sqlite3.connect(":memory:")) as conn:
            conn.executescript(schema)
            conn.execute("INSERT INTO posts (user_id, body) VALUES (?, ?)", (1, "hi"))
            conn.execute("SELECT n FROM busy WHERE user_id = ?", (1,)).fetchone()


def bench_submit_to_pool(b):
    """Bad: a pool of threads is started and shut down around each small batch."""
    chunks = [list(range(i, i + 20)) for i in range(4)]
    for _ in b.loop():
        with ThreadPoolExecutor(max_workers=4) as pool:
            futures = [pool.submit(sum, chunk) for chunk in chunks]
            total = sum(f.result() for f in futures)
        total


def bench_price_lookup_cached(b):
    """Bad: lru_cache is wrapped round the function in the op, so each op starts with a cold cache."""
    rules = {("DE", k): 100 + k for k in range(200)}

    def price_of(country, sku):
        base = rules[country, sku]
        for percent in range(1, 40):
            base += base * percent // 10000
        return base

    basket = [3, 17, 3, 42, 17, 3, 99, 42]
    for _ in b.loop():
        lookup = functools.lru_cache(maxsize=1024)(price_of)
        sum(lookup("DE", sku) for sku in basket)


def bench_route_request(b):
    """Bad: routes are added anew and their matcher is built at the first match, for two paths."""
    templates = ["/", "/users", "/users/{id}", "/users/{id}/posts",
                 "/users/{id}/posts/{post}", "/health", "/search/{term}"]
    for _ in b.loop():
        router = Router()
        for template in templates:
            router.add("GET", template, template.upper)
        router.match("GET", "/users/42/posts/7")
        router.match("GET", "/health")


def bench_serialize_customer(b):
    """Bad: a fresh Serializer per object, so its field plan is generated and compiled each time."""
    customer = Customer(7, "Ada", Address("1 Way", "London", "N1"), ["vip", "eu"])
    for _ in b.loop():
        json.dumps(Serializer(Customer).dump(customer)).encode()


def bench_encode_prompt(b):
    """Bad: the tokenizer's rank and id tables are built for each short text."""
    merges = [(bytes([x]), bytes([y])) for x in range(97, 123) for y in range(97, 123)]
    for _ in b.loop():
        tok = PairTokenizer(merges)
        ids = tok.encode("the quick brown fox")
        tok.decode(ids)


def bench_validate_payload(b):
    """Bad: the helper compiles the validator out of the schema for each document."""
    schema = {
        "type": "object",
        "required": ["name", "age"],
        "properties": {
            "name": {"type": "string", "pattern": r"^[A-Z]\w+$"},
            "age": {"type": "integer", "minimum": 0},
            "role": {"type": "string", "enum": ["admin", "user", "guest"]},
            "scores": {"type": "array",
                       "items": {"type": "integer", "minimum": 0}},
        },
    }
    raw = '{"name": "Ada", "age": 36, "role": "admin", "scores": [1, 2, 3]}'
    for _ in b.loop():
        document = json.loads(raw)
        validate_document(schema, document)


def bench_translate_page(b):
    """Bad: the gettext catalogue is loaded per page, for three messages out of it."""
    messages = {"": "Content-Type: text/plain; charset=UTF-8\n"
                    "Plural-Forms: nplurals=2; plural=(n != 1);\n"}
    messages.update({"label %d" % i: "etikett %d" % i for i in range(120)})
    mo = build_mo(messages)
    for _ in b.loop():
        _t = gettext.GNUTranslations(io.BytesIO(mo)).gettext
        title, body = _t("label 3"), _t("label 77")
        "%s: %s (%s)" % (title, body, _t("missing"))


def bench_place_order(b):
    """Bad: container, bus and metrics are wired anew (several services as attributes) per order."""
    order = {"id": 9, "region": "eu", "total": 120}
    for _ in b.loop():
        app = Container()
        app.register("metrics", lambda c: Metrics("shop"))
        app.register("bus", lambda c: EventBus())
        app.register("orders", lambda c: OrderService(c["bus"], c["metrics"]))
        app["bus"].subscribe("order.*", lambda p: p["id"])
        app["bus"].subscribe("order.placed", lambda p: p["total"])
        app["orders"].place(order)


def bench_fetch_user(b):
    """Bad: a new urllib opener with all of its handlers is built for each request."""
    for _ in b.loop():
        opener = urllib.request.OpenerDirector()
        for handler in (urllib.request.ProxyHandler({}), urllib.request.UnknownHandler(),
                        urllib.request.HTTPCookieProcessor(),
                        urllib.request.HTTPRedirectHandler(),
                        urllib.request.HTTPDefaultErrorHandler(),
                        urllib.request.HTTPErrorProcessor(), MemoryHandler()):
            opener.add_handler(handler)
        opener.addheaders = [("User-Agent", "bench"), ("Accept", "application/json")]
        with opener.open("mem://api/users/12") as response:
            json.load(response)["path"]
