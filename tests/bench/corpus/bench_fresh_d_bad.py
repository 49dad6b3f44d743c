"""Benchmarks that measure initialisation, a last unseen set: nothing was tuned on them."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import enum
import functools
import logging
import re
import sqlite3
import string
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import prometheus_client

import tallymark as tm


class Migrations:
    STEPS = (
        "create table accounts (id integer primary key, owner text, balance int)",
        "create index by_owner on accounts (owner)",
        "insert into accounts (owner, balance) values ('ada', 100), ('bob', 50)",
    )

    def __init__(self, db):
        self.db = db

    def run(self):
        for step in self.STEPS:
            self.db.execute(step)


def bench_transfer(b):
    for _ in b.loop():
        db = sqlite3.connect(":memory:")
        Migrations(db).run()
        db.execute("update accounts set balance = balance - 10 where owner = 'ada'")
        db.close()


def bench_flags(b):
    for _ in b.loop():

        class Access(enum.Flag):
            READ = enum.auto()
            WRITE = enum.auto()

        assert Access.READ in Access.READ | Access.WRITE


def bench_ordered_dataclass(b):
    for _ in b.loop():
        version = dataclasses.make_dataclass("Version", ["major", "minor"], order=True)
        assert version(1, 2) < version(1, 10)


def bench_memo_in_a_helper(b):
    def paths(width, height):
        @functools.cache
        def count(x, y):
            if x == 0 or y == 0:
                return 1
            return count(x - 1, y) + count(x, y - 1)

        return count(width, height)

    for _ in b.loop():
        assert paths(4, 4) == 70


class Dialect:
    """Knows how to quote; its table of keywords is made when a name is first quoted."""

    def __init__(self, name):
        self.name = name

    @functools.cached_property
    def keywords(self):
        text = "select insert update delete from where group order by having join on table create drop index"
        return {word: word.upper() for word in text.split()}

    def quote(self, name):
        return f'"{name}"' if name.lower() in self.keywords else name


def bench_quote(b):
    for _ in b.loop():
        dialect = Dialect("sqlite")
        assert dialect.quote("order") == '"order"'


class Tokenizer:
    def __init__(self, rules):
        self.rules = [(name, re.compile(pattern)) for name, pattern in rules]

    def next(self, text):
        for name, pattern in self.rules:
            if found := pattern.match(text):
                return name, found.group()
        return None


def tokenizer():
    return Tokenizer([("space", r"\s+"), ("number", r"\d+"), ("word", r"\w+"), ("mark", r"[.,;:!?]")])


def bench_first_token(b):
    for _ in b.loop():
        assert tokenizer().next("hello, world") == ("word", "hello")


class Service:
    def __init__(self, name):
        self.log = logging.getLogger(name)
        self.pool = ThreadPoolExecutor(1)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.pool.shutdown()

    def ask(self, question):
        return self.pool.submit(len, question).result()


def bench_ask_service(b):
    for _ in b.loop():
        with Service("oracle") as service:
            assert service.ask("why?") == 4


async def pause():
    await asyncio.sleep(0)


def bench_gather(b):
    async def many():
        await asyncio.gather(pause(), pause())

    for _ in b.loop():
        asyncio.run(many())


def bench_info(b):
    for _ in b.loop():
        registry = prometheus_client.CollectorRegistry(auto_describe=True)
        requests = prometheus_client.Summary("requests", "Seconds.", ["path", "code"], registry=registry)
        with requests.labels(path="/", code="200").time():
            pass


def bench_timer_of_a_new_registry(b):
    def metrics():
        registry = tm.Registry()
        return tm.OperationalMetrics(registry)

    for _ in b.loop():
        metrics().record_operation("query", "success", 0.01)


class Translator:
    """Loads the catalogue of a language when it is made."""

    def __init__(self, language):
        lines = [f"greeting.{i}={language} text {i}" for i in range(30)]
        self.messages = dict(line.split("=", 1) for line in lines)

    def translate(self, key, **values):
        return self.messages.get(key, key) + str(sorted(values.items()))


def bench_translate(b):
    for _ in b.loop():
        translator = Translator("de")
        translator.translate("greeting.7", name="Ada")


def bench_html_template(b):
    for _ in b.loop():
        page = type("Page", (string.Template,), {"delimiter": "@"})
        assert page("<p>@text</p>").substitute(text="hi") == "<p>hi</p>"


def bench_options(b):
    for _ in b.loop():
        parser = argparse.ArgumentParser(description="Copies files.", add_help=False)
        group = parser.add_argument_group("paths")
        group.add_argument("source")
        group.add_argument("target")
        parser.add_argument("-f", "--force", action="store_true")
        namespace = parser.parse_args(["-f", "a.txt", "b.txt"])
        assert namespace.force


class Handlers:
    """Looks for its handlers once, by name."""

    def __init__(self, owner):
        names = [name for name in dir(owner) if name.startswith("do_")]
        self.table = {name.removeprefix("do_").upper(): getattr(owner, name) for name in names}

    def handle(self, verb, body):
        return self.table[verb](body)


class Store:
    def __init__(self):
        self.last = None

    def do_put(self, body):
        self.last = body
        return 201

    def do_get(self, body):
        return 200


def bench_handle(b):
    for _ in b.loop():
        handlers = Handlers(Store())
        assert handlers.handle("PUT", "a new text") == 201


def bench_proxy_opener(b):
    for _ in b.loop():
        opener = urllib.request.OpenerDirector()
        for handler in (urllib.request.DataHandler(), urllib.request.UnknownHandler(), urllib.request.HTTPErrorProcessor()):
            opener.add_handler(handler)
        with contextlib.closing(opener.open("data:,hi")) as answer:
            assert answer.read() == b"hi"
