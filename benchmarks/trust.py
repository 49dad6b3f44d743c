"""How far the toolkit's comparisons can be trusted: equal code must not be called different, and 5 % more work must be found.

    python benchmarks/trust.py --runs 40 --slower 10

Both sides run the same file in the same interpreter, interleaved, as `tallymark bench ab` runs them. For the second count, the
op of the new side has 5 % more to do: a sum over 5 % more items.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tallymark.bench import QUICK, Comparison, Settings, Target, compare, measure

ITEMS = 1000
FILE = """
def bench_sum(b):
    items = [1.5] * {items}
    for _ in b.loop():
        sum(items)
"""


def comparisons(runs: int, items: int, settings: Settings) -> Iterator[Comparison]:
    """Yield comparisons: the op of the old side sums `ITEMS` items, that of the new side `items`."""
    with tempfile.TemporaryDirectory() as directory:
        targets = []
        for name, length in (("old", ITEMS), ("new", items)):
            root = Path(directory) / name
            root.mkdir()
            (root / "bench_sum.py").write_text(FILE.format(items=length))
            targets.append(Target(name, root=str(root)))
        for _ in range(runs):
            yield compare(*measure(targets=targets, settings=settings))


def found(runs: int, items: int, settings: Settings) -> int:
    """Return how many of `runs` comparisons say that the sides differ; print each."""
    count = 0
    for comparison in comparisons(runs, items, settings):
        (one,) = comparison.benchmarks
        assert one.time is not None
        count += one.time.differs
        change, noise = one.time.change or 0.0, one.time.noise or 0.0
        verdict = "differs" if one.time.differs else "~"
        print(f"  {change:+7.2%}  p {one.time.adjusted:.4f}  noise ±{noise:.2%}  {verdict}", flush=True)
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=40, help="comparisons of equal code (default: 40)")
    parser.add_argument("--slower", type=int, default=10, help="comparisons with 5 %% more work (default: 10)")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter values, for a first look")
    options = parser.parse_args()
    settings = replace(QUICK if options.quick else Settings(), passes=("time",))
    print("the same on both sides:")
    same = found(options.runs, ITEMS, settings)
    print("5 % more work on the new side:")
    slower = found(options.slower, ITEMS * 105 // 100, settings)
    print(f"called different, though the same: {same} of {options.runs}")
    print(f"5 % slower, and found: {slower} of {options.slower}")


if __name__ == "__main__":
    main()
