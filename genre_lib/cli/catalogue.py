"""``genre catalogue``: make and check the table of tracks."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genre_lib.cli.console import print_table, progress_bar, require_writable, say, shown, write_text
from genre_lib.wording import counted

if TYPE_CHECKING:
    from genre_lib.data.check import Finding


app = typer.Typer(help="Make and check the table of tracks that training starts from.", no_args_is_help=True)


class How(StrEnum):
    """Ways to read a source of music."""

    auto = "auto"
    folder = "folder"
    tags = "tags"
    csv = "csv"


class CheckFormat(StrEnum):
    table = "table"
    jsonl = "jsonl"


@app.command("build")
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
    size = f"{counted(len(found), 'track')} of {counted(len(found.genres), 'genre')}"
    say(f"{size}: {output}. What is wrong with them: genre catalogue check.")


@app.command("check")
def catalogue_check(
    file: Annotated[str, typer.Argument(help="The CSV, or a folder of music.")],
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 where an error is found; else findings are only told.")
    ] = False,
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
    numbers = {"track": report.tracks, "error": errors, "warning": len(report.findings) - errors}
    say(", ".join(counted(number, noun) for noun, number in numbers.items()) + ".")
    if strict and errors:
        raise typer.Exit(1)


def finding_row(finding: Finding) -> str:
    """A finding as a line of JSON."""
    row = {"kind": finding.kind, "severity": finding.severity, "message": finding.message, "paths": finding.paths}
    return json.dumps(row, ensure_ascii=False) + "\n"
