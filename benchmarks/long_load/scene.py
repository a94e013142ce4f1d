"""What all threads of a long load know, and what became of their requests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from uploads import Upload

FIRST, SECOND = "soak-first", "soak-second"


@dataclass(frozen=True)
class Track:
    """A file, and what is right about it."""

    upload: Upload
    duration: float
    genres: dict[str, dict[str, float]]
    """By model, the confidence of every genre."""
    features: dict[str, float] | None


@dataclass(frozen=True)
class Question:
    """A request, and what is wrong about an answer of the right status: a sentence, or None."""

    method: str
    path: str
    options: dict[str, Any] = field(default_factory=dict)
    statuses: Container[int] = (200,)
    fault: Callable[[httpx.Response, set[str]], str | None] = lambda response, models: None


@dataclass(frozen=True)
class Outcome:
    """What became of one request."""

    kind: str
    status: int
    seconds: float
    fault: str | None


@dataclass
class Scene:
    """What all threads know."""

    url: str
    key: str
    tracks: Sequence[Track]
    rate: float
    active: set[str] = field(default_factory=lambda: {FIRST})
    """The models that may answer at this moment; both, while they are exchanged."""
    outcomes: list[Outcome] = field(default_factory=list)
    late: float = 0.0
    """Seconds that the latest request went out after its time."""
    ended: threading.Event = field(default_factory=threading.Event)
