"""How the worker says that it stands."""

from __future__ import annotations

from pathlib import Path

from genre_lib.service import status
from genre_lib.service.status import WorkerStatus


def test_the_workers_status_goes_through_a_file(tmp_path: Path):
    assert status.read(tmp_path) == WorkerStatus()
    said = WorkerStatus(pid=1, model_name="tiny", passes=2, tracks=3)
    said.write(tmp_path)
    assert status.read(tmp_path) == said
    (tmp_path / status.FILE).write_text("{")
    assert status.read(tmp_path) == WorkerStatus()
