"""A disk that gets full while the service works."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from own_service import START_SECONDS

from fault_injection.causes import stop_job
from fault_injection.load import Load
from fault_injection.outcomes import Part
from fault_injection.server import LOOK_SECONDS, Service, until
from genre_lib.settings import MIB

DISK_BYTES = 256 * MIB

NEARLY_FULL_BYTES = MIB

DISK = "disk"


@contextmanager
def small_disk(place: Path) -> Iterator[bool]:
    """A tmpfs for as long as the block lasts; False where none can be mounted."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "genre-faults", str(place)]
    mounted = sys.platform == "linux" and subprocess.run(command, capture_output=True).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(place)], check=True)


def full_disk(server: Service, load: Load, part: Part, seconds: float) -> None:
    """Nearly full first, where some uploads find room and others do not, then full; amid a job."""
    job_id, before, begun = part.job, pids(server), time.monotonic()
    with filling(server.place) as leave:
        leave(NEARLY_FULL_BYTES)
        time.sleep(seconds)
        leave(0)
        time.sleep(seconds)
        refuse_job(server, part)
        reached = fail_for_room(server, job_id, part)
        part.require(server.healthy(), f"on a full disk the service is not healthy: {server.health()}")
    room = time.monotonic()
    part.recovered = until(server.healthy, START_SECONDS)
    time.sleep(seconds)
    load.stop()
    during = [o for o in load.outcomes if o.begun < room and o.begun + o.seconds > begun]
    part.allow("200", "507", outcomes=during, when=" while the disk was full")
    part.allow("200", outcomes=[o for o in load.outcomes if o.begun >= room], when=" after there was room again")
    part.require(any(o.status == "507" for o in during), "no request met the full disk")
    part.require(pids(server) == before, f"processes were started again: {before} and then {pids(server)}")
    server.http.post(f"/finetune/resume/{job_id}").raise_for_status()
    resumed = server.until_job(job_id, lambda now: now.get("epoch", 0) > reached)
    print(f"          resumed: {resumed.get('status')} at epoch {resumed.get('epoch')}")
    part.require(resumed.get("status") == "running", f"the resumed job is {resumed.get('status')}")
    stop_job(server, job_id, part)


def refuse_job(server: Service, part: Part) -> None:
    """A new job finds no room, or waits in the queue where an upload had just left some."""
    answer = server.http.post("/finetune/start", json={"catalogue": "synthetic", "model_name": "too-much"})
    part.require(answer.status_code in (202, 507), f"starting a job answered {answer.status_code} {answer.text[:200]}")
    if answer.status_code == 202:
        server.http.post(f"/finetune/stop/{answer.json()['job_id']}")


def fail_for_room(server: Service, job_id: str, part: Part) -> int:
    """Wait until a job has met the full disk; the epoch that it had come to."""
    job = server.until_job(job_id, lambda job: False)
    said = str(job.get("error"))
    part.require(job.get("status") == "failed" and "space" in said, f"the job is {job.get('status')}: {said}")
    print(f"          the job is {job.get('status')} at epoch {job.get('epoch')}: {said}")
    return int(job.get("epoch", 0))


@contextmanager
def filling(place: Path) -> Iterator[Callable[[int], None]]:
    """Within the block all room but so many bytes is taken, again and again, as others leave some."""
    wanted, ended = [DISK_BYTES], threading.Event()

    def fill() -> None:
        with (place / "ballast").open("wb") as file:
            while not ended.wait(LOOK_SECONDS / 10):
                space = os.statvfs(place)
                free = space.f_bavail * space.f_frsize - wanted[0]
                with suppress(OSError):  # somebody else was quicker
                    if free > 0:
                        os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, free)

    def leave(size: int) -> None:
        wanted[0] = size

    thread = threading.Thread(target=fill, daemon=True)
    thread.start()
    try:
        yield leave
    finally:
        ended.set()
        thread.join()
        (place / "ballast").unlink()


def pids(server: Service) -> list[int]:
    """The processes that answer requests."""
    said = server.health()
    return [server.http_process(), *(said[name]["pid"] for name in ("worker", "analysis") if said)]
