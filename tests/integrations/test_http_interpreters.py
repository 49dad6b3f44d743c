"""Requests that are under way while their interpreter ends, or their modules are loaded again: each in a process of its own."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from tallymark.engine.lock import FREE_THREADED

pytestmark = [pytest.mark.slow, pytest.mark.skipif(FREE_THREADED, reason="the C code is not used here")]

USE = """
import gc
import tallymark as tm
from tallymark.integrations import compiled
from tallymark.integrations.asgi import MetricsMiddleware
from tallymark.integrations.wsgi import MetricsMiddleware as WSGIMetricsMiddleware

START = {"type": "http.response.start", "status": 200}
END = {"type": "http.response.body", "body": b"hello"}

class Forever:
    def __await__(self):
        while True:
            yield

async def app(scope, receive, send):
    await send(START)
    scope["all"] = [scope, receive, send, sending := send(END)]
    sending.send(None)
    await Forever()

async def server(message):
    if message is END:
        await Forever()

def wsgi_app(environ, start_response):
    environ["all"] = [environ, start_response, start_response("200 OK", [])]
    return iter([b"a", b"b"])

assert compiled._exchanges is not None
registry = tm.Registry(engine="native")
held = []
for _ in range(100):
    scope = {"type": "http", "method": "GET", "scheme": "http", "http_version": "1.1", "path": "/"}
    coroutine = MetricsMiddleware(app, registry=registry)(scope, None, server)
    coroutine.send(None)
    environ = {"REQUEST_METHOD": "GET", "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.url_scheme": "http"}
    response = environ["response"] = WSGIMetricsMiddleware(wsgi_app, registry=registry)(environ, lambda *begun: print)
    next(iter(response))
    held.append((coroutine, scope, response, held))
del held[:50], scope, environ, response, coroutine
gc.collect()
"""

INTERPRETERS = """
import sys
try:
    import _interpreters as interpreters
    kind = "isolated" if ISOLATED else "legacy"
    create = lambda: interpreters.create(kind)
except ImportError:
    import _xxsubinterpreters as interpreters
    create = lambda: interpreters.create(isolated=ISOLATED)

for _ in range(4):
    id = create()
    failed = interpreters.run_string(id, f"import sys; sys.path[:] = {sys.path!r}\\n" + USE)
    assert failed is None, failed
    interpreters.destroy(id)
"""

AGAIN = """
import gc, sys
for _ in range(5):
    exec(USE, {"__name__": "again"})
    for name in [name for name in sys.modules if name.startswith("tallymark")]:
        del sys.modules[name]
    gc.collect()
"""

TYPES_FIRST = """
import gc, sys
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from tallymark.integrations import _exchanges as known

def load():
    loader = ExtensionFileLoader(known.__name__, known.__file__)
    module = module_from_spec(spec_from_file_location(known.__name__, known.__file__, loader=loader))
    loader.exec_module(module)
    return module

class Metrics:
    notes_more, lines = False, {}

def ignore(*given):
    pass

def types_of(module):
    line = module.LineFields()
    line.begin = line.end = ignore
    line.known = {"": {None: {None: (ignore, ignore, ignore)}}}
    requests = module.Requests(ignore, lambda scope: line, ignore, ignore, ignore, ignore)
    request = requests(Metrics(), {"type": "http"}, ignore, ignore)
    method = request.receive
    request.finish()
    return [type(method), type(request)]  # through which alone the module is found, so that they are collected before it

for _ in range(20):
    types = types_of(load())
    gc.collect()
    types.clear()
    gc.collect()
"""


def check(program: str, *options: str) -> None:
    done = subprocess.run([sys.executable, *options, "-c", program], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    assert "Fatal" not in done.stderr


def test_requests_that_are_under_way_at_exit() -> None:
    check(USE, "-X", "dev")


def test_modules_that_are_loaded_again_while_requests_are_under_way() -> None:
    check(f"USE = {USE!r}\n{AGAIN}", "-X", "dev")


def test_types_that_are_collected_before_their_module() -> None:
    """What is kept for reuse is freed with the module, and no longer by what its type tells, which may be gone."""
    check(TYPES_FIRST, "-X", "dev")


@pytest.mark.parametrize("isolated", [False, True])
def test_interpreters_that_end_while_requests_are_under_way(isolated: bool) -> None:
    if not any(importlib.util.find_spec(name) for name in ("_interpreters", "_xxsubinterpreters")):
        pytest.skip("this Python has no module for subinterpreters")
    check(f"USE, ISOLATED = {USE!r}, {isolated}\n{INTERPRETERS}", "-X", "faulthandler")
