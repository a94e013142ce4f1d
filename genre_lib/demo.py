"""The whole way once: fine-tune, evaluate against the base, promote, serve, ask, stop. What ``make demo`` runs.

Everything that it makes lies below one folder, so that it touches neither your models nor your runs.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from genre_lib import registry
from genre_lib.cli import show_warning
from genre_lib.cli.console import interval
from genre_lib.cli.training_progress import training_progress
from genre_lib.data.catalogue import Catalogue
from genre_lib.data.opening import open_catalogue
from genre_lib.errors import GenreLibError, RunFailed
from genre_lib.jobs import run_notebook
from genre_lib.runs import Run
from genre_lib.settings import REPOSITORY, Settings, get_settings
from genre_lib.training import load_experiment

EXPERIMENT = REPOSITORY / "experiments" / "smoke.yaml"
MODEL_NAME = "demo"
START_SECONDS = 120.0
STOP_SECONDS = 20.0

console = Console(highlight=False, soft_wrap=True)


def main() -> int:
    """Run the demo; its exit status is 0 where every step went well."""
    parser = argparse.ArgumentParser(description="Fine-tune, evaluate, promote, serve and predict once.")
    parser.add_argument("--data-path", default="synthetic", help="a folder per genre, a CSV, or the word synthetic")
    parser.add_argument("--output-path", default="demo", help="folder for all that the demo makes")
    arguments = parser.parse_args()
    warnings.showwarning = show_warning
    try:
        demonstrate(arguments.data_path, Path(arguments.output_path).resolve())
    except GenreLibError as error:
        console.print(f"[red]error:[/red] {error}")
        return 1
    except KeyboardInterrupt:
        console.print("Stopped.")
        return 130
    return 0


def demonstrate(data_path: str, folder: Path) -> None:
    """The steps, one after the other; a step that fails ends the demo with its error."""
    begun = time.monotonic()
    settings = own_settings(folder)
    step("Reading the music")
    catalogue = open_catalogue(data_path)
    console.print(f"{len(catalogue)} tracks of {len(catalogue.genres)} genres: {', '.join(catalogue.genres)}")
    run = finetune(data_path, settings)
    model = promote(run, settings)
    evaluate(data_path, model, run, settings)
    answer = ask(held_out_track(catalogue), settings)
    show(answer)
    console.print(f"\n[bold]Model[/bold]   {model}\n[bold]Report[/bold]  {run.report}")
    console.print(f"Done in {time.monotonic() - begun:.0f} s; the server is stopped. Delete {folder} when you like.")


def own_settings(folder: Path) -> Settings:
    """Settings for this process and its children, with models and runs below ``folder``."""
    os.environ |= {"MODELS_PATH": str(folder / "models"), "RUNS_PATH": str(folder / "runs")}
    return get_settings()


def finetune(data_path: str, settings: Settings) -> Run:
    """Run ``02_finetune.ipynb`` from the starter on the music."""
    step("Fine-tuning the starter model (notebooks/02_finetune.ipynb)")
    run = Run.create(settings.runs_path, "demo")
    parameters = load_experiment(EXPERIMENT) | {
        "base_model": str(settings.model_path),
        "data_path": absolute(data_path),
        "run_path": str(run.path),
        "output_path": "",
    }
    with training_progress(parameters["num_epochs"]) as on_event:
        run_notebook(settings.notebooks_path / "02_finetune.ipynb", parameters, run.notebook, on_event=on_event)
    return run


def evaluate(data_path: str, model: Path, run: Run, settings: Settings) -> None:
    """Run ``03_evaluate.ipynb``: the new model and its base on the same held-out tracks."""
    step("Evaluating it against the starter (notebooks/03_evaluate.ipynb)")
    parameters = {
        "model": str(model),
        "compare_to": str(settings.model_path),
        "data_path": absolute(data_path),
        "run_path": str(run.path),
    }
    run_notebook(settings.notebooks_path / "03_evaluate.ipynb", parameters, run.path / "evaluation.ipynb")
    metrics = registry.describe(model).metrics
    console.print(f"Accuracy {interval(metrics['accuracy'])} on {metrics['tracks']} {metrics['split']} tracks")
    compared = metrics["comparison"]
    console.print(f"The starter on the same tracks: {compared['accuracy']['value']:.2f}")


def promote(run: Run, settings: Settings) -> Path:
    """Publish the run's model and make it the one that is served."""
    step("Promoting the run's model")
    registry.publish(run.model, MODEL_NAME, settings, overwrite=True)
    return registry.promote(MODEL_NAME, settings)


def ask(track: Path, settings: Settings) -> dict[str, Any]:
    """Start ``serve.py`` on a free port, post the track, and stop the server."""
    step("Serving it (serve.py) and asking for one track")
    port = free_port()
    log = settings.models_path.parent / "server.log"
    with served(port, log) as url:
        console.print(f"POST {url}/predict  file={track.name}")
        with track.open("rb") as file:
            response = httpx.post(f"{url}/predict", files={"file": (track.name, file)}, timeout=60)
    if response.status_code != 200:
        raise RunFailed(f"The server answered {response.status_code}: {response.text}. Its log: {log}.")
    return response.json()


@contextlib.contextmanager
def served(port: int, log: Path) -> Iterator[str]:
    """A server in a process of its own, ready when the block begins and gone when it ends."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, str(REPOSITORY / "serve.py"), "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until_ready(f"http://127.0.0.1:{port}", process, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            stop(process)


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when ``GET /health`` says 200."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/health", timeout=5).status_code == 200:
                return
        time.sleep(0.2)
    raise RunFailed(f"The server was not ready within {START_SECONDS:.0f} s. Its log: {log}.")


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the server to end as its manager does, and insist where it does not."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def held_out_track(catalogue: Catalogue) -> Path:
    """A track that was not trained on: the first of the last split."""
    split = "test" if "test" in catalogue.splits else "valid"
    return Path(catalogue.split(split).tracks["path"].iloc[0])


def show(answer: dict[str, Any]) -> None:
    """The answer as bars."""
    console.print(f"{answer['model_name']} {answer['model_version']}, {answer['duration']:.1f} s of audio")
    for row in answer["predictions"][:5]:
        bar = "█" * round(30 * row["confidence"])
        console.print(f"  {row['genre']:<12} {row['confidence']:6.1%} {bar}")


def step(title: str) -> None:
    console.print(f"\n[bold cyan]==> {title}[/bold cyan]")


def absolute(data_path: str) -> str:
    """A path that stays right in a notebook's own folder; the word ``synthetic`` is none."""
    return data_path if data_path == "synthetic" else str(Path(data_path).expanduser().resolve())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    sys.exit(main())
