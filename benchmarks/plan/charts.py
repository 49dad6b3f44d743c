"""Charts of figures, as SVG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt

from plan.figures import Figures, pivot
from plan.tables import client

mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "tallymark", "font.size": 9, "axes.spines.top": False})
mpl.rcParams.update({"axes.spines.right": False, "figure.facecolor": "white", "savefig.facecolor": "white"})

_SHOWN = {"inc": "inc()", "observe": "observe()", "inc_two_tags": "inc(),\n2 tags"}
_BARS = {
    "native": ("Tallymark", "#0b6e4f"),
    "prometheus_client": ("prometheus_client", "#d1495b"),
    "OpenTelemetry": ("OpenTelemetry", "#edae49"),
}


def draw_records(figures: Figures, path: Path) -> None:
    """Draw what a record costs, on one linear scale: the cheapest first, in each operation and among the operations."""
    drawing, plot = plt.subplots(figsize=(12, 7.6), layout="constrained")
    drawing.get_layout_engine().set(w_pad=0.25, h_pad=0.2)
    rows = sorted([found for op in _SHOWN if (found := _bars(figures, op))], key=lambda row: row[1][0][1])
    top = 0.0
    for op, bars in rows:
        for name, time in bars:
            label, colour = _BARS[name]
            drawn = plot.barh(top, time, color=colour, height=0.82)
            plot.bar_label(
                drawn, [f"{label} {time:,.0f} ns"], padding=9, fontsize=25, weight="bold" if name == "native" else "normal"
            )
            top += 1
        plot.text(-80, top - len(bars) / 2 - 0.5, _SHOWN[op], fontsize=26, ha="right", va="center")
        top += 0.6
    plot.set(xlim=(0, max(bars[-1][1] for _, bars in rows) * 1.66 if rows else 1), ylim=(top - 0.8, -0.7))
    plot.axis("off")
    plot.set_title("Time of one record: shorter is better", fontsize=28, loc="left", x=-0.2, y=1.02)
    drawing.supxlabel(f"nanoseconds, linear · {_origin(figures)}", fontsize=15, color="#555555")
    _save(drawing, path)


def _bars(figures: Figures, op: str) -> tuple[str, list[tuple[str, float]]] | None:
    """Return an operation, and what it takes each client in nanoseconds, the quickest first."""
    times = {name: one.time * 1e9 for name in _BARS if (one := client(figures, name, op))}
    return (op, sorted(times.items(), key=lambda bar: bar[1])) if times else None


def _origin(figures: Figures) -> str:
    known = figures.environment
    return f"{figures.command}, {known.get('implementation')} {known.get('python')}, {known.get('cpu')}"


def draw_growth(figures: Figures, path: Path) -> None:
    """Draw how the cost of a record grows with live series, tags and threads."""
    drawing, axes = plt.subplots(1, 3, figsize=(11, 3.2), layout="constrained")
    for plot, what in zip(axes, ("series", "tags", "threads"), strict=True):
        for name, row in pivot(figures.benchmarks, f"growth/bench_{what}.py").items():
            steps = sorted(map(int, row))
            plot.plot(steps, [row[str(step)].time * 1e9 for step in steps], marker="o", markersize=3, label=_label(name))
        plot.set(xlabel={"series": "live series", "tags": "tags", "threads": "threads at once"}[what], ylabel="ns per record")
        plot.set_ylim(0)
        if what == "series":
            plot.set_xscale("log")
        if what == "threads":
            plot.set(yscale="log", ylim=(10, 30_000), xticks=(1, 2, 4, 8))
        plot.legend(frameon=False, fontsize=7)
    drawing.suptitle(f"What a record costs as things grow ({figures.command})", fontsize=9)
    _save(drawing, path)


def _label(name: str) -> str:
    return name.removeprefix("bench_").replace("inc_", "inc, ").replace("_", " ")


def _save(drawing: Any, path: Path) -> None:
    drawing.savefig(path, metadata={"Date": None, "Creator": None})
    plt.close(drawing)
