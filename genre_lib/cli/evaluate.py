"""``genre evaluate``: a model scored on labelled tracks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from genre_lib.cli.console import interval, print_lines, shown
from genre_lib.cli.options import DataOption, ModelOption, existing, get_settings, model_folder
from genre_lib.errors import ConfigurationError
from genre_lib.files import can_be_made


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
    if output_path and (output_path.is_file() or not can_be_made(output_path)):
        raise ConfigurationError(f"--output-path {output_path}: no folder can be made there; choose another place.")
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
