"""What glibc does with memory that was freed. On other systems nothing here does anything."""

from __future__ import annotations

import ctypes
import resource
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Parameters of ``mallopt(3)``."""

KEPT_BYTES = 2**31 - 1
MOST_MMAP_THRESHOLD = 32 * 2**20
"""What older versions of glibc accept as ``M_MMAP_THRESHOLD``."""


def give_back() -> None:
    """Return to the system what is held free.

    glibc keeps small blocks that several threads freed, hundreds of MB after a track of an hour, and only a later call
    to ``free`` at the heap's end would return them: see ``malloc_trim(3)``.
    """
    if trim := _function("malloc_trim"):
        trim(0)


def keep_freed() -> None:
    """From now on, hold what is freed for the next to ask.

    By default large blocks go back at once, and come anew a page at a time. Where every step asks for the same blocks
    that is a tenth of the time of training, and a quarter of what the starter takes to hear a track.
    """
    if mallopt := _function("mallopt"):
        mallopt(M_MMAP_THRESHOLD, KEPT_BYTES) or mallopt(M_MMAP_THRESHOLD, MOST_MMAP_THRESHOLD)
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


def reset_peak() -> None:
    """Let :func:`peak_bytes` count from now on; on other systems than Linux it goes on from the process's start."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_bytes() -> int:
    """The most memory that this process held at once, since :func:`reset_peak`."""
    with suppress(OSError, IndexError, ValueError):
        line = Path("/proc/self/status").read_text().split("VmHWM:")[1]
        return int(line.split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def available_bytes() -> int:
    """What this process may hold before the machine, or the container that it is in, has no more: its own included."""
    import psutil  # on demand: most of what is here does without

    free = [psutil.virtual_memory().available, *_left_in_container()]
    return int(psutil.Process().memory_info().rss + min(free))


CONTAINER = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)
"""Where Linux tells a container's bound and what it uses, in version 2 and 1 of its control groups."""


def _left_in_container() -> list[int]:
    """Bytes below each bound that there is; version 2 has a word where there is none."""
    left = []
    for bound, used in CONTAINER:
        with suppress(OSError, ValueError):
            left.append(max(int(Path(bound).read_text()) - int(Path(used).read_text()), 0))
    return left


@cache
def _function(name: str) -> Any:
    try:
        return getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError, TypeError):
        return None
