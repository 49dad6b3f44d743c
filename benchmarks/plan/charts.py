"""Charts of figures, as SVG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt

from plan.figures import Figures, pivot
from plan.tables import CLIENTS, OPS, client

mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "tallymark", "font.size": 9, "axes.spines.top": False})
mpl.rcParams.update({"axes.spines.right": False, "figure.facecolor": "white", "savefig.facecolor": "white"})

_SHOWN = ("inc", "inc_two_tags", "observe", "record_operation")
_COLOURS = dict(
    zip(CLIENTS, ("#0b6e4f", "#7fb69e", "#d1495b", "#edae49", "#8d6a9f", "#5b7db1", "#30638e", "#9a9a9a"), strict=True)
)


def draw_records(figures: Figures, path: Path) -> None:
    """Draw what a record costs each client, on a logarithmic scale."""
    drawing, axes = plt.subplots(1, len(_SHOWN), figsize=(11, 3), layout="constrained")
    for plot, op in zip(axes, _SHOWN, strict=True):
        found = {name: one for name in CLIENTS if (one := client(figures, name, op))}
        names = list(reversed(found))
        times = [found[name].time * 1e9 for name in names]
        shown = ["Tallymark" if name == "native" else "Tallymark in Python" if name == "reference" else name for name in names]
        bars = plot.barh(shown, times, color=[_COLOURS[name] for name in names])
        plot.bar_label(bars, [f"{time:,.0f} ns" for time in times], padding=2, fontsize=8)
        plot.set(title=OPS[op], xscale="log", xlim=(min(times) / 2, max(times) * 12))
        plot.xaxis.set_visible(False)
        plot.spines[["bottom", "left"]].set_visible(False)
        plot.tick_params(left=False)
    drawing.suptitle(f"Nanoseconds per record, logarithmic ({figures.command})", fontsize=9)
    _save(drawing, path)


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
