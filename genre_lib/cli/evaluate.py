"""``genre evaluate``: one model or several scored on labelled tracks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genre_lib.cli.console import interval, print_lines, print_table, shown, write_text
from genre_lib.cli.options import DataOption, existing, get_settings, model_folder
from genre_lib.errors import ConfigurationError
from genre_lib.files import can_be_made

if TYPE_CHECKING:
    from genre_lib.runs import Run
    from genre_lib.side_by_side import SideBySide


def evaluate(
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Name or folder of a model. Several stand side by side; the first is the base without --compare-to.",
            show_default="the active one",
        ),
    ] = None,
    data_path: DataOption = None,
    compare_to: Annotated[
        list[str] | None, typer.Option(help="Another model, scored on the same tracks; may be given several times.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="train, valid, test or all.", show_default="test, else valid, else all")
    ] = None,
    output_path: Annotated[Path | None, typer.Option(help="Folder for report, tables and figures.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**31, help="Of drawn splits and of the bootstrap.")] = 0,
    record: Annotated[
        bool, typer.Option("--record", help="Make it the score beside the model: on its own catalogue's valid or test.")
    ] = False,
) -> None:
    """Score a model on labelled tracks, with intervals; against others where they are named, with what each takes."""
    from genre_lib.imports import uncollected

    with uncollected("torch"):
        from genre_lib import evaluation, side_by_side
        from genre_lib.data.opening import open_catalogue
        from genre_lib.own_score import place_to_record

    settings = get_settings()
    chosen = [model_folder(name, settings) for name in model] if model else [model_folder(None, settings)]
    bases = [model_folder(name, settings) for name in compare_to or []]
    if split not in (None, "train", "valid", "test", "all"):
        raise ConfigurationError(f"--split is train, valid, test or all, and is {split!r}.")
    if output_path and (output_path.is_file() or not can_be_made(output_path)):
        raise ConfigurationError(f"--output-path {output_path}: no folder can be made there; choose another place.")
    _require_different(chosen, "--model")
    _require_different(bases, "--compare-to")
    if record and len(chosen) > 1:
        raise ConfigurationError(f"--record is for the score of one model, and {len(chosen)} are named by --model.")
    catalogue = open_catalogue(existing(data_path or str(settings.fine_tune_data_path)), seed=seed)
    own = place_to_record(chosen[0], catalogue, split) if record else None
    if len({folder.resolve() for folder in (*chosen, *bases)}) == 1:  # one model, perhaps against itself
        found = evaluation.evaluate(
            chosen[0], catalogue, split, bases[0] if bases else None, seed=seed, device=settings.device
        )
        run = _run(output_path, chosen)
        evaluation.write(found, own, run=run)
        print_evaluation(found.metrics)
    else:
        together = side_by_side.side_by_side(chosen, catalogue, split, bases, seed=seed, device=settings.device)
        run = _run(output_path, chosen)
        side_by_side.write(together, run)
        if own and together.evaluations:
            evaluation.write(together.evaluations[0], own)
        _print_side_by_side(together)
    print_lines({"report": run.report})


def print_evaluation(found: dict[str, Any]) -> None:
    """The headlines of ``metrics.json``."""
    from genre_lib.comparison import sentence

    calibration = found.get("calibration") or {}
    lines = {"tracks": f"{found['tracks']} ({found['split']})"}
    lines |= {"accuracy": interval(found["accuracy"]), "macro-F1": interval(found["macro_f1"])}
    lines["calibration error"] = shown(calibration.get("ece_after"))
    if chance := calibration.get("ece_by_chance"):
        lines["calibration error"] += f" (by chance alone {chance['low']:.3f} to {chance['high']:.3f})"
    print_lines(lines | {"comparison": sentence(found.get("comparison"))})


def _print_side_by_side(found: SideBySide) -> None:
    """The headlines of one model that was scored, and the tables of all."""
    from genre_lib import side_by_side_tables as tables

    content = found.content
    if len(found.evaluations) == 1:
        print_evaluation(found.evaluations[0].metrics)
    else:
        print_lines({"tracks": f"{content['tracks']} ({content['split']})"})
    for table in (tables.quality, tables.paired, tables.prediction, tables.training):
        columns, rows = table(content)
        if rows:
            write_text("\n")
            print_table(columns, rows)
    write_text("".join(f"\n{name} knows none of these genres.\n" for name in tables.not_comparable(content)))
    unknown = tables.partly(content).items()
    write_text("".join(f"\n{name} does not know {genres}; they count as wrong for it.\n" for name, genres in unknown))
    write_text(f"\n{tables.measured(content)}\n\n")


def _run(output_path: Path | None, chosen: list[Path]) -> Run:
    from genre_lib.runs import Run

    if output_path:
        return Run(output_path)
    return Run.create(get_settings().runs_path, f"evaluate-{chosen[0].name}")


def _require_different(folders: list[Path], option: str) -> None:
    known = [folder.resolve() for folder in folders]
    twice = next((folder for folder in known if known.count(folder) > 1), None)
    if twice:
        raise ConfigurationError(f"{option} names {twice.name} twice; a model stands beside others once.")
