"""Benchmarks whose op builds anew what a real service builds once at start-up."""
import bisect
import collections
import configparser
import dataclasses
import functools
import gettext
import heapq
import io
import itertools
import logging
import mimetypes
import re
import sqlite3
import string
import struct
from concurrent.futures import ThreadPoolExecutor


# --------------------------------------------------------------------------
# small service classes
# --------------------------------------------------------------------------

class PathRouter:
    def __init__(self, prefix=""):
        self.prefix = prefix
        self._routes = []

    def add(self, method, pattern, handler):
        rx = re.sub(r"<(\w+)>", r"(?P<\1>[^/]+)", self.prefix + pattern)
        self._routes.append((method, re.compile("^" + rx + "$"), handler))

    def route(self, pattern, method="GET"):
        def deco(fn):
            self.add(method, pattern, fn)
            return fn
        return deco

    def dispatch(self, method, path):
        for m, rx, handler in self._routes:
            if m == method:
                match = rx.match(path)
                if match:
                    return handler(**match.groupdict())
        return 404


class SchemaValidator:
    def __init__(self, schema):
        self._checks = []
        for field, spec in schema.items():
            typ = {"int": int, "str": str, "float": float}[spec["type"]]
            rx = re.compile(spec["pattern"]) if "pattern" in spec else None
            self._checks.append((field, typ, rx, spec.get("required", False)))

    def errors(self, doc):
        out = []
        for field, typ, rx, required in self._checks:
            if field not in doc:
                if required:
                    out.append((field, "missing"))
            elif not isinstance(doc[field], typ):
                out.append((field, "type"))
            elif rx is not None and not rx.match(doc[field]):
                out.append((field, "pattern"))
        return out


class RecordPacker:
    """Binary serializer: the layout is worked out from a field list."""

    _CODES = {"u8": "B", "u16": "H", "u32": "I", "f64": "d"}

    def __init__(self, fields):
        self._names = [name for name, _ in fields]
        self._struct = struct.Struct("<" + "".join(self._CODES[t] for _, t in fields))

    def dumps(self, record):
        return self._struct.pack(*(record[n] for n in self._names))


class Container:
    def __init__(self):
        self._factories = {}
        self._singletons = {}

    def register(self, name, factory, singleton=False):
        self._factories[name] = (factory, singleton)
        return self

    def resolve(self, name):
        if name in self._singletons:
            return self._singletons[name]
        factory, singleton = self._factories[name]
        obj = factory(self)
        if singleton:
            self._singletons[name] = obj
        return obj


class EventBus:
    def __init__(self):
        self._subs = collections.defaultdict(list)

    def on(self, topic, priority=0):
        def deco(fn):
            bisect.insort(self._subs[topic], (priority, len(self._subs[topic]), fn))
            return fn
        return deco

    def emit(self, topic, payload):
        return [fn(payload) for _, _, fn in self._subs[topic]]


class JobScheduler:
    def __init__(self, clock):
        self._clock = clock
        self._seq = itertools.count()
        self._heap = []
        self._started = False

    def every(self, seconds, job):
        heapq.heappush(self._heap, (self._clock() + seconds, next(self._seq), seconds, job))

    def __enter__(self):
        self._started = True
        return self

    def __exit__(self, *exc):
        self._started = False
        self._heap.clear()

    def run_pending(self, now):
        ran = 0
        while self._heap and self._heap[0][0] <= now:
            due, seq, seconds, job = heapq.heappop(self._heap)
            job()
            ran += 1
            heapq.heappush(self._heap, (due + seconds, seq, seconds, job))
        return ran


class RuleEngine:
    def __init__(self):
        self._rules = []

    def load(self, text):
        for line in text.splitlines():
            cond, _, action = line.partition("=>")
            self._rules.append((compile(cond.strip(), "<rule>", "eval"), action.strip()))
        return self

    def evaluate(self, facts):
        return [a for code, a in self._rules if eval(code, {"__builtins__": {}}, facts)]


class WordPieceTokenizer:
    def __init__(self, vocab, unk="[UNK]"):
        self._ids = {tok: i for i, tok in enumerate(vocab)}
        self._unk = self._ids[unk]
        self._max = max(map(len, vocab))

    def encode(self, text):
        ids = []
        for word in text.lower().split():
            pos = 0
            while pos < len(word):
                for end in range(min(len(word), pos + self._max), pos, -1):
                    piece = word[pos:end] if pos == 0 else "##" + word[pos:end]
                    if piece in self._ids:
                        ids.append(self._ids[piece])
                        pos = end
                        break
                else:
                    ids.append(self._unk)
                    break
        return ids


class ApiClient:
    def __init__(self, transport, base_url, retries=2):
        self._transport = transport
        self._base = base_url.rstrip("/")
        self._retries = retries
        self._headers = {"User-Agent": "bench/1.0", "Accept": "application/json"}
        self._hooks = []

    def set_token(self, token):
        self._headers["Authorization"] = "Bearer " + token

    def add_hook(self, fn):
        self._hooks.append(fn)

    def get(self, path):
        for _ in range(self._retries + 1):
            status, body = self._transport("GET", self._base + path, self._headers)
            if status < 500:
                for hook in self._hooks:
                    body = hook(body)
                return body
        raise RuntimeError("gave up")


def create_app_logger(stream):
    """Module-level factory, as found in many app.py files."""
    logger = logging.Logger("orders", logging.INFO)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    logger.addHandler(handler)
    return logger


# --------------------------------------------------------------------------
# standard library
# --------------------------------------------------------------------------

def bench_sqlite_user_lookup(b):
    """Bad: each lookup connects, makes the schema and fills it; a service keeps its database."""
    users = [(i, "user%d" % i, "user%d@example.org" % i) for i in range(50)]
    for _ in b.loop():
        conn = sqlite3.connect(":memory:")
        conn.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, email TEXT)")
        conn.execute("CREATE INDEX users_name ON users (name)")
        conn.executemany("INSERT INTO users VALUES (?, ?, ?)", users)
        row = conn.execute("SELECT email FROM users WHERE name = ?", ("user17",)).fetchone()
        conn.close()


def bench_logger_info(b):
    """Bad: the logger, handler and formatter are made per line logged, not once at start-up."""
    sink = io.StringIO()
    for _ in b.loop():
        log = create_app_logger(sink)
        log.info("order %d accepted in %.2f ms", 4711, 3.25)


def bench_thread_pool_map(b):
    """Bad: a pool is started and joined for each batch; a service keeps one executor."""
    batch = ["payload-%d" % i for i in range(16)]
    for _ in b.loop():
        with ThreadPoolExecutor(max_workers=2) as pool:
            lengths = list(pool.map(len, batch))
            total = sum(lengths)


def bench_dataclass_row(b):
    """Bad: the row class is generated (exec) for every row instead of once per table."""
    columns = [("id", int), ("sku", str), ("price", float), ("stock", int)]
    row = (12, "AB-9", 19.5, 3)
    for _ in b.loop():
        Row = dataclasses.make_dataclass("Row", columns, frozen=True)
        item = Row(*row)
        value = item.price * item.stock


def bench_config_lookup(b):
    """Bad: the ini text is parsed for each option read; an application reads its config once."""
    text = "\n".join(
        "[section%d]\nhost = node%d\nport = %d\ndebug = no\n" % (i, i, 8000 + i) for i in range(12)
    )
    for _ in b.loop():
        cfg = configparser.ConfigParser()
        cfg.read_string(text)
        port = cfg.getint("section7", "port")
        debug = cfg.getboolean("section7", "debug")


def bench_guess_mimetype(b):
    """Bad: a MimeTypes table is built and extended per file served."""
    extra = [("application/wasm", ".wasm"), ("font/woff2", ".woff2"), ("text/markdown", ".md")]
    for _ in b.loop():
        table = mimetypes.MimeTypes()
        for ctype, ext in extra:
            table.add_type(ctype, ext)
        guessed, encoding = table.guess_type("assets/fonts/inter.woff2")


def _make_catalog(messages):
    ids = strs = b""
    offsets = []
    for key in sorted(messages):
        k, v = key.encode(), messages[key].encode()
        offsets.append((len(ids), len(k), len(strs), len(v)))
        ids += k + b"\0"
        strs += v + b"\0"
    keystart = 7 * 4 + 16 * len(offsets)
    valuestart = keystart + len(ids)
    koff, voff = [], []
    for o1, l1, o2, l2 in offsets:
        koff += [l1, o1 + keystart]
        voff += [l2, o2 + valuestart]
    head = struct.pack("<7I", 0x950412DE, 0, len(offsets), 28, 28 + len(offsets) * 8, 0, 0)
    return head + struct.pack("<%dI" % len(koff + voff), *(koff + voff)) + ids + strs


def bench_gettext_translate(b):
    """Bad: the .mo catalogue is parsed for every string translated."""
    msgs = {"": "Content-Type: text/plain; charset=UTF-8\n"}
    msgs.update(("message %d" % i, "Nachricht %d" % i) for i in range(60))
    mo = _make_catalog(msgs)
    for _ in b.loop():
        text = gettext.GNUTranslations(io.BytesIO(mo)).gettext("message 31")
        shown = text.upper()


def bench_scanner_expression(b):
    """Bad: re.Scanner compiles its lexicon (not cached by re) for each expression scanned."""
    lexicon = [
        (r"\d+\.\d*", lambda s, t: ("FLOAT", float(t))),
        (r"\d+", lambda s, t: ("INT", int(t))),
        (r"[A-Za-z_]\w*", lambda s, t: ("NAME", t)),
        (r"[-+*/()=]", lambda s, t: ("OP", t)),
        (r"\s+", None),
    ]
    for _ in b.loop():
        tokens, rest = re.Scanner(lexicon).scan("total = price * 1.19 + shipping - 5")
        names = [t for kind, t in tokens if kind == "NAME"]


def bench_prometheus_counter_inc(b):
    """Bad: registry and counter are registered per increment; a process registers them at import."""
    from prometheus_client import CollectorRegistry, Counter
    for _ in b.loop():
        registry = CollectorRegistry()
        requests = Counter("http_requests", "Requests", ["method", "code"], registry=registry)
        requests.labels("GET", "200").inc()


# --------------------------------------------------------------------------
# service classes
# --------------------------------------------------------------------------

def bench_router_dispatch(b):
    """Bad: the route table is declared (decorators, regex compile) for every request dispatched."""
    for _ in b.loop():
        app = PathRouter("/api")

        @app.route("/users/<uid>")
        def user(uid):
            return uid

        @app.route("/users/<uid>/orders/<oid>")
        def order(uid, oid):
            return uid, oid

        @app.route("/health")
        def health():
            return "ok"

        response = app.dispatch("GET", "/api/users/42/orders/7")


def bench_validate_payload(b):
    """Bad: the schema is compiled into checks for each document validated."""
    schema = {
        "id": {"type": "int", "required": True},
        "email": {"type": "str", "pattern": r"[^@]+@[^@]+\.\w+", "required": True},
        "name": {"type": "str"},
        "score": {"type": "float"},
    }
    doc = {"id": 5, "email": "a@example.org", "name": "Ann", "score": 0.5}
    for _ in b.loop():
        errors = SchemaValidator(schema).errors(doc)
        ok = not errors


def bench_pack_record(b):
    """Bad: the binary layout is worked out afresh for each record packed."""
    fields = [("ts", "f64"), ("sensor", "u16"), ("flags", "u8"), ("value", "f64"), ("seq", "u32")]
    record = {"ts": 1.7e9, "sensor": 12, "flags": 3, "value": 21.5, "seq": 99}

    def encode(rec):
        packer = RecordPacker(fields)
        return packer.dumps(rec)

    for _ in b.loop():
        data = encode(record)
        size = len(data)


def bench_container_resolve(b):
    """Bad: the dependency container is wired for each resolve, so singletons are never reused."""
    for _ in b.loop():
        services = (
            Container()
            .register("settings", lambda c: {"dsn": "mem://", "ttl": 30}, singleton=True)
            .register("repo", lambda c: ("repo", c.resolve("settings")["dsn"]), singleton=True)
            .register("handler", lambda c: ("handler", c.resolve("repo")))
        )
        handler = services.resolve("handler")


def bench_event_bus_emit(b):
    """Bad: bus and twenty subscribers are set up for one event; subscriptions happen at start-up."""
    listeners = [functools.partial(lambda k, ev: ev["n"] + k, k) for k in range(20)]
    for _ in b.loop():
        bus = EventBus()
        for prio, fn in enumerate(listeners):
            bus.on("order.created", priority=prio)(fn)
        results = bus.emit("order.created", {"n": 1})


def bench_scheduler_tick(b):
    """Bad: the scheduler is opened, given its jobs and closed for a single tick."""
    counter = collections.Counter()
    jobs = [(s, functools.partial(counter.update, ["job%d" % s])) for s in (1, 5, 10, 30, 60)]
    for _ in b.loop():
        with JobScheduler(clock=lambda: 0.0) as sched:
            for seconds, job in jobs:
                sched.every(seconds, job)
            ran = sched.run_pending(now=12.0)


def bench_rules_evaluate(b):
    """Bad: the rule file is compiled for every set of facts evaluated."""
    rules = "\n".join([
        "amount > 1000 => review",
        "country not in ('DE', 'FR') => foreign",
        "age_days < 3 and amount > 200 => new_account",
        "retries >= 3 => block",
    ])
    facts = {"amount": 1500, "country": "US", "age_days": 2, "retries": 0}
    for _ in b.loop():
        actions = RuleEngine().load(rules).evaluate(facts)
        flagged = "review" in actions


def bench_tokenizer_encode(b):
    """Bad: the vocabulary index is built for each sentence encoded."""
    letters = string.ascii_lowercase
    vocab = ["[UNK]"] + list(letters) + ["##" + c for c in letters]
    vocab += [x + y for x in letters for y in letters] + ["the", "fox", "dog", "##ing"]
    for _ in b.loop():
        tok = WordPieceTokenizer(vocab)
        ids = tok.encode("the quick brown fox jumping over the lazy dog")


def bench_client_get(b):
    """Bad: client, token and hooks are set up per GET; applications keep one client."""
    def transport(method, url, headers):
        return 200, {"url": url, "auth": headers["Authorization"]}

    for _ in b.loop():
        client = ApiClient(transport, "https://api.example.org/v1/", retries=1)
        client.set_token("s3cret")
        client.add_hook(lambda body: dict(body, seen=True))
        client.add_hook(lambda body: {k: v for k, v in body.items() if k != "auth"})
        body = client.get("/items/3")
