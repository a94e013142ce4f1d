"""The processes of a service while it is loaded: their memory, open files and threads."""

from __future__ import annotations

import itertools
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

MIB = 1024**2


@dataclass(frozen=True)
class Look:
    """One process at one moment."""

    seconds: float
    pss: float
    """MiB of this process and its share of what several have; RSS where the system does not tell it."""
    anonymous: float
    """MiB that come from no file; RSS where the system does not tell it."""
    files: int
    threads: int


class Processes:
    """The service's processes by what they do, as they are after the first predictions, and how they were since."""

    def __init__(self, temporary: Path, url: str) -> None:
        self.temporary = temporary
        self.url = url
        self.looks: dict[str, list[Look]] = {}
        self.restarted: list[str] = []
        self.found = self.find()

    def find(self) -> dict[str, psutil.Process]:
        """By name; what has no part of its own is a helper of multiprocessing."""
        port = self.url.rpartition(":")[2]
        own = psutil.Process().children()
        main = next(process for process in own if port in process.cmdline())
        with httpx.Client(trust_env=False) as http:
            said = http.get(f"{self.url}/health").json()
            named = {main.pid: "main", said["worker"]["pid"]: "predict", said["analysis"]["pid"]: "analyze"}
            found: dict[str, psutil.Process] = {}
            for process in [main, *main.children(recursive=True)]:
                found[named.get(process.pid) or self.part(process, int(port), set(found))] = process
        return found

    def part(self, process: psutil.Process, port: int, taken: set[str]) -> str:
        if any(c.status == psutil.CONN_ESTABLISHED and c.laddr.port == port for c in process.net_connections("tcp")):
            return "http"
        stem = "tracker" if "resource_tracker" in " ".join(process.cmdline()) else "manager"
        names = itertools.chain([stem], (f"{stem}{number}" for number in itertools.count(2)))
        return next(name for name in names if name not in taken)

    def look(self, seconds: float) -> None:
        """Note how each is; what is gone is noted no more."""
        for name, process in self.found.items():
            with suppress(psutil.Error):
                told = process.memory_full_info()
                rss, pss = told.rss / MIB, (getattr(told, "pss", 0) or told.rss) / MIB
                look = Look(seconds, pss, anonymous(process) or rss, process.num_fds(), process.num_threads())
                self.looks.setdefault(name, []).append(look)

    def find_the_restarted(self) -> None:
        """Which of them are others by now."""
        now = {name: process.pid for name, process in self.find().items()}
        self.restarted = [name for name, process in self.found.items() if now.get(name, process.pid) != process.pid]


def anonymous(process: psutil.Process) -> float | None:
    """MiB that come from no file, as Linux tells."""
    with suppress(OSError):
        lines = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
        return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon:")), None)
    return None
