"""statsd: each record is formatted, and sent over UDP to a socket on this machine. It has no tags."""

import contextlib
import socket

import statsd


@contextlib.contextmanager
def client():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        with contextlib.closing(statsd.StatsClient("127.0.0.1", server.getsockname()[1])) as made:
            yield made


def bench_inc(b):
    with client() as made:
        for _ in b.loop():
            made.incr("requests")


def bench_set(b):
    with client() as made:
        for _ in b.loop():
            made.gauge("depth", 7)


def bench_observe(b):
    with client() as made:
        for _ in b.loop():
            made.timing("size", 0.7)


def bench_with_timer(b):
    with client() as made:
        for _ in b.loop():
            with made.timer("duration"):
                pass
