"""Benchmarks whose op is mostly set-up: each one builds, in every iteration,
something that a real program builds once."""
import argparse
import asyncio
import functools
import inspect
import io
import logging
import re
import sqlite3
import ssl
import urllib.request
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass


# --------------------------------------------------------------------------
# a web router with a segment tree

class _Node:
    __slots__ = ("children", "param", "param_name", "handlers")

    def __init__(self):
        self.children = {}
        self.param = None
        self.param_name = None
        self.handlers = {}


class CompiledRouter:
    def __init__(self):
        self.root = _Node()

    def add_route(self, method, template, handler):
        node = self.root
        for segment in template.strip("/").split("/"):
            if segment.startswith("{"):
                if node.param is None:
                    node.param = _Node()
                    node.param_name = segment[1:-1]
                node = node.param
            else:
                node = node.children.setdefault(segment, _Node())
        node.handlers[method] = handler

    def find(self, method, path):
        node, params = self.root, {}
        for segment in path.strip("/").split("/"):
            child = node.children.get(segment)
            if child is None:
                if node.param is None:
                    return None
                params[node.param_name] = segment
                child = node.param
            node = child
        return node.handlers.get(method), params


ROUTES = [
    ("GET", "/users"), ("POST", "/users"), ("GET", "/users/{id}"),
    ("PUT", "/users/{id}"), ("DELETE", "/users/{id}"),
    ("GET", "/users/{id}/posts"), ("POST", "/users/{id}/posts"),
    ("GET", "/users/{id}/posts/{post}"), ("GET", "/repos"),
    ("GET", "/repos/{owner}/{repo}"), ("GET", "/repos/{owner}/{repo}/issues"),
    ("GET", "/repos/{owner}/{repo}/pulls/{number}"), ("GET", "/health"),
    ("GET", "/metrics"), ("GET", "/search/code"), ("GET", "/search/users"),
]


def bench_router_find(b):
    """Bad: the whole route table is registered again for one look-up; an app does it once at start-up."""
    def handler(req):
        return req

    for _ in b.loop():
        router = CompiledRouter()
        for method, template in ROUTES:
            router.add_route(method, template, handler)
        router.find("GET", "/repos/python/cpython/issues")


# --------------------------------------------------------------------------
# a validator which compiles a schema to closures

def _type_check(expected):
    def check(value, path, errors):
        if not isinstance(value, expected):
            errors.append((path, "expected %s" % expected.__name__))
    return check


def _range_check(low, high):
    def check(value, path, errors):
        if not low <= value <= high:
            errors.append((path, "out of range"))
    return check


def _object_check(props, required):
    def check(value, path, errors):
        for name in required:
            if name not in value:
                errors.append((path + "." + name, "required"))
        for name, checks in props:
            if name in value:
                for c in checks:
                    c(value[name], path + "." + name, errors)
    return check


class Validator:
    TYPES = {"string": str, "integer": int, "object": dict, "array": list, "boolean": bool}

    def __init__(self, schema):
        self.schema = schema
        self.checks = self._compile(schema)

    def _compile(self, schema):
        checks = [_type_check(self.TYPES[schema["type"]])]
        if "minimum" in schema or "maximum" in schema:
            checks.append(_range_check(schema.get("minimum", -1e9), schema.get("maximum", 1e9)))
        if schema["type"] == "object":
            props = [(k, self._compile(v)) for k, v in schema.get("properties", {}).items()]
            checks.append(_object_check(props, frozenset(schema.get("required", ()))))
        return checks

    def errors(self, instance):
        found = []
        for c in self.checks:
            c(instance, "$", found)
        return found


USER_SCHEMA = {
    "type": "object",
    "required": ["name", "age"],
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "active": {"type": "boolean"},
        "tags": {"type": "array"},
        "address": {
            "type": "object",
            "required": ["city"],
            "properties": {
                "street": {"type": "string"}, "city": {"type": "string"},
                "zip": {"type": "string"}, "country": {"type": "string"},
            },
        },
    },
}


def bench_validate_user(b):
    """Bad: compiles the schema per document; the validator object is meant to be made once per schema."""
    user = {"name": "Ada", "age": 36}
    for _ in b.loop():
        Validator(USER_SCHEMA).errors(user)


# --------------------------------------------------------------------------
# a template engine that compiles to Python

class Template:
    _token = re.compile(r"(\{\{.*?\}\}|\{%.*?%\})")

    def __init__(self, source, filters):
        lines, depth = ["def render(ctx, filters, out):"], 1
        for piece in self._token.split(source):
            pad = "    " * depth
            if piece.startswith("{{"):
                expr, *names = [p.strip() for p in piece[2:-2].split("|")]
                code = self._lookup(expr)
                for name in names:
                    code = "filters[%r](%s)" % (name, code)
                lines.append("%sout.append(str(%s))" % (pad, code))
            elif piece.startswith("{%"):
                words = piece[2:-2].split()
                if words[0] == "for":
                    lines.append("%sfor ctx[%r] in %s:" % (pad, words[1], self._lookup(words[3])))
                    depth += 1
                elif words[0] == "if":
                    lines.append("%sif %s:" % (pad, self._lookup(words[1])))
                    depth += 1
                else:
                    depth -= 1
            elif piece:
                lines.append("%sout.append(%r)" % (pad, piece))
        namespace = {}
        exec(compile("\n".join(lines), "<template>", "exec"), namespace)
        self._render = namespace["render"]
        self._filters = filters

    @staticmethod
    def _lookup(name):
        first, *rest = name.split(".")
        return "ctx[%r]" % first + "".join("[%r]" % r for r in rest)

    def render(self, **ctx):
        out = []
        self._render(ctx, self._filters, out)
        return "".join(out)


class Environment:
    def __init__(self, **filters):
        self.filters = {"upper": str.upper, "title": str.title, "length": len}
        self.filters.update(filters)

    def from_string(self, source):
        return Template(source, self.filters)


def bench_render_page(b):
    """Bad: environment and template are compiled in the op; a site renders a compiled template many times."""
    source = ("<h1>{{ title | upper }}</h1>{% if items %}<ul>{% for it in items %}"
              "<li>{{ it.name | title }}: {{ it.price }}</li>{% endfor %}</ul>{% endif %}")
    items = [{"name": "apple", "price": 3}, {"name": "pear", "price": 4}]
    for _ in b.loop():
        env = Environment(money=lambda v: "%.2f" % v)
        tpl = env.from_string(source)
        tpl.render(title="stock", items=items)


# --------------------------------------------------------------------------
# a DI container

class Settings:
    pass


class Database:
    def __init__(self, settings: Settings):
        self.settings = settings


class UserRepo:
    def __init__(self, db: Database):
        self.db = db


class Mailer:
    def __init__(self, settings: Settings):
        self.settings = settings


class SignupService:
    def __init__(self, repo: UserRepo, mailer: Mailer):
        self.repo, self.mailer = repo, mailer


class Container:
    def __init__(self):
        self._plans = {}

    def register(self, cls):
        needs = []
        if cls.__init__ is not object.__init__:
            for p in list(inspect.signature(cls.__init__).parameters.values())[1:]:
                needs.append((p.name, p.annotation))
        self._plans[cls] = needs
        return self

    def resolve(self, cls):
        return cls(**{name: self.resolve(dep) for name, dep in self._plans[cls]})


def create_container():
    return (Container()
            .register(Settings).register(Database).register(UserRepo)
            .register(Mailer).register(SignupService))


def bench_di_resolve(b):
    """Bad: wires the container (signature inspection of every class) for each resolve."""
    for _ in b.loop():
        container = create_container()
        service = container.resolve(SignupService)
        assert service.repo.db is not None


# --------------------------------------------------------------------------
# a state machine

class Machine:
    def __init__(self, states, transitions, initial):
        self.states = {}
        for s in states:
            self.states[s] = {"enter": [], "exit": [], "is": "is_" + s}
            setattr(self, "is_" + s, functools.partial(self._is, s))
        self.table = defaultdict(dict)
        for trigger, source, dest in transitions:
            sources = list(self.states) if source == "*" else [source]
            for src in sources:
                self.table[trigger][src] = dest
            if not hasattr(self, trigger):
                setattr(self, trigger, functools.partial(self._fire, trigger))
        self.state = initial

    def _is(self, name):
        return self.state == name

    def _fire(self, trigger):
        dest = self.table[trigger][self.state]
        for cb in self.states[self.state]["exit"]:
            cb()
        self.state = dest
        for cb in self.states[dest]["enter"]:
            cb()
        return True


STATES = ["new", "paid", "packed", "shipped", "delivered", "returned", "cancelled"]
TRANSITIONS = [
    ("pay", "new", "paid"), ("pack", "paid", "packed"), ("ship", "packed", "shipped"),
    ("deliver", "shipped", "delivered"), ("give_back", "delivered", "returned"),
    ("cancel", "*", "cancelled"), ("reset", "*", "new"),
]


def bench_trigger_transition(b):
    """Bad: the machine's states and transition table are built anew to fire a single trigger."""
    for _ in b.loop():
        m = Machine(STATES, TRANSITIONS, initial="new")
        m.pay()


# --------------------------------------------------------------------------
# a BPE-ish tokenizer

CORPUS = ("the cat sat on the mat and the dog sat on the log while the other "
          "cat ran to the other mat in the rather cold weather ")


class BPETokenizer:
    def __init__(self, text, n_merges=10):
        words = [list(w) for w in text.split()]
        self.ranks = {}
        for rank in range(n_merges):
            counts = defaultdict(int)
            for w in words:
                for pair in zip(w, w[1:]):
                    counts[pair] += 1
            if not counts:
                break
            best = max(sorted(counts), key=counts.__getitem__)
            self.ranks[best] = rank
            words = [self._merge(w, best) for w in words]
        symbols = sorted({s for w in words for s in w} | set(text))
        self.vocab = {s: i for i, s in enumerate(symbols)}

    @staticmethod
    def _merge(word, pair):
        out, i = [], 0
        while i < len(word):
            if i + 1 < len(word) and (word[i], word[i + 1]) == pair:
                out.append(word[i] + word[i + 1])
                i += 2
            else:
                out.append(word[i])
                i += 1
        return out

    def encode(self, text):
        ids = []
        for w in text.split():
            w = list(w)
            while len(w) > 1:
                pair = min(zip(w, w[1:]), key=lambda p: self.ranks.get(p, 1 << 30))
                if pair not in self.ranks:
                    break
                w = self._merge(w, pair)
            ids.extend(self.vocab.get(s, -1) for s in w)
        return ids


def bench_tokenizer_encode(b):
    """Bad: trains the vocabulary every time in order to encode five words."""
    sentence = "the other cat sat there"
    for _ in b.loop():
        tokenizer = BPETokenizer(CORPUS)
        ids = tokenizer.encode(sentence)
        len(ids)


# --------------------------------------------------------------------------
# plug-in manager

class PluginManager:
    def __init__(self, prefix="hook_"):
        self.prefix = prefix
        self.hooks = {}

    def register(self, plugin):
        for name in dir(plugin):
            if not name.startswith(self.prefix):
                continue
            fn = getattr(plugin, name)
            args = tuple(inspect.signature(fn).parameters)
            self.hooks.setdefault(name[len(self.prefix):], []).append((fn, args))

    def call(self, hook, **kwargs):
        return [fn(**{a: kwargs[a] for a in args}) for fn, args in self.hooks.get(hook, ())]


class CoveragePlugin:
    def hook_start(self, session):
        return session

    def hook_report(self, session, outcome):
        return outcome


class TimingPlugin:
    def hook_start(self):
        return 0

    def hook_finish(self, session):
        return session


class ColourPlugin:
    def hook_report(self, outcome):
        return "\033[32m%s\033[0m" % outcome


def bench_hookcall(b):
    """Bad: scans and registers all plug-ins again just to call one hook."""
    plugins = [CoveragePlugin(), TimingPlugin(), ColourPlugin()]

    for _ in b.loop():
        pm = PluginManager()
        for p in plugins:
            pm.register(p)
        pm.call("report", session="s1", outcome="passed")


# --------------------------------------------------------------------------
# ORM metadata

class Column:
    def __init__(self, name, type_, primary_key=False, references=None):
        self.name, self.type_ = name, type_
        self.primary_key, self.references = primary_key, references


class Table:
    def __init__(self, name, metadata, columns):
        self.name = name
        self.columns = {c.name: c for c in columns}
        self.pk = [c.name for c in columns if c.primary_key]
        self.foreign = {c.name: c.references.split(".") for c in columns if c.references}
        metadata.tables[name] = self


class MetaData:
    def __init__(self):
        self.tables = {}

    @classmethod
    def reflect(cls, description):
        md = cls()
        for table, cols in description.items():
            Table(table, md, [Column(*c) for c in cols])
        md.links = {(t.name, ref[0]): (col, ref[1])
                    for t in md.tables.values() for col, ref in t.foreign.items()}
        return md

    def select(self, table, **where):
        t = self.tables[table]
        cols = ", ".join("%s.%s" % (table, c) for c in t.columns)
        sql = "SELECT %s FROM %s" % (cols, table)
        if where:
            sql += " WHERE " + " AND ".join("%s = ?" % k for k in where)
        return sql, tuple(where.values())


DESCRIPTION = {
    "author": [("id", int, True), ("name", str), ("email", str)],
    "book": [("id", int, True), ("title", str), ("author_id", int, False, "author.id")],
    "review": [("id", int, True), ("stars", int), ("book_id", int, False, "book.id"),
               ("user_id", int, False, "user.id"), ("text", str)],
    "user": [("id", int, True), ("login", str), ("created", str), ("active", bool)],
    "shelf": [("id", int, True), ("user_id", int, False, "user.id"), ("label", str)],
    "shelf_book": [("shelf_id", int, True, "shelf.id"), ("book_id", int, True, "book.id")],
}


def bench_orm_select_by_pk(b):
    """Bad: reflects six tables of metadata for every simple SELECT; models are declared once at import."""
    for _ in b.loop():
        metadata = MetaData.reflect(DESCRIPTION)
        sql, params = metadata.select("author", id=7)


# --------------------------------------------------------------------------
# HTTP client session

class Adapter:
    def __init__(self, pool_size, retries):
        self.retries = retries
        self.pool = [bytearray(256) for _ in range(pool_size)]
        self.busy = set()
        self.sent = 0

    def send(self, request):
        buf = self.pool[0]
        line = ("%s %s HTTP/1.1" % (request[0], request[1])).encode()
        buf[:len(line)] = line
        self.sent += 1
        return 200, b"ok"

    def close(self):
        self.pool.clear()


class Session:
    def __init__(self, pool_size=20):
        self.headers = {"user-agent": "tiny/1.0", "accept": "*/*", "accept-encoding": "gzip, deflate"}
        self.hooks = {name: [] for name in ("request", "response", "error", "redirect")}
        self.adapters = {}
        for prefix in ("https://", "http://", "file://"):
            self.adapters[prefix] = Adapter(pool_size, retries=3)
        self.cookies = {}

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for a in self.adapters.values():
            a.close()

    def get(self, url):
        for prefix, adapter in self.adapters.items():
            if url.startswith(prefix):
                return adapter.send(("GET", url, dict(self.headers)))
        raise ValueError(url)


def bench_http_get(b):
    """Bad: opens a session with its three connection pools for one GET; a client keeps the session."""
    for _ in b.loop():
        with Session() as s:
            status, body = s.get("http://localhost/ping")
            assert status == 200


# --------------------------------------------------------------------------
# standard library

def bench_cli_parse(b):
    """Bad: constructing the parser and its subcommands dwarfs parse_args; a program builds its parser once."""
    argv = ["-v", "build", "--jobs", "4", "src"]
    for _ in b.loop():
        parser = argparse.ArgumentParser(prog="tool")
        parser.add_argument("-v", "--verbose", action="count", default=0)
        parser.add_argument("--config", default="tool.toml")
        sub = parser.add_subparsers(dest="command")
        build = sub.add_parser("build")
        build.add_argument("--jobs", type=int, default=1)
        build.add_argument("path")
        clean = sub.add_parser("clean")
        clean.add_argument("--all", action="store_true")
        parser.parse_args(argv)


def bench_sqlite_point_query(b):
    """Bad: connects and creates the schema per query; only the SELECT is what the name promises."""
    ddl = """
        create table account (id integer primary key, owner text, balance integer);
        create index account_owner on account (owner);
        create table entry (id integer primary key, account integer, amount integer);
        create index entry_account on entry (account);
    """
    for _ in b.loop():
        conn = sqlite3.connect(":memory:")
        conn.executescript(ddl)
        conn.execute("insert into account values (1, 'ada', 100)")
        row = conn.execute("select balance from account where owner = ?", ("ada",)).fetchone()
        conn.close()
        assert row == (100,)


def _square(n):
    return n * n


def bench_executor_submit(b):
    """Bad: starts and shuts down a thread pool per task; a service has one pool for its life."""
    for _ in b.loop():
        with ThreadPoolExecutor(max_workers=2) as pool:
            pool.submit(_square, 12).result()


def bench_async_handler(b):
    """Bad: creates and closes an event loop for each call of a coroutine that does next to nothing."""
    async def handler(request):
        await asyncio.sleep(0)
        return {"status": 200, "id": request["id"]}

    request = {"id": 5}
    for _ in b.loop():
        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(handler(request))
        finally:
            loop.close()


def bench_open_url(b):
    """Bad: build_opener makes and sorts in the default handlers in the op; applications install one opener."""
    tls = urllib.request.HTTPSHandler(context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    for _ in b.loop():
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), tls)
        opener.addheaders = [("User-Agent", "bench")]
        with opener.open("data:text/plain,hello") as resp:
            resp.read()


def bench_log_info(b):
    """Bad: configures logger, handlers and formatters for one record; logging is configured at start-up."""
    sink = io.StringIO()
    for _ in b.loop():
        log = logging.Logger("app.request", level=logging.INFO)
        fmt = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
        out = logging.StreamHandler(sink)
        out.setFormatter(fmt)
        err = logging.StreamHandler(sink)
        err.setLevel(logging.ERROR)
        err.setFormatter(logging.Formatter("%(levelname)-8s %(pathname)s:%(lineno)d %(message)s"))
        log.addHandler(out)
        log.addHandler(err)
        log.info("handled %s in %d ms", "/users", 12)
        sink.seek(0)
        sink.truncate()


# --------------------------------------------------------------------------
# classes, functions and closures made in the op

def bench_asdict(b):
    """Bad: the dataclass itself is defined in the op, which costs far more than one asdict."""
    for _ in b.loop():
        @dataclass
        class Point:
            x: int
            y: int
            label: str = ""

        asdict(Point(1, 2, "p"))


def bench_middleware_stack(b):
    """Bad: wraps the view in all the middlewares per request; a framework builds the chain when it loads."""
    def view(request):
        return 200

    def make_middleware(name):
        def middleware(get_response):
            @functools.wraps(get_response)
            def inner(request):
                request[name] = True
                return get_response(request)
            return inner
        return middleware

    names = ["security", "session", "common", "csrf", "auth", "messages", "clickjacking", "gzip"]
    for _ in b.loop():
        app = view
        for name in reversed(names):
            app = make_middleware(name)(app)
        app({"path": "/"})


def bench_single_dispatch(b):
    """Bad: the generic function and its six implementations are registered again for each dispatched call."""
    for _ in b.loop():
        @functools.singledispatch
        def to_json(value):
            return repr(value)

        to_json.register(int, lambda v: str(v))
        to_json.register(str, lambda v: '"' + v + '"')
        to_json.register(bool, lambda v: "true" if v else "false")
        to_json.register(list, lambda v: "[...]")
        to_json.register(dict, lambda v: "{...}")
        to_json.register(type(None), lambda v: "null")
        to_json("hello")
