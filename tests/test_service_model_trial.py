"""A model from outside is tried in a process of its own, which is bounded and ended."""

from __future__ import annotations

import asyncio
import errno
import shutil
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from packed_models import Files, files_of, patient_settings, zipped

from genre_lib.service import model_trial
from genre_lib.settings import Settings


@pytest.fixture
def files(tiny_model: Path) -> Files:
    return files_of(tiny_model)


@pytest.fixture
def settings(tiny_model: Path, tmp_path: Path) -> Settings:
    return patient_settings(tiny_model, tmp_path)


def tried(folder: Path, settings: Settings) -> str | None:
    return model_trial.refusal(folder, "mine", settings, threading.Event())


def test_a_model_is_tried_in_a_process_of_its_own(tiny_model: Path, settings: Settings, tmp_path: Path):
    assert tried(tiny_model, settings) is None
    shutil.copytree(tiny_model, tmp_path / "broken")
    (tmp_path / "broken" / "model.safetensors").write_bytes(b"broken")
    reason = tried(tmp_path / "broken", settings)
    assert reason.startswith("mine holds weights that cannot be read")
    assert str(tmp_path) not in reason


def test_a_trial_that_takes_too_long_is_killed(tiny_model: Path, settings: Settings, monkeypatch):
    begun = []
    real = model_trial.begin
    monkeypatch.setattr(model_trial, "begin", lambda *given: begun.append(real(*given)) or begun[-1])
    hurried = settings.model_copy(update={"model_check_timeout": 0.01})
    assert tried(tiny_model, hurried) == "mine took longer than 0.01 seconds to be unpacked, loaded and run."
    assert begun[0].returncode == -9


def test_a_trial_ends_when_nobody_can_wait_for_it_any_more(tiny_model: Path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    command = [sys.executable, "-m", "genre_lib.service.model_check", str(tiny_model), "--parent", str(gone.pid)]
    assert subprocess.run(command, stdout=subprocess.PIPE).returncode == 1


def test_an_upload_that_is_given_up_is_told(tiny_model: Path):
    told = threading.Event()

    def work(cancelled: threading.Event) -> None:
        assert cancelled.wait(10)
        told.set()

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(model_trial.in_turn(work), 0.1)

    asyncio.run(give_up())
    assert told.wait(10)


@pytest.mark.parametrize(("code", "says"), [("import os; os.abort()", "ended the process"), ("1 / 0", None)])
def test_a_trial_that_ends_by_itself(tiny_model: Path, settings: Settings, monkeypatch, code: str, says: str | None):
    real = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda command, **options: real([sys.executable, "-c", code], **options))
    if says:
        assert says in tried(tiny_model, settings)
        return
    with pytest.raises(model_trial.TrialFailed):
        tried(tiny_model, settings)


def test_a_trial_that_nobody_waits_for_is_killed(tiny_model: Path, settings: Settings):
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(model_trial.Cancelled):
        model_trial.refusal(tiny_model, "mine", settings, cancelled)


TRIED = """
import resource, sys
from pathlib import Path
from genre_lib.service.model_check import tried
if len(sys.argv) > 3:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
print(tried(Path(sys.argv[1]), int(sys.argv[2]), 2**30))
"""


def tried_elsewhere(packed: Path, folder: Path, *more: str) -> str:
    """What the trial of a zip says, in a process that it may bound."""
    folder.mkdir()
    with packed.open("rb") as file:
        command = [sys.executable, "-c", TRIED, str(folder), str(file.fileno()), *more]
        return subprocess.run(command, pass_fds=[file.fileno()], capture_output=True, text=True, check=True).stdout


def test_a_list_of_members_that_fills_the_memory_is_refused(tmp_path: Path):
    entry = b"PK\x01\x02" + bytes(24) + struct.pack("<H", 1) + bytes(16) + b"x"
    count = 700_000
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, len(entry) * count, 0, 0)
    (tmp_path / "bomb.zip").write_bytes(entry * count + end)
    assert "more memory than a check may take" in tried_elsewhere(tmp_path / "bomb.zip", tmp_path / "model")


def test_what_the_disk_says_is_handed_on(files: Files, tmp_path: Path):
    (tmp_path / "model.zip").write_bytes(zipped(files))
    said = tried_elsewhere(tmp_path / "model.zip", tmp_path / "model", "1000")
    assert said.strip() == str({"errno": errno.EFBIG})
