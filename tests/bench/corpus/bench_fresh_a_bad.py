"""Benchmarks that measure initialisation, in shapes of mistakes that public benchmark suites make: to tune on."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import io
import logging
import queue
import re
import sqlite3
import string
import threading

import prometheus_client
import rich.console
from opentelemetry.sdk.metrics import MeterProvider


def bench_insert_and_select(b):
    for _ in b.loop():
        db = sqlite3.connect(":memory:")
        db.execute("create table users (id integer primary key, name text, mail text)")
        db.execute("insert into users (name, mail) values (?, ?)", ("Ada", "ada@example.org"))
        db.execute("select name from users where id = 1").fetchone()
        db.close()


def bench_attribute_of_a_class(b):
    for _ in b.loop():

        class Pet:
            def __init__(self, legs, noise):
                self.legs = legs
                self.noise = noise

            def speak(self):
                return self.noise * self.legs

        dog = Pet(4, "woof")
        dog.speak()


def bench_percent_template(b):
    names = {"name": "Ada", "city": "London"}
    for _ in b.loop():

        class Percent(string.Template):
            delimiter = "%"

        Percent("Dear %name of %city").substitute(names)


def bench_fibonacci_memo(b):
    for _ in b.loop():

        @functools.cache
        def fibonacci(n):
            return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

        fibonacci(20)


def bench_map_in_threads(b):
    for _ in b.loop():
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            assert list(pool.map(len, ("a", "bb", "ccc"))) == [1, 2, 3]


async def double(n):
    await asyncio.sleep(0)
    return 2 * n


def bench_coroutine(b):
    for _ in b.loop():
        assert asyncio.run(double(21)) == 42


def bench_log_to_a_stream(b):
    for _ in b.loop():
        out = io.StringIO()
        handler = logging.StreamHandler(out)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log = logging.Logger("app")
        log.addHandler(handler)
        log.warning("disk is %d %% full", 93)


def bench_print_to_console(b):
    for _ in b.loop():
        console = rich.console.Console(file=io.StringIO(), width=80)
        console.print("[bold]done[/bold]")


def web_metrics():
    registry = prometheus_client.CollectorRegistry()
    latency = prometheus_client.Histogram("latency", "Latency.", ["route"], registry=registry)
    errors = prometheus_client.Counter("errors", "Errors.", ["route"], registry=registry)
    return latency, errors


def bench_observe(b):
    for _ in b.loop():
        latency, errors = web_metrics()
        latency.labels("/").observe(0.02)
        errors.labels("/").inc()


def bench_meter(b):
    for _ in b.loop():
        provider = MeterProvider(shutdown_on_exit=False)
        counter = provider.get_meter("shop").create_counter("orders")
        counter.add(1, {"country": "CH"})


class Schema:
    """Turns a description into checks, once, to validate many documents."""

    def __init__(self, description):
        self.checks = []
        for key, rule in description.items():
            required = not key.endswith("?")
            kinds = tuple({"text": str, "number": float, "count": int, "list": list}[one] for one in rule.split("|"))
            self.checks.append((key.rstrip("?"), required, kinds))
        self.checks.sort()

    def is_valid(self, document):
        for key, required, kinds in self.checks:
            if key in document:
                if not isinstance(document[key], kinds):
                    return False
            elif required:
                return False
        return True


def bench_validate_order(b):
    order = {"number": 7, "customer": "Ada", "total": 12.5, "lines": []}
    for _ in b.loop():
        schema = Schema({"number": "count", "customer": "text", "total": "number|count", "lines": "list", "note?": "text"})
        assert schema.is_valid(order)


class App:
    def __init__(self):
        self.routes = []

    def route(self, rule):
        pattern = re.compile(re.sub(r"<(\w+)>", r"(?P<\1>[^/]+)", rule) + "$")

        def register(function):
            self.routes.append((pattern, function))
            return function

        return register

    def dispatch(self, path):
        for pattern, function in self.routes:
            if found := pattern.match(path):
                return function(**found.groupdict())
        return "404"


def bench_dispatch(b):
    for _ in b.loop():
        app = App()

        @app.route("/users/<name>")
        def user(name):
            return "user " + name

        @app.route("/")
        def home():
            return "home"

        assert app.dispatch("/users/ada") == "user ada"


def bench_worker_thread(b):
    for _ in b.loop():
        jobs, answers = queue.SimpleQueue(), queue.SimpleQueue()
        worker = threading.Thread(target=lambda: answers.put(jobs.get() + 1))  # noqa: B023
        worker.start()
        jobs.put(41)
        assert answers.get() == 42
        worker.join()


class Spelling:
    """Knows all words that lie one deletion away from those of a dictionary."""

    def __init__(self, words):
        self.near = {}
        for word in words:
            for i in range(len(word)):
                self.near.setdefault(word[:i] + word[i + 1 :], set()).add(word)

    def suggest(self, word):
        found = set(self.near.get(word, ()))
        for i in range(len(word)):
            found |= self.near.get(word[:i] + word[i + 1 :], set())
        return sorted(found)


DICTIONARY = ("the", "quick", "brown", "fox", "jumps", "over", "lazy", "dog", "seven", "wizards", "make", "toxic", "brew")


def bench_suggest(b):
    for _ in b.loop():
        spelling = Spelling(DICTIONARY)
        assert spelling.suggest("quik") == ["quick"]


class Model:
    fields = ()

    def __init__(self, **values):
        for name in self.fields:
            setattr(self, name, values[name])


def bench_dynamic_model(b):
    for _ in b.loop():
        user = type("User", (Model,), {"fields": ("name", "mail"), "__slots__": ("name", "mail")})
        ada = user(name="Ada", mail="ada@example.org")
        assert ada.name == "Ada"
