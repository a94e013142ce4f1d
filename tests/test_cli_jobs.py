from __future__ import annotations

import json
from pathlib import Path

import pytest

from genre_lib.cli import main
from genre_lib.job_folder import JobFolder, Request, State
from genre_lib.settings import get_settings


@pytest.fixture
def folder() -> JobFolder:
    """A job that waits, and that nobody starts: `genre jobs` looks at what there is."""
    folder = JobFolder(get_settings().runs_path.absolute() / "20260101-000000-mine-0123456789")
    folder.path.mkdir(parents=True)
    folder.write_request(Request({"num_epochs": 3}, "mine", "tiny", {}, "2026-01-01T00:00:00+00:00"))
    folder.write_state(State("queued", queued="2026-01-01T00:00:00+00:00"))
    return folder


def test_jobs_are_listed_shown_and_stopped(folder: JobFolder, capsys: pytest.CaptureFixture[str]):
    assert main(["jobs", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:5] == [folder.id, "queued", "mine", "tiny", "0/3"]
    event = {
        "time": "2026-01-01T00:00:00+00:00",
        "kind": "epoch_ended",
        "epoch": 1,
        "valid_accuracy": 0.75,
        "seconds": 1,
    }
    (folder.path / "events.jsonl").write_text(json.dumps(event) + "\n")
    assert main(["jobs", "show", folder.id, "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["epoch"], told["scores"], told["place in the queue"]) == ("1/3", {"valid_accuracy": 0.75}, 1)
    assert main(["jobs", "stop", folder.id]) == main(["jobs", "stop", folder.id]) == 0
    assert capsys.readouterr().out == f"{folder.id} is stopped.\n" * 2
    assert main(["jobs", "show", folder.id]) == 0
    assert "valid_accuracy 0.750" in capsys.readouterr().out
    folder.log.write_text("attempt 1\n")
    assert main(["jobs", "log", folder.id]) == 0
    assert capsys.readouterr().out == "attempt 1\n"


def test_a_job_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["jobs", "list"]) == 0
    for command in ("show", "stop", "resume", "log"):
        assert main(["jobs", command, "absent"]) == 1
        assert "There is no job 'absent'" in capsys.readouterr().err
