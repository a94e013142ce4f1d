"""A run is a folder: what was asked, what happened, what came of it.

| file | written |
|---|---|
| ``parameters.json`` | when the run begins |
| ``events.jsonl`` | a line for every step, as it happens |
| ``checkpoints/`` | after every epoch, to resume from |
| ``model/``, ``figures/``, ``report.html``, ``notebook.ipynb`` | by training, evaluation and the job |
| ``result.json`` | last of all, whole: where it is there, the run is complete |
"""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from genre_lib.errors import ConfigurationError, RunNotFound
from genre_lib.files import write_whole

if TYPE_CHECKING:
    import pandas as pd

Status = Literal["running", "completed", "failed", "stopped", "unknown"]

ENDS: dict[str, Status] = {"run_completed": "completed", "run_failed": "failed", "run_stopped": "stopped"}
"""Events that end a run, and what it is then."""

TELL_SECONDS = 5.0
"""How often a long step says how far it is."""

COLUMNS = ["id", "status", "started", "seconds", "base_model", "genres", "best_epoch", "accuracy", "macro_f1", "path"]
"""Columns of :func:`list_runs`; accuracy and macro-F1 are the best epoch's on the validation split,
or those of the evaluation where nothing was trained."""


class Run:
    """One run folder. Several processes may read while one writes."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path).resolve()

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @classmethod
    def create(cls, runs_path: Path | str, name: str) -> Run:
        """Make a new folder ``YYYYmmdd-HHMMSS-name``, with a number behind it where that is taken."""
        stem = f"{datetime.now():%Y%m%d-%H%M%S}-{re.sub(r'[^A-Za-z0-9._]+', '-', name).strip('-.') or 'run'}"
        for suffix in _suffixes():
            try:
                (Path(runs_path) / f"{stem}{suffix}").mkdir(parents=True)
            except FileExistsError:
                continue
            except OSError as error:
                raise ConfigurationError(
                    f"No folder for the run can be made below RUNS_PATH, {runs_path} ({error.strerror}); name another."
                ) from error
            return cls(Path(runs_path) / f"{stem}{suffix}").prepared()
        raise AssertionError("suffixes do not end")

    @classmethod
    def open(cls, path: Path | str) -> Run:
        """The run in an existing folder.

        Raises:
            RunNotFound: there is no folder.
        """
        if not Path(path).is_dir():
            raise RunNotFound(
                f"Expected a run folder at {path}, and there is none; its name is that of a folder below RUNS_PATH."
            )
        return cls(path)

    def prepared(self) -> Run:
        """Make the folder and that of the figures, where they are missing; training makes that of its checkpoints."""
        for folder in (self.path, self.figures):
            folder.mkdir(parents=True, exist_ok=True)
        return self

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def model(self) -> Path:
        return self.path / "model"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def figures(self) -> Path:
        return self.path / "figures"

    @property
    def notebook(self) -> Path:
        return self.path / "notebook.ipynb"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    def write_parameters(self, parameters: dict[str, Any]) -> None:
        _write_json(self.path / "parameters.json", parameters)

    def parameters(self) -> dict[str, Any]:
        """What was asked; empty where nothing was written."""
        return _read_json(self.path / "parameters.json") or {}

    def begin(self, **fields: Any) -> None:
        """Write ``run_started`` with this process's id, by which others can tell whether it lives."""
        self.event("run_started", pid=os.getpid(), host=socket.gethostname(), **fields)

    def event(self, kind: str, **fields: Any) -> None:
        """Append one line ``{"time", "kind", …}`` to ``events.jsonl``, in one write."""
        line = json.dumps({"time": datetime.now(UTC).isoformat(), "kind": kind, **fields}, default=_plain)
        with (self.path / "events.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def telling(self, kind: str, every: float = TELL_SECONDS) -> Callable[..., None]:
        """What a long step calls with the number done and that of all: an event of this kind every so many seconds.

        Whatever it names beside these goes into the event.

        Its end is told, too, but nothing of a step that is shorter, and nothing where the folder is not there yet.
        """
        last, told = time.monotonic(), False

        def tell(done: int, total: int, **more: Any) -> None:
            nonlocal last, told
            late = time.monotonic() - last >= every
            if (late or (told and done == total)) and self.path.is_dir():
                self.event(kind, done=done, total=total, **more)
                last, told = time.monotonic(), True

        return tell

    def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        """All events so far, or those of one kind. A last line that is being written is left out."""
        try:
            text = (self.path / "events.jsonl").read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        return [event for event in _complete_lines(text) if kind is None or event.get("kind") == kind]

    def history(self) -> pd.DataFrame:
        """A row for each epoch trained; one that was repeated after a stop counts as it went last."""
        import pandas as pd  # the process that answers HTTP reads runs without it

        rows = {event["epoch"]: event for event in self.events("epoch_ended")}
        return pd.DataFrame([rows[epoch] for epoch in sorted(rows)]).drop(columns=["time", "kind"], errors="ignore")

    def write_result(self, result: dict[str, Any]) -> None:
        """Write ``result.json`` whole."""
        _write_json(self.path / "result.json", result)

    def result(self) -> dict[str, Any] | None:
        """What came of it; None where the run is not complete."""
        return _read_json(self.path / "result.json")

    def status(self) -> Status:
        """How the run stands; one whose process is gone without a word was stopped from outside."""
        events = [event for event in self.events() if event["kind"] == "run_started" or event["kind"] in ENDS]
        if not events:
            return "completed" if self.result() is not None else "unknown"
        last = events[-1]
        if last["kind"] in ENDS:
            return ENDS[last["kind"]]
        return "running" if _lives(last) else "stopped"


def list_runs(runs_path: Path | str) -> pd.DataFrame:
    """A row for every run that trained or evaluated, the newest first, with ``COLUMNS``; other reports are no runs."""
    folders = [path for path in Path(runs_path).glob("*") if path.is_dir() and not path.name.startswith(".")]
    runs = [Run(path) for path in sorted(folders, key=lambda path: path.name, reverse=True)]
    rows = [_row(run) for run in runs if run.parameters() or "evaluation" in (run.result() or {})]
    import pandas as pd

    return pd.DataFrame(rows, columns=COLUMNS)


def _row(run: Run) -> dict[str, Any]:
    parameters, result, started = run.parameters(), run.result() or {}, run.events("run_started")
    metrics, evaluation = result.get("metrics") or {}, result.get("evaluation") or {}
    return {
        "id": run.id,
        "status": run.status(),
        "started": started[0]["time"] if started else None,
        "seconds": result.get("seconds"),
        "base_model": "" if parameters.get("init") == "scratch" else parameters.get("base_model"),
        "genres": len(result.get("genres") or []) or None,
        "best_epoch": result.get("best_epoch"),
        "accuracy": metrics.get("valid_accuracy", (evaluation.get("accuracy") or {}).get("value")),
        "macro_f1": metrics.get("valid_macro_f1", (evaluation.get("macro_f1") or {}).get("value")),
        "path": str(run.path),
    }


def _suffixes() -> Iterator[str]:
    yield ""
    number = 2
    while True:
        yield f"-{number}"
        number += 1


def _complete_lines(text: str) -> Iterator[dict[str, Any]]:
    for line in text.split("\n")[:-1]:
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            continue


def _lives(event: dict[str, Any]) -> bool:
    if event.get("host") != socket.gethostname() or not event.get("pid"):
        return True  # started elsewhere: this machine cannot know better
    try:
        os.kill(event["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(event["pid"])


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (OSError, IndexError):
        return False


def _plain(value: Any) -> Any:
    """Numbers of numpy and torch, and paths, as JSON knows them."""
    return value.item() if hasattr(value, "item") else str(value)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    write_whole(path, json.dumps(content, indent=2, default=_plain) + "\n")


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
