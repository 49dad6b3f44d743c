"""The least that code could do: a dict. It loses counts when threads share it, and nothing reads, renders or limits it."""

from collections import defaultdict


def bench_inc(b):
    d = {"requests": 0}
    for _ in b.loop():
        d["requests"] += 1


def bench_inc_two_tags(b):
    d = defaultdict(int)
    for _ in b.loop():
        d["GET", "200"] += 1


def bench_with_two_tags_then_inc(b):
    d = defaultdict(int)
    method, status = "GET", "200"
    for _ in b.loop():
        d[method, status] += 1


def bench_set(b):
    d = {"depth": 0}
    for _ in b.loop():
        d["depth"] = 7


def bench_create_1000_series(b):
    users = [str(i) for i in range(1000)]
    for _ in b.loop():
        d = defaultdict(int)
        for user in users:
            d["GET", user] += 1
