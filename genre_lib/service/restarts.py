"""When a worker that ended by itself is started again: at once the first time, ever later where that does not help."""

import time
from collections.abc import Callable

LONGEST_SECONDS = 30.0
STEADY_SECONDS = 60.0
"""A worker that lived for so long had begun well: its end is counted as the first one."""


class Restarts:
    """The pauses before each start of a worker: 0, 1, 2, 4 … :data:`LONGEST_SECONDS`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.ends = 0
        self.begun = clock()
        self.due: float | None = None
        """When a worker that has ended is to be started; None while it lives."""

    def wait(self) -> float:
        """The worker has ended: the seconds until it is started."""
        now = self.clock()
        self.ends = 1 if now - self.begun >= STEADY_SECONDS else self.ends + 1
        seconds = 0.0 if self.ends == 1 else min(2.0 ** min(self.ends - 2, 10), LONGEST_SECONDS)
        self.due = now + seconds
        return seconds

    def begin(self) -> bool:
        """Whether it is time to start it; then it counts as alive."""
        now = self.clock()
        if self.due is None or now < self.due:
            return False
        self.begun, self.due = now, None
        return True
