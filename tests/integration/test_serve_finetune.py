"""A job and the servers around it: it is there before and after them, and keeps nothing of theirs."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from job_places import ended, kernel_of, let_go, make_place
from test_serve import REPOSITORY, Server, answers, clean, start, until
from test_serve import ended as processes_ended

from genre_lib import api_keys, job_process
from genre_lib.job_store import JobStore
from genre_lib.settings import get_settings

KEY = api_keys.generate()

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def again(server: Server) -> Server:
    """Another server on the same port."""
    command = [sys.executable, REPOSITORY / "serve.py", "--port", str(server.port)]
    with (server.folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=server.folder, env=server.environment, stdout=log, stderr=log, start_new_session=True
        )
    other = Server(process, server.port, server.folder, server.environment)
    until(lambda: answers(other) or process.poll() is not None, "the other server starts")
    assert process.poll() is None, other.log
    return other


def test_a_job_outlives_its_servers(
    tmp_path: Path, tiny_model: Path, synthetic_catalogue: Path, monkeypatch: pytest.MonkeyPatch
):
    place = make_place(tmp_path, tiny_model)
    for name in ("runs", "models", "notebooks"):
        monkeypatch.setenv(f"{name.upper()}_PATH", str(place / name))
    monkeypatch.setenv("FINETUNE_DATA_ROOTS", str(synthetic_catalogue.parent))
    monkeypatch.setenv("API_KEYS", f"ann:{api_keys.digest(KEY)}")
    store = JobStore(get_settings(model_path=tiny_model))
    server = start(place, tiny_model)
    try:
        answer = httpx.post(
            f"{server.url}/finetune/start", json={"data_path": "music"}, headers={"X-API-Key": KEY}, timeout=150
        )
        assert answer.status_code == 202, answer.text
        job = store.get(answer.json()["job_id"])
        kernel = kernel_of(job)

        children = [child for child in server.children() if job_process.mark(child) is None]
        server.process.kill()
        server.process.wait()
        until(lambda: processes_ended(children), "the killed server leaves no process but the job's")
        server = again(server)
        status = f"{server.url}/finetune/status/{job.id}"
        assert httpx.get(status).json()["status"] == "running"
        assert 'genre_jobs{status="running"} 1.0' in httpx.get(f"{server.url}/metrics").text

        with httpx.stream("GET", f"{server.url}/finetune/events/{job.id}", timeout=150) as stream:
            lines = stream.iter_lines()
            assert next(lines) == "event: status"
            server.process.send_signal(signal.SIGTERM)
            assert not [line for line in lines if line.startswith("event: end")]
        assert server.process.wait(60) == 0
        assert "Traceback" not in server.log
        assert kernel_of(job) == kernel
        let_go(job)
        assert ended(store, job).status == "completed"
    finally:
        clean(server)
        for found in store.list():
            job_process.end_rest(found.folder)
