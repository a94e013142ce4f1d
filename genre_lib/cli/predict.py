"""``genre predict``: the genres of files and folders."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from genre_lib.cli.console import require_writable, say, sink
from genre_lib.cli.figure import drawn, require_drawable
from genre_lib.cli.options import EngineOption, ModelOption, get_settings, model_folder
from genre_lib.cli.rows import RowFormat, clock, find_all, format_of, names_in, with_progress
from genre_lib.cli.track_table import TrackTable
from genre_lib.errors import AudioError, ConfigurationError
from genre_lib.wording import counted

if TYPE_CHECKING:
    from genre_lib.beside_sound import Features
    from genre_lib.inference import Predictor
    from genre_lib.predictions import TrackPrediction
    from genre_lib.settings import Settings


SECONDS_A_FILE = 180.0
"""What a file is taken to last, before it is decoded."""


def predict(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Files, and folders, which are walked.", metavar="PATH…")
    ] = None,
    model: ModelOption = None,
    top_k: Annotated[int, typer.Option(min=1, help="Genres a track, the likeliest first.")] = 3,
    format: Annotated[
        RowFormat | None,
        typer.Option(help="How to print the tracks.", show_default="by --output's ending, or table"),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="File to write, in place of standard output.")] = None,
    timeline: Annotated[bool, typer.Option("--timeline", help="The genre over the length of a track, too.")] = False,
    figure: Annotated[
        Path | None,
        typer.Option(help="Draw one track as PNG, SVG or PDF, by the ending; over its length with --timeline."),
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option(help="CSV with path and Spotify's audio features; without PATH its tracks are predicted."),
    ] = None,
    engine: EngineOption = None,
) -> None:
    """Predict the genres of tracks. A file that cannot be read is a row with its error; then the exit code is 1."""
    format = format or format_of(output)
    if timeline and format is RowFormat.csv:
        raise ConfigurationError("--timeline has no place in a CSV; use --format jsonl or table.")
    if timeline and not paths:
        raise ConfigurationError("--timeline is over the length of a sound; name files, not --features alone.")
    if output:
        require_writable(output)
    if not paths and not features:
        raise ConfigurationError("Missing argument PATH…: name files or folders to predict, or a table of --features.")
    settings = get_settings(**{} if engine is None else {"engine": engine})
    folder = model_folder(model, settings)
    known = known_features(features)
    files, absent = find_all(paths) if paths else ([Path(path) for path in known], [])
    total = len(files) + len(absent)
    if figure:
        require_drawable(figure, total)
    with sink(output, names_in(format)) as file:
        write = {"table": write_table, "jsonl": write_jsonl, "csv": write_csv}[format.value]
        quiet = format is not RowFormat.table and output is None and sys.stdout.isatty()
        found = predicted(files, absent, folder, timeline, settings, known)
        found = drawn(found, figure, top_k) if figure else found
        failed = write(file, with_warnings(found, total, quiet), top_k)
    if output:
        say(f"{counted(total, 'track')}: {output}")
    if failed:
        say(f"{failed} of {total} could not be predicted.")
        raise typer.Exit(1)


def known_features(table: Path | None) -> dict[str, Features]:
    """By absolute path, what the table says of each track."""
    if table is None:
        return {}
    from genre_lib.data.feature_table import read_features

    return dict(read_features(table))


def predicted(
    files: list[Path],
    absent: list[tuple[Path, AudioError]],
    folder: Path,
    timeline: bool,
    settings: Settings,
    known: dict[str, Features],
) -> Iterator[TrackPrediction]:
    """A row for every file, and one for every path that led to none.

    Args:
        known: features by absolute path; a track of these that has no file is predicted by them alone.
    """
    from genre_lib.audio import Limits
    from genre_lib.memory import keep_freed
    from genre_lib.predictions import TrackPrediction

    keep_freed()
    limits = Limits(settings.max_audio_bytes, settings.max_audio_seconds)
    predictor = predictor_of(folder, len(files), settings)
    if known:
        require_features(predictor)
    for is_heard, group in groupby(files, lambda file: has_sound(predictor, file, known)):
        names = [str(file) for file in group]
        told = [known.get(str(Path(name).absolute())) for name in names]
        if is_heard:
            given = {name: features for name, features in zip(names, told, strict=True) if features is not None}
            yield from predictor.files(names, timeline=timeline, limits=limits, features=given)
        else:
            yield from map(named, predictor.told([features or {} for features in told]), names)
    for path, error in absent:
        yield TrackPrediction(path=str(path), error=str(error), code=error.code)


def predictor_of(folder: Path, files: int, settings: Settings) -> Predictor:
    """The predictor, by an engine that is worth its start for so many files."""
    from genre_lib.imports import uncollected

    with uncollected("torch"):
        from genre_lib.inference import Predictor, load_model

    model = load_model(folder)
    clips = round(files * SECONDS_A_FILE / model.inference.hop_seconds)
    place = settings.cache_path
    predictor = Predictor(model, device=settings.device, engine=settings.engine, clips_expected=clips, cache_path=place)
    if predictor.engine.compiled_in:
        say(f"{model.name} was compiled for {predictor.engine.name} in {predictor.engine.compiled_in:.1f} s, and kept.")
    return predictor


def require_features(predictor: Predictor) -> None:
    if predictor.beside.source is None:
        raise ConfigurationError(f"{predictor.model.name} goes by the sound alone; leave --features out.")


def has_sound(predictor: Predictor, file: Path, known: dict[str, Features]) -> bool:
    """Whether a track is heard; what only the table knows is not."""
    return str(file.absolute()) not in known or (predictor.beside.hears and file.is_file())


def named(track: TrackPrediction, path: str) -> TrackPrediction:
    return replace(track, path=path)


def with_warnings(tracks: Iterable[TrackPrediction], total: int, quiet: bool) -> Iterator[TrackPrediction]:
    """The tracks, a progress bar and their warnings meanwhile."""
    for track in with_progress(tracks, total, "predicting", quiet):
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
    """A row a track: path, duration, genres with confidences, what is outside of them where that is told, error."""
    writer = csv.writer(file)
    tells, tracks = tells_outside(tracks)
    columns = [name for k in range(1, top_k + 1) for name in (f"genre_{k}", f"confidence_{k}")]
    writer.writerow(["path", "duration", *columns, *(["outside"] if tells else []), "error"])
    failed = 0
    for track in tracks:
        cells = [cell for p in track.top(top_k) for cell in (p.genre, f"{p.confidence:.6f}")]
        cells += [""] * (2 * top_k - len(cells))
        cells += [f"{track.outside:.6f}" if track.outside is not None else ""] if tells else []
        duration = "" if track.duration is None else f"{track.duration:.3f}"
        writer.writerow([track.path, duration, *cells, track.error or ""])
        failed += track.error is not None
    return failed


def tells_outside(tracks: Iterable[TrackPrediction]) -> tuple[bool, Iterator[TrackPrediction]]:
    """Whether the model says how likely it is none of its genres, by the first track that it heard; and all tracks."""
    remaining, seen = iter(tracks), []
    for track in remaining:
        seen.append(track)
        if not track.error:
            break
    return any(track.outside is not None for track in seen), chain(seen, remaining)


def write_table(file: TextIO, tracks: Iterable[TrackPrediction], top_k: int) -> int:
    """Rows for a person, and below them what was wrong with the tracks that could not be predicted."""
    table = TrackTable(["track", "length", "genres"])
    for track in tracks:
        if track.error is not None:
            table.add_failed(str(track.path), track.code, track.error)
            continue
        table.add(str(track.path), clock(track.duration), ranking(track.top(top_k), track.outside))
        for segment in track.timeline or []:
            told = ranking(segment.predictions[:top_k], segment.outside)
            table.add("", f"{clock(segment.start)}–{clock(segment.end)}", told)
    table.print(file)
    return len(table.errors)


def ranking(predictions: list[Any], outside: float | None = None) -> str:
    """The genres with their confidences, and how likely it is none of them where the model says that."""
    said = " · ".join(f"{p.genre} {p.confidence:.2f}" for p in predictions)
    return said if outside is None else f"{said} (outside {outside:.2f})"
