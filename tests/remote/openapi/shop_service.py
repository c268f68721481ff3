"""A real HTTP service for the tests, run as a program: `shop_service.py PORT`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI, Header, HTTPException, Query
from fastapi.responses import PlainTextResponse, RedirectResponse, StreamingResponse
from fastapi.security import APIKeyHeader, HTTPBearer
from pydantic import BaseModel, Field

app = FastAPI(title="Shop", servers=[{"url": "/"}])
key = APIKeyHeader(name="X-Shop-Key", scheme_name="shopKey")
bearer = HTTPBearer(scheme_name="staff")
ORDERS: dict[int, dict[str, object]] = {1042: {"id": 1042, "state": "sent", "items": ["lamp"]}}


class Address(BaseModel):
    """Where to."""

    street: Annotated[str, Field(min_length=3)]
    city: str = "Cork"


class NewOrder(BaseModel):
    """What is ordered."""

    items: Annotated[list[str], Field(min_length=1)]
    address: Address
    note: str | None = None


@app.get("/orders/{order_id}", operation_id="get_order", summary="Where an order is.")
def get_order(order_id: int) -> dict[str, object]:
    if order_id not in ORDERS:
        raise HTTPException(404, "there is no such order")
    return ORDERS[order_id]


@app.get("/articles/{name}", operation_id="get_article", response_class=PlainTextResponse)
def get_article(name: str, language: Annotated[str | None, Header()] = None) -> str:
    return f"{name} in {language or 'en'}"


@app.get("/search", operation_id="search")
def search(words: Annotated[list[str], Query()], limit: Annotated[int, Query(ge=1, le=9)] = 3) -> list[str]:
    return [f"{word} {number}" for number in range(limit) for word in words][:limit]


@app.post("/orders", operation_id="create_order")
def create_order(order: NewOrder, _: Annotated[str, Depends(key)]) -> dict[str, object]:
    number = max(ORDERS) + 1
    ORDERS[number] = {"id": number, **order.model_dump()}
    return ORDERS[number]


@app.get("/whoami", operation_id="whoami")
def whoami(shop_key: Annotated[str, Depends(key)]) -> str:
    return shop_key


@app.delete("/orders/{order_id}", operation_id="delete_order")
def delete_order(order_id: int, token: Annotated[object, Depends(bearer)]) -> str:
    return f"{order_id} deleted with {getattr(token, 'credentials', '')}"


@app.get("/large", operation_id="large")
def large(size: int) -> PlainTextResponse:
    return PlainTextResponse("x" * size)


@app.get("/slow", operation_id="slow")
def slow() -> StreamingResponse:
    def drip() -> Iterator[str]:
        for _ in range(600):
            yield "x"
            time.sleep(0.1)

    return StreamingResponse(drip(), media_type="text/plain")


@app.get("/redirect", operation_id="redirect")
def redirect(to: str) -> RedirectResponse:
    return RedirectResponse(to)


@app.get("/loop", operation_id="loop")
def loop() -> RedirectResponse:
    return RedirectResponse("/loop")


@app.post("/redirect", operation_id="post_redirect")
def post_redirect(to: str) -> RedirectResponse:
    return RedirectResponse(to, status_code=307)


@app.get("/broken", operation_id="broken")
def broken() -> None:
    raise HTTPException(500, "a secret of the machine room")


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error")
