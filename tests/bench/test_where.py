"""Where cost comes from: what is shown and written of a profile, and the lines that differ between two."""

import itertools
import json
import marshal
import pstats
from pathlib import Path
from xml.etree import ElementTree

import pytest
from bench_results import NEW, OLD

from tallymark.bench.compare.compare import compare
from tallymark.bench.compare.gate import parse_gate, where_commands
from tallymark.bench.compare.lines import line_changes
from tallymark.bench.result.profile import Cost, Node, Place, Profile, merged, total
from tallymark.bench.show.flame import flame_svg
from tallymark.bench.show.profiles import to_pstats, to_speedscope
from tallymark.bench.show.where import changes_text, where_text

GOLDEN = Path(__file__).with_name("golden")
SVG = "{http://www.w3.org/2000/svg}"

LOOP = Place("bench_shop.py", "bench_order", 7, 4, "order(items)")
COPY = Place("shop.py", "order", 3, 1, "found = items.copy()")
TEXT = Place("shop.py", "order", 4, 1, 'names = [f"{name}!" for name in found]')
LABEL = Place("shop.py", "label", 12, 11, "return name.upper()")


def profile(*nodes, **more):
    return Profile("bench_shop.py::bench_order", nodes=nodes, **{"samples": 10_000, "python": "3.13.0", **more})


SHOP = profile(
    Node(-1, LOOP, Cost(time=100e-9)),
    Node(0, COPY, Cost(1, 0, 120, 200e-9, {"dict": 1.0})),
    Node(0, TEXT, Cost(6, 2, 344, 500e-9, {"list": 1.0, "str": 5.0})),
    Node(2, LABEL, Cost(5, 0, 265.5, 200e-9, {"str": 5.0})),
)


def test_lines_of_a_profile_add_up_to_the_op():
    assert SHOP.cost == total(SHOP.lines().values())
    assert (SHOP.cost.allocs, SHOP.cost.reallocs, SHOP.cost.bytes, SHOP.cost.objects) == (12, 2, 729.5, 12)
    assert total([Cost(1 / 7)] * 7).allocs == 1


def test_golden_table():
    assert "\n".join(where_text(SHOP)) + "\n" == (GOLDEN / "where.txt").read_text(encoding="utf-8")


def test_golden_flame():
    assert flame_svg(SHOP, "bytes") == (GOLDEN / "where.svg").read_text(encoding="utf-8")


def test_few_lines_are_shown_and_the_rest_is_summed():
    nodes = [Node(-1, Place("f.py", "f", i, 1, "x" * 200), Cost(i, 0, 10 * i, 1e-9 * i)) for i in range(1, 41)]
    said = where_text(profile(*nodes), top=5, width=80)
    assert max(map(len, said)) <= 80
    assert [line.split()[:2] for line in said if line.startswith("    ")][:5] == [[str(i), str(i)] for i in range(36, 41)]
    assert any(line.split() == ["630", "6300", "B", "77%", "35", "other", "lines"] for line in said)
    assert any(line.split() == ["820", "8200", "B", "100%", "one", "op"] for line in said)


def test_what_no_line_asked_for_is_a_line_of_its_own():
    said = where_text(profile(Node(-1, COPY, Cost(1)), Node(-1, Place("", "not at a Python line", 0), Cost(2))))
    at = said.index("not at a Python line")
    assert said[at + 1].split()[0] == "2"


def test_a_terminal_is_not_commanded_by_a_name():
    said = where_text(profile(Node(-1, Place("a\x1b[31m.py", "f\n\u202e", 3, 1, "\x1b[2J\tx"), Cost(1))))
    assert not any("\x1b" in line or "\n" in line or "\u202e" in line for line in said)


def test_what_was_not_counted_is_not_shown_as_none():
    said = where_text(profile(Node(-1, COPY, Cost(time=1e-6)), reasons={"allocs": "no compiler"}))
    assert said[1] == "one op in steady state: 1.00 µs"
    assert said[3].split() == ["line", "time", "source"]
    assert "EMPTY allocs: no compiler" in said


# Files of other tools.

HOSTILE = profile(
    Node(-1, Place('"/><script>&.py', "<lambda>\x00\x1b\ud800\ufffe", 1, 1, "a < b && '\"]]>"), Cost(2, 0, 64, 1e-6)),
    Node(0, Place("\udcff.py", "x" * 10_000, 2, 1), Cost(1, 0, 32, 1e-6)),
)


@pytest.mark.parametrize("by", ["allocs", "bytes", "time"])
def test_hostile_names_are_escaped(by):
    drawn = flame_svg(HOSTILE, by)
    drawn.encode("utf-8")
    root = ElementTree.fromstring(drawn)
    assert {one.tag for one in root.iter()} == {SVG + name for name in ("svg", "title", "style", "rect", "text", "g")}
    titles = [one.text for one in root.iter(SVG + "title")]
    assert any("<lambda>" in one and "a < b && '\"]]>" in one for one in titles)
    json.dumps(to_speedscope(HOSTILE, by), ensure_ascii=False).encode("utf-8")
    assert marshal.loads(to_pstats(HOSTILE, by))


def test_a_box_lies_in_that_of_its_caller():
    boxes = {}
    for group in ElementTree.fromstring(flame_svg(SHOP, "allocs")).iter(SVG + "g"):
        rect = group.find(SVG + "rect")
        boxes[group.find(SVG + "title").text.split("\n")[0]] = [float(rect.get(name)) for name in ("x", "y", "width")]
    widths = {name: round(box[2] / 1180, 3) for name, box in boxes.items()}
    assert widths == {
        "one op": 1,
        "bench_order bench_shop.py:7": 1,
        "order shop.py:3": round(1 / 12, 3),
        "order shop.py:4": round(11 / 12, 3),
        "label shop.py:12": round(5 / 12, 3),
    }
    inner, outer = boxes["label shop.py:12"], boxes["order shop.py:4"]
    assert inner[0] == outer[0]
    assert inner[1] == outer[1] + 18


def test_a_profile_of_nothing_is_drawn():
    ElementTree.fromstring(flame_svg(profile(), "allocs"))
    assert "one op" in "\n".join(where_text(profile()))
    assert to_speedscope(profile())["profiles"][0]["samples"] == []


def test_deep_stacks_are_drawn_and_written():
    nodes = [Node(i - 1, Place("deep.py", f"f{i}", i + 1, 1), Cost(1)) for i in range(3000)]
    ElementTree.fromstring(flame_svg(profile(*nodes)))
    assert len(to_speedscope(profile(*nodes[:300]))["profiles"][0]["samples"][-1]) == 300


def test_speedscope():
    written = to_speedscope(SHOP, "time")
    assert written["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    assert set(written) == {"$schema", "name", "exporter", "activeProfileIndex", "shared", "profiles"}
    frames = written["shared"]["frames"]
    assert frames[1] == {"name": "order", "file": "shop.py", "line": 3}
    assert [(one["type"], one["unit"], one["endValue"]) for one in written["profiles"]] == [
        ("sampled", "none", 12),
        ("sampled", "bytes", 729.5),
        ("sampled", "seconds", pytest.approx(1e-6)),
    ]
    for one in written["profiles"]:
        assert set(one) == {"type", "name", "unit", "startValue", "endValue", "samples", "weights"}
        assert len(one["samples"]) == len(one["weights"])
        assert sum(one["weights"]) == pytest.approx(one["endValue"])
        assert all(0 <= at < len(frames) for stack in one["samples"] for at in stack)
    assert written["profiles"][0]["samples"][-1] == [0, 2, 3]
    assert written["profiles"][written["activeProfileIndex"]]["name"] == "time of one op"


def test_pstats(tmp_path):
    path = tmp_path / "profile"
    path.write_bytes(to_pstats(SHOP, "allocs"))
    stats = pstats.Stats(str(path)).stats
    order = stats["shop.py", 1, "order"]
    assert order[2:4] == (7, 12)
    assert order[4] == {("bench_shop.py", 4, "bench_order"): (0, 0, 7, 12)}
    path.write_bytes(to_pstats(SHOP, "time"))
    assert pstats.Stats(str(path)).stats["shop.py", 1, "order"][2:4] == pytest.approx((0.7, 0.9))


def test_recursion_is_counted_once_in_pstats(tmp_path):
    path = tmp_path / "profile"
    other = Place(COPY.file, COPY.function, 4, COPY.first)
    path.write_bytes(to_pstats(profile(Node(-1, COPY, Cost(1)), Node(0, other, Cost(2)), Node(1, COPY, Cost(4))), "allocs"))
    assert pstats.Stats(str(path)).stats["shop.py", 1, "order"][2:4] == (7, 7)


# Trees.


def test_trees_are_merged_and_pruned():
    counted = [Node(-1, LOOP, Cost()), Node(0, COPY, Cost(1)), Node(0, LABEL, Cost())]
    timed = [Node(-1, LOOP, Cost(time=1e-9)), Node(0, TEXT, Cost()), Node(1, LABEL, Cost(time=2e-9))]
    assert merged([counted, timed]) == (
        Node(-1, LOOP, Cost(time=1e-9)),
        Node(0, COPY, Cost(1)),
        Node(0, TEXT, Cost()),
        Node(2, LABEL, Cost(time=2e-9)),
    )


# Two revisions.


def changed(old, new, **more):
    return [(one.old, one.new, one.delta("allocs")) for one in line_changes(profile(*old), profile(*new), **more)]


def moved(place, by, **more):
    return Place(**{**vars(place), "line": place.line + by, "first": place.first + by, **more})


def test_a_line_that_moved_is_no_change():
    assert changed([Node(-1, COPY, Cost(1))], [Node(-1, moved(COPY, 7), Cost(1))]) == []
    assert changed([Node(-1, COPY, Cost(1))], [Node(-1, moved(COPY, 7), Cost(3))]) == [(COPY, moved(COPY, 7), 2)]


def test_a_function_that_was_renamed_or_moved_keeps_its_lines():
    renamed = moved(COPY, 3, function="sell")
    elsewhere = moved(COPY, 3, file="sale.py")
    assert changed([Node(-1, COPY, Cost(1))], [Node(-1, renamed, Cost(1))]) == []
    assert changed([Node(-1, COPY, Cost(1))], [Node(-1, elsewhere, Cost(1))]) == []


def test_an_edited_line_is_the_same_line_and_others_come_and_go():
    edited = moved(COPY, 1, text="found = dict(items.copy())")
    assert changed([Node(-1, COPY, Cost(1))], [Node(-1, edited, Cost(2))]) == [(COPY, edited, 1)]
    other = moved(COPY, 1, text="json.loads(text)")
    assert changed([Node(-1, COPY, Cost(1))], [Node(-1, other, Cost(3))]) == [(None, other, 3), (COPY, None, -1)]


def test_lines_of_one_text_are_matched_in_their_order():
    twice = [Node(-1, COPY, Cost(1)), Node(-1, moved(COPY, 1), Cost(2))]
    assert changed(twice, [Node(-1, moved(COPY, 5), Cost(1)), Node(-1, moved(COPY, 6), Cost(9))]) == [
        (moved(COPY, 1), moved(COPY, 6), 7)
    ]


def test_the_largest_change_is_first():
    old = [Node(-1, COPY, Cost(1, 0, 10)), Node(-1, TEXT, Cost(9, 0, 9))]
    new = [Node(-1, COPY, Cost(2, 0, 1000)), Node(-1, TEXT, Cost(2, 0, 8))]
    assert [one[0] for one in changed(old, new)] == [TEXT, COPY]
    assert [one[0] for one in changed(old, new, by="bytes")] == [COPY, TEXT]


def times(copy, text, **more):
    return profile(Node(-1, COPY, Cost(time=copy)), Node(-1, TEXT, Cost(time=text)), **more)


def test_a_time_has_changed_only_if_its_share_has_too():
    assert line_changes(times(1e-6, 1e-6), times(2e-6, 2e-6)) == []  # a slower machine
    assert line_changes(times(1e-6, 1e-6), times(1.01e-6, 1e-6)) == []  # noise of the samples
    (one,) = line_changes(times(1e-6, 1e-6), times(3e-6, 1e-6))
    assert (one.old, one.timed) == (COPY, True)
    assert line_changes(times(1e-6, 1e-6, samples=3), times(3e-6, 1e-6, samples=3)) == []


def test_golden_changes():
    new = profile(
        Node(-1, LOOP, Cost(time=100e-9)),
        Node(0, moved(COPY, 2, text="found = dict(items)"), Cost(2, 0, 184, 250e-9, {"dict": 1.0})),
        Node(0, moved(TEXT, 2), Cost(6, 2, 344, 500e-9, {"list": 1.0, "str": 5.0})),
        Node(2, Place("shop.py", "label", 15, 13, "return str(Label(name))"), Cost(15, 0, 800, 2000e-9, {"Label": 5.0})),
        side="HEAD",
    )
    old = Profile(SHOP.name, "main", SHOP.python, SHOP.nodes, samples=SHOP.samples)
    said = changes_text(old, new, line_changes(old, new))
    assert max(map(len, said)) <= 80
    assert "\n".join(said) + "\n" == (GOLDEN / "where-changes.txt").read_text(encoding="utf-8")


def test_no_change_is_said():
    assert "no line costs more or less than before" in changes_text(SHOP, SHOP, [])


def test_a_failed_gate_names_the_command():
    comparison = compare(NEW, OLD)
    failed = parse_gate("allocs:0").check(comparison)
    assert where_commands(comparison, failed) == ["tallymark bench where bench_shop.py::bench_order"]
    assert where_commands(comparison, []) == []
    sides = [
        run.__class__(**{**vars(run), "environment": {**run.environment, "side": side}})
        for run, side in ((NEW, "a b"), (OLD, "HEAD"))
    ]
    assert where_commands(compare(*sides), failed, "make -s") == [
        "tallymark bench where --setup 'make -s' 'a b' HEAD bench_shop.py::bench_order"
    ]


# The command.

SOURCE = """\
from tallymark.bench import parametrize
from shop import order

@parametrize(size=[1, 20])
def bench_order(b, size):
    items = {str(i): i for i in range(size)}
    for _ in b.loop():
        order(items)
"""
ORDER = """\
def order(items):
    copied = dict(items)
    return copied, bytes(100)
"""


@pytest.mark.slow
def test_the_command(bench):
    bench.write("bench_shop.py", SOURCE)
    bench.write("shop.py", ORDER)
    files = ["--flame", "a.svg", "--speedscope", "a.json", "--pstats", "a.pstats"]
    said = bench("where", "bench_shop.py::bench_order[size=20]", "--seconds", "0.1", *files).splitlines()
    assert max(map(len, said)) <= 80
    table = itertools.takewhile(lambda line: not line.endswith("one op"), said)
    rows = {line.split()[0]: line.split()[1:4] for line in table if line.startswith("    ")}
    assert rows["3"] == ["1", "133", "B"]
    assert rows["2"][0] == "2"
    one_op = next(line.split() for line in said if line.endswith("one op"))
    assert int(one_op[0]) == 3
    assert int(one_op[1]) == 133 + int(rows["2"][1])
    ElementTree.parse(bench.root / "a.svg")
    written = json.loads((bench.root / "a.json").read_text())
    assert written["profiles"][0]["endValue"] == 3
    assert ("shop.py", 1, "order") in pstats.Stats(str(bench.root / "a.pstats")).stats


@pytest.mark.slow
def test_the_command_with_two_sides(bench):
    for side, added in (("old", ""), ("new", '"""New."""\n\n')):
        bench.write(f"{side}/bench_shop.py", SOURCE)
        bench.write(f"{side}/shop.py", added + ORDER.replace("dict(items)", "[*items]" if added else "dict(items)"))
    said = bench("where", "old", "new", "bench_shop.py::bench_order[size=20]", "--seconds", "0.1").splitlines()
    assert "old -> new, one op in steady state" in said
    assert any("shop.py:4 (was 2) order" in line for line in said)
    assert not any("bytes(100)" in line for line in said)


@pytest.mark.slow
def test_the_name_of_a_benchmark(bench):
    bench.write("bench_shop.py", SOURCE)
    bench.write("shop.py", ORDER)
    said = bench("where", "bench_shop.py", status=1)
    assert "names 2 benchmarks, name one: bench_shop.py::bench_order[size=1], bench_shop.py::bench_order[size=20]" in said
    assert "has no benchmark bench_sell: it has bench_shop.py::bench_order[size=1]" in bench(
        "where", "bench_shop.py::bench_sell", status=1
    )
    assert "bench_x.py: no such file" in bench("where", "bench_x.py", status=1)
    assert "takes a benchmark, or two sides and a benchmark" in bench("where", "a", "bench_shop.py", status=1)
    assert "there is no such directory" in bench("where", "bench_shop.py", "--flame", "none/a.svg", status=1)


@pytest.mark.slow
def test_without_the_extension_there_is_a_reason(bench):
    bench.write("bench_shop.py", SOURCE.replace("[1, 20]", "[1]").replace("\nfrom shop", "\nimport sys\nfrom shop"))
    bench.write("shop.py", ORDER)
    bench.write("sitecustomize.py", "import sys\nsys.modules['tallymark.bench._allocs'] = None\n")
    said = bench("where", "bench_shop.py", status=1, PYTHONPATH=str(bench.root))
    assert "bench_shop.py::bench_order[size=1]: the extension tallymark.bench._allocs was not built" in said


HOSTILE_OPS = {
    "raise ValueError('no')": "bench_a.py::bench_a: raises ValueError: no (line 6)",
    "sys.exit(3)": "bench_a.py::bench_a: ends the process: SystemExit(3)",
    "os.fork()": "forks: the child came back into b.loop()",
    "sys.settrace(lambda *_: None); (lambda: bytes(100))(); sys.settrace(None)": None,
    "signal.signal(signal.SIGPROF, signal.SIG_IGN); bytes(100)": "EMPTY time: the handler of SIGPROF was replaced",
    "sys.setrecursionlimit(20000); down(5000)": None,
    "gc.freeze(); sorted('ab', key=lambda one: one)": None,
    "os.chdir('/'); bytes(100)": "bench_a.py  bench_a",
}


@pytest.mark.slow
@pytest.mark.parametrize("op", HOSTILE_OPS, ids=lambda op: op.partition("(")[0])
def test_what_a_benchmark_may_do(bench, op):
    head = "import gc, os, signal, sys\ndef down(n):\n    return [n, down(n - 1)] if n else []\ndef bench_a(b):\n"
    bench.write("bench_a.py", f"{head}    for _ in b.loop():\n        {op}\n")
    said = HOSTILE_OPS[op]
    ends = said is not None and not said.startswith(("EMPTY", "bench_a.py  "))
    told = bench("where", "bench_a.py", "--seconds", "0.1", status=int(ends))
    assert (said or "one op") in told
