"""Every request in its order, to one service after another."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import httpx
import psutil
from own_service import service

from api_document.asking import Answer, Asker
from api_document.requests import AT, CLOSED, HOST, KEY, KEYLESS, OPEN, SETUPS, STREAMING, Request, Route
from api_document.spotify import streaming

JOBS_END_SECONDS = 120

MOST_UNTIL_LIMITED = 300


def asked_in_order(routes: list[Route], setup: str) -> list[tuple[Route, Request]]:
    """A setup's requests: the late ones last."""
    found = [(route, request) for route in routes for request in route.requests if request.at == setup]
    return sorted(found, key=lambda pair: pair[1].late)


def ask_all(routes: list[Route], asker: Asker, settings: Mapping[str, str], temporary: Path) -> dict[int, Answer]:
    """Every answer, by the ``id`` of its request: one service after another."""
    answers: dict[int, Answer] = {}
    for setup, own in SETUPS.items():
        with streaming(temporary) as spotify, service(temporary, {**settings, **own, **spotify[setup]}, setup) as url:
            asker.names[HOST] = url.removeprefix("http://")
            asker.document = httpx.get(f"{url}/openapi.json", trust_env=False).json()
            was_late = False
            for route, request in asked_in_order(routes, setup):
                if request.late and not was_late:
                    was_late = True
                    exhaust(setup, asker)
                answer = answers[id(request)] = asker.ask(route, request)
                for fault in answer.faults:
                    asker.differs(f"{setup}: {route.name or route.title}: {request.what}: {fault}")
            if setup == OPEN:
                end_jobs(asker)
    return answers


def exhaust(setup: str, asker: Asker) -> None:
    """Use up what may be asked, for what is late."""
    ways: dict[str, list[tuple[str, str]]] = {
        OPEN: [],
        CLOSED: [("GET", "/models")],
        KEYLESS: [("GET", "/models"), ("POST", "/predict"), ("DELETE", "/models/nobody")],
        STREAMING: [],
    }
    with httpx.Client(base_url=asker.put_in(AT), headers={"X-API-Key": "wrong"}, trust_env=False) as http:
        for method, path in ways[setup]:
            if not any(http.request(method, path).status_code == 429 for _ in range(MOST_UNTIL_LIMITED)):
                asker.differs(f"{setup}: {method} {path} met no limit in {MOST_UNTIL_LIMITED} requests")


def end_jobs(asker: Asker) -> None:
    """Stop what still waits or runs, and wait until it has ended."""
    deadline = time.monotonic() + JOBS_END_SECONDS
    left = ["?"]
    with httpx.Client(base_url=asker.put_in(AT), headers={"X-API-Key": KEY}, timeout=30, trust_env=False) as http:
        while left and time.monotonic() < deadline:
            listed = http.get("/finetune").json()["jobs"]
            left = [job["job_id"] for job in listed if job["status"] in ("queued", "running", "stopping")]
            for job in listed:
                if job["status"] in ("queued", "running"):
                    http.post(f"/finetune/stop/{job['job_id']}")
            time.sleep(0.5)
    if left:
        asker.differs(f"{len(left)} jobs did not end within {JOBS_END_SECONDS} seconds")


def end_rest(temporary: Path) -> None:
    """Jobs outlive their server: end what was started in the folder, whatever became of it."""
    for process in psutil.process_iter(["cmdline"]):
        if process.pid != psutil.Process().pid and any(
            str(temporary) in word for word in process.info["cmdline"] or []
        ):
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
