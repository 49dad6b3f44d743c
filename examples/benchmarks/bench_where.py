"""`tallymark bench where` tells which lines of an op allocate, and where its time goes."""


def total(orders):
    prices = [order["price"] * order["count"] for order in orders]
    return round(sum(prices), 2)


def bench_total(b):
    orders = [{"price": 9.99, "count": count} for count in range(50)]
    for _ in b.loop():
        text = f"total: {total(orders)}"
    assert text.startswith("total")
