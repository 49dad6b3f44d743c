"""Growing a list moves it: its reallocations have a column of their own, beside its few allocations."""


def bench_append(b):
    for _ in b.loop():
        numbers = []
        for number in range(100):
            numbers.append(number)


def bench_of_known_length(b):
    for _ in b.loop():
        list(range(100))
