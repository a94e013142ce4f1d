"""Run a notebook as a job: one papermill process, watched, stopped whole, and judged by what it left on disk.

A job's folder is the one that the executed notebook is written to. The notebook itself appends its progress to
``events.jsonl`` there, and writes ``result.json`` last; so the job is done when papermill ends with 0 **and** that file
is there. Papermill's metadata is not asked: after a dead kernel or an interrupt it says "completed" (papermill 2.7).
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from genre_lib.errors import ConfigurationError, NotebookFailed, first_line
from genre_lib.notebook_events import EVENTS, EventTail, OnEvent
from genre_lib.notebook_failure import RESULT, failure
from genre_lib.notebook_process import literal, started, wait

logger = logging.getLogger(__name__)


def run_notebook(
    notebook: Path | str,
    parameters: Mapping[str, Any],
    output: Path | str,
    *,
    timeout: float | None = None,
    on_event: OnEvent | None = None,
    stop_when: Callable[[], bool] | None = None,
) -> None:
    """Execute ``notebook`` with ``parameters``, and return when it has ended well.

    The notebook runs in the caller's working folder, so that its ``.env`` is the caller's. An interrupt (Ctrl-C) is
    handed to the notebook's cell, which has :data:`genre_lib.notebook_process.GRACE_SECONDS` to end by itself; a second
    one kills it at once.

    Args:
        notebook: the ``.ipynb`` to run; it is not changed.
        parameters: values for names that the notebook's parameters cell has; plain types, as in YAML.
        output: where the executed notebook is written; its folder is where events and result are looked for.
        timeout: seconds after which the run is stopped; None waits for as long as it takes.
        on_event: called with every line of ``events.jsonl`` as the run writes it.
        stop_when: asked several times a second; once it says yes, the run is stopped as by an interrupt.

    Raises:
        ConfigurationError: there is no such notebook, or it has no parameter of a name, or a value is no plain type.
        NotebookFailed: the notebook raised an error, lost its kernel or left no result.
        RunFailed: it took too long.
        RunStopped: the run was interrupted.
    """
    notebook, output = Path(notebook).absolute(), Path(output).absolute()
    check_parameters(notebook, parameters)
    output.parent.mkdir(parents=True, exist_ok=True)
    events = EventTail(output.parent / EVENTS, on_event or (lambda event: None))
    with started(notebook, parameters, output) as job:
        wait(job, events, timeout, stop_when or (lambda: False))
    events.read()
    if job.process.returncode != 0 or not (output.parent / RESULT).is_file():
        logger.info("papermill said: %s", "\n".join(job.messages))
        raise NotebookFailed(failure(job, output), output)


def notebook_parameters(notebook: Path | str) -> dict[str, Any]:
    """The notebook's parameters as papermill infers them: name → ``{"default", "help", "inferred_type_name", "name"}``.

    Raises:
        ConfigurationError: there is no such notebook, or it cannot be read.
    """
    from genre_lib.notebook_papermill import inspect_notebook

    if not Path(notebook).is_file():
        raise ConfigurationError(f"Expected a notebook at {notebook}, and there is none; set NOTEBOOKS_PATH.")
    try:
        return inspect_notebook(literal(notebook))
    except Exception as error:  # nbformat, json and papermill raise types without a common root
        raise ConfigurationError(f"{notebook} cannot be read as a notebook: {first_line(str(error))}.") from error


def check_parameters(notebook: Path, parameters: Mapping[str, Any]) -> None:
    """Papermill only warns about an unknown name and goes on with the default; here it is an error."""
    known = notebook_parameters(notebook)
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        near = {name: difflib.get_close_matches(name, known, n=1) for name in unknown}
        said = ", ".join(f"{name} (did you mean {near[name][0]}?)" if near[name] else name for name in unknown)
        raise ConfigurationError(f"{notebook.name} has no parameter {said}. It has: {', '.join(sorted(known))}.")
