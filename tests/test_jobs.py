"""Notebooks as jobs: real papermill processes with small notebooks that need nothing but Python."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
import psutil
import pytest
import yaml

from genre_lib import jobs, notebook_process
from genre_lib.errors import ConfigurationError, RunFailed, RunStopped
from genre_lib.notebook_events import EventTail
from genre_lib.notebook_process import as_yaml
from genre_lib.settings import REPOSITORY

PARAMETERS = 'folder: str = ""  # where to write\nrate: float = 0.1  # a number\nname: str = "none"\nlayers: list = []'
WRITES_EVENTS = """
import json, pathlib
folder = pathlib.Path(folder)
with (folder / "events.jsonl").open("a") as file:
    for epoch in (1, 2):
        file.write(json.dumps({"kind": "epoch_ended", "epoch": epoch}) + "\\n")
        file.flush()
(folder / "result.json").write_text(json.dumps({"rate": rate, "name": name, "layers": layers}))
"""
SAYS_ITS_PID = "import os, pathlib, time\npathlib.Path(folder, 'pid').write_text(str(os.getpid()))\n"


@pytest.fixture
def notebook(tmp_path: Path) -> Callable[[str], Path]:
    """Write a notebook of a parameters cell and one more."""

    def write(source: str, name: str = "small.ipynb") -> Path:
        cells = [nbformat.v4.new_code_cell(PARAMETERS), nbformat.v4.new_code_cell(source)]
        cells[0].metadata["tags"] = ["parameters"]
        kernel = {"name": "python3", "language": "python", "display_name": "Python 3"}
        path = tmp_path / name
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
        return path

    return write


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "a run {of} ours"  # papermill would format the braces
    folder.mkdir()
    return folder


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.1)


def running(pid_file: Path) -> bool:
    """Whether the kernel that wrote its number there still runs; False where it was stopped before it could write."""
    pid = int(pid_file.read_text()) if pid_file.exists() else 0
    return bool(pid) and psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_run_passes_its_parameters_on_and_its_events_back(notebook, run_folder):
    events: list[dict] = []
    parameters = {"folder": run_folder, "rate": 2e-5, "name": "2024-01-01", "layers": [1, 2]}
    jobs.run_notebook(notebook(WRITES_EVENTS), parameters, run_folder / "out.ipynb", on_event=events.append)
    result = json.loads((run_folder / "result.json").read_text())
    assert result == {"rate": 2e-5, "name": "2024-01-01", "layers": [1, 2]}
    assert [event["epoch"] for event in events] == [1, 2]
    assert (run_folder / "out.ipynb").is_file()


def test_the_notebooks_own_error_is_told_in_one_line(notebook, run_folder):
    source = "from genre_lib.errors import CatalogueInvalid\nraise CatalogueInvalid('No track has a genre.')"
    with pytest.raises(RunFailed) as raised:
        jobs.run_notebook(notebook(source), {}, run_folder / "out.ipynb")
    message = str(raised.value)
    assert message.startswith("No track has a genre. The executed notebook: ")
    assert message.endswith("out.ipynb")
    assert "\n" not in message
    assert "\x1b" not in message


def test_a_notebook_that_leaves_no_result_has_failed(notebook, run_folder):
    with pytest.raises(RunFailed, match=r"left no result\.json"):
        jobs.run_notebook(notebook("pass"), {}, run_folder / "out.ipynb")


def test_a_dead_kernel_is_a_failure(notebook, run_folder):
    with pytest.raises(RunFailed, match="kernel died"):
        jobs.run_notebook(notebook("import os; os._exit(9)"), {}, run_folder / "out.ipynb")


def test_a_timeout_leaves_no_process(notebook, run_folder, monkeypatch):
    monkeypatch.setattr(notebook_process, "GRACE_SECONDS", 1.0)
    source = SAYS_ITS_PID + "while True:\n    try: time.sleep(60)\n    except KeyboardInterrupt: pass"
    with pytest.raises(RunFailed, match="did not end within 8 seconds"):
        jobs.run_notebook(notebook(source), {"folder": run_folder}, run_folder / "out.ipynb", timeout=8)
    assert not running(run_folder / "pid")


def test_an_interrupt_reaches_the_cell_and_ends_every_process(notebook, run_folder):
    source = SAYS_ITS_PID + (
        "try: time.sleep(60)\nexcept KeyboardInterrupt:\n    pathlib.Path(folder, 'saved').touch()\n    raise"
    )
    call = "import sys; from genre_lib import jobs; _, n, f = sys.argv; jobs.run_notebook(n, {'folder': f}, f + '/o')"
    command = [sys.executable, "-c", call, notebook(source), run_folder]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)
    wait_for((run_folder / "pid").is_file)
    wait_for(lambda: (run_folder / "pid").read_text() != "")
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert RunStopped.__name__ in stderr.decode()
    assert (run_folder / "saved").exists()
    assert not running(run_folder / "pid")


def test_papermill_is_loaded_without_the_grammar_of_addresses():
    """And whoever wants that can have it afterwards."""
    code = (
        "import sys; from genre_lib.jobs import notebook_parameters; notebook_parameters(sys.argv[1]); "
        "print('papermill' in sys.modules, 'jsonschema' in sys.modules, 'rfc3987_syntax' in sys.modules); "
        "import rfc3987_syntax"
    )
    notebook = REPOSITORY / "notebooks" / "00_template.ipynb"
    done = subprocess.run([sys.executable, "-c", code, notebook], capture_output=True, text=True, check=True)
    assert done.stdout == "True True False\n"


def test_an_unknown_parameter_is_refused_with_the_nearest_name(notebook, run_folder):
    expected = r"no parameter ratte \(did you mean rate\?\).*folder, layers, name, rate"
    with pytest.raises(ConfigurationError, match=expected):
        jobs.run_notebook(notebook("pass"), {"ratte": 1}, run_folder / "out.ipynb")
    assert not (run_folder / "out.ipynb").exists()


def test_what_is_no_notebook_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="there is none"):
        jobs.run_notebook(tmp_path / "absent.ipynb", {}, tmp_path / "out.ipynb")
    (tmp_path / "text.ipynb").write_text("not json")
    with pytest.raises(ConfigurationError, match="cannot be read as a notebook"):
        jobs.run_notebook(tmp_path / "text.ipynb", {}, tmp_path / "out.ipynb")


def test_a_parameter_that_is_no_plain_value_is_refused(notebook, run_folder):
    with pytest.raises(ConfigurationError, match="plain value"):
        jobs.run_notebook(notebook("pass"), {"rate": object()}, run_folder / "out.ipynb")


def test_small_numbers_stay_numbers():
    assert yaml.safe_load(as_yaml({"rate": 2e-5, "none": None})) == {"rate": 2e-5, "none": None}


def test_half_a_line_waits_for_its_end(tmp_path):
    seen: list[dict] = []
    path = tmp_path / "events.jsonl"
    path.write_text('{"old": 1}\n')
    tail = EventTail(path, seen.append)
    with path.open("a") as file:
        file.write('{"a": 1}\nno json\n{"b"')
        file.flush()
        tail.read()
        assert seen == [{"a": 1}]
        file.write(": 2}\n")
        file.flush()
        tail.read()
    assert seen == [{"a": 1}, {"b": 2}]
