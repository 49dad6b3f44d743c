"""What each strategy for tags costs: to bind tags, to chain, to record with them, and to read them; with few and many."""

from copied import COPY_KINDS, CopyOperations
from strategies import STRATEGIES

import tallymark as tm
from tallymark.bench import parametrize

KINDS = ("counter", "gauge", "histogram", "timer")


@parametrize(strategy=STRATEGIES)
def bench_with(b, strategy):
    counter = STRATEGIES[strategy]().with_tags(service="api")
    for _ in b.loop():
        counter.with_tags(method="GET", status="200")


@parametrize(strategy=STRATEGIES)
def bench_with_inc(b, strategy):
    counter = STRATEGIES[strategy]().with_tags(service="api")
    for _ in b.loop():
        counter.with_tags(method="GET", status="200").inc()


@parametrize(strategy=STRATEGIES)
def bench_inc_two_tags(b, strategy):
    counter = STRATEGIES[strategy]()
    for _ in b.loop():
        counter.inc(method="GET", status="200")


@parametrize(strategy=STRATEGIES)
def bench_inc_ten_tags(b, strategy):
    counter = STRATEGIES[strategy]()
    for _ in b.loop():
        counter.inc(a="1", b="2", c="3", d="4", e="5", f="6", g="7", h="8", i="9", j="10")


@parametrize(strategy=STRATEGIES)
def bench_chained(b, strategy):
    counter = STRATEGIES[strategy]()
    for _ in b.loop():
        counter.with_tags(service="api").with_tags(method="POST").with_tags(status="200").inc()


@parametrize(strategy=STRATEGIES)
def bench_tags(b, strategy):
    counter = STRATEGIES[strategy]().with_tags(service="api", method="GET")
    for _ in b.loop():
        counter.tags


@parametrize(kind=KINDS)
def bench_with_before(b, kind):
    instrument = COPY_KINDS[KINDS.index(kind)]({"service": "api"})
    for _ in b.loop():
        instrument.with_tags(method="GET", status="200")


@parametrize(kind=KINDS)
def bench_with_after(b, kind):
    instrument = getattr(tm.Registry(), kind)("measured", tags={"service": "api"})
    for _ in b.loop():
        instrument.with_tags(method="GET", status="200")


def bench_record_operation_before(b):
    ops = CopyOperations()
    for _ in b.loop():
        ops.record_operation("auth", "success", 0.001)


def bench_record_operation_after(b):
    ops = tm.OperationalMetrics(tm.Registry())
    for _ in b.loop():
        ops.record_operation("auth", "success", 0.001)


def bench_record_error_before(b):
    ops = CopyOperations()
    for _ in b.loop():
        ops.record_error("auth", "validation_error", "invalid_token")


def bench_record_error_after(b):
    ops = tm.OperationalMetrics(tm.Registry())
    for _ in b.loop():
        ops.record_error("auth", "validation_error", "invalid_token")
