"""How the cost of a record grows with the number of live series: on one of them, and over all of them in turn."""

import itertools

import tallymark as tm
from tallymark.bench import parametrize

each = parametrize(series=(10, 100, 1_000, 10_000, 100_000, 1_000_000))


def populated(series):
    users = [str(i) for i in range(series)]
    counter = tm.Registry(limits=tm.TagLimits(max_series=series)).counter("requests")
    for user in users:
        counter.inc(method="GET", user=user)
    return counter, users


@each
def bench_inc_bound(b, series):
    counter, _ = populated(series)
    bound = counter.with_tags(method="GET", user="7")
    for _ in b.loop():
        bound.inc()


@each
def bench_inc_one_of(b, series):
    counter, _ = populated(series)
    for _ in b.loop():
        counter.inc(method="GET", user="7")


@each
def bench_inc_all_in_turn(b, series):
    counter, users = populated(series)
    in_turn = itertools.cycle(users)
    next(itertools.islice(in_turn, series, series), None)  # the first time through, cycle() makes a list of its own
    for _, user in zip(b.loop(), in_turn):  # noqa: B905
        counter.inc(method="GET", user=user)
