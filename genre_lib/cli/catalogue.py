"""``genre catalogue``: make, check and fill up the table of tracks."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genre_lib.cli.catalogue_build import catalogue_build
from genre_lib.cli.console import print_table, progress_bar, require_writable, say, write_text
from genre_lib.cli.generate import (
    BatchOption,
    DeviceOption,
    GeneratorOption,
    GuidanceOption,
    SecondsOption,
    TemperatureOption,
    TopKOption,
    generator_folder,
)
from genre_lib.cli.options import existing
from genre_lib.cli.review import catalogue_review
from genre_lib.errors import ConfigurationError
from genre_lib.files import can_be_made
from genre_lib.wording import counted

if TYPE_CHECKING:
    from genre_lib.data.catalogue import Catalogue
    from genre_lib.data.check_report import CheckReport, Finding
    from genre_lib.data.fill import Filling


app = typer.Typer(help="Make, check, review and fill up the table of tracks to train on.", no_args_is_help=True)


class CheckFormat(StrEnum):
    table = "table"
    jsonl = "jsonl"


app.command("build")(catalogue_build)


@app.command("check")
def catalogue_check(
    file: Annotated[str, typer.Argument(help="The CSV, or a folder of music.")],
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 where an error is found; without it the exit code is 0.")
    ] = False,
    format: Annotated[CheckFormat, typer.Option(help="How to print the findings.")] = CheckFormat.table,
) -> None:
    """Find what is wrong with a catalogue before it trains: broken files, repeats, leaks, doubtful labels."""
    from genre_lib.data.catalogue_source import open_one
    from genre_lib.data.check import check

    with progress_bar("checking") as bar:
        report = check(open_one(file), progress=lambda done, total: bar(done, total))
    if format is CheckFormat.jsonl:
        write_text("".join(finding_row(finding) for finding in report.findings))
    else:
        print_table(["severity", "kind", "finding"], ([f.severity, f.kind, f.message] for f in report.findings))
    say(verdict(report, strict))
    if strict and not report.ok:
        raise typer.Exit(1)


app.command("review")(catalogue_review)


@app.command("fill")
def catalogue_fill(
    source: Annotated[str, typer.Argument(help="The CSV, or a folder of music.", metavar="CATALOGUE")],
    per_genre: Annotated[int, typer.Option(min=1, help="Train tracks that a genre shall have at least.")],
    output: Annotated[Path, typer.Option(help="The CSV to write: the tracks that there are, and the clips.")],
    model: GeneratorOption = "musicgen",
    clips: Annotated[
        Path | None,
        typer.Option(help="Folder of the clips; those in it already are taken.", show_default="beside --output"),
    ] = None,
    genre: Annotated[list[str] | None, typer.Option(help="A genre to fill, several times for several.")] = None,
    seconds: SecondsOption = 10.0,
    seed: Annotated[int, typer.Option(min=0, max=2**31, help="Of each genre's first clip, and of drawn splits.")] = 0,
    guidance_scale: GuidanceOption = 3.0,
    temperature: TemperatureOption = 1.0,
    top_k: TopKOption = 250,
    batch_size: BatchOption = 4,
    device: DeviceOption = "auto",
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace --output whatever it is; what this command made, it goes on with."),
    ] = False,
) -> None:
    """Fill up small genres with clips by MusicGen: for training alone, and marked so in the column source."""
    from genre_lib.sampling import Sampling, require_length

    require_length(seconds)
    sampling = Sampling(guidance_scale, temperature, top_k)
    source = existing(source, "CATALOGUE")
    folder = generator_folder(model)
    require_writable(output)
    require_other(output, source)
    place = clips or output.with_name(f"{output.stem}_generated")
    if not can_be_made(place / "clip.wav"):
        raise ConfigurationError(f"--clips {place}: no folder can be made there; choose another.")
    from genre_lib.data.catalogue import genre_name
    from genre_lib.data.fill import fill, plan
    from genre_lib.data.opening import open_catalogue
    from genre_lib.models.generator import Generator

    with progress_bar("listening for repeats") as bar:
        found = open_catalogue(source, seed, lambda done, total: bar(done, total))
    if not overwrite:
        require_own(output, found)
    generator = Generator.from_folder(folder, device)
    chosen = [genre_name(name) for name in genre] if genre else None
    filling = plan(found, generator, per_genre, place, seconds, sampling, seed, chosen)
    say(told(filling))
    with progress_bar("making music") as bar:
        fill(filling, generator, sampling, batch_size, bar).write(output)
    say(f"{counted(len(filling.filled()), 'track')}: {output}.")
    if unused := len(filling.unused()):
        are = "is" if unused == 1 else "are"
        say(
            f"{counted(unused, 'clip')} in {filling.folder} {are} not used by it, being drawn otherwise or for another."
        )


def require_other(output: Path, source: str) -> None:
    """Refuse to write over the table that is read."""
    from genre_lib.data.catalogue_table import table_in
    from genre_lib.settings import get_settings
    from genre_lib.spotify.place import SpotifyPlace

    library = SpotifyPlace.parse(source)
    read = library.made(get_settings()) if library else table_in(Path(source)) or Path(source)
    if output.exists() and read.exists() and output.samefile(read):
        raise ConfigurationError(f"--output {output} is the catalogue that is filled up; choose another.")


def require_own(output: Path, found: Catalogue) -> None:
    """Refuse to replace what is there, but for a table that filling up the same tracks has made."""
    from genre_lib.data.catalogue_table import read
    from genre_lib.data.fill import continues
    from genre_lib.errors import CatalogueError

    if not output.is_file():
        return
    try:
        own = continues(found, read(output))
    except CatalogueError:
        own = False
    if not own:
        raise ConfigurationError(
            f"--output {output} is there already, and is not what this command made of these tracks; choose another, "
            "or say --overwrite."
        )


def told(filling: Filling) -> str:
    """What is going to be made, in a sentence."""
    wanted = sum(filling.lacking.values())
    if not wanted:
        return "Every genre has train tracks enough; no clip is added."
    each = ", ".join(f"{genre} {number}" for genre, number in filling.lacking.items())
    made = wanted - len(filling.missing)
    there = f"; {made} of them {'is' if made == 1 else 'are'} there already" if made else ""
    return f"{counted(wanted, 'clip')} of {filling.seconds:g} s to add ({each}){there}."


def verdict(report: CheckReport, strict: bool) -> str:
    """How much was found, and what it means for the exit code and for training."""
    numbers = {"track": report.tracks, "error": len(report.errors), "warning": len(report.warnings)}
    found = ", ".join(counted(number, noun) for noun, number in numbers.items())
    if report.ok:
        return f"{found}: fit to train on."
    if strict:
        return f"{found}: refused, and the exit code is 1. genre finetune --strict refuses it too."
    return (
        f"{found}: the exit code is 0, for errors are only told; with --strict it is 1. genre finetune leaves out what "
        "does not decode and goes on where it can; with --strict it refuses."
    )


def finding_row(finding: Finding) -> str:
    """A finding as a line of JSON."""
    row = {"kind": finding.kind, "severity": finding.severity, "message": finding.message, "paths": finding.paths}
    return json.dumps(row, ensure_ascii=False) + "\n"
