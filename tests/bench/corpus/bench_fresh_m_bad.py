"""Benchmarks that mostly time the building of what a program builds once."""

import argparse
import io
import logging
import mimetypes
import re
import sqlite3
from collections import Counter, defaultdict, deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, singledispatch


# ---------------------------------------------------------------- validator

USER_SCHEMA = {
    "id": {"type": "int", "min": 1},
    "name": {"type": "str", "pattern": r"^[A-Z][a-z]+( [A-Z][a-z]+)*$"},
    "email": {"type": "str", "pattern": r"^[^@\s]+@[^@\s]+\.[a-z]{2,}$"},
    "age": {"type": "int", "min": 0, "max": 150},
    "country": {"type": "str", "enum": ["de", "fr", "it", "es", "pl", "nl"]},
    "phone": {"type": "str", "pattern": r"^\+\d{6,14}$"},
    "plan": {"type": "str", "enum": ["free", "pro", "team"]},
    "score": {"type": "float", "min": 0.0, "max": 1.0},
}


class SchemaValidator:
    _TYPES = {"int": int, "str": str, "float": float}

    def __init__(self, schema):
        self.checks = {}
        for field, spec in schema.items():
            checks = [self._type_check(spec["type"])]
            if "min" in spec:
                checks.append(self._min_check(spec["min"]))
            if "max" in spec:
                checks.append(self._max_check(spec["max"]))
            if "enum" in spec:
                checks.append(self._enum_check(spec["enum"]))
            if "pattern" in spec:
                checks.append(self._pattern_check(spec["pattern"]))
            self.checks[field] = tuple(checks)

    def _type_check(self, name):
        wanted = self._TYPES[name]
        return lambda v: isinstance(v, wanted)

    def _min_check(self, low):
        return lambda v: v >= low

    def _max_check(self, high):
        return lambda v: v <= high

    def _enum_check(self, options):
        allowed = frozenset(options)
        return lambda v: v in allowed

    def _pattern_check(self, text):
        match = re.compile(text).match
        return lambda v: match(v) is not None

    def validate(self, record):
        errors = []
        for field, checks in self.checks.items():
            value = record.get(field)
            if not all(check(value) for check in checks):
                errors.append(field)
        return errors


def bench_validate_user(b):
    """Bad: the schema is compiled into checks for every record; a service compiles it at start-up."""
    user = {
        "id": 17, "name": "Ada Lovelace", "email": "ada@example.org", "age": 36,
        "country": "fr", "phone": "+331234567", "plan": "pro", "score": 0.5,
    }
    for _ in b.loop():
        validator = SchemaValidator(USER_SCHEMA)
        assert validator.validate(user) == []


# ----------------------------------------------------------- template engine

class Tmpl:
    TOKEN = re.compile(r"(\{\{.*?\}\}|\{%.*?%\})")

    def __init__(self, source):
        lines = ["def render(ctx):", "    out = []", "    add = out.append"]
        depth = 1
        for part in self.TOKEN.split(source):
            pad = "    " * depth
            if part.startswith("{{"):
                lines.append(f"{pad}add(str({self._lookup(part[2:-2].strip())}))")
            elif part.startswith("{%"):
                words = part[2:-2].split()
                if words[0] == "for":
                    lines.append(f"{pad}for ctx[{words[1]!r}] in {self._lookup(words[3])}:")
                    depth += 1
                elif words[0] == "if":
                    lines.append(f"{pad}if {self._lookup(words[1])}:")
                    depth += 1
                else:
                    depth -= 1
            elif part:
                lines.append(f"{pad}add({part!r})")
        lines.append("    return ''.join(out)")
        scope = {}
        exec(compile("\n".join(lines), "<template>", "exec"), scope)
        self._render = scope["render"]

    @staticmethod
    def _lookup(name):
        head, *rest = name.split(".")
        return f"ctx[{head!r}]" + "".join(f"[{r!r}]" for r in rest)

    def render(self, **ctx):
        return self._render(ctx)


PAGE = """<html><head><title>{{ title }}</title></head><body>
{% if user %}<p>Hello {{ user.name }}</p>{% end %}
<ul>{% for item in items %}<li>{{ item.label }}: {{ item.price }}</li>{% end %}</ul>
<footer>{{ footer }}</footer></body></html>"""


def bench_render_page(b):
    """Bad: compiles the template's source each time; real pages are rendered from a compiled template."""
    items = [{"label": "tea", "price": 3}, {"label": "jam", "price": 5}]
    for _ in b.loop():
        html = Tmpl(PAGE).render(title="Shop", user={"name": "Bo"}, items=items, footer="bye")
        assert "jam: 5" in html


# ------------------------------------------------------------------- router

class Router:
    def __init__(self):
        self.static = {}
        self.root = {}

    def add(self, method, pattern, handler):
        if "<" not in pattern:
            self.static[method, pattern] = handler
            return
        node = self.root
        names = []
        for seg in pattern.strip("/").split("/"):
            if seg.startswith("<"):
                names.append(seg[1:-1])
                seg = "*"
            node = node.setdefault(seg, {})
        node[method] = (handler, names)

    def dispatch(self, method, path):
        hit = self.static.get((method, path))
        if hit is not None:
            return hit()
        node, values = self.root, []
        for seg in path.strip("/").split("/"):
            if seg in node:
                node = node[seg]
            else:
                node = node["*"]
                values.append(seg)
        handler, names = node[method]
        return handler(**dict(zip(names, values)))


def make_app():
    app = Router()
    for res in ("users", "orders", "items", "carts", "invoices", "teams", "files"):
        app.add("GET", f"/{res}", lambda res=res: f"list {res}")
        app.add("POST", f"/{res}", lambda res=res: f"new {res}")
        app.add("GET", f"/{res}/<id>", lambda id, res=res: f"{res} {id}")
        app.add("PUT", f"/{res}/<id>", lambda id, res=res: f"put {res} {id}")
        app.add("DELETE", f"/{res}/<id>", lambda id, res=res: f"del {res} {id}")
        app.add("GET", f"/{res}/<id>/notes/<n>", lambda id, n, res=res: f"{res} {id} {n}")
    return app


def bench_dispatch(b):
    """Bad: every request gets a new application with all its routes; registration swamps the dispatch."""
    for _ in b.loop():
        app = make_app()
        r = app.dispatch("GET", "/orders/42/notes/7")
        assert r == "orders 42 7"


# ------------------------------------------------------------- search index

class InvertedIndex:
    def __init__(self):
        self.postings = defaultdict(dict)
        self.lengths = {}

    def add_document(self, doc_id, text):
        words = text.lower().split()
        self.lengths[doc_id] = len(words)
        for word, n in Counter(words).items():
            self.postings[word][doc_id] = n

    def search(self, query, limit=5):
        scores = Counter()
        for word in query.lower().split():
            hits = self.postings.get(word, {})
            for doc_id, n in hits.items():
                scores[doc_id] += n / self.lengths[doc_id] / len(hits)
        return scores.most_common(limit)


_VOCAB = ("red green blue amber north south east west fast slow river stone "
          "paper glass copper iron cloud storm quiet loud").split()


def _docs(n):
    return [" ".join(_VOCAB[(i * 7 + j * j) % len(_VOCAB)] for j in range(12)) for i in range(n)]


def bench_search_two_terms(b):
    """Bad: meant to time a query, but indexes the whole collection before each one."""
    docs = _docs(100)
    for _ in b.loop():
        index = InvertedIndex()
        for i, text in enumerate(docs):
            index.add_document(i, text)
        index.search("copper river")


# ------------------------------------------------------------ spell checker

class Speller:
    """Symmetric-delete corrector."""

    def __init__(self, words):
        self.freq = Counter(words)
        self.deletes = {}
        for w in self.freq:
            for d in self._cut(w):
                self.deletes.setdefault(d, []).append(w)

    @staticmethod
    def _cut(w):
        return {w[:i] + w[i + 1:] for i in range(len(w))} | {w}

    def fix(self, word):
        if word in self.freq:
            return word
        found = set()
        for d in self._cut(word):
            found.update(self.deletes.get(d, ()))
        return max(sorted(found), key=self.freq.__getitem__, default=word)


def bench_spell_fix(b):
    """Bad: loads the dictionary and its delete table per corrected word; an editor loads it once."""
    text = (" ".join(_docs(20))).split()
    for _ in b.loop():
        speller = Speller(text)
        speller.fix("coper")
        speller.fix("rivver")
        speller.fix("stone")


# ---------------------------------------------------------------- tokenizer

MERGES_TXT = "\n".join(
    ["t h", "th e", "i n", "in g", "e r", "o n", "a n", "an d", "r e", "e s", "o u", "l l",
     "q u", "qu i", "c k", "qui ck", "b r", "o w", "br ow", "f o", "fo x", "j u", "m p"]
    + [f"{a} {c}" for a in "bcdfghjklm" for c in "aeiou"]
)


class BPETokenizer:
    def __init__(self, merges_txt: str) -> None:
        self.ranks: dict[tuple[str, str], int] = {}
        self.vocab: dict[str, int] = {chr(i): i for i in range(256)}
        for rank, line in enumerate(merges_txt.splitlines()):
            left, right = line.split()
            self.ranks[left, right] = rank
            self.vocab[left + right] = len(self.vocab)
        self.inverse = {v: k for k, v in self.vocab.items()}

    def encode(self, word: str) -> list[int]:
        parts = list(word)
        while len(parts) > 1:
            rank, i = min((self.ranks.get((parts[i], parts[i + 1]), 1 << 30), i)
                          for i in range(len(parts) - 1))
            if rank == 1 << 30:
                break
            parts[i:i + 2] = [parts[i] + parts[i + 1]]
        return [self.vocab[p] for p in parts]


def bench_bpe_encode_word(b):
    """Bad: re-reads the merge table and makes the vocabulary for each word encoded."""
    for _ in b.loop():
        tok = BPETokenizer(MERGES_TXT)
        ids = tok.encode("quick")
        assert len(ids) == 1


# -------------------------------------------------------------- rule engine

class Rule:
    def __init__(self, name, expr, points):
        self.name = name
        self.code = compile(expr, f"<rule {name}>", "eval")
        self.points = points


class FraudEngine:
    def __init__(self, rows):
        self.rules = sorted((Rule(*row) for row in rows), key=lambda r: -r.points)

    def score(self, fact):
        return sum(r.points for r in self.rules if eval(r.code, {"__builtins__": {}}, fact))


RULE_ROWS = [
    ("big", "amount > 1000", 30),
    ("abroad", "country != home", 20),
    ("night", "hour < 5 or hour > 22", 10),
    ("new", "age_days < 7 and amount > 100", 25),
    ("burst", "recent > 5", 40),
    ("round", "amount % 100 == 0", 5),
]


def bench_fraud_score(b):
    """Bad: all rules are compiled anew for every transaction; they are loaded once per worker."""
    tx = dict(amount=1200, country="fr", home="de", hour=3, age_days=90, recent=1)
    for _ in b.loop():
        engine = FraudEngine(RULE_ROWS)
        total = engine.score(tx)
        assert total == 65


# --------------------------------------------------------------- game world

class Cell:
    __slots__ = ("x", "y", "terrain", "units")

    def __init__(self, x, y, terrain):
        self.x, self.y, self.terrain = x, y, terrain
        self.units = []


class Unit:
    def __init__(self, cell):
        self.cell = cell
        self.hp = 10
        cell.units.append(self)


class GameWorld:
    def __init__(self, w, h):
        self.w, self.h = w, h
        self.cells = [[Cell(x, y, (x * 31 + y * 17) % 4) for x in range(w)] for y in range(h)]
        self.units = [Unit(self.cells[(i * 5) % h][(i * 3) % w]) for i in range(12)]

    def tick(self):
        for u in self.units:
            c = u.cell
            nxt = self.cells[c.y][(c.x + 1) % self.w]
            if nxt.terrain != 3:
                c.units.remove(u)
                nxt.units.append(u)
                u.cell = nxt


def bench_world_tick(b):
    """Bad: says tick, but generates the map of 20 x 15 cells each time and ticks it once."""
    for _ in b.loop():
        world = GameWorld(20, 15)
        world.tick()


# ------------------------------------------------------------ state machine

class Machine:
    def __init__(self, states, initial):
        self.states = set(states)
        self.state = initial
        self.table = {}
        self.hooks = {s: [] for s in states}

    def add_transition(self, trigger, source, dest):
        sources = self.states if source == "*" else {source}
        for s in sources:
            if s not in self.states or dest not in self.states:
                raise ValueError(s)
            self.table[trigger, s] = dest
        if not hasattr(self, trigger):
            setattr(self, trigger, lambda: self.fire(trigger))

    def on_enter(self, state, fn):
        self.hooks[state].append(fn)

    def fire(self, trigger):
        self.state = self.table[trigger, self.state]
        for fn in self.hooks[self.state]:
            fn()


def bench_machine_trigger(b):
    """Bad: defines the controller's states and transitions in the op, only to fire two triggers."""
    seen = deque(maxlen=4)
    for _ in b.loop():
        m = Machine(["idle", "warm", "run", "pause", "fault", "off"], "idle")
        m.add_transition("heat", "idle", "warm")
        m.add_transition("start", "warm", "run")
        m.add_transition("hold", "run", "pause")
        m.add_transition("resume", "pause", "run")
        m.add_transition("trip", "*", "fault")
        m.add_transition("reset", "fault", "idle")
        m.add_transition("shutdown", "*", "off")
        for s in ("warm", "run", "fault"):
            m.on_enter(s, lambda s=s: seen.append(s))
        m.heat()
        m.start()


# --------------------------------------------------------------- API client

class Connection:
    def __init__(self, host):
        self.host = host
        self.buffer = bytearray(4096)
        self.headers = {"Host": host, "Connection": "keep-alive"}

    def roundtrip(self, payload):
        self.buffer[:len(payload)] = payload
        return bytes(self.buffer[:len(payload)])


class RetryPolicy:
    def __init__(self, attempts=8, base=0.1):
        self.delays = [min(base * 2 ** i, 30.0) for i in range(attempts)]


class ApiClient:
    def __init__(self, base_url, pool_size=10):
        m = re.match(r"https?://([^/]+)(/.*)?", base_url)
        self.host, self.prefix = m.group(1), m.group(2) or ""
        self.pool = deque(Connection(self.host) for _ in range(pool_size))
        self.retry = RetryPolicy()
        self.default_headers = {"Accept": "application/json", "User-Agent": "bench/1.0"}

    def get(self, path):
        conn = self.pool.popleft()
        try:
            return conn.roundtrip(f"GET {self.prefix}{path}".encode())
        finally:
            self.pool.append(conn)


def bench_client_get(b):
    """Bad: a fresh client and its pool of ten connections for one GET; a client outlives its calls."""
    for _ in b.loop():
        client = ApiClient("https://api.example.org/v2")
        client.get("/users/1")


# ======================================================== standard library

def bench_log_info(b):
    """Bad: handler, formatter and logger are configured in the op, and one line is logged."""
    for _ in b.loop():
        log = logging.getLogger("bench_m.info")
        log.handlers.clear()
        log.propagate = False
        log.setLevel(logging.INFO)
        handler = logging.StreamHandler(io.StringIO())
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
        log.addHandler(handler)
        log.info("user %d logged in", 7)


def bench_cli_parse(b):
    """Bad: adds every option and subcommand before each parse; the parser is built once per process."""
    for _ in b.loop():
        p = argparse.ArgumentParser(prog="tool")
        p.add_argument("-v", "--verbose", action="count", default=0)
        p.add_argument("--config", default="tool.ini")
        sub = p.add_subparsers(dest="cmd")
        for name in ("build", "test"):
            sp = sub.add_parser(name)
            sp.add_argument("--jobs", type=int, default=1)
            sp.add_argument("target", nargs="*")
        ns = p.parse_args(["-v", "build", "--jobs", "4", "all"])
        assert ns.jobs == 4


def bench_executor_submit(b):
    """Bad: starts and joins a thread pool for two tiny jobs; it times threads starting, not submit()."""
    for _ in b.loop():
        with ThreadPoolExecutor(max_workers=2) as pool:
            a = pool.submit(pow, 3, 20)
            c = pool.submit(pow, 5, 20)
            a.result(), c.result()


SEED = [(i, f"city-{i}", i * 1000) for i in range(60)]


def bench_sqlite_lookup(b):
    """Bad: connects, makes the schema and loads the rows each time, to select one row by key."""
    for _ in b.loop():
        db = sqlite3.connect(":memory:")
        db.execute("CREATE TABLE city (id INTEGER PRIMARY KEY, name TEXT, pop INTEGER)")
        db.execute("CREATE INDEX city_name ON city (name)")
        db.executemany("INSERT INTO city VALUES (?, ?, ?)", SEED)
        row = db.execute("SELECT pop FROM city WHERE name = ?", ("city-31",)).fetchone()
        assert row == (31000,)
        db.close()


def bench_guess_content_type(b):
    """Bad: MimeTypes() fills its whole table per upload; a server keeps one such table."""
    names = ["photo.jpeg", "report.pdf", "site.tar.gz"]
    for _ in b.loop():
        table = mimetypes.MimeTypes()
        for name in names:
            table.guess_type(name)


# ============================== classes, functions, caches made in the op

VAT = {"de": 19, "fr": 20, "it": 22, "es": 21, "pl": 23, "nl": 21, "se": 25, "fi": 24,
       "at": 20, "be": 21, "ie": 23, "pt": 23, "cz": 21, "hu": 27, "dk": 25, "gr": 24}


def bench_cached_vat_hit(b):
    """Bad: meant to time a cache hit, but the op makes the cached function and fills its cache first."""
    for _ in b.loop():
        @lru_cache(maxsize=64)
        def factor(country):
            return 1 + VAT[country] / 100

        for c in VAT:  # warm the cache
            factor(c)
        factor("it")


def bench_dataclass_eq(b):
    """Bad: @dataclass generates the class on every op; the comparison is a sliver of that."""
    for _ in b.loop():
        @dataclass(frozen=True)
        class Version:
            major: int
            minor: int
            patch: int = 0

        assert Version(3, 11, 7) == Version(3, 11, 7)


def bench_to_json_dispatch(b):
    """Bad: registers the serialiser's overloads in the op, then serialises one small value."""
    value = {"id": 3, "tags": ["a", "b"], "ok": True}
    for _ in b.loop():
        @singledispatch
        def dump(obj):
            raise TypeError(type(obj))

        dump.register(str, lambda s: '"' + s + '"')
        dump.register(bool, lambda v: "true" if v else "false")
        dump.register(int, lambda v: str(v))
        dump.register(float, lambda v: repr(v))
        dump.register(type(None), lambda v: "null")
        dump.register(list, lambda v: "[" + ",".join(map(dump, v)) + "]")
        dump.register(dict, lambda v: "{" + ",".join(f'"{k}":{dump(x)}' for k, x in v.items()) + "}")
        assert dump(value) == '{"id":3,"tags":["a","b"],"ok":true}'
