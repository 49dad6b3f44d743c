"""A list that grows, and the same list made at once: what `reallocs` tells, and `allocs` does not."""

NUMBERS = tuple(range(100))


def bench_appended(b):
    for _ in b.loop():
        grown = []
        for each in NUMBERS:
            grown.append(each)  # its block gets another size ten times


def bench_extended(b):
    for _ in b.loop():
        grown = []
        grown.extend(NUMBERS)  # one block of the right size
