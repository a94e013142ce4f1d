"""How often a client may ask, over real counters; the limits are an hour wide, so that no test waits or races."""

from __future__ import annotations

import asyncio
import logging
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from genre_lib import api_keys
from genre_lib.errors import ConfigurationError
from genre_lib.service.proxies import TrustedProxies
from genre_lib.service.rate_limits import RateLimit, kind_of, refusal_of
from genre_lib.service.rates import Kind, rate_limit_store, read_rates
from genre_lib.settings import get_settings

ANN, BOB = api_keys.generate(), api_keys.generate()
KEYS = f"ann:{api_keys.digest(ANN)},bob:{api_keys.digest(BOB)}"


async def of_many(request: Request) -> Response:
    """Answers a request with so many tracks, as ``/predict/batch`` does."""
    return await refusal_of(request, request.path_params["tracks"]) or PlainTextResponse("ok")


class Service:
    """An app that answers everything, behind the limits; asked as if from any address."""

    def __init__(self, proxies: str = "", **settings) -> None:
        known = get_settings(api_keys=settings.pop("api_keys", KEYS), **settings)
        app = FastAPI()
        app.add_route("/tracks/{tracks:int}", of_many, methods=["POST"])
        app.add_route("/{path:path}", lambda request: PlainTextResponse("ok"), methods=["GET", "POST", "DELETE"])
        limit = RateLimit(app, rates=read_rates(known), keys=known.api_keys, store=rate_limit_store(known))
        self.limit = limit
        self.app = TrustedProxies(limit, networks=tuple(map(ip_network, proxies.split())))

    def ask(self, *requests: dict) -> list[httpx.Response]:
        """Answers to ``{"path", "method", "client", "key", "headers"}``, in one event loop."""
        return asyncio.run(self.ask_all(*requests))

    async def ask_all(self, *requests: dict) -> list[httpx.Response]:
        answers = []
        for request in requests:
            transport = httpx.ASGITransport(self.app, client=(request.get("client", "192.0.2.1"), 1))
            headers = request.get("headers", {}) | ({"X-API-Key": request["key"]} if "key" in request else {})
            async with httpx.AsyncClient(transport=transport, base_url="http://service") as asking:
                method = request.get("method", "GET")
                answers.append(await asking.request(method, request.get("path", "/models"), headers=headers))
        return answers

    def statuses(self, *requests: dict) -> list[int]:
        return [answer.status_code for answer in self.ask(*requests)]


def test_beyond_the_limit_429_with_the_usual_headers():
    before = time.time()
    answers = Service(rate_limit="3/hour").ask(*[{}] * 5)
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert [answer.headers["X-RateLimit-Limit"] for answer in answers] == ["3"] * 5
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0", "0"]
    refused = answers[-1]
    assert refused.json()["code"] == "rate_limited"
    assert set(refused.json()) == {"detail", "code"}
    assert "Retry-After" not in answers[0].headers
    wait, reset = int(refused.headers["Retry-After"]), int(refused.headers["X-RateLimit-Reset"])
    assert 1 <= wait <= 3600
    assert before < reset <= before + 3601
    assert abs(before + wait - reset) < 30
    assert f"{wait} seconds" in refused.json()["detail"]


def test_who_waits_as_told_is_answered():
    async def ask() -> tuple[int, int]:
        service = Service(rate_limit="2/second")
        while (answer := (await service.ask_all({}))[0]).status_code == 200:
            pass
        await asyncio.sleep(int(answer.headers["Retry-After"]))
        return answer.status_code, (await service.ask_all({}))[0].status_code

    assert asyncio.run(ask()) == (429, 200)


def test_reads_predictions_and_changes_are_counted_apart():
    service = Service(rate_limit="1/hour", rate_limit_predictions="2/hour", rate_limit_changes="1/hour")
    read = {"path": "/models"}
    predict = {"path": "/predict/batch", "method": "POST"}
    change = {"path": "/models/x", "method": "DELETE"}
    assert service.statuses(read, read, predict, predict, predict, change, change) == [
        200,
        429,
        200,
        200,
        429,
        200,
        429,
    ]


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("GET", "/models", Kind.read),
        ("GET", "/finetune/status/7", Kind.read),
        ("HEAD", "/", Kind.read),
        ("POST", "/predict", Kind.prediction),
        ("POST", "/predict/spotify", Kind.prediction),
        ("POST", "/analyze/features", Kind.prediction),
        ("POST", "/finetune/start", Kind.change),
        ("POST", "/models/x/activate", Kind.change),
        ("DELETE", "/models/x", Kind.change),
        ("DELETE", "/predict", Kind.prediction),
    ],
)
def test_what_a_request_is_counted_as(method: str, path: str, kind: Kind):
    assert kind_of({"method": method, "path": path}) is kind


def tracks(count: int, **more: str) -> dict:
    return {"path": f"/tracks/{count}", "method": "POST", **more}


def test_what_holds_many_tracks_counts_for_each():
    answers = Service(rate_limit_changes="10/hour").ask(tracks(4), tracks(5), tracks(1), tracks(1))
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["6", "1", "0", "0"]


def test_what_holds_more_tracks_than_are_left_is_refused_and_counts_once():
    answers = Service(rate_limit_changes="10/hour").ask(tracks(6), tracks(5), tracks(3))
    assert [answer.status_code for answer in answers] == [200, 429, 200]
    refused = answers[1]
    assert refused.json()["code"] == "rate_limited"
    assert "5 tracks count for as many requests, and 4 of the 10" in refused.json()["detail"]
    assert refused.headers["Retry-After"] in refused.json()["detail"]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["4", "3", "0"]


def test_what_holds_more_tracks_than_are_ever_allowed_is_told_to_come_in_parts():
    (refused,) = Service(rate_limit_changes="4/hour").ask(tracks(5))
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert refused.json()["detail"].endswith("send it in parts of at most 4 tracks.")


def test_many_tracks_count_for_whose_key_came_with_them():
    service = Service(rate_limit_changes="5/hour")
    assert service.statuses(tracks(5, key=ANN), tracks(1, key=ANN), tracks(5, key=BOB), tracks(5)) == [
        *(200, 429, 200, 200),
    ]


def test_where_nothing_is_counted_many_tracks_are_answered():
    assert Service(rate_limit_changes="").statuses(tracks(500), tracks(500)) == [200, 200]


def test_health_is_always_answered_and_not_counted():
    answers = Service(rate_limit="1/hour").ask(*[{"path": "/health"}] * 3, {})
    assert [answer.status_code for answer in answers] == [200] * 4
    assert "X-RateLimit-Limit" not in answers[0].headers


def test_an_empty_value_lifts_a_limit():
    answers = Service(rate_limit="", rate_limit_failed_keys=" ").ask(*[{"key": "wrong"}] * 50)
    assert {answer.status_code for answer in answers} == {200}
    assert "X-RateLimit-Limit" not in answers[0].headers


def test_a_key_counts_by_its_name_wherever_it_comes_from():
    service = Service(rate_limit="2/hour")
    ann = [{"key": ANN, "client": f"192.0.2.{n}"} for n in range(3)]
    bearer = {"headers": {"Authorization": f"Bearer {ANN}"}, "client": "192.0.2.9"}
    assert service.statuses(*ann, bearer, {"key": BOB, "client": "192.0.2.1"}, {"client": "192.0.2.1"}) == [
        *(200, 200, 429, 429),
        *(200, 200),
    ]


def test_addresses_count_by_ipv4_and_by_the_64_bits_of_ipv6():
    service = Service(rate_limit="1/hour")
    same = ["2001:db8::1", "2001:db8::ffff:1", "192.0.2.1", "::ffff:192.0.2.1"]
    other = ["2001:db8:0:1::1", "192.0.2.2"]
    requests = [{"client": address} for address in same + other]
    assert service.statuses(*requests) == [200, 429, 200, 429, 200, 200]


def test_loopback_is_no_exception():
    assert Service(rate_limit="1/hour").statuses({"client": "127.0.0.1"}, {"client": "127.0.0.1"}) == [200, 429]


def test_forwarded_addresses_count_from_trusted_proxies_alone():
    service = Service(proxies="10.0.0.0/8", rate_limit="1/hour")

    def through(peer: str, client: str) -> dict:
        return {"client": peer, "headers": {"X-Forwarded-For": client}}

    proxied = [
        through("10.0.0.1", "203.0.113.1"),
        through("10.0.0.2", "203.0.113.1"),
        through("10.0.0.1", "203.0.113.2"),
    ]
    spoofed = [through("192.0.2.66", f"203.0.113.{n}") for n in range(10, 13)]
    assert service.statuses(*proxied, *spoofed) == [200, 429, 200, 200, 429, 429]


def test_keys_cannot_be_guessed():
    service = Service(rate_limit="", rate_limit_failed_keys="3/hour")
    guesses = [{"key": f"guess {n}"} for n in range(5)]
    assert service.statuses(*guesses) == [200, 200, 200, 429, 429]
    # the right one too, or it would be told from the guesses by its answer; without a key, or from elsewhere, all go on
    right, elsewhere = {"key": ANN}, {"key": ANN, "client": "192.0.2.2"}
    assert service.statuses(right, {}, elsewhere) == [429, 200, 200]


def test_right_keys_are_not_counted_as_guesses():
    service = Service(rate_limit="", rate_limit_failed_keys="2/hour")
    assert service.statuses(*[{"key": ANN}] * 9, {"key": "wrong"}, {"key": ANN}) == [200] * 11
    assert set(Service(api_keys="", rate_limit_failed_keys="1/hour").statuses(*[{"key": "any"}] * 5)) == {200}


def test_who_stopped_asking_is_forgotten():
    async def remembered() -> list[int]:
        service = Service(rate_limit="5/second")
        storage = service.limit.counter.limiter.storage
        await service.ask_all(*[{"client": f"192.0.2.{n}"} for n in range(20)])
        most = len(storage.storage)
        await asyncio.sleep(2.1)  # two windows
        await service.ask_all({}, {})
        await asyncio.sleep(0.1)
        return [most, len(storage.storage), len(storage.expirations), len(storage.locks)]

    most, *left = asyncio.run(remembered())
    assert most >= 20
    assert max(left) <= 4


@pytest.mark.parametrize("text", ["many", "600", "600/fortnight", "0/minute", "1/minute;2/hour", "-1/minute"])
def test_a_malformed_limit_is_one_error(text: str):
    with pytest.raises(ConfigurationError, match=r"^RATE_LIMIT_CHANGES must be .* 600/minute, or empty"):
        read_rates(get_settings(rate_limit_changes=text))


@pytest.mark.parametrize("address", ["secret", "http://:secret@host", "memcached://host"])
def test_a_store_that_cannot_be_used_is_one_error(address: str):
    with pytest.raises(ConfigurationError, match=r"^RATE_LIMIT_STORE must be memory://, or Redis") as caught:
        rate_limit_store(get_settings(rate_limit_store=address))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("accepts", [False, True])
def test_a_store_that_is_down_lets_all_through_with_a_warning(accepts: bool, caplog: pytest.LogCaptureFixture):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        if accepts:  # connections, and then says nothing
            probe.listen()
        address = f"redis://:hunter2@127.0.0.1:{probe.getsockname()[1]}/0"
        service = Service(rate_limit="1/hour", rate_limit_store=address)
        with caplog.at_level(logging.WARNING):
            answers = service.ask(*[{"key": "wrong"}] * 5)
    assert {answer.status_code for answer in answers} == {200}
    assert "X-RateLimit-Limit" not in answers[0].headers
    assert [record.levelname for record in caplog.records] == ["WARNING"]  # one for all: the store is left alone
    assert "does not answer" in caplog.text
    assert "hunter2" not in caplog.text


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[str]:
    program = shutil.which("redis-server")
    if not program:
        pytest.skip("redis-server is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [program, "--port", str(port), "--save", "", "--dir", tmp_path], stdout=subprocess.DEVNULL
    )
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.kill()
        server.wait()


def test_servers_that_share_a_redis_count_together(redis: str):
    first, second = (Service(rate_limit="3/hour", rate_limit_store=redis) for _ in range(2))
    assert first.statuses({}, {}) == [200, 200]
    answers = second.ask({}, {}, {"client": "192.0.2.2"})
    assert [answer.status_code for answer in answers] == [200, 429, 200]
    assert answers[1].headers["X-RateLimit-Limit"] == "3"
