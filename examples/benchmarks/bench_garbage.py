"""Reference cycles: the collector has to free them, which the column of collections shows."""


class Node:
    def __init__(self):
        self.itself = self


def bench_cycle(b):
    for _ in b.loop():
        Node()


def bench_no_cycle(b):
    for _ in b.loop():
        object()
