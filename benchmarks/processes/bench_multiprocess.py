"""prometheus_client's multi-process mode, which is chosen by an environment variable before it is imported."""

import atexit
import os
import shutil
import tempfile

directory = tempfile.mkdtemp()
atexit.register(shutil.rmtree, directory, ignore_errors=True)
os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory

import prometheus_client as pc  # noqa: E402

BOUNDS = [0.001 * 2.5**i for i in range(12)]


def bench_inc(b):
    counter = pc.Counter("requests", "Requests.", registry=pc.CollectorRegistry())
    for _ in b.loop():
        counter.inc()


def bench_inc_two_tags(b):
    counter = pc.Counter("requests", "Requests.", ["method", "status"], registry=pc.CollectorRegistry())
    for _ in b.loop():
        counter.labels("GET", "200").inc()


def bench_set(b):
    gauge = pc.Gauge("depth", "Depth.", registry=pc.CollectorRegistry(), multiprocess_mode="livesum")
    for _ in b.loop():
        gauge.set(7)


def bench_observe(b):
    histogram = pc.Histogram("size", "Size.", buckets=BOUNDS, registry=pc.CollectorRegistry())
    for _ in b.loop():
        histogram.observe(0.7)
