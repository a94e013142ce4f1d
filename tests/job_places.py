"""Jobs whose notebook needs nothing but Python, in place of the one that trains: what jobs tests begin with."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import psutil

from genre_lib.job_standing import Job
from genre_lib.job_store import JobStore
from genre_lib.training_config import load_experiment
from genre_lib.training_defaults import EXPERIMENT, HEAD

PARAMETERS = """
run_path: str = ""  # the job's folder
resume: bool = False  # whether it is a second attempt
data_path: str = ""  # the music
base_model: str = ""  # the model to start from
init: str = "pretrained"  # as in the real one
progress: bool = False  # as in the real one
num_epochs: int = 10  # as in the real one
do: str = "wait"  # wait, end, or fill the disk
"""
ADVICE = load_experiment(EXPERIMENT) | load_experiment(HEAD)
PARAMETERS += "".join(f"{name} = None\n" for name in ADVICE if f"{name}:" not in PARAMETERS)

TRAINS = """
import json, os, pathlib, shutil, time
from datetime import UTC, datetime
folder = pathlib.Path(run_path)
file = (folder / "events.jsonl").open("a")
def say(kind, **more):
    print(json.dumps({"time": datetime.now(UTC).isoformat(), "kind": kind, **more}), file=file, flush=True)
say("run_started", resumed=resume, pid=os.getpid())
(folder / "environment.json").write_text(json.dumps(dict(os.environ)))
(folder / "pid").write_text(str(os.getpid()))
say("epoch_started", epoch=1)
say("epoch_ended", epoch=1, train_loss=0.5, valid_loss=float("nan"), seconds=2.0)
if do == "fill":
    (folder / "checkpoints").mkdir()
    with (folder / "checkpoints" / "last.new").open("wb") as filling:
        while True: filling.write(bytes(4096)), filling.flush()
while do == "wait" and not (folder / "go").exists(): time.sleep(0.05)
if do == "wait" and (folder / "go").read_text() == "fail": raise ValueError(f"the music in {folder}/x.wav is too loud")
shutil.copytree(folder.parent.parent / "trained", folder / "model", dirs_exist_ok=True)
(folder / "result.json").write_text("{}")
"""


def make_place(folder: Path, model: Path) -> Path:
    """A folder with the small notebook in the place of the real one, and a model that it will have trained."""
    cells = [nbformat.v4.new_code_cell(PARAMETERS), nbformat.v4.new_code_cell(TRAINS)]
    cells[0].metadata["tags"] = ["parameters"]
    kernel = {"name": "python3", "language": "python", "display_name": "Python 3"}
    (folder / "notebooks").mkdir()
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, folder / "notebooks" / "02_finetune.ipynb")
    shutil.copytree(model, folder / "trained")
    return folder


def until(condition: Callable[[], Any], seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def ended(store: JobStore, job: Job) -> Job:
    until(lambda: store.get(job.id).ended)
    return store.get(job.id)


def kernel_of(job: Job) -> int:
    """The notebook's process, once it works."""
    until(lambda: (job.folder.path / "pid").exists() and (job.folder.path / "pid").read_text())
    return int((job.folder.path / "pid").read_text())


def let_go(job: Job, how: str = "end") -> None:
    (job.folder.path / "go").write_text(how)


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
