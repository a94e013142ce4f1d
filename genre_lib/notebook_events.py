"""The lines that a notebook appends to its run's events, as they come."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

EVENTS = "events.jsonl"

OnEvent = Callable[[dict[str, Any]], None]


class EventTail:
    """The complete lines that were appended to a file of JSON lines since it was last read."""

    def __init__(self, path: Path, on_event: OnEvent) -> None:
        self.path = path
        self.on_event = on_event
        self.position = path.stat().st_size if path.is_file() else 0

    def read(self) -> None:
        """Pass on what is new; half a line waits for its end, and what is no JSON is passed over."""
        if not self.path.is_file():
            return
        with self.path.open("rb") as file:
            file.seek(self.position)
            block = file.read()
        complete = block[: block.rfind(b"\n") + 1]
        self.position += len(complete)
        for line in complete.splitlines():
            self._pass_on(line)

    def _pass_on(self, line: bytes) -> None:
        try:
            event = json.loads(line)
        except ValueError:
            return
        if isinstance(event, dict):
            self.on_event(event)
