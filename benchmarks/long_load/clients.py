"""Requests at their times, and models that are exchanged meanwhile."""

from __future__ import annotations

import itertools
import random
import time

import httpx

from long_load.questions import MIX
from long_load.scene import FIRST, SECOND, Outcome, Scene


def client(scene: Scene, numbers: itertools.count[int], begun: float, seconds: float) -> None:
    """Take the next request, wait for its time, send it."""
    with httpx.Client(base_url=scene.url, timeout=120, trust_env=False) as http:
        while not scene.ended.is_set():
            number = next(numbers)
            due = number / scene.rate
            if due > seconds or scene.ended.wait(max(0.0, due - (time.perf_counter() - begun))):
                return
            scene.late = time.perf_counter() - begun - due
            scene.outcomes.append(asked(http, scene, number))


def asked(http: httpx.Client, scene: Scene, number: int) -> Outcome:
    """One request; the same number is the same request in every run."""
    dice = random.Random(number)
    kind = dice.choices(list(MIX), [share for share, _ in MIX.values()])[0]
    question, before = MIX[kind][1](scene, dice, number), scene.active
    begun = time.perf_counter()
    try:
        response = http.request(question.method, question.path, **question.options)
    except httpx.TransportError as error:
        return Outcome(kind, 0, time.perf_counter() - begun, f"{type(error).__name__} after {question.path}")
    seconds = time.perf_counter() - begun
    if response.status_code not in question.statuses:
        fault: str | None = f"{question.method} {question.path}: {response.status_code} {response.text[:200]}"
    else:
        try:
            fault = question.fault(response, before | scene.active)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            fault = f"{question.path}: {error!r} in {response.text[:200]}"
    return Outcome(kind, response.status_code, seconds, fault)


def exchange(scene: Scene, every: float) -> None:
    """Let the other model answer, again and again."""
    names = itertools.cycle([SECOND, FIRST])
    with httpx.Client(base_url=scene.url, timeout=120, trust_env=False, headers={"X-API-Key": scene.key}) as http:
        while not scene.ended.wait(every):
            name, begun = next(names), time.perf_counter()
            scene.active = {FIRST, SECOND}
            response = http.post(f"/models/{name}/activate")
            good = response.status_code == 200 and response.json()["serving"]
            scene.active = {name} if good else scene.active
            fault = None if good else f"activate: {response.status_code} {response.text[:200]}"
            scene.outcomes.append(Outcome("activate", response.status_code, time.perf_counter() - begun, fault))
