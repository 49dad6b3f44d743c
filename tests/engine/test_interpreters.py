"""Interpreters that begin and end: subinterpreters, with a GIL of their own from Python 3.12 on; modules that are loaded again;
and shutdown with instruments wherever Python clears objects late. Each runs in a process of its own, in development mode.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from tallymark.engine.lock import FREE_THREADED

pytestmark = pytest.mark.slow

USE = """
import gc
import tallymark as tm
from tallymark.engine import load_engine

engine = load_engine(ENGINE)
registry = tm.Registry(engine=ENGINE, tags={"host": "é"}, limits=tm.TagLimits(max_series=20))
counter = registry.counter("n", callback=lambda: [({"from": 1}, 1)])
bound = [counter.with_tags(a=i) for i in range(30)]
for one in bound:
    one.inc(2)
    counter.inc(a="1", b="x")
registry.gauge("g").set(7, a=b"x")
registry.histogram("h").observe(1.5, a="日本")
timer = registry.timer("t", ttl=1e-9)
timing = timer.time(a="1")
with timing, timing:
    pass

@timer.time()
def timed():
    return 1

timed.itself = timed
assert timed() == 1
counter.inc(-1)
text = tm.render_prometheus(registry.snapshot())
assert b'overflow="true"' in (text if isinstance(text, bytes) else text.encode())
registry.expire()
registry.unregister("n")
counter.inc()
bound[3].inc(5)
assert bound[3].value == 5
bound[4].remove()
other = tm.Registry(engine=ENGINE)
held = other.counter("n")
del other
held.inc(a="1")
gc.collect()
"""

INTERPRETERS = """
import sys, threading
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

def create():
    if interpreters.__name__ == "_interpreters":
        return interpreters.create("isolated" if ISOLATED else "legacy")
    return interpreters.create(isolated=ISOLATED)

def run(source):
    id = create()
    try:
        failed = interpreters.run_string(id, f"import sys; sys.path[:] = {sys.path!r}\\n" + source)
        if failed is not None:
            raise SystemExit(str(failed))
    finally:
        interpreters.destroy(id)
"""


def has_subinterpreters() -> bool:
    for name in ("_interpreters", "_xxsubinterpreters"):
        try:
            __import__(name)
        except ImportError:
            continue
        return True
    return False


needs_subinterpreters = pytest.mark.skipif(not has_subinterpreters(), reason="this Python has no module for subinterpreters")


def check(source: str, **constants: Any) -> str:
    """Run a program, and return its output; a crash or an exception is a failure."""
    header = "".join([f"{name} = {value!r}\n" for name, value in constants.items()])
    mode, environment = ["-X", "dev"], dict(os.environ)
    if constants.get("ISOLATED"):
        # `import datetime` in two interpreters at once makes 3.12.1 and 3.13.0 free what another interpreter's allocator made,
        # with nothing of ours at hand (10 runs in 40). With one allocator for all, that is harmless (0 in 150).
        mode = ["-X", "faulthandler"]
        environment["PYTHONMALLOC"] = "default" if FREE_THREADED else "malloc"
    done = subprocess.run(
        [sys.executable, *mode, "-c", header + source],
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    assert "Fatal" not in done.stderr
    return done.stdout + done.stderr


def used(engine: Any) -> str:
    """Return a program that uses an engine in all ways."""
    return f"ENGINE = {engine.name!r}\n{USE}"


def test_development_mode_finds_nothing(engine: Any) -> None:
    output = check("import warnings; warnings.simplefilter('error')\n" + used(engine))
    assert all("Further cases are only counted" in line for line in output.splitlines())


@needs_subinterpreters
@pytest.mark.parametrize("isolated", [False, True])
def test_subinterpreters_one_after_another(engine: Any, isolated: bool) -> None:
    program = "for _ in range(6):\n    run(USED)\nexec(USED)\nrun(USED)\n"
    check(INTERPRETERS + program, ISOLATED=isolated, USED=used(engine))


@needs_subinterpreters
def test_subinterpreters_side_by_side(engine: Any) -> None:
    """Each has its own types, tag sets, spare objects and allocator: what crossed over would corrupt one of them."""
    program = """
def again():
    try:
        for _ in range(3):
            run(USED * 3)
    except BaseException as error:
        failures.append(error)

failures = []
threads = [threading.Thread(target=again) for _ in range(4)]
for thread in threads:
    thread.start()
for _ in range(5):
    exec(USED)
for thread in threads:
    thread.join()
if failures:
    raise failures[0]
"""
    check(INTERPRETERS + program, ISOLATED=True, USED=used(engine))


def test_a_module_that_is_loaded_again_leaves_nothing_of_the_first(engine: Any) -> None:
    program = """
import gc, importlib, sys, weakref
name = "tallymark.engine." + ENGINE

def load():
    for known in [known for known in sys.modules if known.startswith(name)]:
        del sys.modules[known]
    return importlib.import_module(name)

import tallymark.engine
gone = []
for _ in range(3):
    module = load()
    tags = module.TagSet(a="1")
    gone += [weakref.ref(one) for one in (module.TagSet, module.Counter, module.Family, module.Timing)]
    setattr(tallymark.engine, ENGINE, None)
    del module, tags
load()
for _ in range(3):
    gc.collect()
alive = [one() for one in gone if one() is not None]
assert not alive, alive
"""
    check(program, ENGINE=engine.name)


AT_EXIT = {
    "in globals, cycles and classes": """
class Holder:
    counter, timing = counter, timing
    def __del__(self):
        try:
            self.record()
        except Exception:
            pass
    def record(self):
        self.counter.inc(a="late")
        self.timing.__enter__()
        with self.timing:
            pass

holder = Holder()
holder.itself = holder
keep = [holder, timed, registry.snapshot(), counter.tags, Holder()]
keep.append(keep)
""",
    "in builtins and sys": """
import builtins, sys
builtins.counter, builtins.timing, builtins.timed = counter, timing, timed
sys.registry = registry
sys.bound = bound
sys.tags = counter.tags
""",
    "in a function that runs at exit": """
import atexit, weakref
def last():
    counter.inc(a="last")
    with timing:
        timed()
    registry.snapshot()
    counter.remove()
    assert registry.counter("n").value == 0
atexit.register(last)
weakref.finalize(registry, counter.inc)
""",
    "in finalisers of all ages": """
class Late:
    def __init__(self, action):
        self.action = action
    def __del__(self):
        try:
            self.action()
        except Exception:
            pass

import sys
actions = [
    lambda: counter.inc(a=object()),
    counter.inc,
    bound[0].inc,
    registry.snapshot,
    timing.__enter__,
    timed,
    lambda bound=bound: [one.remove() for one in bound],
    lambda root=counter: root.with_tags({"a": 1}, b=2),
    lambda record=timer.record: record(-1, a="x" * 300),
    lambda registry=registry: registry.unregister("n"),
]
sys.late = [Late(action) for action in actions]
for late in [Late(action) for action in actions]:
    late.itself = late
late = [Late(action) for action in actions]
""",
    "in threads that do not end": """
import threading
def work():
    while True:
        counter.inc(a="1")
        bound[0].inc()
        with timing:
            timed()
        registry.snapshot()
threads = [threading.Thread(target=work, daemon=True) for _ in range(3)]
for thread in threads:
    thread.start()
""",
    "in a generator and a coroutine that wait": """
def generator():
    with timer.time(), timing:
        yield 1
async def coroutine():
    with timing:
        await Forever()
class Forever:
    def __await__(self):
        yield
waiting = [generator(), timer.time()(generator)(), coroutine()]
next(waiting[0]), next(waiting[1]), waiting[2].send(None)
import sys
sys.waiting = waiting
""",
}


@pytest.mark.parametrize("where", AT_EXIT)
def test_shutdown_with_instruments(engine: Any, where: str) -> None:
    check(used(engine) + AT_EXIT[where])


@needs_subinterpreters
@pytest.mark.parametrize("where", [where for where in AT_EXIT if "threads" not in where])
def test_a_subinterpreter_ends_with_instruments(engine: Any, where: str) -> None:
    check(INTERPRETERS + "for _ in range(3):\n    run(USED)\n", ISOLATED=True, USED=used(engine) + AT_EXIT[where])
