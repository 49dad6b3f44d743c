"""datadog's DogStatsd: each record is formatted, and sent over UDP to a socket on this machine."""

import contextlib
import socket

from datadog import DogStatsd

TAGS = ["method:GET", "status:200"]


@contextlib.contextmanager
def client():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        made = DogStatsd(host="127.0.0.1", port=server.getsockname()[1], disable_telemetry=True)
        yield made
        made.close_socket()


def bench_inc(b):
    with client() as made:
        for _ in b.loop():
            made.increment("requests")


def bench_inc_two_tags(b):
    with client() as made:
        for _ in b.loop():
            made.increment("requests", tags=TAGS)


def bench_set(b):
    with client() as made:
        for _ in b.loop():
            made.gauge("depth", 7)


def bench_observe(b):
    with client() as made:
        for _ in b.loop():
            made.histogram("size", 0.7)


def bench_with_timer(b):
    with client() as made:
        for _ in b.loop():
            with made.timed("duration"):
                pass
