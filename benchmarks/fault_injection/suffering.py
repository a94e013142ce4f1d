"""A fault under load: what is expected of the answers, and what is left of it afterwards."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from uploads import Upload

from fault_injection.causes import Fault
from fault_injection.full_disk import DISK
from fault_injection.load import Load
from fault_injection.outcomes import BATCH, REFUSED, Part
from fault_injection.report import tell
from fault_injection.server import SETTLE_SECONDS, Service, until

JOB_SETTINGS = {"learning_rate": 1e-3, "batch_size": 16, "early_stopping_patience": 1000}

JOB_EPOCHS = {"job": 20, "main": 1000, "disk": 1000}
"""Faults that meet a job which has an epoch behind it, and how many it is to train."""


def suffer(
    name: str, fault: Fault, server: Service, uploads: Sequence[Upload], numbers: itertools.count, given: Any
) -> Part:
    """Load the service, cause a fault, load it on, and see what is left."""
    part = Part(name)
    if name in JOB_EPOCHS:
        part.job = server.start_job(f"during-{name}", JOB_SETTINGS | {"epochs": JOB_EPOCHS[name]})
        server.until_job(part.job, lambda job: job.get("epoch", 0) >= 1)
    load = Load(server, uploads, numbers, given.clients, given.deadline, bad=name == "bad")
    time.sleep(given.seconds)
    try:
        fault(server, load, part, given.seconds)
        time.sleep(given.seconds)
    finally:
        part.outcomes = load.stop()
    CHECKS.get(name, check)(part)
    if not until(server.healthy, SETTLE_SECONDS):
        part.findings.append(f"the service is not healthy at the end: {server.health()}")
    until(lambda: not server.strangers() and not server.litter(), SETTLE_SECONDS)
    part.processes = server.strangers()
    litter = server.litter()
    part.files = [str(path.relative_to(server.place)) for path in litter]
    server.known |= set(litter)
    tell(part)
    return part


def check(part: Part) -> None:
    """A job's end disturbs nobody; a worker's costs the requests in its hands; a server's, those of its time off."""
    costs = {"worker": ["503", "504"], "analysis": ["503", "504"], "job": []}.get(part.name, [REFUSED, "503"])
    part.allow("200", *costs)


def check_bad(part: Part) -> None:
    singles = [o for o in part.outcomes if o.broken and o.route != BATCH]
    wrong = [o for o in singles if not (o.status.isdigit() and 400 <= int(o.status) < 500)]
    part.require(bool(singles), "no broken upload was sent")
    part.require(not wrong, f"broken uploads were answered {Counter(o.status for o in wrong)}")
    part.allow("200", outcomes=[o for o in part.outcomes if o not in singles])


CHECKS: dict[str, Callable[[Part], None]] = {"bad": check_bad, DISK: lambda part: None}
"""What statuses are expected; the fault of a full disk sees to it itself."""
