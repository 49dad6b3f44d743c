"""One benchmark, run for each combination of parameters. A function is named by its own name."""

import json
import pickle

from tallymark.bench import parametrize


@parametrize(encode=(json.dumps, pickle.dumps), items=(10, 1000))
def bench_encode(b, encode, items):
    numbers = list(range(items))
    for _ in b.loop():
        encode(numbers)
