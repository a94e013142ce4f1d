"""``genre jobs``: see, stop and resume the fine-tuning jobs of the service, with or without a server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genre_lib.cli.console import print_lines, print_table, say, shown, write_text
from genre_lib.cli.options import ListFormat, ListFormatOption, get_settings

if TYPE_CHECKING:
    from genre_lib.job_standing import Job
    from genre_lib.job_store import JobStore

app = typer.Typer(help="See, stop and resume the service's fine-tuning jobs.", no_args_is_help=True)

JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="The job's id.")]


@app.command("list")
def jobs_list(format: ListFormatOption = ListFormat.table) -> None:
    """All jobs, the newest first."""
    jobs = [as_json(job) for job in store().list()]
    columns = ["job", "status", "model", "base", "epoch", "submitted"]
    if format is ListFormat.json:
        write_text(json.dumps(jobs, indent=2) + "\n")
    elif jobs:
        print_table(columns, ([shown(job[name]) for name in columns] for job in jobs))
    else:
        say("There are no jobs yet: POST /finetune/start makes one.")


@app.command("show")
def jobs_show(job: JobArgument, format: ListFormatOption = ListFormat.table) -> None:
    """How one job stands, and where it lies."""
    told = as_json(store().get(job))
    if format is ListFormat.json:
        write_text(json.dumps(told, indent=2) + "\n")
        return
    print_lines({name: as_text(value) for name, value in told.items() if value not in (None, {})})


@app.command("stop")
def jobs_stop(job: JobArgument) -> None:
    """Stop a job, or take it out of the queue; what was trained so far stays."""
    print(f"{job} is {store().stop(job).status}.")


@app.command("resume")
def jobs_resume(job: JobArgument) -> None:
    """Let a job that was stopped or has failed go on after its last whole epoch."""
    print(f"{job} is {store().resume(job).status}.")


@app.command("log")
def jobs_log(job: JobArgument) -> None:
    """What the job's process said."""
    log = store().get(job).folder.log
    write_text(log.read_text(encoding="utf-8", errors="replace") if log.is_file() else "")


def store() -> JobStore:
    from genre_lib.job_store import JobStore

    return JobStore(get_settings())


def as_json(job: Job) -> dict[str, Any]:
    from genre_lib.job_progress import progress

    far = progress(job.folder.events(), job.epochs)
    return {
        "job": job.id,
        "status": job.status,
        "model": job.request.model_name,
        "base": job.request.base_model,
        "epoch": f"{far.epoch}/{job.epochs}",
        "submitted": job.request.submitted,
        "started": job.state.started,
        "ended": job.state.ended,
        "attempt": job.state.attempt,
        "place in the queue": job.position,
        "scores": {name: value for name, value in (far.history or [{}])[-1].items() if name.startswith("valid_")},
        "kept": job.state.kept,
        "error": job.state.error,
        "folder": str(job.folder.path),
    }


def as_text(value: Any) -> str:
    return ", ".join(f"{name} {as_text(v)}" for name, v in value.items()) if isinstance(value, dict) else shown(value)
