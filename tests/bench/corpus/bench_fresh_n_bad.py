"""Micro-benchmarks that measure set-up instead of the operation they name."""
import argparse
import dataclasses
import functools
import gettext
import inspect
import io
import logging
import mimetypes
import re
import sqlite3
import struct
import typing
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from math import log


# --------------------------------------------------------------- schema

ORDER_SCHEMA = {
    "type": "object",
    "required": ["id", "customer", "lines"],
    "properties": {
        "id": {"type": "string", "pattern": r"^ORD-\d{6}$"},
        "customer": {
            "type": "object",
            "required": ["name", "email"],
            "properties": {
                "name": {"type": "string", "minLength": 1, "maxLength": 80},
                "email": {"type": "string", "pattern": r"^[^@]+@[^@]+$"},
                "vat": {"type": "string", "pattern": r"^[A-Z]{2}\d+$"},
                "phone": {"type": "string", "maxLength": 20},
            },
        },
        "lines": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["sku", "qty"],
                "properties": {
                    "sku": {"type": "string", "minLength": 3},
                    "qty": {"type": "integer", "minimum": 1, "maximum": 999},
                    "note": {"type": "string", "maxLength": 200},
                },
            },
        },
        "currency": {"type": "string", "pattern": r"^[A-Z]{3}$"},
        "total": {"type": "integer", "minimum": 0},
    },
}

PY_TYPES = {"string": str, "integer": int, "object": dict, "array": list}


class SchemaValidator:
    """Turns a schema into a tree of check functions."""

    def __init__(self, schema):
        self._check = self._compile(schema)

    def _compile(self, node):
        checks = []
        expected = PY_TYPES[node["type"]]
        checks.append(lambda v: isinstance(v, expected))
        if "pattern" in node:
            rx = re.compile(node["pattern"])
            checks.append(lambda v: rx.match(v) is not None)
        if "minLength" in node:
            low = node["minLength"]
            checks.append(lambda v: len(v) >= low)
        if "maxLength" in node:
            high = node["maxLength"]
            checks.append(lambda v: len(v) <= high)
        if "minimum" in node:
            minimum = node["minimum"]
            checks.append(lambda v: v >= minimum)
        if "maximum" in node:
            maximum = node["maximum"]
            checks.append(lambda v: v <= maximum)
        if "required" in node:
            names = tuple(node["required"])
            checks.append(lambda v: all(n in v for n in names))
        if "properties" in node:
            subs = {k: self._compile(s) for k, s in node["properties"].items()}
            checks.append(
                lambda v: all(subs[k](x) for k, x in v.items() if k in subs))
        if "items" in node:
            item = self._compile(node["items"])
            checks.append(lambda v: all(map(item, v)))
        return lambda v: all(c(v) for c in checks)

    def is_valid(self, doc):
        return self._check(doc)


def bench_validate_order(b):
    """Bad: the schema is compiled again for every small document that is validated."""
    doc = {"id": "ORD-000123", "customer": {"name": "Ann", "email": "ann@example.org"},
           "lines": [{"sku": "ABC", "qty": 2}]}
    for _ in b.loop():
        validator = SchemaValidator(ORDER_SCHEMA)
        assert validator.is_valid(doc)


# --------------------------------------------------------------- argparse

def bench_cli_parse(b):
    """Bad: builds the whole argument parser with its sub-commands for each command line."""
    argv = ["push", "--force", "origin", "main"]
    for _ in b.loop():
        parser = argparse.ArgumentParser(prog="vcs", description="toy version control")
        parser.add_argument("-v", "--verbose", action="count", default=0)
        parser.add_argument("-C", "--directory", default=".")
        sub = parser.add_subparsers(dest="command", required=True)
        push = sub.add_parser("push", help="send commits")
        push.add_argument("--force", action="store_true")
        push.add_argument("remote")
        push.add_argument("branch", nargs="?")
        pull = sub.add_parser("pull", help="fetch commits")
        pull.add_argument("--rebase", action="store_true")
        pull.add_argument("remote")
        args = parser.parse_args(argv)
        assert args.force


# --------------------------------------------------------------- router

class Router:
    _param = re.compile(r"<(?:(\w+):)?(\w+)>")
    _kinds = {"int": r"\d+", "slug": r"[\w-]+", None: r"[^/]+"}

    def __init__(self):
        self.by_method = {}

    def add(self, method, path, endpoint):
        parts, pos, names = [], 0, []
        for m in self._param.finditer(path):
            parts.append(re.escape(path[pos:m.start()]))
            parts.append(f"(?P<{m[2]}>{self._kinds[m[1]]})")
            names.append(m[2])
            pos = m.end()
        parts.append(re.escape(path[pos:]))
        rx = re.compile("".join(parts))
        self.by_method.setdefault(method, []).append((rx, endpoint, tuple(names)))

    def match(self, method, path):
        for rx, endpoint, _names in self.by_method.get(method, ()):
            m = rx.fullmatch(path)
            if m:
                return endpoint, m.groupdict()
        raise LookupError(path)


RESOURCES = ["users", "teams", "repos", "issues", "labels", "builds", "hooks"]


def bench_route_dispatch(b):
    """Bad: 28 routes are registered in a fresh router only to dispatch a single request."""
    for _ in b.loop():
        r = Router()
        for res in RESOURCES:
            r.add("GET", f"/{res}", f"{res}.list")
            r.add("POST", f"/{res}", f"{res}.create")
            r.add("GET", f"/{res}/<int:id>", f"{res}.show")
            r.add("GET", f"/{res}/<int:id>/comments/<slug:comment>", f"{res}.comment")
        endpoint, params = r.match("GET", "/repos/42")


# --------------------------------------------------------------- logging

def bench_log_warning(b):
    """Bad: a logger with its formatters and handlers is configured for each message."""
    sink = io.StringIO()
    for _ in b.loop():
        sink.seek(0)
        logger = logging.Logger("svc.payment", logging.INFO)
        plain = logging.StreamHandler(sink)
        plain.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        logger.addHandler(plain)
        detailed = logging.StreamHandler(sink)
        detailed.setLevel(logging.ERROR)
        detailed.setFormatter(logging.Formatter(
            "%(asctime)s %(process)d %(threadName)s %(pathname)s:%(lineno)d %(message)s"))
        logger.addHandler(detailed)
        audit = logging.StreamHandler(sink)
        audit.setLevel(logging.CRITICAL)
        audit.setFormatter(logging.Formatter("{asctime} AUDIT {message}", style="{"))
        logger.addHandler(audit)
        logger.warning("card declined: %s", "4242")


# --------------------------------------------------------------- injection

class Settings:
    def __init__(self):
        self.dsn = "memory://"


class Clock:
    def now(self):
        return 1700000000


class Database:
    def __init__(self, settings: Settings):
        self.settings = settings


class UserRepo:
    def __init__(self, db: Database, clock: Clock):
        self.db, self.clock = db, clock


class Mailer:
    def __init__(self, settings: Settings, clock: Clock):
        self.settings, self.clock = settings, clock


class SignupService:
    def __init__(self, users: UserRepo, mailer: Mailer, clock: Clock):
        self.users, self.mailer, self.clock = users, mailer, clock

    def signup(self, name):
        return {"name": name, "at": self.clock.now()}


class Container:
    def __init__(self):
        self._factories: dict[type, list[type]] = {}
        self._singletons: dict[type, object] = {}

    def register(self, cls: type) -> "Container":
        if cls.__init__ is object.__init__:
            deps = []
        else:
            params = list(inspect.signature(cls.__init__).parameters.values())[1:]
            deps = [p.annotation for p in params]
        self._factories[cls] = deps
        return self

    def get(self, cls: type):
        if cls not in self._singletons:
            args = [self.get(d) for d in self._factories[cls]]
            self._singletons[cls] = cls(*args)
        return self._singletons[cls]


def make_container() -> Container:
    c = Container()
    for cls in (Settings, Clock, Database, UserRepo, Mailer, SignupService):
        c.register(cls)
    return c


def bench_signup(b):
    """Bad: the application's injection container is wired up anew for each sign-up call."""
    for _ in b.loop():
        svc = make_container().get(SignupService)
        svc.signup("joe")


# --------------------------------------------------------------- BPE

def _fake_merges(n):
    letters = "etaoinshrdlu"
    out, seed = [], 7
    for _ in range(n):
        seed = (seed * 1103515245 + 12345) % 2**31
        a = letters[seed % 12]
        c = letters[(seed >> 8) % 12]
        d = letters[(seed >> 16) % 12]
        out.append(f"{a} {c}" if seed & 1024 else f"{a}{c} {d}")
    return "\n".join(out)


MERGES_TXT = _fake_merges(600)


class BPETokenizer:
    def __init__(self, merges_txt):
        self.ranks = {}
        self.vocab = {chr(i): i for i in range(256)}
        for rank, line in enumerate(merges_txt.splitlines()):
            left, right = line.split()
            self.ranks.setdefault((left, right), rank)
            self.vocab.setdefault(left + right, len(self.vocab))
        self.inverse = {v: k for k, v in self.vocab.items()}

    def encode(self, word):
        parts = list(word)
        while len(parts) > 1:
            best = min(zip(parts, parts[1:]), key=lambda p: self.ranks.get(p, 1 << 30))
            if best not in self.ranks:
                break
            i = 0
            while i < len(parts) - 1:
                if (parts[i], parts[i + 1]) == best:
                    parts[i:i + 2] = [parts[i] + parts[i + 1]]
                i += 1
        return [self.vocab.get(p, 0) for p in parts]


def bench_bpe_encode(b):
    """Bad: loads the merge table and vocabulary of the tokenizer for one short word."""
    for _ in b.loop():
        tok = BPETokenizer(MERGES_TXT)
        ids = tok.encode("national")
        assert ids


# --------------------------------------------------------------- sqlite

DDL = """
CREATE TABLE account (id INTEGER PRIMARY KEY, owner TEXT NOT NULL, balance INTEGER);
CREATE TABLE entry (id INTEGER PRIMARY KEY, account_id INTEGER REFERENCES account(id),
                    amount INTEGER, memo TEXT);
CREATE INDEX entry_by_account ON entry(account_id);
CREATE UNIQUE INDEX account_by_owner ON account(owner);
CREATE VIEW totals AS SELECT account_id, sum(amount) AS s FROM entry GROUP BY account_id;
"""


def bench_insert_account(b):
    """Bad: opens a database and creates its whole schema in order to insert one row."""
    for _ in b.loop():
        con = sqlite3.connect(":memory:")
        con.executescript(DDL)
        con.execute("INSERT INTO account(owner, balance) VALUES (?, ?)", ("ann", 100))
        con.commit()
        con.close()


# --------------------------------------------------------------- trie

PLACES = [p + s for p in ("north", "south", "east", "west", "new", "old", "upper", "lower",
                          "great", "little")
          for s in ("ham", "ton", "ford", "bury", "field", "wick", "port", "mouth", "ley",
                    "by")]


class Trie:
    __slots__ = ("root",)

    def __init__(self, words=()):
        self.root = {}
        for w in words:
            self.insert(w)

    def insert(self, w):
        node = self.root
        for ch in w:
            node = node.setdefault(ch, {})
        node["$"] = w

    def complete(self, prefix):
        node = self.root
        for ch in prefix:
            node = node.get(ch)
            if node is None:
                return []
        found, stack = [], [node]
        while stack:
            for k, v in stack.pop().items():
                if k == "$":
                    found.append(v)
                else:
                    stack.append(v)
        return sorted(found)


def bench_autocomplete(b):
    """Bad: a trie of all place names is filled per look-up of a single prefix."""
    for _ in b.loop():
        t = Trie(PLACES)
        t.complete("eastf")


# --------------------------------------------------------------- dataclass in the op

def bench_event_roundtrip(b):
    """Bad: the dataclass itself is generated in the loop, which dwarfs making one event."""
    payload = {"kind": "click", "x": 10, "y": 20, "target": "#buy"}
    for _ in b.loop():
        @dataclasses.dataclass(frozen=True)
        class Event:
            kind: str
            x: int
            y: int
            target: str = ""

        ev = Event(**payload)
        assert dataclasses.asdict(ev) == payload


# --------------------------------------------------------------- rules

RULES = """
block_minor:   age < 16
need_consent:  age >= 16 and age < 18
vat_reverse:   country != "NL" and business
free_shipping: total > 50 or member
fraud_review:  total > 1000 and not member
night_order:   hour < 6 or hour > 22
bulk:          items > 20
local:         country == "NL"
"""


class RuleEngine(object):
    def __init__(self, text):
        self.rules = []
        for line in text.strip().split("\n"):
            name, _, expr = line.partition(":")
            code = compile(expr.strip(), "<rule %s>" % name, "eval")
            self.rules.append((name.strip(), code))

    def fire(self, facts):
        env = {"__builtins__": {}}
        return [n for n, code in self.rules if eval(code, env, facts)]


def bench_rule_engine_fire(b):
    """Bad: all rules are parsed and compiled again before each evaluation of the facts."""
    facts = dict(age=30, country="BE", business=True, total=70, member=False, hour=12, items=3)
    for _ in b.loop():
        engine = RuleEngine(RULES)
        fired = engine.fire(facts)
        assert "vat_reverse" in fired


# --------------------------------------------------------------- executor

def _checksum(block):
    return sum(block) & 0xFFFF


def bench_parallel_checksum(b):
    """Bad: starts and joins a thread pool per call, though a service has one for its life."""
    blocks = [bytes(range(i, i + 32)) for i in range(4)]
    for _ in b.loop():
        with ThreadPoolExecutor(max_workers=4) as pool:
            sums = list(pool.map(_checksum, blocks))
        assert len(sums) == 4


# --------------------------------------------------------------- search

ARTICLES = [
    "the quick brown fox jumps over the lazy dog near the river bank",
    "database indexes speed up queries at the price of slower writes",
    "a bank holds deposits and lends money to small businesses",
    "rivers carry sediment to the sea and build fertile deltas",
    "caching results avoids repeated work in a busy web service",
    "the lazy evaluation of queries lets a database skip work",
    "foxes and dogs are both canids though foxes rarely bark",
    "small services talk over the network with json messages",
    "money supply and deposits are watched by the central bank",
    "writes to the log are flushed before the commit returns",
    "fertile soil near rivers attracted the first farmers",
    "network latency dominates the time of small messages",
]


class SearchIndex:
    def __init__(self):
        self.postings = defaultdict(dict)
        self.lengths = []

    def add(self, text):
        doc_id = len(self.lengths)
        words = re.findall(r"\w+", text.lower())
        self.lengths.append(len(words))
        for w in words:
            row = self.postings[w]
            row[doc_id] = row.get(doc_id, 0) + 1

    def search(self, query, k=3):
        scores = defaultdict(float)
        n = len(self.lengths)
        for term in query.split():
            row = self.postings.get(term, {})
            if row:
                idf = log(1 + n / len(row))
                for doc_id, tf in row.items():
                    scores[doc_id] += idf * tf / self.lengths[doc_id]
        return sorted(scores, key=scores.get, reverse=True)[:k]


def bench_search_query(b):
    """Bad: named for the query, but each op indexes all the articles before it searches."""
    for _ in b.loop():
        index = SearchIndex()
        for text in ARTICLES:
            index.add(text)
        hits = index.search("central bank")
        assert hits


# --------------------------------------------------------------- mime types

def bench_guess_type(b):
    """Bad: the table of MIME types is copied into a new database for each file name."""
    for _ in b.loop():
        db = mimetypes.MimeTypes()
        db.add_type("application/x-parquet", ".parquet")
        db.guess_type("report.parquet")


# --------------------------------------------------------------- cache in the op

RATES_CSV = "\n".join(f"C{i:02d},{100 + 7 * i},{2 + i % 3}" for i in range(60))


def bench_cached_rate_convert(b):
    """Bad: the cached loader is defined in the loop, so the rate table is parsed every time."""
    for _ in b.loop():
        @functools.lru_cache(maxsize=None)
        def rates():
            table = {}
            for line in RATES_CSV.splitlines():
                code, units, digits = line.split(",")
                table[code] = (int(units), int(digits))
            return table

        def convert(amount, code):
            units, digits = rates()[code]
            return round(amount * units / 100, digits)

        convert(10, "C07")
        convert(25, "C41")


# --------------------------------------------------------------- templates

_TAG = re.compile(r"\{\{\s*(.+?)\s*\}\}|\{%\s*(.+?)\s*%\}")


class TemplateEnvironment:
    """Translates templates to Python functions."""

    def __init__(self, sources: dict[str, str]) -> None:
        self.filters = {"upper": str.upper, "title": str.title}
        self.templates: dict[str, typing.Callable] = {}
        for name, source in sources.items():
            self.templates[name] = self.compile(name, source)

    def compile(self, name: str, source: str):
        lines, depth, pos = ["def render(ctx, out):"], 1, 0

        def emit(text):
            lines.append("    " * depth + text)

        for m in _TAG.finditer(source):
            if m.start() > pos:
                emit(f"out({source[pos:m.start()]!r})")
            pos = m.end()
            if m[1]:
                emit(f"out(str({m[1]}))")
            elif m[2] == "end":
                depth -= 1
            else:
                emit(m[2] + ":")
                depth += 1
        emit(f"out({source[pos:]!r})")
        ns: dict = dict(self.filters)
        exec(compile("\n".join(lines), f"<{name}>", "exec"), ns)
        return ns["render"]

    def render(self, name: str, **ctx) -> str:
        buf: list[str] = []
        self.templates[name](ctx, buf.append)
        return "".join(buf)


PAGES = {
    "hello.html": "<h1>Hello {{ ctx['who'] }}</h1>",
    "list.html": "<ul>{% for x in ctx['items'] %}<li>{{ upper(x) }}</li>{% end %}</ul>",
    "error.html": "<p class=err>{{ ctx['code'] }}: {{ title(ctx['msg']) }}</p>",
}


def bench_template_render(b):
    """Bad: the environment compiles every template of the site for one rendered page."""
    for _ in b.loop():
        env = TemplateEnvironment(PAGES)
        html = env.render("list.html", items=["a", "b", "c"])
        assert html.startswith("<ul>")


# --------------------------------------------------------------- locale data

def _make_mo(messages):
    """A .mo catalogue as bytes."""
    pairs = sorted((k.encode(), v.encode()) for k, v in messages.items())
    ids, strs, offs = b"", b"", []
    for k, v in pairs:
        offs.append((len(ids), len(k), len(strs), len(v)))
        ids += k + b"\0"
        strs += v + b"\0"
    n = len(pairs)
    key_start = 7 * 4 + 16 * n
    val_start = key_start + len(ids)
    keys, vals = [], []
    for o1, l1, o2, l2 in offs:
        keys += [l1, o1 + key_start]
        vals += [l2, o2 + val_start]
    head = struct.pack("<7I", 0x950412DE, 0, n, 28, 28 + n * 8, 0, 0)
    return head + struct.pack(f"<{4 * n}I", *(keys + vals)) + ids + strs


CATALOG = _make_mo({
    "": "Content-Type: text/plain; charset=UTF-8\nPlural-Forms: nplurals=2; plural=n != 1;\n",
    "Save": "Opslaan",
    **{f"Message number {i}": f"Bericht nummer {i}" for i in range(120)},
})


def bench_translate_label(b):
    """Bad: parses the whole message catalogue of the locale to translate one label."""
    for _ in b.loop():
        nl = gettext.GNUTranslations(io.BytesIO(CATALOG))
        assert nl.gettext("Save") == "Opslaan"


# --------------------------------------------------------------- mapper

class Customer:
    id: int
    name: str
    email: typing.Optional[str]
    credit: float
    active: bool
    tags: list[str]


class Column(typing.NamedTuple):
    attr: str
    convert: typing.Callable
    nullable: bool


class ModelMapper:
    CONVERTERS = {int: int, str: str, float: float, bool: lambda s: s == "t",
                  list: lambda s: s.split("|")}

    def __init__(self, model):
        self.model = model
        self.columns = {}
        for attr, hint in typing.get_type_hints(model).items():
            nullable = False
            if typing.get_origin(hint) is typing.Union:
                nullable = True
                hint = [a for a in typing.get_args(hint) if a is not type(None)][0]
            base = typing.get_origin(hint) or hint
            self.columns[attr] = Column(attr, self.CONVERTERS[base], nullable)
        self.select = "SELECT %s FROM %s" % (", ".join(self.columns), model.__name__.lower())

    def load(self, row):
        obj = self.model()
        for col, raw in zip(self.columns.values(), row):
            setattr(obj, col.attr, None if raw is None and col.nullable else col.convert(raw))
        return obj


def bench_hydrate_row(b):
    """Bad: reflects on the model's type hints per row; a mapper is configured once per model."""
    row = ("17", "Ann", None, "12.5", "t", "vip|eu")
    for _ in b.loop():
        mapper = ModelMapper(Customer)
        c = mapper.load(row)
        assert c.id == 17


# --------------------------------------------------------------- middleware closures

def _noop_before(req):
    req["seen"] += 1


def bench_middleware_chain(b):
    """Bad: ten middleware closures are created and stacked per request instead of at start-up."""
    def app(req):
        return 200, req["path"]

    for _ in b.loop():
        handler = app
        for name in ("gzip", "session", "auth", "csrf", "cors", "etag", "trace", "limit",
                     "metrics", "errors"):
            def middleware(nxt, name=name):
                @functools.wraps(nxt)
                def call(req):
                    _noop_before(req)
                    return nxt(req)
                call.layer = name
                return call
            handler = middleware(handler)
        status, _body = handler({"path": "/", "seen": 0})
        assert status == 200
