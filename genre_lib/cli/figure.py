"""The figure of a track that was predicted, as a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from genre_lib.cli.console import require_writable, visible
from genre_lib.errors import ConfigurationError

if TYPE_CHECKING:
    from genre_lib.predictions import TrackPrediction

ENDINGS = (".png", ".svg", ".pdf")


def require_drawable(figure: Path, tracks: int) -> None:
    """Refuse before the work a figure that could not be written, or that would be of several tracks.

    Raises:
        ConfigurationError: says which.
    """
    if figure.suffix.lower() not in ENDINGS:
        raise ConfigurationError(f"--figure writes {', '.join(ENDINGS)} by the file's ending, and got {figure}.")
    if tracks != 1:
        raise ConfigurationError(f"--figure draws one track, and {tracks:,} are named; name one file.")
    require_writable(figure, "--figure")


def drawn(tracks: Iterable[TrackPrediction], figure: Path, top_k: int) -> Iterator[TrackPrediction]:
    """The tracks, each drawn as it comes: its genres over its length where they were asked for, else as bars.

    Nothing is drawn of a track that could not be predicted.
    """
    for track in tracks:
        if track.error is None:
            draw(track, figure, top_k)
        yield track


def draw(track: TrackPrediction, figure: Path, top_k: int) -> None:
    from genre_lib import plots

    title = visible(Path(str(track.path)).name)
    if track.timeline:
        chart = plots.timeline(track.timeline, title)
    else:
        chart = plots.prediction_bars(track.predictions, top_k, title)
    try:
        plots.save(chart, figure)
    except OSError as error:
        raise ConfigurationError(f"--figure {figure} cannot be written ({error.strerror}); choose another.") from error
