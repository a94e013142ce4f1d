"""No more calls in a time than a service allows: the next one waits for its turn, or is refused where that is long."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from genre_lib.errors import RateLimited

PATIENCE = 60.0
"""Seconds that a call waits for its turn where nobody asks for less."""


class Pace:
    """So many calls in so many seconds, over all threads that share this object.

    Args:
        service: for messages.
        calls, seconds: the most calls in any such span.
        patience: seconds that a call may wait for its turn; one that would wait longer is refused.
        now, sleep: seconds since 1970, and a wait of so many seconds.
    """

    def __init__(
        self,
        service: str,
        calls: int,
        seconds: float,
        *,
        patience: float = PATIENCE,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.service, self.calls, self.seconds, self.patience = service, calls, seconds, patience
        self.now, self.sleep = now, sleep
        self._turns: deque[float] = deque(maxlen=calls)
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when a call may be made.

        Raises:
            RateLimited: that would take longer than the patience; no turn is taken then.
        """
        with self._lock:
            wait = self._wait()
            if wait > self.patience:
                raise self.refused(wait)
            self._turns.append(self.now() + wait)
        if wait > 0:
            self.sleep(wait)

    def _wait(self) -> float:
        """Seconds until the next turn."""
        now = self.now()
        if self._turns and self._turns[-1] > now + self.patience + self.seconds:
            self._turns.clear()  # the clock was set back: no turn is ever taken that far ahead
        return max(0.0, self._turns[0] + self.seconds - now) if len(self._turns) == self.calls else 0.0

    def refused(self, wait: float) -> RateLimited:
        """The error of a service that answers again in so many seconds."""
        told = f"{self.service} takes no more calls for now; try again in {max(1, round(wait)):,} s."
        return RateLimited(told, resume_at=self.now() + wait)
