"""The smallest benchmark: what stands in the loop is measured, and nothing else."""

import json


def bench_dumps(b):
    document = {"name": "ada", "tags": ["a", "b"]}  # setup: made once, not measured
    for _ in b.loop():
        json.dumps(document)  # the op
    assert document["name"] == "ada"  # teardown: not measured
