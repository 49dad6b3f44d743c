"""Where the cost of one benchmark comes from: its lines, from passes in fresh processes of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tallymark.bench.errors import BenchError, BenchmarkFileError
from tallymark.bench.measure.run_worker import Answer, run_worker
from tallymark.bench.measure.target import Target
from tallymark.bench.result.profile import Cost, Profile, merged, tree_of

__all__ = ["where"]


def where(name: str, *, target: Target | None = None, seconds: float = 2.0, timeout: float = 60.0) -> Profile:
    """Return where the cost of a benchmark comes from, line by line.

    Args:
        name: `FILE::NAME`, `FILE::NAME[params]`, or a FILE with one benchmark; the file from the target's root.
        target: the interpreter, with its directory of code.
        seconds: for how long the time is sampled.
        timeout: seconds after which a process is killed.

    Allocations, bytes and objects are exact; times are estimated from samples. Raises BenchmarkFileError when there is no such
    benchmark, or more than one; BenchError when it fails or is skipped.
    """
    target = target or Target()
    path, _, wanted = name.partition("::")
    root = Path(target.root).resolve()
    file = root / path
    if not file.is_file():
        raise BenchmarkFileError(f"{path}: no such file; name a benchmark as FILE::NAME")
    listed = run_worker(target, {"task": "list", "file": str(file)}, timeout)
    if "failed" in listed:
        raise BenchmarkFileError(f"{path} does not import: {listed['failed']}")
    one = _chosen(path, wanted, listed.get("benchmarks", []))
    request = {"file": str(file), "function": one["function"], "index": one["index"], "root": str(root)}
    full = f"{path}::{one['name']}"
    counted = _asked(target, {**request, "task": "lines", "budget": 1.0}, timeout, full)
    sampled = _asked(target, {**request, "task": "samples", "seconds": seconds}, timeout, full)
    if "unavailable" in counted and "unavailable" in sampled:
        raise BenchError(f"{full}: {counted['unavailable']}")
    return _profile(full, target, listed, counted, sampled)


def _chosen(path: str, wanted: str, listed: list[dict[str, Any]]) -> dict[str, Any]:
    found = [one for one in listed if wanted in ("", one["name"])] or [one for one in listed if one["function"] == wanted]
    if len(found) == 1:
        return found[0]
    choice = [one["name"] for one in found or listed]
    there = ", ".join(f"{path}::{one}" for one in choice[:8]) + (" …" if len(choice) > 8 else "")
    if not found:
        raise BenchmarkFileError(f"{path} has no benchmark {wanted}: it has {there or 'none'}")
    raise BenchmarkFileError(f"{path}{'::' * bool(wanted)}{wanted} names {len(found)} benchmarks, name one: {there}")


def _asked(target: Target, request: dict[str, Any], timeout: float, name: str) -> Answer:
    answer = run_worker(target, request, timeout)
    if "failed" in answer:
        raise BenchError(f"{name}: {answer['failed']}")
    if "skipped" in answer:
        raise BenchError(f"{name} is skipped: {answer['skipped'] or 'it gives no reason'}")
    return answer


def _profile(name: str, target: Target, listed: Answer, counted: Answer, sampled: Answer) -> Profile:
    reasons = {key: one["unavailable"] for key, one in (("allocs", counted), ("time", sampled)) if "unavailable" in one}
    created = tree_of(counted.get("created", ()), lambda types: Cost(types=types))
    if not created and "allocs" not in reasons:
        reasons["objects"] = "objects by type need CPython 3.13"
    trees = [
        tree_of(sampled.get("timed", ()), lambda seconds: Cost(time=seconds)),
        tree_of(counted.get("requested", ()), Cost),
        created,
    ]
    return Profile(
        name,
        target.name,
        str(listed.get("environment", {}).get("python", "")),
        merged(trees),
        bool(counted.get("exact", True)),
        int(sampled.get("samples", 0)),
        int(sampled.get("lost", 0)),
        reasons,
    )
