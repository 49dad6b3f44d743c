"""Times the first op of a fresh process. It runs as a script, and imports only what the interpreter has imported already.

As a module of the package, it would import the package. A benchmark of Tallymark itself would then have paid for its first use
before the clock starts.
"""

import os
import sys
from time import perf_counter


class First:
    """The `b` of a benchmark that is run for one op."""

    bytes_processed = None

    def __init__(self) -> None:
        self.began = self.ended = 0.0

    def loop(self):  # type: ignore[no-untyped-def]  # to name its type takes an import
        self.began = perf_counter()
        yield None
        self.ended = perf_counter()

    def skip(self, reason: str = "") -> None:
        raise SystemExit(reason)


def main(path: str, function: str, index: str, answer: str) -> None:
    sys.path[0] = path.rpartition("/")[0] or "."
    start = perf_counter()
    module = type(sys)(path.rpartition("/")[2].removesuffix(".py"))
    module.__file__ = path
    sys.modules[module.__name__] = module
    with open(path, "rb") as file:
        exec(compile(file.read(), path, "exec"), module.__dict__)  # noqa: S102
    imported = perf_counter()
    first = First()
    one = getattr(module, function)
    one(first, **(getattr(one, "__bench_params__", None) or [{}])[int(index)])
    with open(int(answer), "w") as file:
        file.write(f"{imported - start} {first.began - imported} {first.ended - first.began}\n")
    threads = sys.modules.get("threading")
    if threads and any(one is not threads.main_thread() and not one.daemon for one in threads.enumerate()):
        os._exit(0)  # the process would wait for them, perhaps for ever


if __name__ == "__main__":
    main(*sys.argv[1:])
