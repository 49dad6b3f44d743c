"""How the cost of a record grows with the number of threads that record to the same series at once.

An op is `RECORDS` records, divided among threads that started before it.
"""

import itertools
import threading
from contextlib import contextmanager

import prometheus_client as pc
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

import tallymark as tm
from tallymark.bench import parametrize

RECORDS = 40_000


class Crew:
    """Threads that wait to do their share of `RECORDS` of a job."""

    def __init__(self, size, job):
        self._start = threading.Barrier(size + 1)
        self._end = threading.Barrier(size + 1)
        self._share = RECORDS // size
        self._job = job
        for _ in range(size):
            threading.Thread(target=self._work, daemon=True).start()

    def _work(self):
        while self._start.wait() is not None and self._job is not None:
            self._job(itertools.repeat(None, self._share))
            self._end.wait()

    def run(self):
        self._start.wait()
        self._end.wait()

    def dismiss(self):
        self._job = None
        self._start.wait()


@contextmanager
def crew(size, job):
    made = Crew(size, job)
    try:
        yield made
    finally:
        made.dismiss()


@parametrize(threads=(1, 2, 4, 8))
def bench_tallymark(b, threads):
    counter = tm.Registry().counter("requests")

    def job(iterations):
        for _ in iterations:
            counter.inc(method="GET", status="200")

    with crew(threads, job) as made:
        for _ in b.loop():
            made.run()


@parametrize(threads=(1, 2, 4, 8))
def bench_record_error(b, threads):
    ops = tm.OperationalMetrics(tm.Registry())

    def job(iterations):
        for _ in iterations:
            ops.record_error("auth", "validation_error", "invalid_token")

    with crew(threads, job) as made:
        for _ in b.loop():
            made.run()


@parametrize(threads=(1, 2, 4, 8))
def bench_prometheus_client(b, threads):
    counter = pc.Counter("requests", "Requests.", ["method", "status"], registry=pc.CollectorRegistry())

    def job(iterations):
        for _ in iterations:
            counter.labels("GET", "200").inc()

    with crew(threads, job) as made:
        for _ in b.loop():
            made.run()


@parametrize(threads=(1, 2))
def bench_opentelemetry(b, threads):
    provider = MeterProvider(metric_readers=[InMemoryMetricReader()], shutdown_on_exit=False)
    counter = provider.get_meter("benchmarks").create_counter("requests")
    tags = {"method": "GET", "status": "200"}

    def job(iterations):
        for _ in iterations:
            counter.add(1, tags)

    with crew(threads, job) as made:
        for _ in b.loop():
            made.run()
