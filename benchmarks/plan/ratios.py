"""Rows that are compared with each other: which, and how many times dearer one is than the other.

Two rows of one run, measured minutes apart, do not compare: on a shared machine two equal rows came out 1.7 times apart. So the
processes of such a pair of rows take turns, and each pair of processes gives one ratio.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from tallymark.bench.compare.stats import Interval, median_interval

_OURS = "peers/bench_tallymark.py::bench_"
_SHARED = "processes/bench_shared.py::bench_"
_SCRAPE = "scrape/bench_scrape.py::bench_"
_SERIES = "growth/bench_series.py::bench_inc"


@dataclass(frozen=True)
class Ratio:
    """Two rows, and the limit of what the first costs as a multiple of the second.

    Attributes:
        text: what must hold.
        dearer: the row above the line.
        cheaper: the row below it.
        least: the ratio must be this or more; None where there is `most`.
        most: the ratio must be this or less.
        quick: measured with `--quick` too.
        turns: values of each process.
        needs: a package that one of the rows needs, and that the development extra does not install.
    """

    text: str
    dearer: str
    cheaper: str
    least: float | None = None
    most: float | None = None
    quick: bool = True
    turns: int = 20
    needs: str = ""

    @property
    def can_be_measured(self) -> bool:
        return not self.needs or find_spec(self.needs) is not None

    @property
    def name(self) -> str:
        return f"{self.dearer} / {self.cheaper}"


def _peer(peer: str, op: str, least: float) -> Ratio:
    theirs = f"peers/bench_{peer}.py::bench_{op}"
    return Ratio(f">= {least:g} times cheaper than {peer}: {op}", theirs, f"{_OURS}{op}[engine=native]", least=least)


def _multiprocess(op: str) -> Ratio:
    text = f">= 20 times cheaper than prometheus_client's multi-process mode: {op}"
    return Ratio(text, f"processes/bench_multiprocess.py::bench_{op}", f"{_SHARED}{op}[memory=shared]", least=20.0)


def _shared(op: str) -> Ratio:
    text = f"shared memory costs a record at most a third more than private memory: {op}"
    return Ratio(text, f"{_SHARED}{op}[memory=shared]", f"{_SHARED}{op}[memory=private]", most=4 / 3)


def _flat(text: str, row: str) -> Ratio:
    text = f"flat in live series: {text}, 10 to 1,000,000"
    return Ratio(text, f"{_SERIES}_{row}[series=1000000]", f"{_SERIES}_{row}[series=10]", most=1.5, quick=False)


def _scrape(peer: str, numbers: str, least: float, needs: str = "") -> Ratio:
    text = f">= {least:g} times cheaper than {peer}: a scrape of 100,000 counters, {numbers.replace('_', ' ')}"
    theirs, ours = (f"{_SCRAPE}counters[client={one},numbers={numbers},series=100000]" for one in (peer, "tallymark"))
    return Ratio(text, theirs, ours, least=least, quick=False, turns=3, needs=needs)


def _protobuf(numbers: str) -> Ratio:
    text = f">= 9 times cheaper than prometheus_client's text: 100,000 counters in protobuf, {numbers.replace('_', ' ')}"
    theirs = f"{_SCRAPE}counters[client=prometheus_client,numbers={numbers},series=100000]"
    ours = f"{_SCRAPE}protobuf[numbers={numbers},series=100000]"
    return Ratio(text, theirs, ours, least=9.0, quick=False, turns=3)


def _scraped_histogram() -> Ratio:
    text = ">= 13 times cheaper than a counter of prometheus_client: a scrape of a histogram of 12 bounds"
    counter = f"{_SCRAPE}counters[client=prometheus_client,numbers=integers,series=100000]"
    return Ratio(text, counter, f"{_SCRAPE}histograms[series=10000]", least=13.0, quick=False, turns=3)


def _linear() -> Ratio:
    rows = [f"{_SCRAPE}many[series={series}]" for series in (1_000_000, 100_000)]
    return Ratio("flat in live series: a scrape of each, 100,000 to 1,000,000", *rows, most=1.5, quick=False, turns=5)


_EXPONENTIAL = Ratio(
    "exponential buckets cost observe() at most twice what 12 bounds do",
    f"{_OURS}observe_exponential[engine=native]", f"{_OURS}observe[engine=native]", most=2.0,
)  # fmt: skip

RATIOS = (
    _peer("prometheus_client", "inc", 20.0),
    _peer("prometheus_client", "inc_two_tags", 20.0),
    _peer("prometheus_client", "with_two_tags_then_inc", 20.0),
    _peer("opentelemetry", "inc_two_tags", 60.0),
    _flat("inc() of a bound series", "bound"),
    _flat("tags + inc on one of them", "one_of"),
    _multiprocess("inc"),
    _shared("inc"),
    _multiprocess("inc_two_tags"),
    _shared("inc_two_tags"),
    _EXPONENTIAL,
    _shared("observe_exponential"),
    _scrape("prometheus_client", "integers", 150.0),
    _scrape("prometheus_client", "17_digits", 150.0),
    _scrape("promrs", "integers", 6.0, needs="promrs"),
    _scrape("promrs", "17_digits", 6.0, needs="promrs"),
    _protobuf("integers"),
    _protobuf("17_digits"),
    _scraped_histogram(),
    _linear(),
)


def judge(ratios: Sequence[float], least: float | None = None, most: float | None = None) -> tuple[str, str]:
    """Return the figure of some ratios as text, and the verdict: `pass`, `FAIL` or `undecided`.

    It fails only where the interval of the median excludes the limit. Where the interval holds the limit, more pairs decide, or
    a machine that has less else to do.
    """
    found = median_interval(ratios)
    middle = sorted(ratios)[len(ratios) // 2]
    inside = (least is None or found.low >= least) and (most is None or found.high <= most)
    outside = (least is not None and found.high < least) or (most is not None and found.low > most)
    verdict = "pass" if inside else "FAIL" if outside else "undecided"
    return _shown(middle, found), verdict


def _shown(middle: float, interval: Interval) -> str:
    digits = 0 if middle >= 9.95 else 2
    return f"{middle:.{digits}f} times [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"
