"""A Flask service that is measured: `flask --app examples/flask_service run`, then open http://127.0.0.1:5000/metrics."""

from __future__ import annotations

from flask import Blueprint, Flask, abort

import tallymark as tm

app = Flask(__name__)
orders = Blueprint("orders", __name__, url_prefix="/orders")


@orders.get("/<int:order_id>")
def order(order_id: int) -> dict[str, int]:
    if order_id > 1000:
        abort(404)
    return {"order": order_id}


app.register_blueprint(orders)
tm.integrations.flask.instrument(app, metrics_path="/metrics")
