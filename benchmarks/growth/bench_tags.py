"""How the cost of a record grows with the number of its tags."""

import tallymark as tm
from tallymark.bench import parametrize

TAGS = [(key, str(number)) for number, key in enumerate("abcdefghij")]


@parametrize(tags=range(11))
def bench_inc(b, tags):
    written = ", ".join(f"{key}={value!r}" for key, value in TAGS[:tags])
    scope = {"counter": tm.Registry().counter("requests")}
    exec(f"def loop(iterations):\n for _ in iterations:\n  counter.inc({written})", scope)
    scope["loop"](b.loop())


@parametrize(tags=range(11))
def bench_inc_bound(b, tags):
    bound = tm.Registry().counter("requests").with_tags(dict(TAGS[:tags]))
    for _ in b.loop():
        bound.inc()
