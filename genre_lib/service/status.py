"""What a worker says of itself, in a file that the HTTP process reads: the two share no memory."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from genre_lib.files import write_whole

FILE = "worker.json"
ANALYSIS_FILE = "analysis.json"


@dataclass
class WorkerStatus:
    """How a worker is; counts begin anew when it is restarted, those of ``starts`` go on."""

    pid: int = 0
    starts: int = 0
    started: float = 0.0
    """Seconds since the epoch."""
    model_name: str | None = None
    model_version: str | None = None
    engine: str | None = None
    engine_fault: str | None = None
    error: str | None = None
    passes: int = 0
    tracks: int = 0

    @classmethod
    def begun(cls, folder: Path, file: str = FILE) -> WorkerStatus:
        """Of this process, which begins now, once more than what the file says."""
        return cls(pid=os.getpid(), starts=read(folder, file).starts + 1, started=time.time())

    @property
    def alive(self) -> bool:
        """Whether there is a process of that id; one that ended is there until its parent has looked."""
        try:
            os.kill(self.pid, 0)
        except OSError:
            return False
        return self.pid > 0

    @property
    def uptime(self) -> float:
        """Seconds since it started."""
        return max(0.0, time.time() - self.started) if self.started else 0.0

    @property
    def mean_batch(self) -> float:
        """Tracks a pass; 0 before the first."""
        return self.tracks / self.passes if self.passes else 0.0

    def count(self, tracks: int) -> None:
        """One more pass through the network."""
        self.passes += 1
        self.tracks += tracks

    def write(self, folder: Path, file: str = FILE) -> None:
        """Replace the file whole."""
        write_whole(folder / file, json.dumps(asdict(self)))


def read(folder: Path, file: str = FILE) -> WorkerStatus:
    """What the worker wrote last, or nothing of it where it wrote nothing yet."""
    try:
        return WorkerStatus(**json.loads((folder / file).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return WorkerStatus()
