"""Micro-benchmarks that mostly time set-up work a real program does only once."""

import argparse
import asyncio
import dataclasses
import functools
import io
import logging
import mimetypes
import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal


# --------------------------------------------------------------------------
# web: URL router
# --------------------------------------------------------------------------

class Route:
    def __init__(self, method, pattern, endpoint):
        self.method = method
        self.endpoint = endpoint
        self.names = re.findall(r"<(\w+)>", pattern)
        self.segments = [s for s in pattern.split("/") if s]

    def match(self, parts):
        if len(parts) != len(self.segments):
            return None
        params = {}
        for seg, part in zip(self.segments, parts):
            if seg.startswith("<"):
                params[seg[1:-1]] = part
            elif seg != part:
                return None
        return params


class Router:
    def __init__(self):
        self._by_size = {}

    def add(self, method, pattern, endpoint):
        route = Route(method, pattern, endpoint)
        self._by_size.setdefault((method, len(route.segments)), []).append(route)

    def resolve(self, method, path):
        parts = [p for p in path.split("/") if p]
        for route in self._by_size.get((method, len(parts)), ()):
            params = route.match(parts)
            if params is not None:
                return route.endpoint, params
        raise LookupError(path)


URLS = []
for _res in ("users", "orders", "items", "carts", "teams", "invoices", "labels", "hooks"):
    URLS += [
        ("GET", f"/{_res}", f"{_res}.index"),
        ("POST", f"/{_res}", f"{_res}.create"),
        ("GET", f"/{_res}/<id>", f"{_res}.show"),
        ("DELETE", f"/{_res}/<id>", f"{_res}.delete"),
        ("GET", f"/{_res}/<id>/history", f"{_res}.history"),
    ]


def bench_router_resolve(b):
    """Bad: the whole route table is registered again for each single lookup; an app does so at start-up."""
    for _ in b.loop():
        router = Router()
        for method, pattern, endpoint in URLS:
            router.add(method, pattern, endpoint)
        endpoint, params = router.resolve("GET", "/teams/42")
        assert endpoint == "teams.show"


# --------------------------------------------------------------------------
# validation
# --------------------------------------------------------------------------

class FieldRule:
    def __init__(self, name, spec):
        self.name = name
        kind, *opts = spec.split("|")
        self.type = {"int": int, "str": str, "bool": bool, "list": list}[kind]
        self.required = "required" in opts
        self.checks = []
        for opt in opts:
            if opt.startswith("min="):
                self.checks.append(functools.partial(self._min, int(opt[4:])))
            elif opt.startswith("max="):
                self.checks.append(functools.partial(self._max, int(opt[4:])))

    @staticmethod
    def _min(n, v):
        return (len(v) if hasattr(v, "__len__") else v) >= n

    @staticmethod
    def _max(n, v):
        return (len(v) if hasattr(v, "__len__") else v) <= n


class SchemaValidator:
    def __init__(self, definition):
        self.rules = [FieldRule(k, v) for k, v in definition.items()]
        self.known = frozenset(r.name for r in self.rules)

    def is_valid(self, doc):
        if not self.known.issuperset(doc):
            return False
        for r in self.rules:
            if r.name not in doc:
                if r.required:
                    return False
                continue
            v = doc[r.name]
            if not isinstance(v, r.type) or not all(c(v) for c in r.checks):
                return False
        return True


SIGNUP = {
    "name": "str|required|min=1|max=80",
    "email": "str|required|min=5|max=200",
    "age": "int|min=0|max=150",
    "newsletter": "bool",
    "tags": "list|max=20",
    "street": "str|max=100",
    "city": "str|max=100",
    "zip": "str|min=3|max=12",
    "referrer": "str|max=300",
    "locale": "str|min=2|max=8",
}


def bench_validate_signup(b):
    """Bad: the schema is compiled anew for every document, although it is fixed for the life of the process."""
    doc = {"name": "Ada", "email": "ada@example.org", "age": 36}
    for _ in b.loop():
        SchemaValidator(SIGNUP).is_valid(doc)


# --------------------------------------------------------------------------
# templates
# --------------------------------------------------------------------------

class TemplateEnv:
    TOKEN = re.compile(r"(\{\{.*?\}\})")

    def __init__(self, sources):
        self.filters = {"upper": str.upper, "lower": str.lower, "title": str.title, "strip": str.strip}
        self.templates = {}
        for name, src in sources.items():
            self.templates[name] = self._compile(src)

    def _compile(self, src):
        nodes = []
        for chunk in self.TOKEN.split(src):
            if chunk.startswith("{{"):
                var, *filters = (x.strip() for x in chunk[2:-2].split("|"))
                nodes.append((var, [self.filters[f] for f in filters]))
            elif chunk:
                nodes.append(chunk)
        return nodes

    def render(self, name, **ctx):
        out = []
        for node in self.templates[name]:
            if isinstance(node, str):
                out.append(node)
            else:
                var, filters = node
                value = str(ctx[var])
                for f in filters:
                    value = f(value)
                out.append(value)
        return "".join(out)


TEMPLATES = {
    "base.html": "<html><head><title>{{ title | title }}</title></head><body>{{ body }}</body></html>",
    "hello.html": "<p>Hello {{ who | strip | title }}!</p>",
    "mail.txt": "Dear {{ who }},\nyour order {{ no | upper }} left on {{ day }}.\nBye, {{ shop }}\n",
    "row.html": "<tr><td>{{ a }}</td><td>{{ b | lower }}</td><td>{{ c | upper }}</td></tr>",
    "error.html": "<h1>{{ code }}</h1><p>{{ message | strip }}</p>",
}


def bench_render_hello(b):
    """Bad: creates the environment (which compiles all templates) inside the op and renders one tiny page."""
    for _ in b.loop():
        env = TemplateEnv(TEMPLATES)
        html = env.render("hello.html", who=" bob ")
    assert html == "<p>Hello Bob!</p>"


# --------------------------------------------------------------------------
# dependency injection
# --------------------------------------------------------------------------

class Clock:
    pass


class Settings:
    pass


class Mailer:
    def __init__(self, settings: Settings):
        self.settings = settings


class Repo:
    def __init__(self, settings: Settings, clock: Clock):
        self.settings, self.clock = settings, clock


class Billing:
    def __init__(self, repo: Repo, mailer: Mailer):
        self.repo, self.mailer = repo, mailer


class SignupHandler:
    def __init__(self, billing: Billing, clock: Clock):
        self.billing, self.clock = billing, clock


class Container:
    def __init__(self):
        self._factories = {}
        self._single = {}

    def register(self, cls, singleton=True):
        deps = {}
        if "__init__" in vars(cls):
            import inspect
            for name, p in list(inspect.signature(cls.__init__).parameters.items())[1:]:
                deps[name] = p.annotation
        self._factories[cls] = (deps, singleton)
        return self

    def get(self, cls):
        if cls in self._single:
            return self._single[cls]
        deps, singleton = self._factories[cls]
        obj = cls(**{k: self.get(v) for k, v in deps.items()})
        if singleton:
            self._single[cls] = obj
        return obj


def bench_di_get(b):
    """Bad: wires the complete container, with signature inspection, only to fetch one service from it."""
    for _ in b.loop():
        c = Container()
        c.register(Clock).register(Settings)
        c.register(Mailer).register(Repo)
        c.register(Billing)
        c.register(SignupHandler, singleton=False)
        c.get(SignupHandler)


# --------------------------------------------------------------------------
# state machine
# --------------------------------------------------------------------------

class StateMachine:
    def __init__(self, states, transitions, initial):
        self.states = {s: {"enter": [], "leave": []} for s in states}
        self.table = {}
        for trigger, sources, dest in transitions:
            if sources == "*":
                sources = states
            for s in sources:
                if s not in self.states or dest not in self.states:
                    raise ValueError(s)
                self.table[s, trigger] = dest
        self.initial = initial

    def next(self, state, trigger):
        return self.table[state, trigger]


STATES = ["draft", "queued", "running", "paused", "failed", "done", "archived"]
TRANSITIONS = [
    ("submit", ["draft"], "queued"),
    ("start", ["queued", "paused"], "running"),
    ("pause", ["running"], "paused"),
    ("fail", "*", "failed"),
    ("finish", ["running"], "done"),
    ("retry", ["failed"], "queued"),
    ("archive", "*", "archived"),
    ("reset", "*", "draft"),
]


def bench_fsm_step(b):
    """Bad: expands the static transition table on every iteration to make just two steps with it."""
    for _ in b.loop():
        fsm = StateMachine(STATES, TRANSITIONS, initial="draft")
        st = fsm.next(fsm.initial, "submit")
        st = fsm.next(st, "start")


# --------------------------------------------------------------------------
# tokenizer
# --------------------------------------------------------------------------

class BPETokenizer:
    """Greedy longest-match subword tokenizer."""

    def __init__(self, merges):
        self.vocab = {chr(c): c - 32 for c in range(32, 127)}
        for m in merges:
            self.vocab.setdefault(m, len(self.vocab))
        self.inverse = {i: t for t, i in self.vocab.items()}
        self.longest = max(map(len, self.vocab))

    def encode(self, text):
        ids, i = [], 0
        while i < len(text):
            for n in range(self.longest, 0, -1):
                piece = text[i:i + n]
                if piece in self.vocab:
                    ids.append(self.vocab[piece])
                    i += len(piece)
                    break
        return ids


MERGES = [a + b_ + c for a in "thaeiosn" for b_ in "aeioulr" for c in "ngstrdm"]


def bench_tokenizer_encode(b):
    """Bad: the vocabulary (some 500 entries and the inverse map) is loaded per op, to encode three words."""
    sentence = "the thing is"
    for _ in b.loop():
        tokenizer = BPETokenizer(MERGES)
        tokenizer.encode(sentence)


# --------------------------------------------------------------------------
# plug-ins
# --------------------------------------------------------------------------

class PluginManager:
    def __init__(self):
        self.hooks = {}
        self.plugins = {}

    def register(self, plugin):
        self.plugins[type(plugin).__name__] = plugin
        for attr in dir(plugin):
            if attr.startswith("on_"):
                fn = getattr(plugin, attr)
                if callable(fn):
                    self.hooks.setdefault(attr, []).append(fn)
        for fns in self.hooks.values():
            fns.sort(key=lambda f: getattr(f, "priority", 50))

    def fire(self, hook, value):
        for fn in self.hooks.get(hook, ()):
            value = fn(value)
        return value


class Strip:
    def on_line(self, v):
        return v.strip()

    def on_start(self, v):
        return v


class Lower:
    def on_line(self, v):
        return v.lower()

    def on_end(self, v):
        return v


class Collapse:
    def on_line(self, v):
        return " ".join(v.split())


def _fresh_manager():
    pm = PluginManager()
    for cls in (Strip, Lower, Collapse):
        pm.register(cls())
    return pm


def bench_hook_call(b):
    """Bad: discovery and registration of all plug-ins is hidden in a helper that runs for each hook call."""
    for _ in b.loop():
        pm = _fresh_manager()
        pm.fire("on_line", "  Some   TEXT ")


# --------------------------------------------------------------------------
# ORM
# --------------------------------------------------------------------------

class Column:
    def __init__(self, name, conv):
        self.name, self.conv = name, conv


class Mapper:
    """Maps a row to an entity and knows the table's statements."""

    def __init__(self, entity, table, **columns):
        self.entity = entity
        self.columns = [Column(n, c) for n, c in columns.items()]
        names = ", ".join(c.name for c in self.columns)
        marks = ", ".join("?" * len(self.columns))
        sets = ", ".join(f"{c.name} = ?" for c in self.columns[1:])
        self.select_sql = f"SELECT {names} FROM {table}"
        self.insert_sql = f"INSERT INTO {table} ({names}) VALUES ({marks})"
        self.update_sql = f"UPDATE {table} SET {sets} WHERE {self.columns[0].name} = ?"
        self.delete_sql = f"DELETE FROM {table} WHERE {self.columns[0].name} = ?"

    def load(self, row):
        obj = self.entity()
        for col, raw in zip(self.columns, row):
            setattr(obj, col.name, col.conv(raw))
        return obj


class Invoice:
    pass


def bench_orm_load_row(b):
    """Bad: mapping configuration (columns, SQL text) is redone for every row that is hydrated."""
    row = ("17", "2024-02-29", "19.90", "open")
    for _ in b.loop():
        mapper = Mapper(
            Invoice,
            "invoice",
            id=int,
            issued=date.fromisoformat,
            total=Decimal,
            status=str,
        )
        invoice = mapper.load(row)
    assert invoice.id == 17


# --------------------------------------------------------------------------
# game
# --------------------------------------------------------------------------

class TileWorld:
    def __init__(self, rows):
        self.h, self.w = len(rows), len(rows[0])
        self.solid = set()
        self.coins = {}
        for y, line in enumerate(rows):
            for x, ch in enumerate(line):
                if ch == "#":
                    self.solid.add((x, y))
                elif ch == "o":
                    self.coins[x, y] = 10
        self.neighbours = {
            (x, y): [(x + dx, y + dy) for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1))
                     if (x + dx, y + dy) not in self.solid]
            for y in range(self.h) for x in range(self.w) if (x, y) not in self.solid
        }

    def move(self, pos, dx, dy):
        new = pos[0] + dx, pos[1] + dy
        return pos if new in self.solid else new


LEVEL = ["#" * 24] + ["#" + "..o.#..o..." * 2 + "#" for _ in range(12)] + ["#" * 24]


def bench_player_move(b):
    """Bad: loads the level (parsing it, navigation graph included) before each player move that it means to time."""
    for _ in b.loop():
        world = TileWorld(LEVEL)
        p = (1, 1)
        p = world.move(p, 1, 0)
        p = world.move(p, 0, 1)
        p = world.move(p, -1, 0)


# --------------------------------------------------------------------------
# standard library objects
# --------------------------------------------------------------------------

def bench_cli_parse(b):
    """Bad: meant to time parse_args, but the parser and its sub-commands are defined inside the loop."""
    argv = ["build", "--jobs", "4", "src"]
    for _ in b.loop():
        ap = argparse.ArgumentParser(prog="tool")
        ap.add_argument("-v", "--verbose", action="count", default=0)
        ap.add_argument("--config", default="tool.toml")
        sub = ap.add_subparsers(dest="cmd")
        build = sub.add_parser("build")
        build.add_argument("--jobs", type=int, default=1)
        build.add_argument("--release", action="store_true")
        build.add_argument("path")
        clean = sub.add_parser("clean")
        clean.add_argument("--all", action="store_true")
        ns = ap.parse_args(argv)
    assert ns.jobs == 4


def bench_log_one_line(b):
    """Bad: logger, handler and formatter are configured for each message; a process does it once."""
    sink = io.StringIO()
    for _ in b.loop():
        sink.seek(0)
        log = logging.Logger("svc.http", level=logging.INFO)
        handler = logging.StreamHandler(sink)
        handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        handler.addFilter(logging.Filter("svc"))
        log.addHandler(handler)
        log.info("GET %s %d", "/index", 200)


def _thumbnail_size(w, h):
    k = max(w, h) / 128
    return int(w / k), int(h / k)


def bench_pool_submit(b):
    """Bad: starts and joins a whole thread pool for one trivial job; workers should outlive the op."""
    for _ in b.loop():
        with ThreadPoolExecutor(max_workers=2) as pool:
            size = pool.submit(_thumbnail_size, 1024, 768).result()
    assert size == (128, 96)


DDL = """
CREATE TABLE author (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE book (id INTEGER PRIMARY KEY, author_id INTEGER REFERENCES author(id), title TEXT);
CREATE INDEX book_author ON book(author_id);
INSERT INTO author VALUES (1, 'Lem'), (2, 'Le Guin'), (3, 'Butler');
INSERT INTO book VALUES (1, 1, 'Solaris'), (2, 2, 'The Dispossessed'), (3, 3, 'Kindred');
"""


def bench_select_by_id(b):
    """Bad: opens a database, creates schema and fixtures for each iteration, and then runs one primary key query."""
    for _ in b.loop():
        conn = sqlite3.connect(":memory:")
        conn.executescript(DDL)
        title, = conn.execute("SELECT title FROM book WHERE id = ?", (2,)).fetchone()
        conn.close()


def bench_guess_content_type(b):
    """Bad: a new MimeTypes database per static file; servers keep one and only call guess_type."""
    for _ in b.loop():
        db = mimetypes.MimeTypes()
        db.guess_type("static/app/data.json")


async def _fetch_cached(store, key):
    await asyncio.sleep(0)
    return store[key]


def bench_async_cache_get(b):
    """Bad: makes and closes an event loop (selector, self-pipe) round a single await; a client has one loop."""
    store = {"k": "v"}
    for _ in b.loop():
        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(_fetch_cached(store, "k"))
        finally:
            loop.close()


# --------------------------------------------------------------------------
# classes, functions and caches made in the op
# --------------------------------------------------------------------------

def bench_dataclass_asdict(b):
    """Bad: the dataclass is defined inside the loop, so its code generation swamps the asdict call."""
    for _ in b.loop():
        @dataclasses.dataclass(order=True)
        class Measurement:
            station: str
            celsius: float
            humidity: float = 0.5
            ok: bool = True

        dataclasses.asdict(Measurement("OSLO", 3.5))


def _slow_price(sku):
    total = 0
    for ch in sku:
        total = (total * 31 + ord(ch)) % 9973
    return total


def bench_price_cache_hit(b):
    """Bad: a cache-hit benchmark which creates and warms the cache in the op, for one hit at the end."""
    skus = [f"SKU-{i:04d}" for i in range(150)]
    for _ in b.loop():
        price = functools.lru_cache(maxsize=256)(_slow_price)
        for s in skus:
            price(s)
        price("SKU-0077")


def bench_dispatch_serialize(b):
    """Bad: the singledispatch serializer and its implementations are defined and registered anew per value."""
    day = date(2024, 5, 17)
    for _ in b.loop():
        @functools.singledispatch
        def to_json(value):
            raise TypeError(type(value))

        @to_json.register(str)
        @to_json.register(int)
        def _plain(value):
            return value

        @to_json.register(date)
        def _date(value):
            return value.isoformat()

        @to_json.register(Decimal)
        def _decimal(value):
            return str(value)

        @to_json.register(list)
        def _list(value):
            return [to_json(v) for v in value]

        to_json([1, "a", day])
