"""Jobs as real processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from job_places import ended, is_gone, kernel_of, let_go, make_place, until

from genre_lib import job_process
from genre_lib.errors import JobConflict, JobNotFound, ModelExists, ModelNameInvalid, QueueFull
from genre_lib.job_folder import JobFolder, Request, State
from genre_lib.job_store import JobStore
from genre_lib.settings import Settings, get_settings

PASSED = ("runs_path", "models_path", "notebooks_path", "model_path")


@pytest.fixture
def settings(tmp_path: Path, tiny_model: Path) -> Settings:
    place = make_place(tmp_path, tiny_model)
    places = {"runs_path": place / "runs", "models_path": place / "models", "notebooks_path": place / "notebooks"}
    return get_settings(**places, model_path=tiny_model, max_queued_jobs=2)


@pytest.fixture
def store(settings: Settings) -> Iterator[JobStore]:
    store = JobStore(settings)
    yield store
    for job in store.list():
        job_process.end_rest(job.folder)


def environment(settings: Settings, **more: str) -> dict[str, str]:
    return os.environ | {name.upper(): str(getattr(settings, name)) for name in PASSED} | more


def test_jobs_wait_for_their_turn_and_publish_their_models(store: JobStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SOME_API_KEY", "hidden-1")
    monkeypatch.setenv("DATABASE", "redis://user:hidden-2@host/0")
    first = store.submit({}, "one", base_model="tiny", asked={"labels": ["rock"]})
    assert (first.status, first.position, first.request.asked) == ("running", None, {"labels": ["rock"]})
    second, third = store.submit({"do": "end"}, "two"), store.submit({"do": "end"}, "three")
    assert [(job.request.model_name, job.status, job.position) for job in store.list()] == [
        ("three", "queued", 2),
        ("two", "queued", 1),
        ("one", "running", None),
    ]
    with pytest.raises(QueueFull, match="2 jobs wait already"):
        store.submit({}, "four")
    with pytest.raises(ModelExists, match=f"Job {third.id} will publish"):
        store.submit({}, "three")
    assert store.stop(second.id).status == store.stop(second.id).status == "stopped"  # twice is as good as once
    assert store.get(third.id).position == 1
    kernel_of(first)
    assert store.uses("tiny") and store.reserves("one") and not store.uses("one")
    let_go(first)
    done = ended(store, first)
    assert (done.status, done.state.error, done.state.attempt, done.state.pid) == ("completed", None, 1, None)
    assert done.request.submitted <= done.state.started < done.state.ended
    assert (store.settings.models_path / "one" / "config.json").is_file()
    assert not store.uses("tiny") and not store.reserves("one")

    assert ended(store, third).status == "completed"  # started by the first one's process when it ended
    assert store.get(third.id).state.started >= done.state.ended
    assert {name: count for name, count in store.counts().items() if count} == {"completed": 2, "stopped": 1}
    with pytest.raises(JobConflict, match="is completed"):
        store.resume(first.id)
    assert store.stop(first.id).status == "completed"
    with pytest.raises(ModelExists, match="a model one already"):
        store.submit({}, "one")

    found = (first.folder.path / "environment.json").read_text()
    assert "hidden" not in found
    assert json.loads(found)["CACHE_PATH"] == str(store.settings.cache_path)


def test_stopped_and_failed_jobs_go_on(store: JobStore):
    job = store.submit({}, "mine")
    pid = kernel_of(job)
    assert store.stop(job.id).status == "stopping"
    assert store.stop(job.id).status in ("stopping", "stopped")
    stopped = ended(store, job)
    assert (stopped.status, stopped.state.error, stopped.state.kept) == ("stopped", None, None)
    assert is_gone(pid)

    (job.folder.path / "pid").unlink()
    assert store.resume(job.id).state.attempt == 2
    os.kill(kernel_of(job), signal.SIGKILL)
    dead = ended(store, job)
    assert dead.status == "failed"
    assert dead.state.error == "The notebook's kernel died, as it does when memory runs out; try a smaller batch size."

    let_go(job, "fail")
    store.resume(job.id)
    failed = ended(store, job)
    assert (failed.status, failed.state.attempt) == ("failed", 3)
    assert failed.state.error == f"ValueError: the music in {job.folder.path}/x.wav is too loud."
    assert [e["resumed"] for e in job.folder.events() if e["kind"] == "run_started"] == [False, True, True]
    assert not (store.settings.models_path / "mine").exists()


def test_jobs_outlive_a_killed_server_and_tell_the_truth_of_a_killed_runner(store: JobStore, settings: Settings):
    """The server holds a port, submits two jobs, and is killed; another one on the same port finds them."""
    code = f"""
import os, socket, sys
from genre_lib.job_store import JobStore
from genre_lib.settings import get_settings
port = socket.socket(); port.bind(("127.0.0.1", 0)); port.listen(); port.set_inheritable(True)
store = JobStore(get_settings())
print(port.getsockname()[1], store.submit({{}}, "mine").id, store.submit({{"do": "end"}}, "next").id, flush=True)
os.kill(os.getpid(), {int(signal.SIGKILL)})
"""
    server = subprocess.run(
        [sys.executable, "-c", code], env=environment(settings), stdout=subprocess.PIPE, text=True, check=False
    )
    assert server.returncode == -signal.SIGKILL
    port, running, waits = server.stdout.split()
    job = store.get(running)
    pid = kernel_of(job)
    assert (store.get(running).status, store.get(waits).status) == ("running", "queued")
    with socket.socket() as again:
        again.bind(("127.0.0.1", int(port)))
        again.listen()
    runner = store.get(running).state.pid
    assert os.getsid(runner) == runner

    scratch = json.loads((job.folder.path / "environment.json").read_text())["TMPDIR"]
    os.kill(runner, signal.SIGKILL)
    until(lambda: is_gone(pid), seconds=60)  # its kernel does not train on
    assert Path(scratch).is_dir()
    assert job.folder.state().status == "running"  # nobody could write down anything else
    assert store.get(running).status == job.folder.state().status == "failed"
    assert "ended without a word" in store.get(running).state.error
    assert not Path(scratch).exists()
    store.start_queued()
    assert ended(store, store.get(waits)).status == "completed"


def test_no_job_is_started_twice(store: JobStore, settings: Settings):
    """Many processes want to start the same job at once; without a notebook it fails soon."""
    shutil.rmtree(settings.notebooks_path)
    job = store.submit({}, "mine")
    assert "Expected a notebook" in ended(store, job).state.error
    job.folder.write_state(State("queued", queued="2026"))
    code = "from genre_lib import job_store as j, settings as s; j.JobStore(s.get_settings()).start_queued()"
    others = [subprocess.Popen([sys.executable, "-c", code], env=environment(settings)) for _ in range(4)]
    assert [other.wait(60) for other in others] == [0] * 4
    assert ended(store, job).status == "failed"
    assert job.folder.log.read_text().count("attempt 1") == 2


def test_what_is_no_job_is_not_found(store: JobStore):
    (store.root / "20260101-000000-run").mkdir(parents=True)  # a run of `genre finetune`
    for name in ("20260101-000000-run", "../runs", "", ".", "a/b", "x" * 5000, "20260101-000000-absent"):
        with pytest.raises(JobNotFound, match="There is no job"):
            store.get(name)
    assert store.list() == [] and store.counts()["running"] == 0
    with pytest.raises(ModelNameInvalid):
        store.submit({}, "../mine")
    for name, whose in (("genre_classifier", "starter"), (store.settings.model_path.name, "MODEL_PATH")):
        with pytest.raises(ModelExists, match=whose):
            store.submit({}, name)


@pytest.fixture
def dead(settings: Settings) -> JobFolder:
    """A job that says it runs, by the number of a process that lives; but nobody holds its lock."""
    folder = JobFolder(settings.runs_path / "20260101-000000-mine-0123456789")
    (folder.path / "checkpoints").mkdir(parents=True)
    folder.write_request(Request({}, "mine", "tiny", {}, "2026"))
    folder.write_state(State("running", queued="2026", started="2026", pid=os.getpid()))
    return folder


def test_a_full_disk_is_told_although_nothing_could_be_written(store: JobStore, dead: JobFolder):
    failed = {"time": "2027", "kind": "run_failed", "error": "[Errno 28] No space left on device"}
    (dead.path / "events.jsonl").write_text(json.dumps(failed) + "\n")
    (dead.path / "checkpoints" / "last.new").write_text("half")
    job = store.get(dead.id)
    assert job.status == "failed" and job.state.error.startswith("There is no space left")
    assert not list((dead.path / "checkpoints").iterdir())


@pytest.fixture
def small_disk(settings: Settings) -> Iterator[Path]:
    """The folder of the runs on a disk of 512 KiB."""
    settings.runs_path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(settings.runs_path)]
    if os.getuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root may make a small disk")
    yield settings.runs_path
    subprocess.run(["umount", "--lazy", str(settings.runs_path)], check=True)  # the runner may not have ended yet


def test_a_full_disk(settings: Settings, small_disk: Path):
    store = JobStore(settings)
    job = store.submit({"do": "fill"}, "mine")
    failed = ended(store, job)
    assert (failed.status, "no space left" in failed.state.error) == ("failed", True)
    assert [event["kind"] for event in job.folder.events()] == ["run_started", "epoch_started", "epoch_ended"]
    assert job.folder.state().status == "failed"  # in the room that the half-written file took
    (small_disk / "more").write_bytes(bytes(shutil.disk_usage(small_disk).free))
    with pytest.raises(OSError, match="No space left"):
        store.resume(job.id)
    with pytest.raises(OSError, match="No space left"):
        store.submit({}, "other")
    assert [found.status for found in store.list()] == ["failed"]
    assert sorted(path.name for path in small_disk.iterdir()) == [".jobs.lock", job.id, "more"]
    store.start_queued()


def test_a_job_that_died_after_all_was_done_is_completed(store: JobStore, dead: JobFolder, tiny_model: Path):
    for place in (dead.model, store.settings.models_path / "mine"):
        shutil.copytree(tiny_model, place)
    assert store.get(dead.id).status == "completed"


def test_a_job_that_died_while_it_was_being_stopped_is_stopped(store: JobStore, dead: JobFolder):
    dead.ask_to_stop()
    assert store.get(dead.id).status == "stopped"


def test_names_are_free(store: JobStore, dead: JobFolder, tiny_model: Path):
    handle = dead.lock()  # it lives now
    assert store.get(dead.id).status == "running"
    assert [store.free_name(stem) for stem in ("mine", "tiny", "new", "a b/c", "..")] == [
        *("mine-2", "tiny-2", "new", "a-b-c", "model")
    ]
    os.close(handle)
