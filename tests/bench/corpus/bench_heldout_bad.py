"""Benchmarks that measure initialisation, on which the detector was never tuned."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import json
import logging
import os
import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import prometheus_client

import tallymark as tm

RECORD = logging.LogRecord("app", logging.INFO, __file__, 1, "served %s", ("/",), None)
ROUTES = {"/users/<id>": "user", "/orders/<id>/lines/<line>": "line", "/about": "about"}


class Money:
    def __init__(self, amount, currency):
        self.amount = amount
        self.currency = currency


class ModelEncoder(json.JSONEncoder):
    """Finds out how to encode a class at its first instance."""

    def __init__(self):
        super().__init__()
        self.plans = {}

    def default(self, o):
        plan = self.plans.get(type(o))
        if plan is None:
            names = [name for name in vars(o) if not name.startswith("_")]
            plan = self.plans[type(o)] = [(name, "field_" + name, [name, name.upper()]) for name in names]
        return {key: getattr(o, name) for name, key, _ in plan}


class TtlCache:
    def __init__(self, size):
        self.size = size
        self.entries = collections.OrderedDict()

    def get_or_load(self, key, load):
        entry = self.entries.get(key)
        if entry is None:
            entry = self.entries[key] = (load(key), self.size)
        return entry[0]


class Repository:
    def __init__(self, database):
        self.database = database
        self.names = ["number", "name", "mail", "phone"]


class Service:
    def __init__(self, repository):
        self.repository = repository
        self.rules = {name: f"{name}-rule" for name in repository.names}


class Container:
    """Dependency injection: makes each service once, when it is first asked for."""

    def __init__(self):
        self.made = {}

    def resolve(self, kind):
        if kind not in self.made:
            self.made[kind] = Service(Repository("db")) if kind is Service else kind()
        return self.made[kind]


class Router:
    def __init__(self, routes):
        self.routes = routes
        self.compiled = None

    def match(self, path):
        if self.compiled is None:
            self.compiled = [(re.compile(re.sub(r"<(\w+)>", r"(?P<\1>[^/]+)", route)), to) for route, to in self.routes.items()]
        for pattern, to in self.compiled:
            if found := pattern.fullmatch(path):
                return to, found.groupdict()


class Catalog:
    def __init__(self, language):
        self.language = language
        self._messages = None

    def _load(self):
        lines = [f"message {i} = {self.language} {i}" for i in range(12)]
        self._messages = dict(line.split(" = ") for line in lines)

    def gettext(self, message):
        if self._messages is None:
            self._load()
        return self._messages.get(message, message)


def load_user(key):
    return {"key": key, "name": key.upper(), "groups": [key + str(i) for i in range(4)]}


def bench_histogram_child(b):
    for _ in b.loop():
        registry = prometheus_client.CollectorRegistry()
        latency = prometheus_client.Histogram("latency", "Latency.", ["method"], registry=registry)
        child = latency.labels("GET")
        child.observe(0.2)


def bench_timer(b):
    for _ in b.loop():
        registry = tm.Registry()
        timer = registry.timer("requests")
        timer.record(0.1, method="GET")


def bench_operation_context(b):
    for _ in b.loop():
        metrics = tm.OperationalMetrics(tm.Registry())
        with metrics.operation("checkout"):
            pass


def bench_encoder(b):
    price = Money(12, "CHF")
    for _ in b.loop():
        encoder = ModelEncoder()
        text = encoder.encode(price)
        assert text


def bench_cache_miss(b):
    for _ in b.loop():
        cache = TtlCache(100)
        user = cache.get_or_load("user:1", load_user)
        user["name"]


def bench_container(b):
    for _ in b.loop():
        container = Container()
        service = container.resolve(Service)
        service.rules["name"]


def bench_thread_pool(b):
    for _ in b.loop():
        with ThreadPoolExecutor(1) as pool:
            pool.submit(pow, 2, 10).result()


async def answer():
    return 42


def bench_asyncio_runner(b):
    for _ in b.loop():
        with asyncio.Runner() as runner:
            runner.run(answer())


def bench_sqlite_connection(b):
    for _ in b.loop():
        with contextlib.closing(sqlite3.connect(":memory:")) as db:
            db.execute("select 1, 2, 3 union select 4, 5, 6").fetchall()


def bench_router(b):
    for _ in b.loop():
        router = Router(ROUTES)
        to, arguments = router.match("/orders/7/lines/2")
        assert to == "line"
        assert arguments


def bench_file_handler(b):
    for _ in b.loop():
        with contextlib.closing(logging.FileHandler(os.devnull, delay=True)) as handler:
            handler.emit(RECORD)


def bench_catalog(b):
    greeting = "message 3"
    for _ in b.loop():
        translated = [Catalog("de").gettext(greeting), greeting]
        assert translated
