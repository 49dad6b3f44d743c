"""What must hold: the success criteria of the Go library's tag-map optimisation plan, and Tallymark's claims; with figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from plan.figures import Figure, Figures
from plan.original import COUNTERPARTS

_STRATEGIES = "tag_strategies/bench_strategies.py::bench_"
_OURS = "peers/bench_tallymark.py::bench_"
_SHARED = "processes/bench_shared.py::bench_"

#: Rows that set something up or format text. They allocate, and Tallymark claims nothing about them.
_SETS_UP = ("bench_create", "bench_first", "bench_render")


@dataclass(frozen=True)
class Criterion:
    """Something that must hold. `met` is None if what it needs was not measured."""

    text: str
    figure: str
    met: bool | None


def criteria(figures: Figures) -> list[Criterion]:
    """Return the criteria: those of the tag-map optimisation plan first, in its order."""
    return [
        *_document(figures),
        Criterion("0 functional regressions: one suite passes on every strategy", figures.suite or "-", _suite(figures)),
        _no_allocations(figures),
        *_peers(figures),
        *_original(figures),
        *_flat(figures),
        *_processes(figures),
    ]


def _suite(figures: Figures) -> bool | None:
    return figures.suite == "pass" if figures.suite else None


def _document(figures: Figures) -> Iterator[Criterion]:
    kinds = [(f"with_before[kind={kind}]", f"with_after[kind={kind}]") for kind in ("counter", "gauge", "histogram", "timer")]
    heavy = [(f"{op}[strategy=copy]", f"{op}[strategy=native]") for op in ("chained", "inc_ten_tags")]
    operational = [(f"record_{op}_before", f"record_{op}_after") for op in ("operation", "error")]
    yield _fewer(figures, "> 90 % fewer allocations for With(), all four kinds", 0.9, kinds, lambda one: one.allocs)
    yield _fewer(figures, "> 80 % fewer bytes where tags are many or chained", 0.8, heavy, lambda one: one.bytes)
    yield _fewer(figures, "> 70 % fewer allocations in the operational layer", 0.7, operational, lambda one: one.allocs)
    yield _fewer(figures, "> 70 % fewer bytes in the operational layer", 0.7, operational, lambda one: one.bytes)


def _fewer(figures: Figures, text: str, least: float, pairs: list[tuple[str, str]], of: Callable[[Figure], float]) -> Criterion:
    measured = [(figures.get(_STRATEGIES + before), figures.get(_STRATEGIES + after)) for before, after in pairs]
    saved = [1 - of(after) / of(before) for before, after in measured if before and after and of(before) > 0]
    if len(saved) < len(pairs):
        return Criterion(text, "not measured", None)
    return Criterion(text, f"{min(saved):.0%} at the least", min(saved) > least)


def _no_allocations(figures: Figures) -> Criterion:
    text = "0 allocations in every steady row of the native engine"
    steady = {
        name: one
        for name, one in figures.benchmarks.items()
        if (name.startswith(("document/bench_steady", _SHARED)) or (name.startswith(_OURS) and "engine=native" in name))
        and not any(part in name for part in _SETS_UP)
    }
    if not steady:
        return Criterion(text, "not measured", None)
    allocating = [f"{name.rpartition('bench_')[2]} {one.allocs:g}" for name, one in steady.items() if one.allocs or one.bytes]
    return Criterion(text, ", ".join(allocating) or f"0 in {len(steady)} rows", not allocating)


def _peers(figures: Figures) -> Iterator[Criterion]:
    for peer, op, least in (
        ("prometheus_client", "inc", 20.0),
        ("prometheus_client", "inc_two_tags", 20.0),
        ("prometheus_client", "with_two_tags_then_inc", 20.0),
        ("opentelemetry", "inc_two_tags", 60.0),
    ):
        ours, theirs = figures.get(f"{_OURS}{op}[engine=native]"), figures.get(f"peers/bench_{peer}.py::bench_{op}")
        text = f">= {least:g} times cheaper than {peer}: {op}"
        yield _times(text, theirs.time if theirs else None, ours.time if ours else None, least)


def _original(figures: Figures) -> Iterator[Criterion]:
    for least in (4.0, 3.0):
        ratios = {}
        for theirs, (name, wanted) in COUNTERPARTS.items():
            ours = figures.get(name)
            if wanted == least and ours and theirs in figures.original:
                ratios[theirs] = figures.original[theirs]["time"] / max(ours.time, 1e-12)
        what = "With, Tags, chained" if least == 4.0 else "RecordError, RecordOperation"
        text = f">= {least:g} times cheaper than the Go original: {what}"
        if not ratios:
            yield Criterion(text, "not measured", None)
            continue
        name = min(ratios, key=lambda one: ratios[one])
        yield Criterion(text, f"{ratios[name]:.1f} times at the least ({name})", ratios[name] >= least)


def _flat(figures: Figures) -> Iterator[Criterion]:
    series = "growth/bench_series.py::bench_inc"
    for text, few, many in (
        ("flat in live series: inc() of a bound series, 10 to 1,000,000", "_bound[series=10]", "_bound[series=1000000]"),
        ("flat in live series: tags + inc on one of them, 10 to 1,000,000", "_one_of[series=10]", "_one_of[series=1000000]"),
    ):
        least, most = figures.get(series + few), figures.get(series + many)
        if least and most:
            yield Criterion(text, f"{most.time / least.time:.2f} times", most.time <= 1.5 * least.time)
        else:
            yield Criterion(text, "not measured", None)


def _processes(figures: Figures) -> Iterator[Criterion]:
    for op in ("inc", "inc_two_tags"):
        own, shared = (figures.get(f"{_SHARED}{op}[memory={memory}]") for memory in ("private", "shared"))
        theirs = figures.get(f"processes/bench_multiprocess.py::bench_{op}")
        text = f">= 20 times cheaper than prometheus_client's multi-process mode: {op}"
        yield _times(text, theirs.time if theirs else None, shared.time if shared else None, 20.0)
        text = f"shared memory costs a record at most a third more than private memory: {op}"
        if own and shared:
            yield Criterion(text, f"{shared.time / own.time:.2f} times", shared.time <= 4 / 3 * own.time)
        else:
            yield Criterion(text, "not measured", None)
    ours, text = figures.lifetimes.get("tallymark"), "flat in workers that ever lived, 10 to 1,000: a scrape, and the disk"
    if ours:
        scrape, disk = (ours[f"{what}_many"] / ours[f"{what}_few"] for what in ("scrape", "disk"))
        yield Criterion(text, f"{scrape:.2f} and {disk:.2f} times", scrape <= 2 and disk <= 1.5)
    else:
        yield Criterion(text, "not measured", None)


def _times(text: str, theirs: float | None, ours: float | None, least: float) -> Criterion:
    if theirs is None or ours is None:
        return Criterion(text, "not measured", None)
    ratio = theirs / max(ours, 1e-12)
    return Criterion(text, f"{ratio:.0f} times", ratio >= least)
