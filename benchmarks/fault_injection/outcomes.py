"""What became of requests, and of one fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

PREDICT, BATCH, ANALYZE = "/predict", "/predict/batch", "/analyze/features"

REFUSED = "connection"
"""The status of a request that got no answer because nobody listened, or the connection was closed."""

SILENT = "none"
"""The status of one that got none although the connection stood."""


@dataclass(frozen=True)
class Outcome:
    """What became of one request."""

    route: str
    broken: bool
    status: str
    begun: float
    seconds: float
    detail: str = ""


@dataclass
class Part:
    """What became of one fault."""

    name: str
    job: str = ""
    """The id of the job that runs meanwhile."""
    outcomes: list[Outcome] = field(default_factory=list)
    recovered: float | None = None
    """Seconds until ``/health`` was 200 again, and what was killed was back."""
    processes: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    """What is not as expected, a sentence each."""

    @property
    def longest(self) -> float:
        return max((outcome.seconds for outcome in self.outcomes), default=0.0)

    def require(self, holds: bool, otherwise: str) -> None:
        """Note what does not hold."""
        if not holds:
            self.findings.append(otherwise)

    def allow(self, *statuses: str, outcomes: Iterable[Outcome] | None = None, when: str = "") -> None:
        """Note requests with other statuses than these."""
        wrong = [o for o in (self.outcomes if outcomes is None else outcomes) if o.status not in statuses]
        for (route, status), count in Counter((o.route, o.status) for o in wrong).items():
            detail = next(o.detail for o in wrong if (o.route, o.status) == (route, status))
            self.findings.append(f"{count} × {status} from {route}{when}: {detail}")
