"""What must hold: the success criteria of the Go library's tag-map optimisation plan, and Tallymark's claims; with figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from plan.figures import Figure, Figures
from plan.original import COUNTERPARTS
from plan.ratios import RATIOS, Ratio, judge

_STRATEGIES = "tag_strategies/bench_strategies.py::bench_"
_OURS = "peers/bench_tallymark.py::bench_"
_SHARED = "processes/bench_shared.py::bench_"

#: Rows that set something up or format text. They allocate, and Tallymark claims nothing about them.
_SETS_UP = ("bench_create", "bench_first", "bench_render")

PASS, FAIL, UNDECIDED, UNMEASURED = "pass", "FAIL", "undecided", "-"


@dataclass(frozen=True)
class Criterion:
    """Something that must hold, and the verdict: `pass`, `FAIL`, `undecided`, or `-` if what it needs was not measured.

    A ratio of times fails only where its interval excludes the limit.
    """

    text: str
    figure: str
    verdict: str


def criteria(figures: Figures) -> list[Criterion]:
    """Return the criteria: those of the tag-map optimisation plan first, in its order."""
    return [
        *_document(figures),
        Criterion("0 functional regressions: one suite passes on every strategy", figures.suite or "-", _suite(figures)),
        _no_allocations(figures),
        *(_ratio(figures, one) for one in RATIOS),
        *_original(figures),
        _lifetimes(figures),
        *_scrapes(figures),
        _event_loops(figures),
        _middleware(figures, "fastapi", 10.0, "prometheus-fastapi-instrumentator: a request of FastAPI"),
        _middleware(figures, "flask", 5.0, "prometheus-flask-exporter: a request of Flask"),
    ]


def _decided(met: bool) -> str:
    return PASS if met else FAIL


def _unmeasured(text: str, why: str = "not measured") -> Criterion:
    return Criterion(text, why, UNMEASURED)


def _suite(figures: Figures) -> str:
    return _decided(figures.suite == "pass") if figures.suite else UNMEASURED


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
        return _unmeasured(text)
    return Criterion(text, f"{min(saved):.0%} at the least", _decided(min(saved) > least))


def _no_allocations(figures: Figures) -> Criterion:
    text = "0 allocations in every steady row of the native engine"
    steady = {
        name: one
        for name, one in figures.benchmarks.items()
        if (name.startswith(("document/bench_steady", _SHARED)) or (name.startswith(_OURS) and "engine=native" in name))
        and not any(part in name for part in _SETS_UP)
    }
    if not steady:
        return _unmeasured(text)
    allocating = [f"{name.rpartition('bench_')[2]} {one.allocs:g}" for name, one in steady.items() if one.allocs or one.bytes]
    return Criterion(text, ", ".join(allocating) or f"0 in {len(steady)} rows", _decided(not allocating))


def _ratio(figures: Figures, one: Ratio) -> Criterion:
    if not (ratios := figures.ratios.get(one.name)):
        return _unmeasured(one.text, f"needs `pip install {one.needs}`" if one.needs else "not measured")
    return Criterion(one.text, *judge(ratios, one.least, one.most))


def _original(figures: Figures) -> Iterator[Criterion]:
    for least in (4.0, 3.0):
        what = "With, Tags, chained" if least == 4.0 else "RecordError, RecordOperation"
        text = f">= {least:g} times cheaper than the Go original: {what}"
        rows = [theirs for theirs, (_, wanted) in COUNTERPARTS.items() if wanted == least and theirs in figures.original_ratios]
        if not rows:
            yield _unmeasured(text, "needs --go DIR: figures of two machines do not compare")
            continue
        judged = {theirs: judge(figures.original_ratios[theirs], least) for theirs in rows}
        worst = min(rows, key=lambda one: ([FAIL, UNDECIDED, PASS].index(judged[one][1]), min(figures.original_ratios[one])))
        figure, verdict = judged[worst]
        yield Criterion(text, f"{figure} at the least ({worst})", verdict)


def _lifetimes(figures: Figures) -> Criterion:
    ours, text = figures.lifetimes.get("tallymark"), "flat in workers that ever lived, 10 to 1,000: a scrape, and the disk"
    if not ours:
        return _unmeasured(text)
    shown, scrape = judge([float(one) for one in ours["scrape_ratios"]], most=2.0)
    disk = ours["disk_many"] / ours["disk_few"]
    return Criterion(text, f"{shown}, and {disk:.2f} times", FAIL if disk > 1.5 else scrape)


def _scrapes(figures: Figures) -> Iterator[Criterion]:
    late = "a scrape of 100,000 series holds up another thread at most 3 ms longer than sending alone does"
    memory = "a scrape of 100,000 series needs at most twice the memory of its body"
    live, constant = (figures.scrapes.get(one) for one in ("live", "constant"))
    if not live or not constant:
        yield _unmeasured(late)
        yield _unmeasured(memory)
        return
    longer, times = live["held_up"] - constant["held_up"], live["memory"] / live["body"]
    yield Criterion(late, f"{longer * 1000:.1f} ms", _decided(longer <= 0.003))
    yield Criterion(memory, f"{times:.2f} times", _decided(times <= 2.0))


def _event_loops(figures: Figures) -> Criterion:
    text = "uvicorn's event loop is held up at most 1 ms longer by a scrape of 100,000 series than by sending alone"
    live, constant = (figures.event_loops.get(one) for one in ("live", "constant"))
    if not live or not constant:
        return _unmeasured(text)
    longer = live["held_up"] - constant["held_up"]
    return Criterion(text, f"{longer * 1000:.1f} ms", _decided(longer <= 0.001))


def _middleware(figures: Figures, framework: str, least: float, peer: str) -> Criterion:
    """Compare what metrics add to a request."""
    text = f">= {least:g} times cheaper than {peer}"
    found = figures.middlewares.get(framework)
    if not found:
        return _unmeasured(text)
    without = min(found["without"], found["without again"])
    ours, theirs = (found[kind] - without for kind in ("tallymark", "peer"))
    figure = f"{theirs / ours:.1f} times ({ours * 1e6:.1f} µs, {theirs * 1e6:.1f} µs)"
    return Criterion(text, figure, _decided(theirs >= least * ours))
