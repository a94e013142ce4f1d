"""``genre models tune``: find out which engine is the fastest here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genre_lib.cli.console import print_lines, print_table, say
from genre_lib.cli.options import DataOption, existing, get_settings
from genre_lib.errors import ConfigurationError
from genre_lib.wording import counted

if TYPE_CHECKING:
    from genre_lib.engines.report import Measured, Report

COLUMNS = ["", "engine", "1 clip", "of 8", "times", "difference", "same genre", "start", "fault"]


def tune(
    model: Annotated[str, typer.Argument(help="Name or folder.")],
    data_path: DataOption = None,
    clips: Annotated[int, typer.Option(min=8, help="Of your music, that every engine hears.")] = 60,
    calibration: Annotated[int, typer.Option(min=8, help="Other clips, by which 8 bits learn their range.")] = 40,
    tolerance: Annotated[float, typer.Option(help="By which a probability may differ from float32's.")] = 0.05,
    seed: Annotated[int, typer.Option(min=0, max=2**31, help="By which clips are drawn.")] = 0,
) -> None:
    """Measure every engine on clips of your music, and keep in the model's folder which is the fastest.

    One that tells other genres than float32, or probabilities beyond the tolerance, is not taken.
    """
    if not 0 < tolerance < 1:
        raise ConfigurationError(f"--tolerance is a probability between 0 and 1, and is {tolerance}.")
    from genre_lib import registry
    from genre_lib.audio import Limits
    from genre_lib.imports import uncollected

    with uncollected("torch"):
        from genre_lib.engines.clips import heard, shared_out
        from genre_lib.engines.tuning import tune as measure
        from genre_lib.inference import load_model

    settings = get_settings()
    folder = registry.resolve(model, settings)
    files = files_at(data_path or str(settings.fine_tune_data_path))
    loaded = load_model(folder)
    limits = Limits(settings.max_audio_bytes, settings.max_audio_seconds)
    found = heard(files, loaded, clips + calibration, seed, limits)
    own, others = shared_out(found, clips, calibration)
    print_report(measure(loaded, own, others, device=settings.device, tolerance=tolerance, progress=say), folder)


def files_at(place: str) -> list[str]:
    """Audio files of a folder, whatever lies in it, or of a catalogue."""
    from genre_lib.audio import find
    from genre_lib.data.catalogue_source import open_one

    found = existing(place)
    if Path(found).is_dir():
        return [str(path) for path in find(found)]
    return open_one(found).tracks["path"].tolist()


def print_report(report: Report, folder: Path) -> None:
    """A row for each engine, and which is taken."""
    rows = [row(name, measured, report) for name, measured in report.engines.items()]
    print_table(COLUMNS, rows)
    times = report.speedup(report.chosen)
    print_lines(
        {
            "clips": f"{counted(report.clips, 'clip')}, milliseconds each; {counted(report.threads, 'thread')}",
            "on": report.hardware,
            "auto": f"{report.chosen}, {times:.2f} times as fast as torch-float32",
            "written": folder / "engine.json",
        }
    )


def row(name: str, measured: Measured, report: Report) -> list[str]:
    """An engine's numbers."""
    mark = "●" if name == report.chosen else "" if report.passes(name) else "✗"
    if not measured.milliseconds:
        return [mark, name, "", "", "", "", "", "", measured.fault or ""]
    return [
        mark,
        name,
        *(f"{measured.milliseconds[size]:.1f}" for size in ("1", "8")),
        f"{report.speedup(name):.2f}",
        f"{measured.difference:.4f}",
        f"{measured.agreements} of {report.clips}",
        f"{measured.start_seconds:.1f} s",
        measured.fault or "",
    ]
