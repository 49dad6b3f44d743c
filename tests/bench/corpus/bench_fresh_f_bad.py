"""Micro-benchmarks whose op rebuilds what a service builds once at start-up."""
import argparse
import bisect
import collections
import concurrent.futures
import configparser
import contextlib
import gettext
import hashlib
import io
import logging
import mimetypes
import re
import sqlite3
import struct


# --- template engine -------------------------------------------------------

class Template:
    """A template translated to Python source and compiled."""

    TAG = re.compile(r"({{.*?}}|{%.*?%})")

    def __init__(self, engine, source):
        self.engine = engine
        lines = ["def _render(ctx, filters, out):"]
        depth = 1
        for part in self.TAG.split(source):
            pad = "    " * depth
            if part.startswith("{{"):
                name, *pipes = [p.strip() for p in part[2:-2].split("|")]
                head, *attrs = name.split(".")
                expr = "ctx[%r]" % head
                for attr in attrs:
                    expr += "[%r]" % attr
                for pipe in pipes:
                    expr = "filters[%r](%s)" % (pipe, expr)
                lines.append("%sout(str(%s))" % (pad, expr))
            elif part.startswith("{%"):
                words = part[2:-2].split()
                if words[0] == "for":
                    lines.append("%sfor ctx[%r] in ctx[%r]:" % (pad, words[1], words[3]))
                    depth += 1
                else:
                    depth -= 1
            elif part:
                lines.append("%sout(%r)" % (pad, part))
        space = {}
        exec(compile("\n".join(lines), "<template>", "exec"), space)
        self._render = space["_render"]

    def render(self, **context):
        parts = []
        self._render(context, self.engine.filters, parts.append)
        return "".join(parts)


class TemplateEngine:
    """Holds the filters and the sources."""

    def __init__(self, sources, filters=None):
        self.sources = dict(sources)
        self.filters = {"upper": str.upper, "lower": str.lower, "title": str.title}
        self.filters.update(filters or {})

    def get_template(self, name):
        return Template(self, self.sources[name])


INVOICE = (
    "<h1>{{ title | upper }}</h1><ul>{% for item in items %}"
    "<li>{{ item.name | title }}: {{ item.price }}</li>{% endfor %}</ul>"
    "<p>{{ customer.name }} - {{ customer.city | lower }}</p>"
)


def bench_render_invoice(b):
    """Bad: the engine is made and the template compiled in each op; a site does it once."""
    context = {
        "title": "invoice",
        "items": [{"name": "pen %d" % i, "price": i * 3} for i in range(5)],
        "customer": {"name": "Ada", "city": "LONDON"},
    }
    for _ in b.loop():
        engine = TemplateEngine({"invoice.html": INVOICE}, filters={"strip": str.strip})
        template = engine.get_template("invoice.html")
        html = template.render(**context)
        assert html.startswith("<h1>INVOICE")


# --- web app ----------------------------------------------------------------

class NotFound(LookupError):
    """No route for the path."""


class App:
    """A little web app with decorator routes."""

    def __init__(self, prefix=""):
        self.prefix = prefix
        self.routes = []

    def route(self, pattern, methods=("GET",)):
        def deco(func):
            out = []
            for piece in (self.prefix + pattern).split("/"):
                if piece.startswith("<"):
                    kind, _, name = piece[1:-1].rpartition(":")
                    out.append("(?P<%s>%s)" % (name, r"\d+" if kind == "int" else "[^/]+"))
                else:
                    out.append(re.escape(piece))
            self.routes.append((frozenset(methods), re.compile("^%s$" % "/".join(out)), func))
            return func
        return deco

    def dispatch(self, method, path):
        for methods, regex, func in self.routes:
            found = regex.match(path)
            if found and method in methods:
                return func(**found.groupdict())
        raise NotFound(path)


def bench_dispatch_request(b):
    """Bad: the app and its decorated views are declared anew for each request."""
    for _ in b.loop():
        app = App(prefix="/api")

        @app.route("/users")
        def list_users():
            return ["ada", "bob"]

        @app.route("/users/<int:uid>")
        def get_user(uid):
            return {"id": int(uid)}

        @app.route("/users/<int:uid>/posts/<slug>", methods=("GET", "POST"))
        def get_post(uid, slug):
            return {"user": int(uid), "slug": slug}

        app.dispatch("GET", "/api/users/42/posts/hello-world")


# --- schema validation ------------------------------------------------------

class SchemaValidator:
    """Compiles a JSON-schema-like dict to a tree of check functions."""

    TYPES = {"string": str, "integer": int, "array": list, "object": dict}

    def __init__(self, schema):
        self._check = self._compile(schema)

    def _compile(self, schema):
        checks = []
        kind = self.TYPES[schema["type"]]
        checks.append(lambda v: isinstance(v, kind))
        if "pattern" in schema:
            regex = re.compile(schema["pattern"])
            checks.append(lambda v: regex.search(v) is not None)
        if "minimum" in schema:
            low = schema["minimum"]
            checks.append(lambda v: v >= low)
        if "items" in schema:
            item = self._compile(schema["items"])
            checks.append(lambda v: all(map(item, v)))
        if "properties" in schema:
            props = {k: self._compile(s) for k, s in sorted(schema["properties"].items())}
            required = frozenset(schema.get("required", ()))
            checks.append(lambda v: required <= v.keys())
            checks.append(lambda v: all(c(v[k]) for k, c in props.items() if k in v))
        return lambda value: all(check(value) for check in checks)

    def is_valid(self, document):
        return self._check(document)


USER_SCHEMA = {
    "type": "object",
    "required": ["name", "age"],
    "properties": {
        "name": {"type": "string", "pattern": "^[A-Z]"},
        "age": {"type": "integer", "minimum": 0},
        "email": {"type": "string", "pattern": r"^\S+@\S+$"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "address": {
            "type": "object",
            "required": ["city"],
            "properties": {"city": {"type": "string"}, "zip": {"type": "string", "pattern": r"^\d{5}$"}},
        },
    },
}


def bench_validate_payloads(b):
    """Bad: a validator is compiled from the schema for each document of the batch."""
    payloads = [
        {"name": "Ada", "age": 36, "email": "ada@example.org", "tags": ["x"]},
        {"name": "bob", "age": 2},
        {"name": "Eve", "age": 7, "address": {"city": "Oslo", "zip": "01234"}},
    ]
    for _ in b.loop():
        accepted = 0
        for payload in payloads:
            if SchemaValidator(USER_SCHEMA).is_valid(payload):
                accepted += 1
        assert accepted == 2


# --- serializer ---------------------------------------------------------------

class Field:
    """A declared field, bound to its name by the serializer class."""

    def __init__(self, source=None, convert=None, default=None):
        self.source, self.convert, self.default = source, convert, default

    def bind(self, name):
        self.getter_name = self.source or name
        return self

    def get(self, obj):
        value = obj.get(self.getter_name, self.default)
        return self.convert(value) if self.convert else value


class SerializerMeta(type):
    """Collects the declared fields, bases first."""

    def __new__(mcs, name, bases, ns):
        fields = {}
        for base in reversed(bases):
            fields.update(getattr(base, "_fields", {}))
        fields.update({k: v.bind(k) for k, v in ns.items() if isinstance(v, Field)})
        for key in fields:
            ns.pop(key, None)
        ns["_fields"] = fields
        return super().__new__(mcs, name, bases, ns)


class Serializer(metaclass=SerializerMeta):
    """Base of the declared serializers."""

    def dump(self, obj):
        return {name: field.get(obj) for name, field in self._fields.items()}


def bench_serialize_user(b):
    """Bad: the serializer class is declared (metaclass and all) in the op."""
    row = {"id": 7, "login": "ada", "created": "2024-01-01", "score": "12.5"}
    for _ in b.loop():
        class BaseSerializer(Serializer):
            id = Field(convert=int)
            created = Field()

        class UserSerializer(BaseSerializer):
            name = Field(source="login")
            score = Field(convert=float, default=0)

        payload = UserSerializer().dump(row)
        payload["kind"] = "user"


# --- metrics --------------------------------------------------------------------

class Metric:
    """Base of the metrics; registers itself."""

    def __init__(self, name, help="", labels=(), registry=None):
        if not re.fullmatch("[a-z_:][a-z0-9_:]*", name):
            raise ValueError(name)
        self.name, self.help, self.labels = name, help, tuple(labels)
        self.values = collections.defaultdict(float)
        if registry is not None:
            registry.register(self)


class Counter(Metric):
    """Counts."""

    def inc(self, *labels, amount=1):
        self.values[labels] += amount


class Histogram(Metric):
    """Counts by bucket."""

    def __init__(self, name, start=0.001, factor=1.3, count=40, **kw):
        super().__init__(name, **kw)
        self.bounds = [start * factor ** i for i in range(count)] + [float("inf")]
        self.counts = [0] * len(self.bounds)

    def observe(self, value):
        self.counts[bisect.bisect_left(self.bounds, value)] += 1


class MetricRegistry:
    """Names to metrics."""

    def __init__(self):
        self.metrics = {}

    def register(self, metric):
        if metric.name in self.metrics:
            raise ValueError("duplicate " + metric.name)
        self.metrics[metric.name] = metric


def bench_observe_latency(b):
    """Bad: registry, counter and histogram are wired up for each single observation."""
    for _ in b.loop():
        registry = MetricRegistry()
        hits = Counter(name="http_requests_total", help="Requests", labels=("method", "code"),
                       registry=registry)
        latency = Histogram(name="http_latency_seconds", help="Latency", registry=registry)
        hits.inc("GET", "200")
        latency.observe(0.042)


# --- scheduler ------------------------------------------------------------------

class CronJob:
    """One line of a crontab, expanded to sets."""

    RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))

    def __init__(self, line):
        *fields, self.command = line.split(None, 5)
        self.sets = [self._expand(f, *r) for f, r in zip(fields, self.RANGES)]

    @staticmethod
    def _expand(field, low, high):
        out = set()
        for part in field.split(","):
            part, _, step = part.partition("/")
            if part == "*":
                first, last = low, high
            else:
                first, _, last = part.partition("-")
                first, last = int(first), int(last or first)
            out.update(range(first, last + 1, int(step or 1)))
        return out


class CronScheduler:
    """Says which jobs are due."""

    def __init__(self, crontab):
        lines = (line.strip() for line in crontab.splitlines())
        self.jobs = [CronJob(line) for line in lines if line and line[0] != "#"]

    def due(self, moment):
        return [j.command for j in self.jobs if all(m in s for m, s in zip(moment, j.sets))]


CRONTAB = """
# m h dom mon dow command
*/5 * * * * refresh-feeds
0 3 * * 0 vacuum --full
15,45 8-18 * * 1-5 send-digest
0 0 1 */3 * quarterly-report
"""


def bench_due_jobs(b):
    """Bad: the crontab is parsed and expanded for each tick of the scheduler."""
    tick = (15, 9, 4, 6, 2)
    for _ in b.loop():
        commands = CronScheduler(CRONTAB).due(tick)
        commands.sort()


# --- dependency wiring --------------------------------------------------------------

class Pool:
    """A pool of pretend connections."""

    def __init__(self, dsn, size):
        scheme, _, rest = dsn.partition("://")
        self.scheme = scheme
        self.idle = collections.deque({"id": i, "host": rest, "stmts": {}} for i in range(size))

    def run(self, func):
        conn = self.idle.popleft()
        try:
            return func(conn)
        finally:
            self.idle.append(conn)


class UserRepository:
    """Reads users."""

    def __init__(self, pool, columns):
        self.pool = pool
        self.sql = "SELECT %s FROM users WHERE id = ?" % ", ".join('"%s"' % c for c in columns)
        self.columns = columns

    def get(self, uid):
        return self.pool.run(lambda conn: dict.fromkeys(self.columns, uid))


class PermissionPolicy:
    """Roles expanded to their inherited permissions."""

    def __init__(self, roles):
        self.grants = {}
        for role in roles:
            todo, seen = [role], set()
            while todo:
                spec = roles[todo.pop()]
                seen.update(spec["can"])
                todo.extend(spec.get("inherits", ()))
            self.grants[role] = frozenset(seen)

    def allows(self, role, action):
        return action in self.grants[role]


class UserService:
    """What a view calls."""

    def __init__(self, repo, policy):
        self.repo, self.policy = repo, policy

    def show(self, role, uid):
        if not self.policy.allows(role, "user.read"):
            raise PermissionError(role)
        return self.repo.get(uid)


ROLES = {
    "guest": {"can": ["page.read"]},
    "member": {"can": ["user.read", "page.write"], "inherits": ["guest"]},
    "admin": {"can": ["user.write", "user.delete"], "inherits": ["member"]},
}


def bench_show_user(b):
    """Bad: the whole object graph (pool, repository, policy, service) is nested in the op."""
    for _ in b.loop():
        service = UserService(
            UserRepository(Pool("pg://db.internal/app", size=10), columns=("id", "name", "email")),
            policy=PermissionPolicy(ROLES),
        )
        user = service.show("admin", 42)
        assert user["id"] == 42


# --- cache sharding ---------------------------------------------------------------

class HashRing:
    """Consistent hashing of keys to nodes."""

    def __init__(self, nodes, replicas=40):
        points = []
        for node in nodes:
            for i in range(replicas):
                digest = hashlib.md5(("%s#%d" % (node, i)).encode()).digest()
                points.append((struct.unpack(">Q", digest[:8])[0], node))
        points.sort()
        self.hashes = [h for h, _ in points]
        self.nodes = [n for _, n in points]

    def node_for(self, key):
        h = struct.unpack(">Q", hashlib.md5(key.encode()).digest()[:8])[0]
        return self.nodes[bisect.bisect(self.hashes, h) % len(self.nodes)]


def pick_node(key, nodes):
    """Which cache node holds the key."""
    ring = HashRing(nodes)
    return ring.node_for(key)


def bench_cache_lookup(b):
    """Bad: the helper called in the op builds the consistent-hash ring for each key."""
    nodes = ["cache-a:11211", "cache-b:11211", "cache-c:11211"]
    stores = {node: {"session:1234": b"payload"} for node in nodes}
    for _ in b.loop():
        node = pick_node("session:1234", nodes)
        value = stores[node].get("session:1234")
        assert value


# --- event bus --------------------------------------------------------------------

class EventBus:
    """Publishes to the subscribers of a topic pattern."""

    def __init__(self):
        self.subs = []

    def subscribe(self, pattern, handler, priority=0):
        regex = re.compile(re.escape(pattern).replace(r"\*", "[^.]+") + r"\Z")
        self.subs.append((priority, len(self.subs), regex, handler))
        self.subs.sort(key=lambda sub: (-sub[0], sub[1]))

    def publish(self, topic, payload):
        sent = 0
        for _, _, regex, handler in self.subs:
            if regex.match(topic):
                handler(payload)
                sent += 1
        return sent


class AuditedBus(EventBus):
    """Also keeps the last topics."""

    def __init__(self, keep=100):
        super().__init__()
        self.trail = collections.deque(maxlen=keep)

    def publish(self, topic, payload):
        self.trail.append(topic)
        return super().publish(topic, payload)


def bench_publish_event(b):
    """Bad: the bus is made and all subscribers registered in a loop before each publish."""
    inbox = collections.deque(maxlen=50)
    patterns = ["order.*", "order.paid", "user.*", "invoice.*.sent", "stock.*"]
    for _ in b.loop():
        bus = AuditedBus(keep=10)
        for rank, pattern in enumerate(patterns):
            bus.subscribe(pattern, inbox.append, priority=rank % 2)
        bus.publish("order.paid", {"order": 17, "total": 99})


# --- standard library ---------------------------------------------------------------

def bench_insert_order(b):
    """Bad: the in-memory database is opened and its table and index created for one insert."""
    order = (1, "ada", 12.5)
    for _ in b.loop():
        with contextlib.closing(sqlite3.connect(":memory:")) as db:
            db.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT, total REAL)")
            db.execute("CREATE INDEX orders_customer ON orders (customer)")
            db.execute("INSERT INTO orders VALUES (?, ?, ?)", order)
            db.commit()


def _main(argv):
    """The command line of a deploy tool."""
    parser = argparse.ArgumentParser(prog="deploy", add_help=False)
    parser.add_argument("-v", "--verbose", action="count", default=0)
    parser.add_argument("--env", choices=("dev", "staging", "prod"), default="dev")
    commands = parser.add_subparsers(dest="command", required=True)
    push = commands.add_parser("push", help="push a build")
    push.add_argument("build", type=int)
    push.add_argument("--force", action="store_true")
    commands.add_parser("status", help="show the status").add_argument("--json", action="store_true")
    return parser.parse_args(argv)


def bench_parse_args(b):
    """Bad: the helper builds the parser and subparsers each time; the parse is the small part."""
    argv = ["-vv", "--env", "prod", "push", "118", "--force"]
    for _ in b.loop():
        options = _main(argv)
        assert options.build == 118


def bench_log_line(b):
    """Bad: logger, handler and formatter are wired together again for each line logged."""
    for _ in b.loop():
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
        logger = logging.Logger("app.requests", level=logging.INFO)
        logger.addHandler(handler)
        logger.info("GET %s -> %d", "/users/42", 200)
        handler.close()


def bench_tokenize_expression(b):
    """Bad: the scanner (uncached compilation of all the token rules) is made in the op."""
    text = "price * (1 + vat_rate) - 3.50"
    for _ in b.loop():
        tokens, rest = re.Scanner([
            (r"\d+\.\d+|\d+", lambda s, t: ("num", t)),
            (r"[A-Za-z_]\w*", lambda s, t: ("name", t)),
            (r"[-+*/()]", lambda s, t: ("op", t)),
            (r"\s+", None),
        ]).scan(text)
        assert not rest and len(tokens) == 9


SETTINGS = """
[server]
host = 0.0.0.0
port = 8080
workers = 4

[paths]
root = /srv/app
static = %(root)s/static

[log]
level = INFO
file = /var/log/app.log
"""


def bench_get_setting(b):
    """Bad: measures reading the settings file, which a service does once, not the lookups."""
    for _ in b.loop():
        config = configparser.ConfigParser(interpolation=configparser.BasicInterpolation())
        config.read_string(SETTINGS)
        port = config.getint("server", "port")
        static = config["paths"]["static"]
        assert port and static


def bench_submit_job(b):
    """Bad: a thread pool is started and shut down around each batch; a service keeps one."""
    words = ["alpha", "beta", "gamma"]
    for _ in b.loop():
        with concurrent.futures.ThreadPoolExecutor(max_workers=2, thread_name_prefix="job") as pool:
            futures = [pool.submit(str.upper, word) for word in words]
            results = [future.result() for future in futures]
        assert results[0] == "ALPHA"


def _catalogue(messages):
    """The bytes of a .mo file."""
    messages = dict(messages)
    messages[""] = "Content-Type: text/plain; charset=UTF-8\nPlural-Forms: nplurals=2; plural=n != 1;\n"
    keys = sorted(messages)
    count = len(keys)
    ids, texts, table_ids, table_texts = b"", b"", [], []
    base = 28 + 16 * count
    size_ids = sum(len(k.encode()) + 1 for k in keys)
    for key in keys:
        raw, text = key.encode(), messages[key].encode()
        table_ids += [len(raw), base + len(ids)]
        table_texts += [len(text), base + size_ids + len(texts)]
        ids += raw + b"\0"
        texts += text + b"\0"
    head = struct.pack("<7I", 0x950412DE, 0, count, 28, 28 + 8 * count, 0, 0)
    return head + struct.pack("<%dI" % (4 * count), *table_ids, *table_texts) + ids + texts


def bench_translate_message(b):
    """Bad: the message catalogue is parsed in the op just to look up two strings."""
    data = _catalogue({"message %d" % i: "Nachricht %d" % i for i in range(60)})
    for _ in b.loop():
        translate = gettext.GNUTranslations(io.BytesIO(data)).gettext
        first = translate("message 7")
        second = translate("unknown message")
        assert first != second


def bench_guess_content_type(b):
    """Bad: a new MIME table is filled for each file served; servers share one."""
    names = ("/static/app.css", "/static/logo.png", "/dl/backup.tar.gz")
    for _ in b.loop():
        types = [mimetypes.MimeTypes().guess_type(name)[0] for name in names]
        assert types[1] == "image/png"


def bench_rows_to_objects(b):
    """Bad: the row class is generated in the op from columns that never change."""
    columns = ("id", "customer", "total", "created_at")
    rows = [(i, "c%d" % i, i * 1.5, "2024-01-%02d" % (i + 1)) for i in range(10)]
    for _ in b.loop():
        Row = collections.namedtuple("Row", columns, defaults=(None,))
        objects = list(map(Row._make, rows))
        assert objects[3].customer == "c3"
