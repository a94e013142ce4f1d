"""What goes from the HTTP process to a worker, and back."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from genre_lib.cache import combine
from genre_lib.service.errors import answer_to


@dataclass(frozen=True)
class TrackRequest:
    """A track for a worker."""

    path: str
    """Where it lies; the HTTP process deletes it after the answer."""
    filename: str
    """What the client calls it."""


@dataclass(frozen=True)
class PredictRequest(TrackRequest):
    """A track, and what is asked of it."""

    model_name: str | None = None
    top_k: int = 3
    timeline: bool = False
    digest: str | None = None
    """SHA-256 of the content, in hex; what comes without one is predicted anew."""
    features: dict[str, float | None] | None = None
    """What the client knows of it beside its sound."""

    @property
    def content(self) -> str:
        """The same for the same content with the same features, as far as that is known."""
        sound = self.digest or self.path
        return sound if self.features is None else combine(sound, json.dumps(self.features, sort_keys=True))


@dataclass(frozen=True)
class Answer:
    """What the HTTP process answers with."""

    status: int
    content: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)


def refusal(error: BaseException, request: TrackRequest | None = None, heard_at: str | None = None) -> Answer:
    """The error as an answer; where the track lies on our disk is told to nobody.

    Args:
        heard_at: where the track lay that the error is about, if it was another one with the same content.
    """
    status, content, headers = answer_to(error)
    if request:
        content["detail"] = content["detail"].replace(heard_at or request.path, request.filename)
    return Answer(status, content, headers)
