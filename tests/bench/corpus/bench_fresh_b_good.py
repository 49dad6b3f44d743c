"""Benchmarks that measure what they should, in shapes that public benchmark suites have: on which nothing was tuned."""

from __future__ import annotations

import asyncio
import collections
import concurrent.futures
import contextvars
import copy
import csv
import dataclasses
import datetime
import decimal
import email
import email.policy
import heapq
import html
import html.parser
import http.cookies
import io
import ipaddress
import operator
import pickle
import tempfile
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ET
import zipfile


@dataclasses.dataclass(frozen=True)
class Position:
    latitude: float
    longitude: float
    name: str = ""


def bench_as_dict(b):
    for _ in b.loop():
        position = Position(47.4, 8.5, "Zurich")
        dataclasses.asdict(position)


def bench_divide_with_precision(b):
    a, c = decimal.Decimal(22), decimal.Decimal(7)
    for _ in b.loop():
        with decimal.localcontext() as context:
            context.prec = 40
            quotient = a / c
        str(quotient)


def bench_parse_date(b):
    for _ in b.loop():
        when = datetime.datetime.fromisoformat("2024-05-17T08:30:00+02:00")
        local = when.astimezone(datetime.UTC)
        local.strftime("%A %d %B %H:%M")


def bench_read_file(b):
    with tempfile.NamedTemporaryFile("w+") as kept:
        kept.write("name: ada\n" * 20)
        kept.flush()
        for _ in b.loop():
            with open(kept.name, encoding="utf-8") as file:
                assert len(file.readlines()) == 20


def archive():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for i in range(5):
            file.writestr(f"{i}.txt", "text " * i)
    return packed.getvalue()


def bench_read_archive(b):
    packed = archive()
    for _ in b.loop():
        with zipfile.ZipFile(io.BytesIO(packed)) as file:
            assert file.read("2.txt") == b"text text "


class Links(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.targets = []

    def handle_starttag(self, tag, attrs):
        if tag == "a":
            self.targets += [value for name, value in attrs if name == "href"]


def bench_links(b):
    page = "<ul>" + "".join([f"<li><a href='/items/{i}'>{i}</a></li>" for i in range(8)]) + "</ul>"
    for _ in b.loop():
        links = Links()
        links.feed(page)
        links.close()
        assert len(links.targets) == 8


def bench_feed(b):
    text = "<feed>" + "<entry><title>a</title><id>1</id></entry>" * 5 + "</feed>"
    for _ in b.loop():
        root = ET.fromstring(text)
        assert [entry.findtext("id") for entry in root.iter("entry")] == ["1"] * 5


def bench_deep_copy(b):
    document = {"title": "a", "tags": ["x", "y"], "author": {"name": "Ada", "born": 1815}}
    for _ in b.loop():
        copied = copy.deepcopy(document)
        copied["tags"].append("z")


def bench_pickle(b):
    rows = [(i, str(i)) for i in range(20)]
    for _ in b.loop():
        out = io.BytesIO()
        pickler = pickle.Pickler(out, 5)
        pickler.dump(rows)
        assert pickle.loads(out.getvalue()) == rows


class Agenda:
    """A queue by priority, of which `next` takes the first."""

    def __init__(self):
        self.heap = []

    def plan(self, priority, task):
        heapq.heappush(self.heap, (priority, task))

    def next(self):
        return heapq.heappop(self.heap)[1]


def bench_agenda(b):
    for _ in b.loop():
        agenda = Agenda()
        for priority, task in ((3, "cook"), (1, "shop"), (2, "wash"), (4, "eat")):
            agenda.plan(priority, task)
        assert [agenda.next() for _ in range(4)] == ["shop", "wash", "cook", "eat"]


class Matrix:
    def __init__(self, rows):
        self.rows = rows

    def __matmul__(self, other):
        columns = list(zip(*other.rows, strict=True))
        return Matrix([[sum(map(operator.mul, row, column)) for column in columns] for row in self.rows])


def bench_matrix(b):
    for _ in b.loop():
        turn = Matrix([[0, -1], [1, 0]])
        assert (turn @ turn @ turn @ turn).rows == [[1, 0], [0, 1]]


def bench_cookie(b):
    for _ in b.loop():
        jar = http.cookies.SimpleCookie("session=abc; theme=dark")
        jar["theme"]["path"] = "/"
        assert jar["session"].value == "abc"


def bench_read_mail(b):
    text = "From: ada@example.org\nTo: bob@example.org\nSubject: =?utf-8?q?Gr=C3=BCezi?=\n\nHello\n"
    for _ in b.loop():
        message = email.message_from_string(text, policy=email.policy.default)
        assert message["Subject"] == "Grüezi"
        assert message.get_content() == "Hello\n"


def bench_prepare_request(b):
    for _ in b.loop():
        request = urllib.request.Request("https://example.org/a?b=1", b"{}", {"Content-Type": "application/json"})
        assert request.get_method() == "POST"
        assert request.host == "example.org"
        request.get_header("Content-type")


def bench_network(b):
    for _ in b.loop():
        network = ipaddress.ip_network("10.20.0.0/22")
        assert ipaddress.ip_address("10.20.3.7") in network
        assert str(network.broadcast_address) == "10.20.3.255"


def bench_dict_rows(b):
    text = "name,price\n" + "".join([f"item{i},{i}\n" for i in range(10)])
    for _ in b.loop():
        reader = csv.DictReader(io.StringIO(text))
        assert sum(int(row["price"]) for row in reader) == 45


def bench_submit(b):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        for _ in b.loop():
            future = pool.submit(pow, 2, 10)
            assert future.result() == 1024


async def ask(n):
    await asyncio.sleep(0)
    return n


def bench_runner(b):
    with asyncio.Runner() as runner:
        for _ in b.loop():
            question = ask(42)
            assert runner.run(question) == 42


def bench_context_variable(b):
    user = contextvars.ContextVar("user", default="")
    for _ in b.loop():
        context = contextvars.copy_context()
        context.run(user.set, "ada")
        assert context[user] == "ada"


class Recent:
    """A cache of the last few results."""

    def __init__(self, size):
        self.size, self.entries = size, collections.OrderedDict()

    def get(self, key, make):
        if key in self.entries:
            self.entries.move_to_end(key)
            return self.entries[key]
        value = self.entries[key] = make(key)
        if len(self.entries) > self.size:
            self.entries.popitem(last=False)
        return value


def bench_eviction(b):
    keys = [i * i % 23 for i in range(60)]
    for _ in b.loop():
        recent = Recent(8)
        for key in keys:
            recent.get(key, str)
