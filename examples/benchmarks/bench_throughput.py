"""Bytes per second: say how many bytes an op processes."""

import zlib


def bench_crc32(b):
    page = b"x" * 65536
    b.bytes_processed = len(page)
    for _ in b.loop():
        zlib.crc32(page)
