"""``genre finetune``: the fine-tuning notebook as a job."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genre_lib.claim import require_unclaimed
from genre_lib.cli.console import print_lines, say
from genre_lib.cli.evaluate import print_evaluation
from genre_lib.cli.options import SYNTHETIC, BaseModelOption, DataOption, existing, get_settings
from genre_lib.cli.training_progress import training_progress
from genre_lib.errors import ConfigurationError, ModelExists, RunNotFound, RunStopped
from genre_lib.files import can_be_made

if TYPE_CHECKING:
    from genre_lib.runs import Run
    from genre_lib.settings import Settings
    from genre_lib.training_config import TrainingConfig


class Method(StrEnum):
    head = "head"
    lora = "lora"
    full = "full"


def finetune(
    base_model: BaseModelOption = None,
    data_path: DataOption = None,
    spotify_user: Annotated[
        str | None, typer.Option(metavar="ID", help="Collect this user's library first, and train on it; me: yours.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Of that library: genre, playlist or csv:FILE.", show_default="genre")
    ] = None,
    method: Annotated[
        Method | None, typer.Option(help="What learns: the head on what each clip sounded like once, LoRA, or all.")
    ] = None,
    output_path: Annotated[Path | None, typer.Option(help="Folder to put the model in, beside the run's copy.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs to train.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Clips in a batch.")] = None,
    experiment: Annotated[Path | None, typer.Option("--file", "-f", help="An experiment's YAML; options win.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Any other field.")] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Hear all tracks first, and refuse a catalogue with errors.")
    ] = False,
    resume: Annotated[str | None, typer.Option(metavar="RUN", help="Go on with a run, by its name or folder.")] = None,
) -> None:
    """Fine-tune a model on your music: runs notebooks/02_finetune.ipynb and keeps all of it in a run folder."""
    from genre_lib.runs import Run
    from genre_lib.training_config import load_experiment

    settings = get_settings()
    require_one_music(spotify_user, labels, data_path or resume)
    fields = resumed(resume, settings) if resume else {}
    fields |= load_experiment(experiment) if experiment else {}
    fields |= assignments(set_ or [])
    given = {"base_model": base_model, "data_path": data_path, "num_epochs": epochs, "batch_size": batch_size}
    given |= {"output_path": str(output_path) if output_path else None, "strict": strict or None}
    given |= {"method": method.value if method else None}
    fields |= {name: value for name, value in given.items() if value is not None}
    fields |= {"data_path": SYNTHETIC} if spotify_user else {}  # until it is collected
    fields = with_places(fields, settings)
    fields = fields if experiment or resume else with_defaults(fields)
    notebook = settings.notebooks_path / "02_finetune.ipynb"
    config = possible(checked(fields, notebook))
    if resume and has_ended(config):
        more = "" if config.solver == "lbfgs" else "; --epochs above its own lets it go on"
        say(f"{resume} has ended already, so nothing is trained{more}.")
        print_run(Run(str(config.run_path)))
        return
    require_free_output(config)
    if spotify_user:
        fields["data_path"] = gathered(spotify_user, labels or "genre", settings)
        config = checked(fields, notebook)
    require_music(config)
    run = Run(config.run_path) if config.run_path else Run.create(settings.runs_path, config.name or run_name(fields))
    train(run, config, fields, notebook)
    print_run(run)


def train(run: Run, config: TrainingConfig, fields: dict[str, Any], notebook: Path) -> None:
    """Run the notebook in the run's folder, telling how far it is.

    Raises:
        RunStopped: it was interrupted; says how to go on.
    """
    from genre_lib.jobs import run_notebook

    run.prepared().write_parameters(config.model_dump())  # before the notebook does, so that any stop can be resumed
    with training_progress(config.num_epochs, config.solver == "lbfgs") as on_event, stopped_by_sigterm():
        try:
            run_notebook(notebook, fields | {"run_path": str(run.path)}, run.notebook, on_event=on_event)
        except RunStopped as error:
            if not run.events("run_stopped"):
                run.event("run_stopped")
            raise RunStopped(f"{error} Go on with: genre finetune --resume {run.id}") from None


def require_one_music(spotify_user: str | None, labels: str | None, other: str | None) -> None:
    """Refuse options that contradict each other."""
    if spotify_user and other:
        raise ConfigurationError("--spotify-user is the music itself; leave --data-path and --resume out beside it.")
    if labels and not spotify_user:
        raise ConfigurationError("--labels says what a Spotify library's tracks are called; name it by --spotify-user.")


def gathered(user: str, labels: str, settings: Settings) -> str:
    """The table of a library that is collected now."""
    from genre_lib.cli.spotify_catalogue import gather_table

    return str(gather_table(user, labels, settings))


def resumed(name: str, settings: Settings) -> dict[str, Any]:
    """The fields of the run that is to go on."""
    from genre_lib.runs import Run

    place = Path(name) if Path(name).is_dir() else settings.runs_path / name
    run = Run.open(place)
    if not run.parameters():
        raise RunNotFound(f"{place} is no run's folder: there is no parameters.json in it. `ls {settings.runs_path}`.")
    return {k: v for k, v in run.parameters().items() if v is not None} | {"run_path": str(run.path), "resume": True}


def has_ended(config: TrainingConfig) -> bool:
    """Whether a run that is to go on has trained all of its epochs."""
    from genre_lib.runs import Run

    result = Run(str(config.run_path)).result() or {}
    return int(result.get("num_epochs") or 0) >= config.num_epochs


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
        fields["base_model"] = str(registry.base(fields.get("base_model"), settings).resolve())
    places = fields.get("data_path") or str(settings.fine_tune_data_path)
    if not fields.get("data_path") and not settings.fine_tune_data_path.exists():
        raise ConfigurationError(
            "Name your music by --data-path: a folder with a folder per genre, a CSV, or 'synthetic'. (Without it, "
            f"FINE_TUNE_DATA_PATH is taken, and there is nothing at {settings.fine_tune_data_path}.)"
        )
    absolute = [existing(place) for place in ([places] if isinstance(places, str) else places)]
    fields["data_path"] = absolute[0] if isinstance(places, str) else absolute
    for name in ("output_path", "run_path", "cache_path"):
        if fields.get(name):
            fields[name] = str(Path(fields[name]).expanduser().absolute())
    return fields


def with_defaults(fields: dict[str, Any]) -> dict[str, Any]:
    """Without an experiment's file: what suits the base model, beside what was given."""
    from genre_lib.training_defaults import completed

    return fields if fields.get("init") == "scratch" else completed(fields, fields["base_model"])


def possible(config: TrainingConfig) -> TrainingConfig:
    """The configuration, where the base model can learn so; what it cannot is an error now."""
    from genre_lib.training_bases import require_layers, require_possible

    if config.init != "scratch" and config.base_model:
        require_possible(config, config.base_model)
        require_layers(config, config.base_model)
    return config


def checked(fields: dict[str, Any], notebook: Path) -> TrainingConfig:
    """The fields as the notebook will read them; it has parameters of its own, too, such as ``check_audio``."""
    from genre_lib.jobs import notebook_parameters
    from genre_lib.training_config import TrainingConfig

    own = set(notebook_parameters(notebook)) - set(TrainingConfig.model_fields)
    return TrainingConfig(**{name: value for name, value in fields.items() if name not in own})


def require_music(config: TrainingConfig) -> None:
    """Read the catalogues now: what is wrong with them should not cost a kernel's start and a run folder."""
    from genre_lib.data.catalogue_source import open_one
    from genre_lib.data.splits import require_splits
    from genre_lib.errors import CatalogueInvalid

    if config.without_sound:
        return
    places = [config.data_path] if isinstance(config.data_path, str) else config.data_path or []
    for place in places:
        if place == SYNTHETIC:
            continue
        catalogue = open_one(place)
        paths = catalogue.tracks["path"]
        if not any(Path(path).is_file() for path in paths):
            raise CatalogueInvalid(
                f"None of the {len(paths)} files that {place} names is there, first {paths.iloc[0]}; relative paths "
                "count from the table's own folder."
            )
        if len(places) == 1:
            require_splits(catalogue)
        if told := catalogue.spellings.told():
            say(told)


def require_free_output(config: TrainingConfig) -> None:
    """Refuse before hours of training what would be refused after them."""
    place = Path(config.output_path) if config.output_path else None
    if place and not can_be_made(place):
        raise ConfigurationError(f"--output-path {place}: no folder can be made there; choose another place.")
    if place:
        require_unclaimed(place)
    if not place or not place.exists() or (place.is_dir() and not any(place.iterdir())):
        return
    if not (place / "config.json").is_file():
        raise ModelExists(f"{place} is there already and is no model folder; choose another --output-path.")
    if not config.overwrite:
        raise ModelExists(f"{place} is there already; choose another --output-path, or --set overwrite=true.")


def run_name(fields: dict[str, Any]) -> str:
    return Path(fields.get("output_path") or "finetune").name


def stopped_early(trained: int, asked: int, patience: int) -> str:
    """Why a run has fewer epochs than were asked for."""
    last = "the last validation was no" if patience == 1 else f"none of the last {patience} validations was"
    return f"It stopped after epoch {trained} of {asked}: {last} better than the best before."


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
    trained, asked = len(run.history()), result.get("num_epochs", 0)
    patience = run.parameters().get("early_stopping_patience")
    if patience and trained < asked:
        say(stopped_early(trained, asked, patience))
    print_lines({"model": result.get("model_folder", run.model), "run": run.path, "report": run.report})
