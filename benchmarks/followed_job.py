"""A client of the service that prints what it asks and what a fine-tuning job tells, as both come."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

POLL_SECONDS = 2.0

TELL_SECONDS = 15.0
"""How often a status is printed where only numbers changed."""

MOST_SECONDS = 1800.0
"""That a job is followed."""


@dataclass
class Session:
    """A client, and what it saw."""

    http: httpx.Client
    key: str
    began: float = field(default_factory=time.perf_counter)
    job: str = ""
    last_event: str = "0"
    ended_training: float | None = None
    estimates: list[tuple[float, float]] = field(default_factory=list)
    """When the job was asked for its time left, and the seconds it said."""
    failed: bool = False

    @property
    def now(self) -> float:
        return time.perf_counter() - self.began

    def say(self, text: str) -> None:
        print(f"{self.now:7.1f}s  {text}", flush=True)

    def step(self, method: str, path: str, expected: int = 200, with_key: bool = True, **options: Any) -> Any:
        """A request as a line; its answer."""
        begun = time.perf_counter()
        headers = {"X-API-Key": self.key} if with_key else {}
        response = self.http.request(method, path, headers=headers, **options)
        seconds = time.perf_counter() - begun
        is_json = response.headers.get("content-type", "").startswith("application/json")
        content = response.json() if is_json else response.text
        good = response.status_code == expected
        self.failed |= not good
        mark = "" if good else f"  EXPECTED {expected}"
        self.say(f"{method} {path} {response.status_code} in {seconds:.2f} s  {brief(content)}{mark}")
        return content


@contextmanager
def no_job_left(session: Session) -> Iterator[None]:
    """A job outlives its server; whatever ends this, ours shall not."""
    try:
        yield
    finally:
        deadline = time.monotonic() + 60
        while session.job and time.monotonic() < deadline:
            with suppress(httpx.TransportError):
                said = session.http.post(f"/finetune/stop/{session.job}", headers={"X-API-Key": session.key}).json()
                if said.get("ended"):
                    break
            time.sleep(1)


def follow(session: Session, until: str = "end") -> dict[str, Any]:
    """Print a job's events that were not seen yet, up to one; its data."""
    deadline = time.monotonic() + MOST_SECONDS
    headers = {"Last-Event-ID": session.last_event}
    with session.http.stream("GET", f"/finetune/events/{session.job}", headers=headers) as stream:
        for name, number, data in events(stream.iter_lines()):
            session.last_event = number or session.last_event
            kind = name or data["kind"]
            session.say(f"  event {number or '-'} {kind}  {brief(without(data, 'kind', 'time'))}")
            if kind == "epoch_ended":
                session.ended_training = time.perf_counter() - age(data)
            if kind == until or time.monotonic() > deadline:
                return data
    session.say("  the stream ended before the job did")
    return {}


def events(lines: Iterator[str]) -> Iterator[tuple[str | None, str | None, dict[str, Any]]]:
    """Server-sent events: name, id and data."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            yield fields.get("event"), fields.get("id"), json.loads(fields["data"])
            fields = {}


@contextmanager
def watched(session: Session) -> Iterator[None]:
    """Within the block the job's status is asked for again and again, and printed where it changed."""
    ended = threading.Event()

    def watch() -> None:
        told = ("", 0.0)
        with httpx.Client(base_url=session.http.base_url, timeout=60, trust_env=False) as http:
            while not ended.wait(POLL_SECONDS):
                with suppress(httpx.TransportError):
                    told = look(session, http.get(f"/finetune/status/{session.job}").json(), told)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def look(session: Session, said: dict[str, Any], told: tuple[str, float]) -> tuple[str, float]:
    """Note what a status says of the progress, and print it now and then; what was printed last, and when."""
    left = said["seconds_left"]
    if left is not None and said["attempt"] > 1 and said["phase"] == "training":
        session.estimates.append((time.perf_counter(), left))
    standing = f"{said['status']} {said['phase'] or ''} epoch {said['epoch']}/{said['epochs']}"
    if standing == told[0] and session.now - told[1] < TELL_SECONDS:
        return told
    prepared = "" if said["prepared"] is None else f", prepared {said['prepared']:.0%}"
    time_left = "" if left is None else f", {left:.0f} s left"
    session.say(f"    | {standing} {said['progress']:.0%}{prepared}{time_left}")
    return standing, session.now


def brief(content: Any, longest: int = 330) -> str:
    """An answer in a line."""
    if isinstance(content, str):
        return f"{len(content.splitlines())} lines"
    text = json.dumps(shortened(content), ensure_ascii=False)
    return text if len(text) <= longest else f"{text[:longest]}…"


def shortened(content: Any) -> Any:
    """Numbers of four digits."""
    if isinstance(content, dict):
        return {name: shortened(value) for name, value in content.items() if value is not None}
    if isinstance(content, list):
        return [shortened(value) for value in content]
    return float(f"{content:.4g}") if isinstance(content, float) else content


def without(data: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name not in names}


def age(event: dict[str, Any]) -> float:
    """Seconds since an event was written."""
    written = datetime.fromisoformat(event["time"])
    return (datetime.now(written.tzinfo) - written).total_seconds()
