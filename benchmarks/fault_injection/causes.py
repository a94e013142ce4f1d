"""The faults: what causes each, how long it is waited for, and what is expected of the service meanwhile."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress

import psutil
from own_service import START_SECONDS

from fault_injection.load import Load
from fault_injection.outcomes import Part
from fault_injection.server import END_SECONDS, JOB_SECONDS, SETTLE_SECONDS, Service, described, until, variable

Fault = Callable[[Service, Load, Part, float], None]
"""Causes it under load, waits until it is over, and notes what is not as expected."""


def kill_worker(server: Service, load: Load, part: Part, seconds: float) -> None:
    kill_and_wait(server, part, "worker")


def kill_analysis(server: Service, load: Load, part: Part, seconds: float) -> None:
    kill_and_wait(server, part, "analysis")


def kill_and_wait(server: Service, part: Part, name: str) -> None:
    pid = server.health()[name]["pid"]
    os.kill(pid, signal.SIGKILL)

    def back() -> bool:
        said = server.health()
        return said.get("status") == "ok" and said[name]["state"] == "ready" and said[name]["pid"] != pid

    part.recovered = until(back, START_SECONDS)
    part.require(part.recovered is not None, f"the {name} did not come back: {server.health()}")


def kill_http(server: Service, load: Load, part: Part, seconds: float) -> None:
    begun = time.monotonic()
    os.kill(server.http_process(), signal.SIGKILL)
    code = wait_for_end(server, part)
    part.require(code not in (0, None), f"the server ended with {code}")
    start_again(server, part, begun)


def kill_job(server: Service, load: Load, part: Part, seconds: float) -> None:
    """The job is resumed afterwards, without load, to its end."""
    job_id = part.job
    pid = server.job_process(job_id)
    part.require(pid is not None, f"the job ended before it was killed: {server.job(job_id)}")
    if pid is None:
        return
    os.kill(pid, signal.SIGKILL)
    part.recovered = until(lambda: server.job(job_id).get("status") == "failed", SETTLE_SECONDS)
    job = server.job(job_id)
    part.require(part.recovered is not None and bool(job.get("error")), f"the job is not failed with a reason: {job}")
    part.require(not server.job_processes(job_id), f"processes of the dead job: {server.job_processes(job_id)}")
    print(f"          the job is {job.get('status')} at epoch {job.get('epoch')}: {job.get('error')}")
    time.sleep(seconds)
    load.stop()
    answer = server.http.post(f"/finetune/resume/{job_id}")
    part.require(answer.status_code == 202, f"resume answered {answer.status_code} {answer.text[:200]}")
    ended = server.until_job(job_id, lambda job: False)
    as_expected = ended.get("status") == "completed" and ended.get("attempt") == 2
    part.require(as_expected, f"the resumed job is {ended.get('status')} after attempt {ended.get('attempt')}")
    names = [model["name"] for model in server.http.get("/models").json()["models"]]
    part.require("during-job" in names, f"its model is not among {names}")
    print(f"          resumed: {ended.get('status')} at epoch {ended.get('epoch')} of {ended.get('epochs')}")


def kill_main(server: Service, load: Load, part: Part, seconds: float) -> None:
    """The job lives on; the next server tells how it stands, and stops it when asked."""
    job_id, before = part.job, server.job(part.job)
    pid, begun = server.job_process(job_id), time.monotonic()
    part.require(before.get("status") == "running", f"the job ended too early: {before}")
    server.process.kill()
    wait_for_end(server, part)
    start_again(server, part, begun)
    job, alive = server.job(job_id), server.job_process(job_id)
    part.require(job.get("status") == "running" and alive == pid, f"process {alive}, was {pid}, and the job says {job}")
    part.require(job.get("epoch", 0) >= before.get("epoch", 0), f"epochs were lost: {job}")
    print(f"          after the restart the job is {job.get('status')} at epoch {job.get('epoch')}")
    stop_job(server, job_id, part)


def stop_job(server: Service, job_id: str, part: Part) -> None:
    """Stop a job that has an epoch behind it, and see that it kept its best."""
    server.http.post(f"/finetune/stop/{job_id}").raise_for_status()
    until(lambda: server.job(job_id).get("status") not in ("running", "stopping"), JOB_SECONDS)
    job = server.job(job_id)
    as_expected = job.get("status") == "stopped" and bool(job.get("kept"))
    part.require(as_expected, f"the stopped job is {job.get('status')}, kept {job.get('kept')}: {job.get('error')}")


def bad_items(server: Service, load: Load, part: Part, seconds: float) -> None:
    """The load does it."""
    time.sleep(seconds)


def told_to_end(server: Service, load: Load, part: Part, seconds: float) -> None:
    begun = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    refused = until(lambda: not listens(server.port), END_SECONDS)
    code = wait_for_end(server, part)
    ended = time.monotonic() - begun
    part.require(code == 0, f"the exit code is {code}")
    part.require(refused is not None and not listens(server.port), "connections are taken after the end")
    print(f"          new connections refused after {refused or 0:.1f} s, ended after {ended:.1f} s with {code}")
    under_way = [o for o in load.outcomes if o.begun < begun <= o.begun + o.seconds]
    part.allow("200", outcomes=under_way, when=" that was asked before the signal")
    start_again(server, part, begun)


def wait_for_end(server: Service, part: Part) -> int | None:
    """The main process's exit code, once all of the server has ended but its jobs; what does not end is noted."""
    with suppress(subprocess.TimeoutExpired):
        server.process.wait(END_SECONDS)
    if server.process.poll() is None:
        part.findings.append(f"the server did not end within {END_SECONDS} s")
        server.process.kill()

    def rest() -> list[psutil.Process]:
        return [p for p in server.processes() if variable(p, "GENRE_JOB") is None]

    until(lambda: not rest(), SETTLE_SECONDS)
    for process in rest():
        part.findings.append(f"left by the server that ended: {described(process)}")
        process.kill()
    left = [path for path in server.temporary.iterdir() if not path.name.startswith("genre-job-")]
    part.findings += [f"left by the server that ended: {path.name}" for path in left if path in server.known]
    return server.process.poll()


def start_again(server: Service, part: Part, begun: float) -> None:
    """As a supervisor does it."""
    server.start()
    part.recovered = time.monotonic() - begun


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


FAULTS: dict[str, Fault] = {
    "worker": kill_worker,
    "analysis": kill_analysis,
    "http": kill_http,
    "job": kill_job,
    "main": kill_main,
    "bad": bad_items,
    "sigterm": told_to_end,
}
