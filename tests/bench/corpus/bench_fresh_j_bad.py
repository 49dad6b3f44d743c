"""Benchmarks whose op rebuilds what a real program builds once."""
import argparse
import collections
import concurrent.futures
import configparser
import dataclasses
import gettext
import hashlib
import io
import logging
import logging.config
import sqlite3
import struct

_SYL = ["ka", "ro", "mi", "tel", "an", "shu", "ber", "dol", "e", "vi"]
WORDS = [a + b + c for a in _SYL for b in _SYL for c in _SYL[:5]]


# --------------------------------------------------------------- record codec

class RecordCodec:
    """Compiles a column schema into a packer."""

    CODES = {"u8": "B", "i16": "h", "i32": "i", "i64": "q", "f64": "d", "bool": "?"}

    def __init__(self, schema):
        self.names = []
        self.offsets = {}
        fmt = "<"
        for name, kind in schema:
            if kind.startswith("char"):
                code = kind[5:-1] + "s"
            else:
                code = self.CODES[kind]
            self.offsets[name] = struct.calcsize(fmt)
            fmt += code
            self.names.append(name)
        self.struct = struct.Struct(fmt)
        self.text = {n for n, k in schema if k.startswith("char")}

    def encode(self, row):
        return self.struct.pack(*[
            row[n].encode() if n in self.text else row[n] for n in self.names
        ])


def bench_record_encode(b):
    """Bad: the codec for a fixed schema is compiled for every row that is encoded."""
    schema = [
        ("id", "i64"), ("ts", "i64"), ("kind", "u8"), ("ok", "bool"),
        ("lat", "f64"), ("lon", "f64"), ("speed", "i16"), ("tag", "char[12]"),
        ("level", "i32"), ("site", "char[8]"),
    ]
    row = dict(id=7, ts=1700000000, kind=3, ok=True, lat=51.5, lon=-0.1,
               speed=88, tag="truck", level=-4, site="LON")
    for _ in b.loop():
        codec = RecordCodec(schema)
        codec.encode(row)


# ----------------------------------------------------------------------- trie

class Trie:
    def __init__(self, words=()):
        self.root = {}
        for w in words:
            self.add(w)

    def add(self, word):
        node = self.root
        for ch in word:
            node = node.setdefault(ch, {})
        node["$"] = True

    def __contains__(self, word):
        node = self.root
        for ch in word:
            node = node.get(ch)
            if node is None:
                return False
        return "$" in node


def bench_trie_contains(b):
    """Bad: loads the whole vocabulary into a trie to answer two look-ups."""
    for _ in b.loop():
        t = Trie(WORDS)
        assert "karomi" in t
        assert "zzz" not in t


# --------------------------------------------------------------- bloom filter

class BloomFilter:
    def __init__(self, nbits, nhash):
        self.nbits = nbits
        self.nhash = nhash
        self.bits = bytearray(nbits // 8 + 1)

    def _positions(self, key):
        d = hashlib.blake2b(key.encode(), digest_size=16).digest()
        h1 = int.from_bytes(d[:8], "little")
        h2 = int.from_bytes(d[8:], "little") | 1
        return [(h1 + i * h2) % self.nbits for i in range(self.nhash)]

    def add(self, key):
        for p in self._positions(key):
            self.bits[p >> 3] |= 1 << (p & 7)

    def might_contain(self, key):
        return all(self.bits[p >> 3] & (1 << (p & 7)) for p in self._positions(key))


def bench_bloom_query(b):
    """Bad: the filter of already-seen URLs is refilled before each batch of queries."""
    seen = [f"https://example.org/p/{i}" for i in range(300)]
    queries = [f"https://example.org/p/{i}" for i in range(290, 310)]

    for _ in b.loop():
        bf = BloomFilter(4096, 4)
        for url in seen:
            bf.add(url)
        hits = 0
        for q in queries:
            if bf.might_contain(q):
                hits += 1


# --------------------------------------------------------------- aho-corasick

class Automaton:
    """Aho-Corasick over a list of keywords."""

    def __init__(self, keywords):
        self.goto = [{}]
        self.out = [[]]
        self.fail = [0]
        for k in keywords:
            self._insert(k)
        self._link()

    def _insert(self, kw):
        s = 0
        for ch in kw:
            if ch not in self.goto[s]:
                self.goto[s][ch] = len(self.goto)
                self.goto.append({})
                self.out.append([])
                self.fail.append(0)
            s = self.goto[s][ch]
        self.out[s].append(kw)

    def _link(self):
        queue = collections.deque(self.goto[0].values())
        while queue:
            r = queue.popleft()
            for ch, s in self.goto[r].items():
                queue.append(s)
                f = self.fail[r]
                while f and ch not in self.goto[f]:
                    f = self.fail[f]
                self.fail[s] = self.goto[f].get(ch, 0)
                self.out[s] = self.out[s] + self.out[self.fail[s]]

    def scan(self, text):
        s, found = 0, []
        for i, ch in enumerate(text):
            while s and ch not in self.goto[s]:
                s = self.fail[s]
            s = self.goto[s].get(ch, 0)
            for kw in self.out[s]:
                found.append((i, kw))
        return found


def bench_keyword_scan(b):
    """Bad: the keyword automaton is constructed again for each message scanned."""
    keywords = WORDS[::3]
    msg = "the karoka of mitelan met an ordinary shubermi at the docks " * 2
    for _ in b.loop():
        Automaton(keywords).scan(msg)


# ------------------------------------------------------------------ event bus

class EventBus:
    def __init__(self):
        self._subs = {}

    def subscribe(self, topic, fn, priority=0):
        lst = self._subs.setdefault(topic, [])
        lst.append((priority, fn))
        lst.sort(key=lambda p: p[0])

    def publish(self, topic, payload):
        n = 0
        for _prio, fn in self._subs.get(topic, ()):
            fn(payload)
            n += 1
        return n


def bench_event_bus_publish(b):
    """Bad: wires up all subscribers (application start-up) before every publish."""
    topics = ["order.created", "order.paid", "order.shipped", "user.login", "user.logout"]
    sink = collections.deque(maxlen=32)

    for _ in b.loop():
        bus = EventBus()
        for topic in topics:
            for prio in range(8):
                bus.subscribe(topic, sink.append, 8 - prio)
        bus.publish("order.paid", {"id": 5, "amount": 1200})


# ----------------------------------------------------------- middleware stack

class Timing:
    def __init__(self, app):
        self.app = app

    def __call__(self, req):
        resp = self.app(req)
        resp["x-steps"] = resp.get("x-steps", 0) + 1
        return resp


class Auth:
    def __init__(self, app, tokens):
        self.app = app
        self.tokens = {hashlib.sha256(t.encode()).hexdigest(): t for t in tokens}

    def __call__(self, req):
        if hashlib.sha256(req["token"].encode()).hexdigest() not in self.tokens:
            return {"status": 401}
        return self.app(req)


class Cors:
    def __init__(self, app, origins):
        self.app = app
        self.allowed = frozenset(o.lower().rstrip("/") for o in origins)

    def __call__(self, req):
        resp = self.app(req)
        if req["origin"] in self.allowed:
            resp["allow-origin"] = req["origin"]
        return resp


def _build_app(tokens, origins):
    def endpoint(req):
        return {"status": 200, "body": req["path"]}

    return Timing(Cors(Auth(endpoint, tokens), origins))


def bench_middleware_request(b):
    """Bad: create-the-app is inside the loop; the request itself is a minor part."""
    tokens = [f"tok-{i}" for i in range(25)]
    origins = [f"https://app{i}.Example.com/" for i in range(25)]
    request = {"path": "/v1/items", "token": "tok-3", "origin": "https://app4.example.com"}
    for _ in b.loop():
        app = _build_app(tokens, origins)
        app(request)


# ------------------------------------------------------------ permission tree

@dataclasses.dataclass
class PermNode:
    name: str
    allow: set = dataclasses.field(default_factory=set)
    children: dict = dataclasses.field(default_factory=dict)


class PermissionTree:
    def __init__(self, grants):
        self.root = PermNode("")
        for path, role in grants:
            node = self.root
            for part in path.split("/"):
                node = node.children.setdefault(part, PermNode(part))
            node.allow.add(role)

    @classmethod
    def from_policy(cls, text):
        return cls(tuple(line.split(": ")) for line in text.splitlines() if line)

    def allowed(self, path, role):
        node = self.root
        for part in path.split("/"):
            node = node.children.get(part)
            if node is None:
                return False
            if role in node.allow:
                return True
        return False


def bench_permission_check(b):
    """Bad: re-reads the policy into a tree for each single permission check."""
    policy = "\n".join(
        f"org{o}/team{t}/repo{r}: role{(o + t + r) % 6}"
        for o in range(3) for t in range(4) for r in range(5)
    )
    for _ in b.loop():
        tree = PermissionTree.from_policy(policy)
        tree.allowed("org1/team2/repo3", "role0")


# ---------------------------------------------------------------- rule engine

class RuleEngine:
    def __init__(self, rules):
        self._compiled = [
            (name, compile(expr, f"<rule {name}>", "eval")) for name, expr in rules.items()
        ]

    def matching(self, facts):
        return [n for n, code in self._compiled if eval(code, {"__builtins__": {}}, facts)]


RULES = {
    "bulk": "qty >= 100 and price < 5",
    "vip": "tier == 'gold' or total > 10000",
    "risky": "country in ('XX', 'YY') and not verified",
    "free_shipping": "total > 50 and weight <= 20.0",
    "heavy": "weight > 20.0 or (qty * weight) > 400",
    "weekend": "weekday >= 5",
}


def bench_rule_engine(b):
    """Bad: compiles the static rule expressions for each set of facts evaluated."""
    facts = dict(qty=120, price=3, tier="gold", total=360, country="NL",
                 verified=True, weight=0.5, weekday=2)
    for _ in b.loop():
        engine = RuleEngine(RULES)
        names = engine.matching(facts)
        assert "bulk" in names


# ------------------------------------------------- static prefix-code decoder

class StaticPrefixDecoder:
    """Decoder for a fixed canonical code, driven by a 9-bit table."""

    WIDTH = 9

    def __init__(self, lengths):
        self.table = [None] * (1 << self.WIDTH)
        self.enc = {}
        code = 0
        prev = 0
        for sym, ln in sorted(lengths.items(), key=lambda kv: (kv[1], kv[0])):
            code <<= ln - prev
            prev = ln
            self.enc[sym] = (code, ln)
            base = code << (self.WIDTH - ln)
            for k in range(1 << (self.WIDTH - ln)):
                self.table[base + k] = (sym, ln)
            code += 1

    def encode(self, text):
        return "".join(format(c, f"0{n}b") for c, n in (self.enc[ch] for ch in text))

    def decode(self, bits):
        out = []
        pos, end = 0, len(bits)
        bits += "0" * self.WIDTH
        while pos < end:
            sym, n = self.table[int(bits[pos:pos + self.WIDTH], 2)]
            out.append(sym)
            pos += n
        return "".join(out)


def bench_prefix_decode(b):
    """Bad: the 512-entry decode table of a *static* code is regenerated per message."""
    lengths = {c: 4 for c in "etaoinsr"}
    lengths.update({c: 6 for c in "hdlcumfpgwybvkxjqz ,."})
    bits = StaticPrefixDecoder(lengths).encode("a short header line")
    for _ in b.loop():
        dec = StaticPrefixDecoder(lengths)
        dec.decode(bits)


# =================================================== library and plain functions

def bench_cli_parse(b):
    """Bad: defines the whole command line interface for each parse."""
    argv = ["--verbose", "export", "--format", "csv", "orders"]
    for _ in b.loop():
        p = argparse.ArgumentParser(prog="etl")
        p.add_argument("--verbose", action="store_true")
        p.add_argument("--config", default="etl.toml")
        sub = p.add_subparsers(dest="cmd")
        exp = sub.add_parser("export")
        exp.add_argument("--format", choices=["csv", "json", "parquet"])
        exp.add_argument("table")
        imp = sub.add_parser("import")
        imp.add_argument("path")
        ns = p.parse_args(argv)
        assert ns.table == "orders"


def bench_namedtuple_rows(b):
    """Bad: generates the row class in the loop, which dwarfs filling ten rows."""
    header = "id name email city zip".split()
    raw = [(i, f"n{i}", f"n{i}@x.org", "Oslo", 150 + i) for i in range(10)]
    for _ in b.loop():
        Row = collections.namedtuple("Row", header)
        rows = [Row(*r) for r in raw]
        max(rows, key=lambda r: r.zip)


def bench_generated_model(b):
    """Bad: make_dataclass runs (exec of generated source) for every object serialised."""
    fields = [("sku", str), ("qty", int), ("price", float), ("tags", tuple)]
    for _ in b.loop():
        Model = dataclasses.make_dataclass("Model", fields, frozen=True)
        obj = Model("A-1", 2, 9.5, ("new", "sale"))
        dataclasses.asdict(obj)


def _shard_sum(chunk):
    return sum(chunk)


def bench_parallel_sum(b):
    """Bad: starts and stops a worker pool per op; the pool is a per-process thing."""
    chunks = [range(i * 50, i * 50 + 50) for i in range(4)]

    for _ in b.loop():
        with concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
            total = sum(pool.map(_shard_sum, chunks))
        assert total == 19900


SCHEMA = """
create table customer (id integer primary key, name text not null, city text);
create table invoice (id integer primary key, customer_id int references customer, cents int);
create index invoice_by_customer on invoice (customer_id);
create view totals as select customer_id, sum(cents) as cents from invoice group by customer_id;
"""


def bench_sqlite_select(b):
    """Bad: connects and creates the schema each time, to time one small select."""
    for _ in b.loop():
        conn = sqlite3.connect(":memory:")
        conn.executescript(SCHEMA)
        conn.execute("insert into customer values (1, 'Ada', 'London')")
        conn.execute("select name from customer where id = ?", (1,)).fetchone()
        conn.close()


def bench_settings_get(b):
    """Bad: parses the configuration file again to read two settings."""
    text = "\n".join(
        f"[service.{s}]\nhost = h{s}.internal\nport = {8000 + s}\ntimeout = 2.5\nretries = 3\n"
        for s in range(8)
    )
    for _ in b.loop():
        cfg = configparser.ConfigParser()
        cfg.read_string(text)
        cfg.getint("service.3", "port")
        cfg.getfloat("service.5", "timeout")


def bench_log_info(b):
    """Bad: configures logging (handlers, formatters) ahead of each log call."""
    stream = io.StringIO()
    conf = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"std": {"format": "%(levelname)s %(name)s %(message)s"}},
        "handlers": {
            "buf": {"class": "logging.StreamHandler", "stream": stream, "formatter": "std"},
        },
        "loggers": {"corpus_j.bad": {"handlers": ["buf"], "level": "INFO", "propagate": False}},
    }
    for _ in b.loop():
        logging.config.dictConfig(conf)
        logging.getLogger("corpus_j.bad").info("loaded %d rows", 42)
        stream.seek(0)
        stream.truncate()


def _make_mo(pairs):
    """A minimal GNU .mo file."""
    pairs = sorted([("", "Content-Type: text/plain; charset=UTF-8\n")] + pairs)
    ids = [k.encode() for k, _ in pairs]
    strs = [v.encode() for _, v in pairs]
    n = len(pairs)
    pos = 28 + 16 * n
    tables = []
    for group in (ids, strs):
        for item in group:
            tables += [len(item), pos]
            pos += len(item) + 1
    head = struct.pack("<7I", 0x950412DE, 0, n, 28, 28 + 8 * n, 0, 0)
    return head + struct.pack(f"<{len(tables)}I", *tables) + b"".join(
        s + b"\0" for s in ids + strs)


def bench_translate_label(b):
    """Bad: reads the message catalogue again for each pair of translated labels."""
    mo = _make_mo([(f"label {i}", f"etikett {i}") for i in range(150)])

    for _ in b.loop():
        cat = gettext.GNUTranslations(io.BytesIO(mo))
        cat.gettext("label 17")
        cat.gettext("label 99")


def _crc_table(poly):
    table = []
    for n in range(256):
        c = n
        for _ in range(8):
            c = (c >> 1) ^ poly if c & 1 else c >> 1
        table.append(c)
    return table


def bench_crc32c(b):
    """Bad: the constant CRC table is computed anew for a 64-byte packet."""
    packet = bytes(range(64))
    for _ in b.loop():
        table = _crc_table(0x82F63B78)
        crc = 0xFFFFFFFF
        for byte in packet:
            crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
        crc ^= 0xFFFFFFFF
