"""A FastAPI service that is measured: `uvicorn examples.fastapi_service:app`, then open http://127.0.0.1:8000/metrics."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI, HTTPException, Request

import tallymark as tm

app = FastAPI()
orders = APIRouter(prefix="/orders")
tm.integrations.fastapi.instrument(app, metrics_path="/metrics", exclude=("/healthz",))


@app.get("/healthz")
async def healthz() -> str:
    return "ok"


@orders.get("/{order_id}")
async def order(order_id: int) -> dict[str, int]:
    if order_id > 1000:
        raise HTTPException(404)
    return {"order": order_id}


@orders.post("")
async def new_order(request: Request) -> dict[str, int]:
    tm.counter("orders_placed", description="Orders that were placed.").inc()
    return {"bytes": len(await request.body())}


app.include_router(orders, prefix="/v1")
