"""What is bounded: how long an answer takes, how many are under way, and how large a body is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx
import pytest
from fastapi import FastAPI
from service_fakes import is_error

from genre_lib.service import errors
from genre_lib.service.limits import Bound, Deadline, InFlightLimit, UploadLimit


def client_of(app) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


def slow_app(seconds: float) -> FastAPI:
    app = FastAPI()

    @app.post("/")
    async def slow() -> dict:
        await asyncio.sleep(seconds)
        return {}

    @app.get("/health")
    async def health() -> dict:
        return {}

    @app.get("/finetune/events/{number}")
    async def events(number: int) -> dict:
        await asyncio.sleep(seconds)
        return {}

    return app


async def of_the_deadline():
    async with client_of(Deadline(slow_app(5), seconds=0.1)) as client:
        assert is_error(await client.post("/"), 504, "request_timeout")
    async with client_of(Deadline(slow_app(0), seconds=5)) as client:
        assert (await client.post("/")).status_code == 200


async def of_requests_in_flight():
    async with client_of(InFlightLimit(slow_app(0.5), most=2)) as client:
        posts = [asyncio.create_task(client.post("/", content=b"x" * 1000)) for _ in range(3)]
        await asyncio.sleep(0.1)
        assert (await client.get("/health")).status_code == 200
        responses = await asyncio.gather(*posts)
        assert sorted(response.status_code for response in responses) == [200, 200, 503]
        refused = next(response for response in responses if response.status_code == 503)
        assert is_error(refused, 503, "too_many_requests")
        assert refused.headers["Retry-After"] == "1"
        assert (await client.post("/")).status_code == 200


async def of_streams():
    """Those who follow jobs take no place from those who want an answer, and have a bound of their own."""
    async with client_of(InFlightLimit(slow_app(0.5), most=2)) as client:
        streams = [asyncio.create_task(client.get(f"/finetune/events/{number}")) for number in range(3)]
        await asyncio.sleep(0.1)
        posts = await asyncio.gather(client.post("/"), client.post("/"))
        assert [response.status_code for response in posts] == [200, 200]
        assert sorted([(await stream).status_code for stream in streams]) == [200, 200, 503]


async def of_uploads():
    app = FastAPI()
    app.add_middleware(UploadLimit, max_bytes=1000, forms={"/form": Bound(3000, "form_too_large")})
    errors.install(app)

    @app.post("/form")
    async def fields(request: errors.Request) -> int:
        return len(await request.form())

    @app.post("/")
    async def length(request: errors.Request) -> int:
        return len(await request.body())

    async def streamed(size: int):
        for _ in range(size // 100):
            yield b"x" * 100

    async with client_of(app) as client:
        assert (await client.post("/", content=b"x" * 1000)).json() == 1000
        assert is_error(await client.post("/", content=b"x" * 1001), 413, "body_too_large")
        assert (await client.post("/", content=streamed(1000))).json() == 1000
        assert is_error(await client.post("/", content=streamed(2000)), 413, "body_too_large")
        assert (await client.post("/form", files={"file": b"x" * 2000})).json() == 1
        assert is_error(await client.post("/form", files={"file": b"x" * 3000}), 413, "form_too_large")
        assert is_error(await client.post("/form", content=b"x" * 2000), 413, "body_too_large")  # no form


@pytest.mark.parametrize("check", [of_the_deadline, of_requests_in_flight, of_streams, of_uploads])
def test_bounds(check: Callable):
    asyncio.run(check())
