"""A job on somebody's Spotify library: what is checked when it is asked for, and how it gets its music.

The library is collected by the job's own process, so that it may take its time, be watched, stopped and resumed. The
catalogue that comes of it is kept with the job, and every further attempt trains on the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

from genre_lib import job_music, job_request
from genre_lib.errors import ConfigurationError, RunStopped, SpotifyNotConfigured, TrainingSettingsInvalid
from genre_lib.job_folder import JobFolder
from genre_lib.job_request import Prepared
from genre_lib.runs import Run
from genre_lib.settings import Settings
from genre_lib.spotify.place import SpotifyPlace

STOP_LOOK = 1.0
"""Seconds between looks at whether a job that waits for Spotify should stop."""

NO_MUSIC = (
    "Only files of your own are trained on, and the service knows of none; whoever runs it sets MUSIC_PATH to their "
    "folder."
)


def prepare(
    settings: Settings,
    *,
    base_model: str | None,
    user: str,
    labels: str = "genre",
    config: Mapping[str, Any] | None = None,
) -> Prepared:
    """Check all that can be checked before Spotify is asked.

    Args:
        base_model: a name from the registry; None: the active model's.
        user: Spotify's id, or ``me`` for whoever signed in.
        labels: ``genre``, ``playlist``, or ``csv:FILE`` with a file below a configured root.
        config: settings, as :func:`genre_lib.job_request.prepare` takes them.

    Raises:
        ModelNotFound, ModelInvalid, TrainingSettingsInvalid: as :func:`genre_lib.job_request.prepare`; also where the
            user or the labels are none.
        PathNotAllowed, CatalogueNotFound: the labels' file lies elsewhere, or is not there.
        SpotifyNotConfigured, SpotifyNotConnected: no app is set up, no music, or nobody has signed in.
        QuotaExceeded, RateLimited: Spotify takes no calls now; ``resume_at`` says when.
    """
    fields, base = job_request.fields_for(settings, base_model, config)
    place = place_of(user, labels, settings)
    require_spotify(settings)
    return Prepared({**fields, "data_path": str(place)}, base, None)


def place_of(user: str, labels: str, settings: Settings) -> SpotifyPlace:
    """Whose library, called what; a file of labels must lie where requests may look."""
    kind, _, file = labels.partition(":")
    if kind == "csv" and file:
        labels = f"csv:{job_music.found(file, [file, f'{file}.csv'], settings, 'labels', 'a CSV')}"
    try:
        return SpotifyPlace.of(user, labels)
    except ConfigurationError as error:
        raise TrainingSettingsInvalid(f"spotify_user_id, labels: {error}") from error


def require_spotify(settings: Settings) -> None:
    """Refuse now what the job would be refused at its first step."""
    from genre_lib.spotify.client import Client
    from genre_lib.spotify.store import Store

    Client.for_user(settings)
    if settings.music_path is None or not settings.music_path.expanduser().is_dir():
        raise SpotifyNotConfigured(NO_MUSIC)
    with closing(Store.of(settings)) as store:
        store.budget.require_open()


def with_music(folder: JobFolder, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters, with the job's own catalogue where they name a library."""
    place = library_in(parameters)
    return {**parameters, "data_path": str(folder.catalogue)} if place else dict(parameters)


def library_in(parameters: Mapping[str, Any]) -> SpotifyPlace | None:
    """The library that a job's music comes from, if it does."""
    named = parameters.get("data_path")
    return SpotifyPlace.parse(named) if isinstance(named, str) else None


def collect(folder: JobFolder, parameters: Mapping[str, Any], settings: Settings) -> None:
    """Collect the job's music, unless an earlier attempt has done so or it does not come from a library.

    Raises:
        RunStopped: somebody asked the job to stop meanwhile.
        GenreLibError: as :func:`genre_lib.spotify.gathering.gather`, or the tracks cannot be split by artist.
    """
    place = library_in(parameters)
    if place is None or folder.catalogue.is_file():
        return
    from genre_lib.data.splits import require_splits
    from genre_lib.spotify.gathering import gather

    watcher = EventWatcher(folder)
    made = gather(place, settings, watcher, watcher.sleep)
    require_splits(made.catalogue)
    made.catalogue.write(folder.catalogue)
    watcher.run.event("library_collected", **made.numbers.to_dict())


class EventWatcher:
    """Writes how far the collecting is as events of the job, and ends it where the job is to stop."""

    def __init__(self, folder: JobFolder) -> None:
        self.folder = folder
        self.run = Run(folder.path)
        self.run.event("library_opened")
        self._fetched: Callable[..., None] = self.run.telling("library_fetched")
        self._matched: Callable[..., None] = self.run.telling("tracks_matched")

    def fetched(self, done: int, total: int, what: str) -> None:
        self._tell(self._fetched, done, total, what)

    def matched(self, done: int, total: int, what: str) -> None:
        self._tell(self._matched, done, total, what)

    def refused(self, what: str, why: str) -> None:
        self.run.event("listing_refused", what=what, why=why)

    def sleep(self, seconds: float) -> None:
        """Wait, and look meanwhile whether to stop."""
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            self._heed_stop()
            time.sleep(min(left, STOP_LOOK))

    def _tell(self, tell: Callable[..., None], done: int, total: int, what: str) -> None:
        self._heed_stop()
        tell(done, total, what=what)

    def _heed_stop(self) -> None:
        if self.folder.stop_asked():
            raise RunStopped("The job was stopped while it collected its music; what was fetched is kept.")


def name_of(labels: str | None) -> str:
    """What a model of such a library is called where no name is given."""
    return f"spotify-{(labels or 'genre').partition(':')[0]}"
