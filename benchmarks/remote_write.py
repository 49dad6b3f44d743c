"""What a report of 100,000 series by remote write costs: `python benchmarks/remote_write.py [KIND …] [--tags]`.

It prints, for each kind of series: the CPU time of a snapshot, of its encoding and of its compression, in milliseconds, of the
cheapest of some reports after the first; that of the first; bytes before and after compression; and the
peak of memory while a snapshot is encoded and compressed, as a multiple of the bytes before compression. Last comes
prometheus_client's `generate_latest`, with as many counters, in the same process.
"""

from __future__ import annotations

import argparse
import gc
import time
import tracemalloc
from collections.abc import Callable, Iterator

import cramjam
import prometheus_client as pc

import tallymark as tm
from tallymark.backends import RemoteWrite

SERIES = 100_000
ROUNDS = 8
URL = "http://127.0.0.1:9090/api/v1/write"
TAGS = {"job": "shop", "instance": "web-1:80", "service": "orders"}


def tags(i: int) -> dict[str, str]:
    return {"route": f"/r{i % 1000}", "user": f"u{i}", "status": "200"}


def counters(registry: tm.Registry) -> None:
    for i in range(SERIES):
        registry.counter("http.requests", description="Requests served.").inc(1, **tags(i))


def digits(registry: tm.Registry) -> None:
    for i in range(SERIES):
        registry.counter("http.requests", description="Requests served.").inc(i * 0.123456789123 + 0.1, **tags(i))


def gauges(registry: tm.Registry) -> None:
    for i in range(SERIES):
        registry.gauge("depth").set(i / 7, **tags(i))


def histograms(registry: tm.Registry) -> None:
    size = registry.histogram("size", buckets=[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 20])
    for i in range(SERIES // 14):
        size.observe(i % 20, **tags(i))


def exponential(registry: tm.Registry) -> None:
    size = registry.histogram("size", exponential=True)
    for i in range(SERIES // 20):
        for value in range(20):
            size.observe((value + 1) * (i % 17 + 1) / 10, **tags(i))


KINDS: dict[str, Callable[[tm.Registry], None]] = {
    each.__name__: each for each in (counters, digits, gauges, histograms, exponential)
}


def requests(parts: list[bytes], most: int) -> Iterator[bytes]:
    """Yield parts in requests of so many bytes, as a reporter sends them."""
    some: list[bytes] = []
    for part in parts:
        if some and sum(map(len, some)) + len(part) > most:
            yield b"".join(some)
            some = []
        some.append(part)
    yield b"".join(some)


def measure(kind: str, given: dict[str, str]) -> None:
    registry = tm.Registry(limits=tm.TagLimits(max_series=10 * SERIES))
    KINDS[kind](registry)
    backend = RemoteWrite(URL, tags=given)
    sizes = (0, 0)

    def report(snapshot: tm.Snapshot) -> list[float]:
        nonlocal sizes
        began = time.process_time()
        parts = list(backend.encode(snapshot, 0.0))
        encoded = time.process_time()
        compressed = sum([len(cramjam.snappy.compress_raw(one)) for one in requests(parts, backend.most_bytes)])
        sizes = sum(map(len, parts)), compressed
        return [encoded - began, time.process_time() - encoded]

    def whole() -> list[float]:
        began = time.process_time()
        snapshot = registry.snapshot()
        return [time.process_time() - began, *report(snapshot)]

    first, *others = [whole() for _ in range(ROUNDS)]
    best = [f"{min(column) * 1000:6.1f}" for column in zip(*others, strict=True)]
    total = min(map(sum, others)) * 1000
    print(
        f"{kind:12} {total:6.1f} ms = {' + '.join(best)}; first {sum(first) * 1000:.0f} ms; bytes {sizes[0]:,}, {sizes[1]:,}",
        end="",
    )
    snapshot = registry.snapshot()
    gc.collect()
    tracemalloc.start()
    report(snapshot)
    print(f"; peak {tracemalloc.get_traced_memory()[1] / sizes[0]:.2f} times", flush=True)
    tracemalloc.stop()


def prometheus_client() -> None:
    registry = pc.CollectorRegistry()
    counter = pc.Counter("http_requests", "Requests served.", ["route", "user", "status"], registry=registry)
    for i in range(SERIES):
        counter.labels(*tags(i).values()).inc(1)
    times = []
    for _ in range(3):
        began = time.process_time()
        pc.generate_latest(registry)
        times.append(time.process_time() - began)
    print(f"generate_latest of prometheus_client: {min(times) * 1000:.0f} ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", choices=[[], *KINDS], help="which; all by default")
    parser.add_argument("--tags", action="store_true", help="three tags for all series")
    arguments = parser.parse_args()
    for each in arguments.kinds or KINDS:
        measure(each, TAGS if arguments.tags else {})
    prometheus_client()
