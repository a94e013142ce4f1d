"""``genre catalogue review``: which labels the rest of the collection contradicts."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from genre_lib.cli.console import interval, print_lines, print_table, progress_bar, require_writable, say, sink
from genre_lib.cli.options import existing
from genre_lib.cli.rows import RowFormat, format_of, names_in
from genre_lib.errors import CatalogueInvalid, ConfigurationError
from genre_lib.wording import counted

if TYPE_CHECKING:
    import pandas as pd

    from genre_lib.data.catalogue import Catalogue
    from genre_lib.review import Review


def catalogue_review(
    source: Annotated[str, typer.Argument(help="The CSV, or a folder of music.", metavar="CATALOGUE")],
    model: Annotated[
        str | None,
        typer.Option(
            help="Name or folder of the base model that listens; one that was trained on these tracks has learnt their "
            "labels.",
            show_default="MODEL_PATH",
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="train, valid, test or all.")] = "all",
    folds: Annotated[int, typer.Option(min=2, max=50, help="Parts that the artists are put into.")] = 5,
    top: Annotated[int, typer.Option(min=0, help="Most doubtful labels that the table shows.")] = 20,
    format: Annotated[
        RowFormat | None,
        typer.Option(help="A table of the doubtful, or every track.", show_default="by --output's ending, or table"),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="File to write every track to, with both confidences.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**31, help="Of the parts and of the intervals.")] = 0,
) -> None:
    """Find labels that the rest of the collection contradicts, and score it without a split.

    Every track is heard by a head that was learned from tracks of other artists, and told what it takes it for.
    """
    if split not in ("train", "valid", "test", "all"):
        raise ConfigurationError(f"--split is train, valid, test or all, and is {split!r}.")
    format = format or format_of(output)
    if output and format is RowFormat.table:
        raise ConfigurationError(f"--output {output}: every track is written as .csv or .jsonl; end its name so.")
    if output:
        require_writable(output)
    from genre_lib.data.catalogue_source import open_one
    from genre_lib.review import review

    tracks = of_split(open_one(existing(source, "CATALOGUE")), split)
    with progress_bar("listening for repeats") as bar:
        found = review(tracks, model, folds, seed, lambda what, done, total: bar(done, total, what))
    if format is not RowFormat.table:
        with sink(output, names_in(format)) as file:
            (write_csv if format is RowFormat.csv else write_jsonl)(file, found.tracks)
    if output or format is RowFormat.table:
        print_review(found, top)
    say(verdict(found, output))


def of_split(catalogue: Catalogue, split: str) -> Catalogue:
    if split == "all":
        return catalogue
    if split not in catalogue.splits:
        there = ", ".join(catalogue.splits) or "none"
        raise CatalogueInvalid(f"The catalogue has no tracks in the split {split!r}; its splits: {there}.")
    return catalogue.split(split)


def print_review(found: Review, top: int) -> None:
    """The most doubtful labels, and what the answers are worth."""
    doubtful = found.doubtful().head(top)
    if len(doubtful):
        print_table(["track", "labelled", "", "sounds like", ""], texts(doubtful, common(found.tracks["path"])))
        print()
    print_lines(
        {
            "tracks": f"{len(found.tracks)}, each judged by a head that was learned without its artist",
            "accuracy": interval(found.scores["accuracy"]),
            "macro-F1": interval(found.scores["macro_f1"]),
            "most confused": "; ".join(confusions(found)) or "nothing",
        }
    )


def texts(rows: pd.DataFrame, folder: Path) -> Iterable[list[str]]:
    """A table's cells: path below the folder, label and what it sounds like, each with its confidence."""
    for row in rows.to_dict("records"):
        name = str(Path(row["path"]).relative_to(folder))
        yield [name, row["genre"], f"{row['genre_confidence']:.2f}", row["predicted"], f"{row['confidence']:.2f}"]


def common(paths: pd.Series) -> Path:
    """The folder that all tracks are below."""
    return Path(os.path.commonpath([Path(path).parent for path in paths]))


def confusions(found: Review, number: int = 3) -> list[str]:
    """The genres most often taken for others, as sentences."""
    matrix = found.scores["confusion"]
    off = [(matrix[a][b], a, b) for a in range(len(matrix)) for b in range(len(matrix)) if a != b and matrix[a][b]]
    named = sorted(off, key=lambda each: -each[0])[:number]
    return [f"{found.genres[a]} for {found.genres[b]} ({count} of {sum(matrix[a])})" for count, a, b in named]


def verdict(found: Review, output: Path | None) -> str:
    """How many labels are doubtful, what was left out, and what to do."""
    doubtful = len(found.doubtful())
    told = [f"{counted(doubtful, 'label')} of {len(found.tracks)} {'is' if doubtful == 1 else 'are'} doubtful."]
    if doubtful:
        told.append("Listen before you change one: a doubt may be the model's own mistake.")
    if found.unnamed:
        flatter = "stands for itself, which flatters the scores where its artist has others"
        told.append(f"{counted(found.unnamed, 'track')} without an artist: each {flatter}.")
    if found.unjudged:
        told.append(f"{counted(len(found.unjudged), 'track')} had no other artist's of the genre to be judged by.")
    if found.failed:
        told.append(f"{counted(len(found.failed), 'track')} could not be decoded; genre catalogue check says why.")
    if output:
        told.append(f"Every track: {output}.")
    return " ".join(told)


def write_csv(file: TextIO, tracks: pd.DataFrame) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(tracks.columns)
    writer.writerows(row_of(row).values() for row in tracks.to_dict("records"))


def write_jsonl(file: TextIO, tracks: pd.DataFrame) -> None:
    file.writelines(json.dumps(row_of(row), ensure_ascii=False) + "\n" for row in tracks.to_dict("records"))


def row_of(row: dict[Any, Any]) -> dict[Any, Any]:
    """A track's fields as they are written: confidences with four decimals."""
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in row.items()}
