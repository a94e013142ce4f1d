"""What the worker says of itself, in a file that the HTTP process reads: the two share no memory."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from genre_lib.files import write_whole

FILE = "worker.json"


@dataclass
class WorkerStatus:
    """How the worker is; counts begin anew when it is restarted."""

    pid: int = 0
    model_name: str | None = None
    model_version: str | None = None
    error: str | None = None
    passes: int = 0
    tracks: int = 0

    @property
    def mean_batch(self) -> float:
        """Tracks a pass; 0 before the first."""
        return self.tracks / self.passes if self.passes else 0.0

    def count(self, tracks: int) -> None:
        """One more pass through the network."""
        self.passes += 1
        self.tracks += tracks

    def write(self, folder: Path) -> None:
        """Replace the file whole."""
        write_whole(folder / FILE, json.dumps(asdict(self)))


def read(folder: Path) -> WorkerStatus:
    """What the worker wrote last, or nothing of it where it wrote nothing yet."""
    try:
        return WorkerStatus(**json.loads((folder / FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return WorkerStatus()
