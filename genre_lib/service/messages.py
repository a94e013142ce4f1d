"""What goes from the HTTP process to the worker, and back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class PredictRequest:
    """One upload, and what is asked of it."""

    path: str
    """Where the upload lies; the HTTP process deletes it after the answer."""
    filename: str
    """What the client calls it."""
    model_name: str | None = None
    top_k: int = 3
    timeline: bool = False


@dataclass(frozen=True)
class Answer:
    """What the HTTP process answers with."""

    status: int
    content: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)
