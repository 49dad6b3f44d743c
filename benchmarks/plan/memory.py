"""What holding series costs: `python benchmarks/plan/memory.py HOLDER` makes 100,000 of them in a fresh process.

It prints JSON: for each series the bytes of resident memory and the objects that the garbage collector must visit; and the
seconds of a full collection while all series live. The texts of the tags are made first, and are in no figure.
"""

from __future__ import annotations

import gc
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

SERIES = 100_000
PEERS = ("native", "reference", "prometheus_client", "opentelemetry", "aioprometheus", "floor")
STRATEGIES = ("copy", "pool", "interned", "native")


def tallymark(engine: str) -> Callable[[Sequence[str]], Any]:
    def hold(users: Sequence[str]) -> Any:
        import tallymark as tm

        counter = tm.Registry(engine=engine, limits=tm.TagLimits(max_series=len(users))).counter("requests")
        for user in users:
            counter.inc(method="GET", user=user)
        return counter

    return hold


def prometheus_client(users: Sequence[str]) -> Any:
    import prometheus_client as pc

    counter = pc.Counter("requests", "Requests.", ["method", "user"], registry=pc.CollectorRegistry())
    for user in users:
        counter.labels("GET", user).inc()
    return counter


def opentelemetry(users: Sequence[str]) -> Any:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    provider = MeterProvider(metric_readers=[InMemoryMetricReader()], shutdown_on_exit=False)
    counter = provider.get_meter("benchmarks").create_counter("requests")
    for user in users:
        counter.add(1, {"method": "GET", "user": user})
    return provider, counter


def aioprometheus(users: Sequence[str]) -> Any:
    from aioprometheus import Counter, Registry

    counter = Counter("requests", "Requests.", registry=Registry())
    for user in users:
        counter.inc({"method": "GET", "user": user})
    return counter


def floor(users: Sequence[str]) -> Any:
    counts: dict[tuple[str, str], int] = {}
    for user in users:
        counts["GET", user] = 1
    return counts


def strategy(name: str) -> Callable[[Sequence[str]], Any]:
    """Return a holder that keeps a bound instrument for each series, as code that records often does."""

    def hold(users: Sequence[str]) -> Any:
        sys.path.insert(0, str(Path(__file__).parent.parent / "tag_strategies"))
        from strategies import STRATEGIES

        import tallymark as tm

        made = {"interned": tallymark_root("reference", tm), "native": tallymark_root("native", tm)}
        counter = made[name] if name in made else STRATEGIES[name]()
        held = [counter.with_tags(method="GET", user=user) for user in users]
        for one in held:
            one.inc()
        return held

    return hold


def tallymark_root(engine: str, tm: Any) -> Any:
    return tm.Registry(engine=engine, limits=tm.TagLimits(max_series=SERIES + 1)).counter("requests")


HOLDERS: dict[str, Callable[[Sequence[str]], Any]] = {
    "native": tallymark("native"),
    "reference": tallymark("reference"),
    "prometheus_client": prometheus_client,
    "opentelemetry": opentelemetry,
    "aioprometheus": aioprometheus,
    "floor": floor,
    **{f"strategy {name}": strategy(name) for name in STRATEGIES},
}


def hold(name: str) -> dict[str, float]:
    """Return what the series of one holder cost, in this process."""
    users = [str(i) for i in range(SERIES)]
    HOLDERS[name](users[:1])
    gc.collect()
    before, tracked = resident(), len(gc.get_objects())
    began = perf_counter()
    kept = HOLDERS[name](users)
    made = perf_counter() - began
    gc.collect()
    after = resident()
    tracked = len(gc.get_objects()) - tracked
    collected = []
    for _ in range(5):
        began = perf_counter()
        gc.collect()
        collected.append(perf_counter() - began)
    del kept
    return {
        "bytes": (after - before) / SERIES,
        "tracked": tracked / SERIES,
        "collect": statistics.median(collected),
        "create": made / SERIES,
    }


def resident() -> int:
    """Return the bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def measure_held(names: Sequence[str] = tuple(HOLDERS), rounds: int = 3) -> dict[str, dict[str, float]]:
    """Return the medians of each holder over fresh processes, interleaved."""
    found: dict[str, list[dict[str, float]]] = {}
    for _ in range(rounds):
        for name in names:
            ran = subprocess.run([sys.executable, __file__, name], check=True, capture_output=True, text=True)
            found.setdefault(name, []).append(json.loads(ran.stdout))
    return {name: {key: statistics.median(one[key] for one in rows) for key in rows[0]} for name, rows in found.items()}


if __name__ == "__main__":
    print(json.dumps(hold(sys.argv[1])))
