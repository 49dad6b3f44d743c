"""First use costs more than steady use: `tallymark bench cold` shows both, in a fresh process and on fresh state."""

import functools


@functools.cache
def square_root(number):
    return number**0.5


def bench_cached(b):
    square_root.cache_clear()
    for _ in b.loop():
        square_root(2)  # the first op computes; later ones look up
