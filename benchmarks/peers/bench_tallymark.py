"""Tallymark's engines."""

import tallymark as tm
from tallymark.bench import parametrize

on_both = parametrize(engine=("native", "reference"))
BOUNDS = [0.001 * 2.5**i for i in range(12)]


@on_both
def bench_inc(b, engine):
    counter = tm.Registry(engine=engine).counter("requests")
    for _ in b.loop():
        counter.inc()


@on_both
def bench_inc_two_tags(b, engine):
    counter = tm.Registry(engine=engine).counter("requests")
    for _ in b.loop():
        counter.inc(method="GET", status="200")


@on_both
def bench_with_two_tags_then_inc(b, engine):
    counter = tm.Registry(engine=engine).counter("requests")
    for _ in b.loop():
        counter.with_tags(method="GET", status="200").inc()


@on_both
def bench_inc_mapping(b, engine):
    counter = tm.Registry(engine=engine).counter("requests")
    tags = {"method": "GET", "status": "200"}
    for _ in b.loop():
        counter.with_tags(tags).inc()


@on_both
def bench_set(b, engine):
    gauge = tm.Registry(engine=engine).gauge("depth")
    for _ in b.loop():
        gauge.set(7)


@on_both
def bench_observe(b, engine):
    histogram = tm.Registry(engine=engine).histogram("size", buckets=BOUNDS)
    for _ in b.loop():
        histogram.observe(0.7)


@on_both
def bench_observe_exponential(b, engine):
    histogram = tm.Registry(engine=engine).histogram("size", exponential=True)
    for value in BOUNDS:
        histogram.observe(value)
    for _ in b.loop():
        histogram.observe(0.7)


@on_both
def bench_with_timer(b, engine):
    timer = tm.Registry(engine=engine).timer("duration")
    for _ in b.loop():
        with timer.time():
            pass


@on_both
def bench_with_timer_one_tag(b, engine):
    timer = tm.Registry(engine=engine).timer("duration")
    for _ in b.loop():
        with timer.time(route="/"):
            pass


@on_both
def bench_timed_function(b, engine):
    @tm.Registry(engine=engine).timer("duration").time()
    def timed():
        pass

    for _ in b.loop():
        timed()


@on_both
def bench_record_operation(b, engine):
    ops = tm.OperationalMetrics(tm.Registry(engine=engine))
    for _ in b.loop():
        ops.record_operation("auth", "success", 0.012)


@on_both
def bench_record_error(b, engine):
    ops = tm.OperationalMetrics(tm.Registry(engine=engine))
    for _ in b.loop():
        ops.record_error("auth", "ValueError", "user")


@on_both
def bench_first_operation(b, engine):
    for _ in b.loop():
        tm.OperationalMetrics(tm.Registry(engine=engine)).record_operation("auth", "success", 0.012)


@on_both
def bench_create_1000_series(b, engine):
    users = [str(i) for i in range(1000)]
    for _ in b.loop():
        counter = tm.Registry(engine=engine).counter("requests")
        for user in users:
            counter.inc(method="GET", user=user)


@parametrize(engine=("native", "reference"), series=(100, 10_000, 100_000))
def bench_render(b, engine, series):
    registry = tm.Registry(engine=engine, limits=tm.TagLimits(max_series=series))
    counter = registry.counter("requests", description="Requests.")
    for user in range(series):
        counter.inc(method="GET", user=str(user))
    for _ in b.loop():
        tm.render_prometheus(registry.snapshot())
