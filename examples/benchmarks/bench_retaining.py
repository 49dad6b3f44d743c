"""An op that keeps what it makes: the warning names the type, and the line that made it."""


def bench_remembers(b):
    seen = []
    for _ in b.loop():
        seen.append({"id": 1})


def bench_forgets(b):
    for _ in b.loop():
        seen = []
        seen.append({"id": 1})
