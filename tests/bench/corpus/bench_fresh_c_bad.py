"""Benchmarks that measure initialisation, written after the detector was mended: nothing was tuned on them."""

from __future__ import annotations

import argparse
import asyncio
import collections
import concurrent.futures
import configparser
import ctypes
import functools
import re
import sqlite3
import string
import typing
import xmlrpc.server

import prometheus_client
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

SETTINGS = "[limits]\nrate = 10\nburst = 20\n[paths]\nroot = /srv\nlogs = ${root}/logs\n"


def bench_subcommands(b):
    for _ in b.loop():
        tool = argparse.ArgumentParser(prog="tool")
        commands = tool.add_subparsers(dest="command")
        add = commands.add_parser("add")
        add.add_argument("file", nargs="+")
        commands.add_parser("list")
        assert tool.parse_args(["add", "one.txt", "two.txt"]).command == "add"


def load_inventory():
    connection = sqlite3.connect(":memory:")
    connection.execute("create table articles (name text primary key, price real)")
    connection.executemany("insert into articles values (?, ?)", [("tea", 3.5), ("cake", 4.0)])
    return connection


def price_of(name):
    connection = load_inventory()
    (price,) = connection.execute("select price from articles where name = ?", (name,)).fetchone()
    connection.close()
    return price


def bench_price(b):
    for _ in b.loop():
        assert price_of("cake") == 4.0


def bench_typed_tuple(b):
    for _ in b.loop():

        class Pixel(typing.NamedTuple):
            x: int
            y: int

        pixel = Pixel(3, 4)
        assert pixel.x + pixel.y == 7


def bench_structure(b):
    for _ in b.loop():

        class Header(ctypes.LittleEndianStructure):
            _fields_ = (("kind", ctypes.c_uint16), ("size", ctypes.c_uint32))

        assert Header.from_buffer_copy(b"\1\0\2\0\0\0\0\0").kind == 1


def bench_cached_price(b):
    prices = {"tea": 3.5, "cake": 4.0}
    for _ in b.loop():

        @functools.cache
        def with_tax(name):
            return round(sum([prices[name] * (1 + rate / 100) / 10 for rate in range(10)]), 2)

        with_tax("tea")


def bench_process_batch(b):
    batch = [3, 1, 2]
    for _ in b.loop():
        executor = concurrent.futures.ThreadPoolExecutor(max_workers=1)
        futures = [executor.submit(pow, one, 2) for one in batch]
        assert sum(future.result() for future in futures) == 14
        executor.shutdown()


async def sum_of(numbers):
    total = 0
    for number in numbers:
        total += number
    return total


def bench_event_loop(b):
    for _ in b.loop():
        loop = asyncio.new_event_loop()
        assert loop.run_until_complete(sum_of((1, 2, 3))) == 6
        loop.close()


class Grammar:
    """Rules by name; the table of what may come first is worked out at the first parse."""

    def __init__(self, rules):
        self.rules = rules
        self.first = None

    def _prepare(self):
        self.first = {name: set() for name in self.rules}
        changed = True
        while changed:
            changed = False
            for name, options in self.rules.items():
                before = len(self.first[name])
                for option in options:
                    head = option.split()[0]
                    self.first[name] |= self.first.get(head, {head})
                changed |= len(self.first[name]) != before

    def starts(self, rule, token):
        if self.first is None:
            self._prepare()
        return token in self.first[rule]


RULES = {"sum": ["term + sum", "term"], "term": ["factor * term", "factor"], "factor": ["( sum )", "name", "number"]}


def bench_grammar(b):
    for _ in b.loop():
        grammar = Grammar(RULES)
        assert not grammar.starts("sum", "operator")


class Plugins:
    def __init__(self):
        self.hooks = collections.defaultdict(list)

    def register(self, plugin):
        for name in dir(plugin):
            if name.startswith("on_"):
                self.hooks[name].append(getattr(plugin, name))

    def call(self, name, *arguments):
        return [hook(*arguments) for hook in self.hooks[name]]


class Audit:
    def on_login(self, user):
        return "login " + user

    def on_logout(self, user):
        return "logout " + user


def bench_plugins(b):
    for _ in b.loop():
        plugins = Plugins()
        plugins.register(Audit())
        assert plugins.call("on_login", "ada") == ["login ada"]


class Settings:
    def __init__(self, text):
        parser = configparser.ConfigParser(interpolation=configparser.ExtendedInterpolation())
        parser.read_string(text)
        self.limits = {key: int(value) for key, value in parser["limits"].items()}

    def allows(self, requests):
        return requests <= self.limits["rate"]


class Limiter:
    def __init__(self, settings):
        self.settings = settings
        self.seen = collections.Counter()

    def check(self, client):
        self.seen[client] += 1
        return self.settings.allows(self.seen[client])


def bench_rate_limit(b):
    for _ in b.loop():
        limiter = Limiter(Settings(SETTINGS))
        assert limiter.check("10.0.0.7")


def bench_export_metrics(b):
    for _ in b.loop():
        reader = InMemoryMetricReader()
        provider = MeterProvider([reader], shutdown_on_exit=False)
        histogram = provider.get_meter("shop").create_histogram("latency")
        histogram.record(0.25, {"route": "/"})


def bench_gauge(b):
    for _ in b.loop():
        registry = prometheus_client.CollectorRegistry()
        prometheus_client.Gauge("temperature", "Degrees.", ["room"], registry=registry).labels("kitchen").set(21.5)


def bench_shell_template(b):
    for _ in b.loop():

        class Shell(string.Template):
            idpattern = r"[A-Z]+"

        command = Shell("cp $SOURCE $TARGET").substitute(SOURCE="a", TARGET="b")
        assert command == "cp a b"


class Censor:
    def __init__(self, words):
        self.pattern = re.compile("|".join([rf"\b{re.escape(word)}\b" for word in sorted(words, key=len, reverse=True)]))

    def clean(self, text):
        return self.pattern.sub("***", text)


def bench_censor(b):
    for _ in b.loop():
        censor = Censor(["damn", "heck", "darn", "dang", "drat", "blast", "bother", "fiddlesticks", "sugar"])
        assert censor.clean("well blast it") == "well *** it"


class Rpc(xmlrpc.server.SimpleXMLRPCDispatcher):
    """Finds the functions to serve when it is made."""

    def __init__(self, services):
        super().__init__(allow_none=True)
        for service in services:
            self.register_function(service, service.__name__)
        self.register_introspection_functions()


def bench_rpc(b):
    for _ in b.loop():
        rpc = Rpc([max, min, sum, sorted])
        assert rpc._dispatch("max", (3, 7)) == 7


def bench_read_settings(b):
    for _ in b.loop():
        config = configparser.ConfigParser()
        config.read_string("[server]\nhost = example.org\nport = 8080\n[client]\nretries = 3\n")
        assert config.getint("server", "port") == 8080
        assert config["client"]["retries"] == "3"
