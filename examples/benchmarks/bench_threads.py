"""An op whose work is done by other threads: their allocations are told apart from its own."""

from concurrent.futures import ThreadPoolExecutor


def bench_submit(b):
    with ThreadPoolExecutor(1) as pool:
        for _ in b.loop():
            pool.submit(int).result()
