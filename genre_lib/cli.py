"""The ``genre`` command: the library's words on the command line.

Results go to standard output, everything said beside them to standard error. Exit codes: 0 all went well, 1 data or a
model could not be used, 2 the command or a setting is wrong, 130 stopped by Ctrl-C. A command imports what it needs
when it runs, so that ``--help`` is there at once.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from genre_lib import __version__
from genre_lib.errors import AudioError, ConfigurationError, GenreLibError, ModelExists, RunStopped
from genre_lib.settings import Settings, get_settings

if TYPE_CHECKING:
    from genre_lib.data.check import Finding
    from genre_lib.inference import TrackPrediction
    from genre_lib.registry import ModelInfo
    from genre_lib.runs import Run
    from genre_lib.training_config import TrainingConfig

HELP = "Music-genre prediction and fine-tuning on your own music."
DEBUG = "GENRE_DEBUG"
SYNTHETIC = "synthetic"
"""The word that stands for the built-in catalogue, where a path is expected."""

app = typer.Typer(help=HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
catalogue_app = typer.Typer(help="Make and check the table of tracks that training starts from.", no_args_is_help=True)
models_app = typer.Typer(help="See, promote and remove models.", no_args_is_help=True)
app.add_typer(catalogue_app, name="catalogue")
app.add_typer(models_app, name="models")


class How(StrEnum):
    """Ways to read a source of music."""

    auto = "auto"
    folder = "folder"
    tags = "tags"
    csv = "csv"


class CheckFormat(StrEnum):
    table = "table"
    jsonl = "jsonl"


class PredictFormat(StrEnum):
    table = "table"
    jsonl = "jsonl"
    csv = "csv"


class ListFormat(StrEnum):
    table = "table"
    json = "json"


ModelOption = Annotated[str | None, typer.Option(help="Name or folder of the model.", show_default="the active one")]
DataOption = Annotated[
    str | None, typer.Option(help="A folder per genre, a CSV, or 'synthetic'.", show_default="FINE_TUNE_DATA_PATH")
]
ListFormatOption = Annotated[ListFormat, typer.Option("--format", help="How to print it.")]


def main(arguments: list[str] | None = None) -> int:
    """Run a command; every error ends in one line and an exit code."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that wait sleep: see service.app
    warnings.showwarning = show_warning
    try:
        code = app(args=arguments, prog_name="genre", standalone_mode=False) or 0
        return fail("stopped.", 130) if code == 130 else code  # typer ends Ctrl-C in silence
    except typer.TyperException as error:
        return fail(f"{error.format_message()} See genre --help.", 2)
    except ConfigurationError as error:
        return fail(str(error), 2)
    except RunStopped as error:
        return fail(str(error), 130)
    except GenreLibError as error:
        return fail(str(error), 1)
    except BrokenPipeError:  # the reader has seen enough: `genre predict … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (KeyboardInterrupt, typer.Abort):
        return fail("stopped.", 130)
    except OSError as error:
        return fail(f"{error.strerror or error}: {error.filename or 'the operating system'}.", 1, debug=True)
    except Exception as error:
        said = " ".join(str(error).split())[:300]
        return fail(f"{type(error).__name__}: {said}. A fault of genre_lib's; {DEBUG}=1 shows where.", 1, debug=True)


def fail(message: str, code: int, debug: bool = False) -> int:
    """Say it in one line, or with the traceback where that was asked for."""
    if debug and os.environ.get(DEBUG):
        traceback.print_exc()
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return code


def show_warning(message: Any, category: type[Warning], *_: Any, **__: Any) -> None:
    """Our own warnings in one line; those of libraries are for developers."""
    if category.__module__.startswith("genre_lib") or os.environ.get(DEBUG):
        print(f"warning: {message}", file=sys.stderr)


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Print the version and end.", is_eager=True)] = False,
) -> None:
    if show:
        print(f"genre_lib {__version__}")
        raise typer.Exit


# --- catalogue --------------------------------------------------------------------------------------------------------


@catalogue_app.command("build")
def catalogue_build(
    source: Annotated[str, typer.Argument(help="A folder of music, a CSV, or 'synthetic'.")],
    output: Annotated[Path, typer.Option(help="The CSV to write.")],
    how: Annotated[How, typer.Option("--from", help="How to read the source.")] = How.auto,
    seed: Annotated[int, typer.Option(help="Of the splits that are drawn.")] = 0,
) -> None:
    """Write the table of a source's tracks, with splits."""
    from genre_lib.data.catalogue import build, open_one
    from genre_lib.data.opening import split

    require_writable(output)
    found = open_one(source) if how is How.auto else build(source, how.value)  # type: ignore[arg-type]
    if not found.has_splits:
        with progress_bar("listening for repeats") as bar:
            found = split(found, seed, lambda done, total: bar(done, total))
    found.write(output)
    summary = found.summary()
    print_table(["genre", *summary.columns], ([str(genre), *map(shown, row)] for genre, *row in summary.itertuples()))
    say(f"{len(found)} tracks of {len(found.genres)} genres: {output}")


@catalogue_app.command("check")
def catalogue_check(
    file: Annotated[str, typer.Argument(help="The CSV, or a folder of music.")],
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 where an error is found.")] = False,
    format: Annotated[CheckFormat, typer.Option(help="How to print the findings.")] = CheckFormat.table,
) -> None:
    """Find what is wrong with a catalogue before it trains: broken files, repeats, leaks, doubtful labels."""
    from genre_lib.data.catalogue import open_one
    from genre_lib.data.check import check

    with progress_bar("checking") as bar:
        report = check(open_one(file), progress=lambda done, total: bar(done, total))
    if format is CheckFormat.jsonl:
        write_text("".join(finding_row(finding) for finding in report.findings))
    else:
        print_table(["severity", "kind", "finding"], ([f.severity, f.kind, f.message] for f in report.findings))
    errors = len(report.errors)
    say(f"{report.tracks} tracks, {errors} errors, {len(report.findings) - errors} warnings.")
    if strict and errors:
        raise typer.Exit(1)


def finding_row(finding: Finding) -> str:
    """A finding as a line of JSON."""
    row = {"kind": finding.kind, "severity": finding.severity, "message": finding.message, "paths": finding.paths}
    return json.dumps(row, ensure_ascii=False) + "\n"


# --- finetune ---------------------------------------------------------------------------------------------------------


@app.command()
def finetune(
    base_model: ModelOption = None,
    data_path: DataOption = None,
    output_path: Annotated[Path | None, typer.Option(help="Folder to put the model in, beside the run's copy.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs to train.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Clips in a batch.")] = None,
    experiment: Annotated[Path | None, typer.Option("--file", "-f", help="An experiment's YAML; options win.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Any other field.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse a catalogue with errors.")] = False,
    resume: Annotated[str | None, typer.Option(metavar="RUN", help="Go on with a run, by its name or folder.")] = None,
) -> None:
    """Fine-tune a model on your music: runs notebooks/02_finetune.ipynb and keeps all of it in a run folder."""
    from genre_lib.jobs import run_notebook
    from genre_lib.runs import Run
    from genre_lib.training_config import load_experiment

    settings = get_settings()
    fields = resumed(resume, settings) if resume else {}
    fields |= load_experiment(experiment) if experiment else {}
    fields |= assignments(set_ or [])
    given = {"base_model": base_model, "data_path": data_path, "num_epochs": epochs, "batch_size": batch_size}
    given |= {"output_path": str(output_path) if output_path else None, "strict": strict or None}
    fields |= {name: value for name, value in given.items() if value is not None}
    fields = with_places(fields, settings)
    notebook = settings.notebooks_path / "02_finetune.ipynb"
    config = checked(fields, notebook)
    require_free_output(config)
    run = Run(config.run_path) if config.run_path else Run.create(settings.runs_path, config.name or run_name(fields))
    run.prepared()
    with training_progress(config.num_epochs) as on_event, stopped_by_sigterm():
        try:
            run_notebook(notebook, fields | {"run_path": str(run.path)}, run.notebook, on_event=on_event)
        except RunStopped as error:
            raise RunStopped(f"{error} Go on with: genre finetune --resume {run.id}") from None
    print_run(run)


def resumed(name: str, settings: Settings) -> dict[str, Any]:
    """The fields of the run that is to go on."""
    from genre_lib.runs import Run

    place = Path(name) if Path(name).is_dir() else settings.runs_path / name
    run = Run.open(place)
    return {k: v for k, v in run.parameters().items() if v is not None} | {"run_path": str(run.path), "resume": True}


def assignments(texts: list[str]) -> dict[str, Any]:
    """``name=value`` as fields; the value is read as YAML."""
    import yaml

    fields: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ConfigurationError(f"--set expects NAME=VALUE, such as learning_rate=0.001, and got {text!r}.")
        try:
            fields[name.strip()] = number(yaml.safe_load(value))
        except yaml.YAMLError as error:
            raise ConfigurationError(f"--set {name}: the value {value!r} cannot be read as YAML.") from error
    return fields


def number(value: Any) -> Any:
    """YAML 1.1 takes ``1e-3`` for a text."""
    with contextlib.suppress(ValueError):
        return float(value) if isinstance(value, str) else value
    return value


def with_places(fields: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """Names of models as folders and all paths absolute, for the notebook; what is not there is an error now."""
    from genre_lib import registry

    fields = dict(fields)
    if fields.get("init") != "scratch":
        named = fields.get("base_model") or settings.model_path
        fields["base_model"] = str(registry.resolve(named, settings).resolve())
    places = fields.get("data_path") or str(settings.fine_tune_data_path)
    absolute = [existing(place) for place in ([places] if isinstance(places, str) else places)]
    fields["data_path"] = absolute[0] if isinstance(places, str) else absolute
    for name in ("output_path", "run_path", "cache_path"):
        if fields.get(name):
            fields[name] = str(Path(fields[name]).expanduser().absolute())
    return fields


def checked(fields: dict[str, Any], notebook: Path) -> TrainingConfig:
    """The fields as the notebook will read them; it has parameters of its own, too, such as ``check_audio``."""
    from genre_lib.jobs import notebook_parameters
    from genre_lib.training_config import TrainingConfig

    own = set(notebook_parameters(notebook)) - set(TrainingConfig.model_fields)
    return TrainingConfig(**{name: value for name, value in fields.items() if name not in own})


def existing(place: str) -> str:
    """The music's place, absolute; ``synthetic`` is a word and no place."""
    from genre_lib.errors import CatalogueNotFound

    path = Path(place).expanduser().absolute()
    if place == SYNTHETIC:
        return place
    if not path.exists():
        raise CatalogueNotFound(
            f"There is nothing at {path}; --data-path takes a folder with a folder per genre, a CSV, or 'synthetic'."
        )
    return str(path)


def require_free_output(config: TrainingConfig) -> None:
    """Refuse before hours of training what would be refused after them."""
    place = Path(config.output_path) if config.output_path else None
    if place and place.exists() and any(place.iterdir() if place.is_dir() else [place]) and not config.overwrite:
        raise ModelExists(f"{place} is there already; choose another --output-path, or --set overwrite=true.")


def run_name(fields: dict[str, Any]) -> str:
    return Path(fields.get("output_path") or "finetune").name


@contextlib.contextmanager
def training_progress(epochs: int) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A bar over the epochs where standard error is a terminal, and a line for each epoch where it is not."""
    terminal = sys.stderr.isatty()
    with progress_bar("training") as bar:

        def on_event(event: dict[str, Any]) -> None:
            if event.get("kind") != "epoch_ended":
                return
            said = f"epoch {event['epoch']}/{epochs}: {scores(event)}"
            bar(event["epoch"], epochs, said)
            if not terminal:
                say(said)

        yield on_event


def scores(event: dict[str, Any]) -> str:
    names = {"train_loss": "loss", "valid_accuracy": "accuracy", "valid_macro_f1": "macro-F1"}
    return ", ".join(f"{label} {event[name]:.3f}" for name, label in names.items() if event.get(name) is not None)


@contextlib.contextmanager
def stopped_by_sigterm() -> Iterator[None]:
    """SIGTERM as Ctrl-C, so that the notebook's processes end with us."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def print_run(run: Run) -> None:
    """What came of a training run."""
    result = run.result() or {}
    found = result.get("evaluation")
    if found:
        print_evaluation(found)
    print_lines({"model": result.get("model_folder", run.model), "run": run.path, "report": run.report})


# --- evaluate ---------------------------------------------------------------------------------------------------------


@app.command()
def evaluate(
    model: ModelOption = None,
    data_path: DataOption = None,
    compare_to: Annotated[str | None, typer.Option(help="Another model, scored on the same tracks.")] = None,
    split: Annotated[
        str | None, typer.Option(help="train, valid, test or all.", show_default="test, else valid, else all")
    ] = None,
    output_path: Annotated[Path | None, typer.Option(help="Folder for report and figures.")] = None,
    seed: Annotated[int, typer.Option(help="Of drawn splits and of the bootstrap.")] = 0,
) -> None:
    """Score a model on labelled tracks, with intervals; against another model where one is named."""
    from genre_lib import evaluation
    from genre_lib.data.opening import open_catalogue
    from genre_lib.runs import Run

    settings = get_settings()
    chosen = model_folder(model, settings)
    base = model_folder(compare_to, settings) if compare_to else None
    if split not in (None, "train", "valid", "test", "all"):
        raise ConfigurationError(f"--split is train, valid, test or all, and is {split!r}.")
    catalogue = open_catalogue(existing(data_path or str(settings.fine_tune_data_path)), seed=seed)
    found = evaluation.evaluate(chosen, catalogue, split, base, seed=seed, device=settings.device)
    run = Run(output_path) if output_path else Run.create(settings.runs_path, f"evaluate-{chosen.name}")
    evaluation.write(found, run=run)
    print_evaluation(found.metrics)
    print_lines({"report": run.report})


def print_evaluation(found: dict[str, Any]) -> None:
    """The headlines of ``metrics.json``."""
    from genre_lib.comparison import sentence

    calibration = found.get("calibration") or {}
    lines = {"tracks": f"{found['tracks']} ({found['split']})"}
    lines |= {"accuracy": interval(found["accuracy"]), "macro-F1": interval(found["macro_f1"])}
    lines["calibration error"] = shown(calibration.get("ece_after"))
    print_lines(lines | {"comparison": sentence(found.get("comparison"))})


def interval(score: dict[str, float]) -> str:
    return f"{score['value']:.3f} (95 % interval {score['low']:.3f} to {score['high']:.3f})"


# --- predict ----------------------------------------------------------------------------------------------------------


@app.command()
def predict(
    paths: Annotated[list[Path], typer.Argument(help="Files, and folders, which are walked.", metavar="PATH…")],
    model: ModelOption = None,
    top_k: Annotated[int, typer.Option(min=1, help="Genres a track, the likeliest first.")] = 3,
    format: Annotated[PredictFormat, typer.Option(help="How to print the tracks.")] = PredictFormat.table,
    output: Annotated[Path | None, typer.Option(help="File to write, in place of standard output.")] = None,
    timeline: Annotated[bool, typer.Option("--timeline", help="The genre over the length of a track, too.")] = False,
) -> None:
    """Predict the genres of tracks. A file that cannot be read is a row with its error; then the exit code is 1."""
    if timeline and format is PredictFormat.csv:
        raise ConfigurationError("--timeline has no place in a CSV; use --format jsonl or table.")
    if output:
        require_writable(output)
    settings = get_settings()
    folder = model_folder(model, settings)
    files, absent = find_all(paths)
    failed = len(absent)
    with sink(output) as file:
        write = {"table": write_table, "jsonl": write_jsonl, "csv": write_csv}[format.value]
        quiet = format is not PredictFormat.table and output is None and sys.stdout.isatty()
        tracks = counted(predicted(files, absent, folder, timeline, settings), len(files) + len(absent), quiet)
        failed = write(file, tracks, top_k)
    if failed:
        say(f"{failed} of {len(files) + len(absent)} could not be predicted.")
        raise typer.Exit(1)


def model_folder(name: str | None, settings: Settings) -> Path:
    """The model's folder by name or path; the active one without a name."""
    from genre_lib import registry

    return registry.resolve(name, settings) if name else registry.active(settings)


def find_all(paths: list[Path]) -> tuple[list[Path], list[tuple[Path, AudioError]]]:
    """The audio files at the paths, and the paths where there are none, with the reason."""
    from genre_lib.audio import find
    from genre_lib.errors import AudioNotFound

    files: list[Path] = []
    absent: list[tuple[Path, AudioError]] = []
    for path in paths:
        try:
            found = find(path)
            if not found:
                raise AudioNotFound(f"{path} is a folder without audio files.")
            files += found
        except AudioError as error:
            absent.append((path, error))
    return files, absent


def predicted(
    files: list[Path], absent: list[tuple[Path, AudioError]], folder: Path, timeline: bool, settings: Settings
) -> Iterator[TrackPrediction]:
    """A row for every file, and one for every path that led to none."""
    from genre_lib.audio import Limits
    from genre_lib.inference import Predictor, TrackPrediction

    limits = Limits(settings.max_audio_bytes, settings.max_audio_seconds)
    predictor = Predictor.from_folder(folder, device=settings.device)
    yield from predictor.files(files, timeline=timeline, limits=limits)
    for path, error in absent:
        yield TrackPrediction(path=str(path), error=str(error), code=error.code)


def counted(tracks: Iterable[TrackPrediction], total: int, quiet: bool) -> Iterator[TrackPrediction]:
    """The tracks, a progress bar and their warnings meanwhile."""
    with progress_bar("predicting", quiet) as bar:
        for done, track in enumerate(tracks, 1):
            bar(done, total)
            if track.warning:
                say(f"warning: {track.warning}")
            yield track


def write_jsonl(file: TextIO, tracks: Iterable[TrackPrediction], top_k: int) -> int:
    """A JSON object a line; returns how many hold an error."""
    failed = 0
    for track in tracks:
        file.write(json.dumps(track.to_json(top_k), ensure_ascii=False) + "\n")
        failed += track.error is not None
    return failed


def write_csv(file: TextIO, tracks: Iterable[TrackPrediction], top_k: int) -> int:
    """A row a track: path, duration, genres with confidences, error."""
    writer = csv.writer(file)
    columns = [name for k in range(1, top_k + 1) for name in (f"genre_{k}", f"confidence_{k}")]
    writer.writerow(["path", "duration", *columns, "error"])
    failed = 0
    for track in tracks:
        cells = [cell for p in track.top(top_k) for cell in (p.genre, f"{p.confidence:.6f}")]
        cells += [""] * (2 * top_k - len(cells))
        duration = "" if track.duration is None else f"{track.duration:.3f}"
        writer.writerow([track.path, duration, *cells, track.error or ""])
        failed += track.error is not None
    return failed


def write_table(file: TextIO, tracks: Iterable[TrackPrediction], top_k: int) -> int:
    """Rows for a person."""
    rows, failed = [], 0
    for track in tracks:
        rows.append([str(track.path), clock(track.duration), track.error or ranking(track.top(top_k))])
        for segment in track.timeline or []:
            rows.append(["", f"{clock(segment.start)}–{clock(segment.end)}", ranking(segment.predictions[:top_k])])
        failed += track.error is not None
    print_table(["track", "length", "genres"], rows, file)
    return failed


def ranking(predictions: list[Any]) -> str:
    return " · ".join(f"{p.genre} {p.confidence:.2f}" for p in predictions)


def clock(seconds: float | None) -> str:
    """Minutes and seconds."""
    return "" if seconds is None else f"{int(seconds // 60)}:{seconds % 60:04.1f}"


# --- models -----------------------------------------------------------------------------------------------------------


@models_app.command("list")
def models_list(format: ListFormatOption = ListFormat.table) -> None:
    """Every model there is; the active one is marked."""
    from genre_lib import registry

    infos = registry.list_models(get_settings())
    if format is ListFormat.json:
        write_text(json.dumps([as_json(info) for info in infos], indent=2) + "\n")
        return
    columns = ["", "name", "kind", "genres", "parameters", "size", "accuracy", "created"]
    print_table(columns, map(model_row, infos))


@models_app.command("show")
def models_show(
    model: Annotated[str, typer.Argument(help="Name or folder.")], format: ListFormatOption = ListFormat.table
) -> None:
    """What is known of one model."""
    from genre_lib import registry

    settings = get_settings()
    folder = registry.resolve(model, settings).resolve()
    active = [info.folder for info in registry.list_models(settings) if info.active]
    told = as_json(registry.describe(folder, active=folder in active))
    if format is ListFormat.json:
        write_text(json.dumps(told, indent=2) + "\n")
        return
    metrics = told.pop("metrics")
    print_lines({name.replace("_", " "): ", ".join(v) if isinstance(v, list) else shown(v) for name, v in told.items()})
    if "accuracy" in metrics and "macro_f1" in metrics:
        print_lines({"accuracy": interval(metrics["accuracy"]), "macro-F1": interval(metrics["macro_f1"])})


@models_app.command("promote")
def models_promote(name: Annotated[str, typer.Argument(help="Name of the model.")]) -> None:
    """Serve this model from now on; a running server exchanges it by itself."""
    from genre_lib import registry

    folder = registry.promote(name, get_settings())
    print(f"{name} is the active model now: {folder}")


@models_app.command("remove")
def models_remove(
    name: Annotated[str, typer.Argument(help="Name of the model.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask in a terminal.")] = False,
) -> None:
    """Delete a model's folder."""
    from genre_lib import registry

    settings = get_settings()
    folder = registry.by_name(name, settings)
    if sys.stdin.isatty() and not yes:
        typer.confirm(f"Delete {folder}?", abort=True)
    registry.remove(name, settings)
    print(f"{name} is removed.")


def model_row(info: ModelInfo) -> list[str]:
    accuracy = info.metrics.get("accuracy") or {}
    return [
        "●" if info.active else "",
        info.name,
        info.kind,
        str(len(info.genres)),
        f"{info.parameters:,}",
        f"{info.size_bytes / 1e6:.1f} MB",
        shown(accuracy.get("value")),
        info.created,
    ]


def as_json(info: ModelInfo) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(info) | {"folder": str(info.folder)}


# --- serve ------------------------------------------------------------------------------------------------------------


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="HOST, 127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.", show_default="PORT, 8000")] = None,
) -> None:
    """Serve the active model over HTTP, as serve.py does."""
    given = {name: value for name, value in {"host": host, "port": port}.items() if value is not None}
    settings = get_settings(**given)
    from genre_lib.service import app as service

    service.serve(settings, say=lambda line: print(line, flush=True))


# --- printing ---------------------------------------------------------------------------------------------------------


def say(text: str) -> None:
    """Beside the result: to standard error."""
    print(text, file=sys.stderr)


def shown(value: Any) -> str:
    """A value for a person: three decimals, a dash for none."""
    if value is None:
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def print_lines(lines: dict[str, Any]) -> None:
    width = max(map(len, lines)) + 2
    write_text("".join(f"{name:{width}}{value}\n" for name, value in lines.items()))


def print_table(columns: list[str], rows: Iterable[list[str]], file: TextIO | None = None) -> None:
    """A table as wide as the terminal; where there is none, as wide as it needs, so that nothing is cut off."""
    file = file or sys.stdout
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console = Console(file=file, highlight=False)
    if not console.is_terminal:
        console.width = max(console.measure(table, options=console.options.update(max_width=10_000)).maximum, 1)
    console.print(table)


def write_text(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


@contextlib.contextmanager
def sink(output: Path | None) -> Iterator[TextIO]:
    """Standard output, or a file that appears whole and only where all went well."""
    if output is None:
        yield sys.stdout
        sys.stdout.flush()
        return
    handle, aside = tempfile.mkstemp(prefix=f".{output.name}.", dir=output.absolute().parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            yield file
        Path(aside).chmod(0o644)
        Path(aside).replace(output)
    finally:
        Path(aside).unlink(missing_ok=True)


def require_writable(output: Path) -> None:
    """Refuse before the work what could not be written after it."""
    folder = output.absolute().parent
    if output.is_dir():
        raise ConfigurationError(f"--output expects a file, and {output} is a folder.")
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ConfigurationError(f"--output {output}: there is no folder {folder} that can be written to.")


@contextlib.contextmanager
def progress_bar(title: str, quiet: bool = False) -> Iterator[Callable[..., None]]:
    """A bar on standard error, where that is a terminal; called with what is done, the total, and perhaps a text."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    shown_there = sys.stderr.isatty() and not quiet
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not shown_there) as progress:
        task = progress.add_task(title, total=None)

        def advance(done: int, total: int, text: str | None = None) -> None:
            progress.update(task, completed=done, total=total, description=text or title)

        yield advance


if __name__ == "__main__":
    sys.exit(main())
