"""The process of one job: ``python -m genre_lib.job_runner FOLDER``. It runs the notebook that ``genre finetune`` runs.

It outlives the server that started it. A stop comes as the file ``stop`` in the folder, or as SIGTERM or SIGINT; the
notebook's kernel is interrupted, and killed where it does not end. The last thing it does is to say how the job ended.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from genre_lib import job_library, job_process, registry
from genre_lib.errors import GenreLibError, NotebookFailed, RunStopped
from genre_lib.job_folder import JobFolder, Request, State
from genre_lib.job_standing import now
from genre_lib.job_store import JobStore
from genre_lib.jobs import run_notebook
from genre_lib.notebook_failure import NO_SPACE
from genre_lib.settings import Settings, get_settings

logger = logging.getLogger("genre_lib.job_runner")  # this module runs as __main__

NOTEBOOK = "02_finetune.ipynb"

NICENESS = 5
"""By how much a job's processes give way to others."""


def main() -> int:
    """Run the job; 0 however it ended, for the folder says how."""
    parser = argparse.ArgumentParser(description="Run one fine-tuning job.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--lock", type=int, help="the open file that holds the job's lock; none: it is taken")
    given = parser.parse_args()
    prepare_process()
    folder = JobFolder(given.folder.absolute())
    lock = folder.lock() if given.lock is None else given.lock
    if lock is None:
        return print("error: the job is running already.", file=sys.stderr) or 1
    os.set_inheritable(lock, False)
    settings = get_settings()
    request, state = folder.request(), folder.state()
    if request is None or state is None:
        return print(f"error: {folder.path} is no job's folder.", file=sys.stderr) or 2
    logger.info("attempt %d", state.attempt)
    write(folder, state.but(status="running", pid=os.getpid()))
    ended = run(folder, request, state, settings)
    write(folder, ended.but(ended=now(), pid=None))
    logger.info("%s %s", ended.status, ended.error or "")
    os.close(lock)
    JobStore(settings).start_queued()
    return 0


def prepare_process() -> None:
    """Predictions go before jobs; both signals stop the job, also where a shell had SIGINT ignored."""
    os.nice(NICENESS)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("genre_lib").setLevel(logging.INFO)


def run(folder: JobFolder, request: Request, state: State, settings: Settings) -> State:
    """Do the work, and return how it ended; raises nothing."""
    try:
        train(folder, request, state, settings)
        publish(folder, request.model_name, settings)
        return state.but(status="completed")
    except (RunStopped, KeyboardInterrupt):
        return state.but(status="stopped", kept=keep_best(folder, request))
    except NotebookFailed as error:
        return state.but(status="failed", error=error.reason)
    except GenreLibError as error:
        return state.but(status="failed", error=str(error), error_code=error.code)
    except Exception as error:
        logger.exception("the job broke off")
        said = job_process.NO_SPACE_LEFT if NO_SPACE in str(error) else f"{type(error).__name__}: {error}"
        return state.but(status="failed", error=said)
    finally:
        job_process.end_rest(folder)


def train(folder: JobFolder, request: Request, state: State, settings: Settings) -> None:
    """Collect the music where it comes from a library, and run the notebook to its end."""
    job_library.collect(folder, request.parameters, settings)
    parameters = job_library.with_music(folder, request.parameters) | {"resume": state.attempt > 1}
    run_notebook(
        settings.notebooks_path / NOTEBOOK, parameters, folder.path / "notebook.ipynb", stop_when=folder.stop_asked
    )


def publish(folder: JobFolder, name: str, settings: Settings) -> None:
    """Put the model among the others, calibrated, evaluated and compared as it is; once, though the job be repeated."""
    if not job_process.is_published(folder, name, settings):
        registry.publish(folder.model, name, settings)


def keep_best(folder: JobFolder, request: Request) -> dict[str, Any] | None:
    """Make a model of the best weights so far of a job that was stopped; what was kept, or None."""
    if not any((folder.path / "checkpoints").glob("*.ckpt")):
        return None
    from genre_lib import training  # seconds of imports that no other job needs

    try:
        parameters = job_library.with_music(folder, request.parameters)
        fields = {n: v for n, v in parameters.items() if n in training.TrainingConfig.model_fields}
        kept = training.keep_best(training.TrainingConfig(**fields))
    except (Exception, KeyboardInterrupt):
        logger.exception("what was trained could not be made a model; the checkpoints are there")
        return None
    return None if kept is None else {name: value for name, value in asdict(kept).items() if name != "model_folder"}


def write(folder: JobFolder, state: State) -> None:
    """Write the state, if need be in the room that half-written files took; where it cannot be, the lock tells it."""
    try:
        folder.write_state(state)
    except OSError:
        folder.clean()
        try:
            folder.write_state(state)
        except OSError as error:
            logger.warning("the state cannot be written: %s", error)


if __name__ == "__main__":
    sys.exit(main())
