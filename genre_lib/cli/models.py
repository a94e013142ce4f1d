"""``genre models``: see, promote and remove models."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genre_lib.cli.console import interval, print_lines, print_table, say, shown, write_text
from genre_lib.cli.download import download
from genre_lib.cli.options import ListFormat, ListFormatOption, get_settings, warn_where_overruled
from genre_lib.cli.tune import tune
from genre_lib.errors import ModelNotFound
from genre_lib.wording import amount, size

if TYPE_CHECKING:
    from genre_lib.registry import ModelInfo


app = typer.Typer(help="Download, see, tune, promote and remove models.", no_args_is_help=True)
app.command("download")(download)
app.command("tune")(tune)


@app.command("list")
def models_list(format: ListFormatOption = ListFormat.table) -> None:
    """Every model there is; the active one is marked."""
    from genre_lib import registry

    settings = get_settings()
    infos = registry.list_models(settings)
    if format is ListFormat.json:
        write_text(json.dumps([as_json(info) for info in infos], indent=2) + "\n")
        return
    columns = ["", "name", "kind", "genres", "parameters", "size", "accuracy", "created"]
    print_table(columns, map(model_row, infos))
    if not infos:
        say(f"There is no model: MODEL_PATH is {settings.model_path}, and MODELS_PATH is {settings.models_path}.")
        return
    try:
        warn_where_overruled(settings)
    except ModelNotFound as error:
        say(f"warning: no model is active. {error}")


@app.command("show")
def models_show(
    model: Annotated[str, typer.Argument(help="Name or folder.")], format: ListFormatOption = ListFormat.table
) -> None:
    """What is known of one model."""
    from genre_lib import registry

    settings = get_settings()
    folder = registry.resolve(model, settings).resolve()
    active = [info.folder for info in registry.list_models(settings) if info.active]
    told = as_json(registry.describe(folder, active=folder in active))
    told |= {} if told["kind"] == registry.ENCODER else {"engine": engine_of(folder)}
    if format is ListFormat.json:
        write_text(json.dumps(told, indent=2) + "\n")
        return
    metrics, source = told.pop("metrics"), told.pop("source")
    told["genres"] = ", ".join(told["genres"]) or None
    if source:
        told |= {"source": f"{source.get('repo')} at {source.get('commit')}", "licence": source.get("licence") or None}
    print_lines({name.replace("_", " "): shown(value) for name, value in told.items()})
    accuracy, macro_f1 = score_in(metrics, "accuracy"), score_in(metrics, "macro_f1")
    if accuracy and macro_f1:
        scores = {"accuracy": interval(accuracy), "macro-F1": interval(macro_f1)}
        print_lines(scores | {"scored on": scored_on(metrics).strip(" ()") or "–"})


@app.command("promote")
def models_promote(name: Annotated[str, typer.Argument(help="Name of the model.")]) -> None:
    """Serve this model from now on; a running server exchanges it by itself."""
    from genre_lib import registry

    settings = get_settings()
    if Path(name).parent.absolute() == settings.models_path.absolute():
        name = Path(name).name  # models/mine is mine
    folder = registry.promote(name, settings)
    print(f"{name} is the active model now: {folder}")


@app.command("import")
def models_import(
    package: Annotated[Path, typer.Argument(help="musicnn's package: pip download musicnn==0.1.0 --no-deps")],
    name: Annotated[str, typer.Option(help="What the model is called from now on.")] = "musicnn",
) -> None:
    """Make a base model of musicnn's published weights, which know the tags of the Million Song Dataset."""
    from genre_lib import registry
    from genre_lib.models import folder
    from genre_lib.models.musicnn_weights import read

    model = read(package)
    with tempfile.TemporaryDirectory(prefix="genre-import-") as aside:
        place = registry.publish(folder.save(model, Path(aside) / "model").folder or aside, name, get_settings())
    print(f"{name} is in {place}; its outputs are {len(model.genres)} tags. genre finetune --base-model {name}")


@app.command("remove")
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


def engine_of(folder: Path) -> str:
    """What ``auto`` computes the model by on this machine's processor, and how that is known."""
    from genre_lib.engines.names import AUTO, FLOAT32
    from genre_lib.engines.report import read
    from genre_lib.networks.folder import weights_digest

    found = read(folder, weights_digest(folder))
    if found is None:
        return f"{FLOAT32}; not measured here: genre models tune {folder.name} --data-path MUSIC"
    fastest = found.ranked(AUTO)[0]
    return f"{fastest}, {found.speedup(fastest):.2f} times as fast as {FLOAT32} ({found.created})"


def score_in(metrics: dict[str, Any], name: str) -> dict[str, float] | None:
    """A score with its interval, where the file, which anybody may have written, holds one."""
    found = metrics.get(name)
    whole = isinstance(found, dict) and all(isinstance(found.get(key), float) for key in ("value", "low", "high"))
    return found if whole else None


def scored_on(metrics: dict[str, Any]) -> str:
    """How many tracks of which split the scores are of, without which they do not compare: `` (31 valid)``."""
    tracks, split = metrics.get("tracks"), metrics.get("split")
    return f" ({tracks} {split})" if isinstance(tracks, int) and isinstance(split, str) else ""


def model_row(info: ModelInfo) -> list[str]:
    accuracy = score_in(info.metrics, "accuracy")
    return [
        "●" if info.active else "",
        info.name,
        info.kind,
        str(len(info.genres) or "–"),
        amount(info.parameters),
        size(info.size_bytes),
        f"{shown(accuracy['value'])}{scored_on(info.metrics)}" if accuracy else "–",
        info.created,
    ]


def as_json(info: ModelInfo) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(info) | {"folder": str(info.folder)}
