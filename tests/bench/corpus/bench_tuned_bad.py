"""Benchmarks that measure initialisation: an operation makes anew what a service makes once, and its first use pays."""

from __future__ import annotations

import argparse
import configparser
import functools
import re
import string
import threading

import prometheus_client

import tallymark as tm

SOURCE = "<h1>{{ title }}</h1><p>{{ body }}</p><i>{{ author }}</i>"
SCHEMA = {"id": int, "name": str, "email": str, "tags": list, "score": float}
DOCUMENT = {"id": 7, "name": "Ada", "email": "ada@example.org", "tags": ["a"], "score": 1.5}


class Page:
    """A template that is compiled when it is first rendered."""

    def __init__(self, source):
        self.source = source
        self.parts = None

    def render(self, values):
        if self.parts is None:
            self.parts = re.split(r"\{\{ (\w+) \}\}", self.source)
        return "".join([values[part] if i % 2 else part for i, part in enumerate(self.parts)])


class Connection:
    def __init__(self, host):
        self.host = host
        self.buffer = bytearray(4096)
        self.headers = {"Host": host, "User-Agent": "client/1.0 (" + host + ")", "Accept": "*/*"}
        self.lock = threading.RLock()
        self.pending = [None] * 16

    def exchange(self, path):
        return Response(200, b"hello " + path.encode())


class Response:
    def __init__(self, status, body):
        self.status = status
        self.body = body


class HttpClient:
    """Opens a connection when it first needs one, and keeps it."""

    def __init__(self, host="localhost"):
        self.host = host
        self.idle = []

    def get(self, path):
        connection = self.idle.pop() if self.idle else Connection(self.host)
        response = connection.exchange(path)
        self.idle.append(connection)
        return response

    def close(self):
        self.idle.clear()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


class Session:
    """Writes rows. The statement of a table is compiled when the first row is flushed."""

    def __init__(self, table):
        self.table = table
        self.new = []
        self.compiled = {}

    def add(self, row):
        self.new.append(row)

    def flush(self):
        for row in self.new:
            statement = self.compiled.get(type(row))
            if statement is None:
                columns = sorted(vars(row))
                text = f"INSERT INTO {self.table} ({', '.join(columns)}) VALUES ({', '.join(['?'] * len(columns))})"
                statement = self.compiled[type(row)] = (text, tuple(columns), {name: i for i, name in enumerate(columns)})
            tuple([getattr(row, column) for column in statement[1]])
        self.new.clear()


class User:
    def __init__(self, number, name):
        self.number = number
        self.name = name
        self.email = name


class LazyLogger:
    """Binds its processors at the first message, as structlog's proxies do."""

    def __init__(self, name):
        self.name = name
        self.processors = None

    def info(self, event, **fields):
        if self.processors is None:
            self.processors = [functools.partial(self.add, key) for key in ("level", "logger", "time", "host")]
        for processor in self.processors:
            processor(fields)

    def add(self, key, fields):
        fields[key] = self.name


class Validator:
    def __init__(self, schema):
        self.schema = schema
        self.checks = None

    def validate(self, document):
        if self.checks is None:
            self.checks = [(key, self.compile(kind)) for key, kind in self.schema.items()]
        return all([check(document[key]) for key, check in self.checks])  # noqa: C419

    def compile(self, kind):
        return lambda value: isinstance(value, kind)


def area(side):
    return [side * i for i in range(20)]


def bench_arguments(b):
    for _ in b.loop():
        parser = argparse.ArgumentParser("tool", add_help=False)
        parser.add_argument("--port", type=int)
        parser.add_argument("name")
        parser.parse_args(["--port", "80", "web"])


def bench_operational_with_new_registry(b):
    for _ in b.loop():
        registry = tm.Registry()
        ops = tm.OperationalMetrics(registry)
        ops.record_error("checkout", "Timeout", "network")


def bench_registry_in_a_chain(b):
    for _ in b.loop():
        tm.Registry().counter("requests").inc()


def bench_prometheus_labels(b):
    for _ in b.loop():
        registry = prometheus_client.CollectorRegistry()
        hits = prometheus_client.Counter("hits", "Hits.", ["method", "status"], registry=registry)
        hits.labels("GET", "200").inc()


def bench_template_compiled_each_time(b):
    values = {"title": "Hello", "body": "World", "author": "Ada"}
    for _ in b.loop():
        page = Page(SOURCE)
        html = page.render(values)
        assert html


def bench_lru_cache_made_in_the_operation(b):
    for _ in b.loop():
        cached = functools.lru_cache(maxsize=128)(area)
        cached(1000)


def bench_client_per_request(b):
    for _ in b.loop():
        client = HttpClient("example.org")
        response = client.get("/items")
        assert response.status == 200


def bench_client_in_a_chain(b):
    path = "/items"
    for _ in b.loop():
        body = HttpClient("example.org").get(path).body
        len(body)


def bench_client_in_with(b):
    for _ in b.loop():
        with HttpClient() as client:
            client.get("/items")


def bench_session_compiles(b):
    for _ in b.loop():
        session = Session("users")
        session.add(User(1, "Ada"))
        session.flush()


def bench_lazy_logger(b):
    for _ in b.loop():
        log = LazyLogger("app")
        log.info("started", user=1)


def bench_validator_compiled_each_time(b):
    for _ in b.loop():
        validator = Validator(SCHEMA)
        if not validator.validate(DOCUMENT):
            raise AssertionError


def bench_template_made_by_a_helper(b):
    def make():
        page = Page(SOURCE)
        return page  # noqa: RET504

    user = string.Template("$name").substitute(name="Ada")
    for _ in b.loop():
        values = {"title": "Hello", "body": user, "author": user}
        make().render(values)


def bench_config(b):
    text = "[server]\nhost = localhost\nport = 80\n[client]\nretries = 3\n"
    for _ in b.loop():
        config = configparser.ConfigParser()
        config.read_string(text)
        config.getint("server", "port")
