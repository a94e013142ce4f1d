"""What is asked, how often, and what is wrong about an answer of the right status."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import httpx
from uploads import BROKEN

from long_load.known import fault_of, fault_of_timeline
from long_load.scene import FIRST, SECOND, Question, Scene


def prediction(scene: Scene, dice: random.Random, number: int, new: bool, **fields: Any) -> Question:
    """A track, as new content or as it came before, to the active model or to one by its name."""
    track = dice.choice(scene.tracks)
    content = track.upload.numbered(number) if new else track.upload.content
    name = dice.choice([None, None, None, FIRST, SECOND])
    form = {"top_k": str(dice.choice([1, 3, 1000])), **fields} | ({"model_name": name} if name else {})

    def fault(response: httpx.Response, models: set[str]) -> str | None:
        said = response.json()
        wrong = fault_of(said, track, {name} if name else models)
        return wrong or (fault_of_timeline(said) if "timeline" in fields else None)

    return Question("POST", "/predict", {"files": {"file": (track.upload.name, content)}, "data": form}, fault=fault)


def new(scene: Scene, dice: random.Random, number: int) -> Question:
    return prediction(scene, dice, number, new=True)


def repeated(scene: Scene, dice: random.Random, number: int) -> Question:
    return prediction(scene, dice, number, new=False)


def timeline(scene: Scene, dice: random.Random, number: int) -> Question:
    return prediction(scene, dice, number, new=dice.random() < 0.5, timeline="true")


def batch(scene: Scene, dice: random.Random, number: int) -> Question:
    """Three tracks, and between them one that is none."""
    tracks = dice.sample(list(scene.tracks), min(3, len(scene.tracks)))
    files = [
        ("files", (t.upload.name, t.upload.numbered(number) if dice.random() < 0.5 else t.upload.content))
        for t in tracks
    ]
    files.insert(1, ("files", ("broken.mp3", dice.choice(BROKEN))))

    def fault(response: httpx.Response, models: set[str]) -> str | None:
        items = response.json()["results"]
        broken = items.pop(1)
        if not 400 <= broken["status"] < 500 or any(item["status"] != 200 for item in items):
            return f"statuses {[item['status'] for item in items]} and {broken['status']} for the broken one"
        wrong = [fault_of(item["result"], track, models) for item, track in zip(items, tracks, strict=True)]
        return next(filter(None, wrong), None)

    return Question("POST", "/predict/batch", {"files": files}, fault=fault)


def analysis(scene: Scene, dice: random.Random, number: int) -> Question:
    track = dice.choice([track for track in scene.tracks if track.features])
    content = track.upload.numbered(number) if dice.random() < 0.5 else track.upload.content

    def fault(response: httpx.Response, models: set[str]) -> str | None:
        said, right = response.json(), track.features or {}
        wrong = {n: said[n] for n, value in right.items() if abs(said[n] - value) > 1e-3 * max(1, abs(value))}
        return f"{wrong}, and not {right}" if wrong else None

    return Question("POST", "/analyze/features", {"files": {"file": (track.upload.name, content)}}, fault=fault)


def broken(scene: Scene, dice: random.Random, number: int) -> Question:
    path = dice.choice(["/predict", "/predict", "/analyze/features"])
    file = {"file": ("broken.mp3", dice.choice(BROKEN))}
    return Question("POST", path, {"files": file}, range(400, 500), fault_of_error)


def wrong(scene: Scene, dice: random.Random, number: int) -> Question:
    """A request that cannot be answered, and the status that it should have."""
    file = {"file": ("track.mp3", scene.tracks[0].upload.content)}
    requests: list[tuple[str, str, dict[str, Any], int]] = [
        ("GET", "/nothing", {}, 404),
        ("GET", "/predict", {}, 405),
        ("GET", "/models/no-such-model", {}, 404),
        ("POST", "/predict", {"files": {"top_k": (None, "3")}}, 422),
        ("POST", "/predict", {"data": {"top_k": "3"}}, 415),
        ("POST", "/predict", {"files": file, "data": {"top_k": "many"}}, 422),
        ("POST", "/predict", {"files": file, "data": {"model_name": "no-such-model"}}, 404),
        ("POST", "/predict", {"content": b"{", "headers": {"Content-Type": "application/json"}}, 400),
        ("POST", "/predict", {"json": {"audio_url": "http://127.0.0.1/a.mp3"}}, 422),
        ("DELETE", f"/models/{SECOND}", {}, 401),
        ("POST", f"/models/{SECOND}/activate", {"headers": {"X-API-Key": "none"}}, 401),
    ]
    method, path, options, status = dice.choice(requests)
    return Question(method, path, options, (status,), fault_of_error)


def fault_of_error(response: httpx.Response, models: set[str]) -> str | None:
    said = response.json()
    return None if said.get("code") and said.get("detail") else f"an error without a sentence or a code: {said}"


def health(scene: Scene, dice: random.Random, number: int) -> Question:
    def fault(response: httpx.Response, models: set[str]) -> str | None:
        said = response.json()
        return said["error"] or (None if said["model"]["name"] in models else f"it serves {said['model']['name']}")

    return Question("GET", "/health", fault=fault)


def models(scene: Scene, dice: random.Random, number: int) -> Question:
    def fault(response: httpx.Response, models: set[str]) -> str | None:
        active = {entry["name"] for entry in response.json()["models"] if entry["active"]}
        return None if len(active) == 1 and active <= models else f"active are {active}"

    return Question("GET", "/models", fault=fault)


def metrics(scene: Scene, dice: random.Random, number: int) -> Question:
    def fault(response: httpx.Response, models: set[str]) -> str | None:
        return None if 'genre_worker_up{worker="predict"} 1.0' in response.text else "the worker is not up"

    return Question("GET", "/metrics", fault=fault)


MIX: dict[str, tuple[int, Callable[[Scene, random.Random, int], Question]]] = {
    "new": (40, new),
    "repeated": (20, repeated),
    "timeline": (9, timeline),
    "batch": (5, batch),
    "analysis": (4, analysis),
    "broken": (7, broken),
    "wrong": (4, wrong),
    "health": (5, health),
    "models": (4, models),
    "metrics": (2, metrics),
}
"""How often each is asked, in shares, and how it is made."""

PREDICTIONS = ("new", "repeated", "timeline")
