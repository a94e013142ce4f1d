from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from genre_lib.errors import ConfigurationError, RunNotFound
from genre_lib.runs import COLUMNS, Run, list_runs


@pytest.fixture
def run(tmp_path) -> Run:
    return Run.create(tmp_path, "demo")


def test_ids_are_unique_and_readable(tmp_path):
    first, second = Run.create(tmp_path, "my run/ä"), Run.create(tmp_path, "my run/ä")
    assert first.id != second.id
    assert first.id[8] == "-" and first.id[16:] == "my-run"
    assert first.figures.is_dir() and not first.checkpoints.exists(), "what trains nothing leaves no checkpoints"


def test_events_come_back_in_order(run):
    run.event("epoch_ended", epoch=1, loss=np.float32(0.5))
    run.event("epoch_ended", epoch=2, loss=np.float32(0.25))
    run.event("other", path=run.path)
    assert [(e["epoch"], e["loss"]) for e in run.events("epoch_ended")] == [(1, 0.5), (2, 0.25)]
    assert len(run.events()) == 3


def test_a_long_step_tells_how_far_it_is(run, monkeypatch):
    seconds = [0.0]
    monkeypatch.setattr("genre_lib.runs.time.monotonic", lambda: seconds[0])
    tell = run.telling("tracks_checked", every=2.0)
    for done, seconds[0] in enumerate([1.0, 2.5, 3.0, 3.5], 1):
        tell(done, 4, what="files")
    assert [(event["done"], event["total"]) for event in run.events("tracks_checked")] == [(2, 4), (4, 4)]
    assert {event["what"] for event in run.events("tracks_checked")} == {"files"}
    run.telling("tracks_loaded", every=2.0)(4, 4)
    assert not run.events("tracks_loaded")  # it was over before anyone could ask
    Run(run.path / "absent").telling("tracks_checked", every=0.0)(1, 4)
    assert not (run.path / "absent").exists()


def test_a_line_being_written_is_left_out(run):
    run.event("a")
    with (run.path / "events.jsonl").open("a") as file:
        file.write('{"kind": "b", "ti')
    assert [event["kind"] for event in run.events()] == ["a"]


def test_the_status_follows_the_events(run):
    assert run.status() == "unknown"
    run.begin()
    assert run.status() == "running"
    for kind, status in {"run_failed": "failed", "run_stopped": "stopped", "run_completed": "completed"}.items():
        run.event(kind)
        assert run.status() == status


def test_a_run_whose_process_died_was_stopped(run):
    code = "import sys, os; from genre_lib.runs import Run; Run(sys.argv[1]).begin(); os._exit(9)"
    subprocess.run([sys.executable, "-c", code, str(run.path)], check=False)
    assert run.status() == "stopped"


def test_result_is_whole_or_absent(run):
    assert run.result() is None
    run.write_result({"seconds": 1.5, "metrics": {"valid_accuracy": 0.5}})
    assert run.result()["seconds"] == 1.5
    assert not list(run.path.glob(".result*"))


def test_listing(tmp_path):
    assert list(list_runs(tmp_path / "none").columns) == COLUMNS
    old, new = Run(tmp_path / "20250101-000000-a").prepared(), Run(tmp_path / "20260101-000000-b").prepared()
    Run(tmp_path / "20270101-000000-report").prepared().write_result({"tracks": 3})
    old.write_parameters({"base_model": "other"})
    judged = Run(tmp_path / "20250601-000000-judged").prepared()
    judged.write_result({"evaluation": {"accuracy": {"value": 0.5}, "macro_f1": {"value": 0.25}}})
    new.write_parameters({"base_model": "starter"})
    new.write_result({"metrics": {"valid_accuracy": 0.75}, "best_epoch": 3, "genres": ["a", "b"]})
    table = list_runs(tmp_path)
    assert list(table.id) == [new.id, judged.id, old.id]
    assert table.iloc[1][["accuracy", "macro_f1"]].tolist() == [0.5, 0.25]
    assert table.iloc[0][["accuracy", "best_epoch", "base_model", "genres"]].tolist() == [0.75, 3, "starter", 2]


def test_a_run_that_is_not_there(tmp_path):
    with pytest.raises(RunNotFound, match="nothing"):
        Run.open(tmp_path / "nothing")


def test_parameters(run):
    run.write_parameters({"learning_rate": 1e-3})
    assert run.parameters() == {"learning_rate": 1e-3} == json.loads((run.path / "parameters.json").read_text())


def test_where_no_run_can_be_made_the_setting_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"below RUNS_PATH, .*file \(Not a directory\)"):
        Run.create(tmp_path / "file", "x")
