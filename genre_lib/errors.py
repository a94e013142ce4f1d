"""What can go wrong, as types: one root, and a child for every mistake that a caller may want to tell apart.

A message is written for the person who made the call: what was expected, what came, what to do.
"""

from __future__ import annotations

import re


class GenreLibError(Exception):
    """Root of every error that this package raises on purpose."""

    @property
    def code(self) -> str:
        """The error's name for machines, such as ``not_audio``; stable over versions."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(self).__name__).lower()


class ConfigurationError(GenreLibError):
    """A setting or parameter is unknown, out of range or contradicts another."""


class EngineUnavailable(ConfigurationError):
    """A network cannot be computed in this way here: the library is absent, or the machine or network do not fit."""


class AudioError(GenreLibError):
    """A source could not be turned into a waveform."""


class AudioNotFound(AudioError):
    """There is no file at the path."""


class NotAudio(AudioError):
    """The bytes are no audio that FFmpeg can decode."""


class EmptyAudio(AudioError):
    """There are no bytes, or no samples in them."""


class AudioTooLong(AudioError):
    """The track lasts longer than the limit in seconds."""


class AudioTooLarge(AudioError):
    """The source holds more bytes than the limit."""


class AudioTruncated(AudioError):
    """Fewer seconds could be decoded than the container claims."""


class CatalogueError(GenreLibError):
    """A catalogue of tracks cannot be used."""


class CatalogueNotFound(CatalogueError):
    """There is no folder or table at the path."""


class CatalogueInvalid(CatalogueError):
    """The table lacks columns or rows, or holds values that it must not."""


class CatalogueLeaks(CatalogueError):
    """The same artist or recording stands in more than one split."""


class ModelError(GenreLibError):
    """A model folder cannot be used."""


class ModelNotFound(ModelError):
    """There is no model of that name, or no folder at the path."""


class ModelInvalid(ModelError):
    """The folder holds no audio classifier that can be loaded safely."""


class NoActiveModel(ModelError):
    """The model that answers where none is named cannot be loaded; another is to be activated."""


class ModelInUse(ModelError):
    """The model is served at present, or belongs to the package."""


class ModelExists(ModelError):
    """A model of that name is there already."""


class ModelNameInvalid(ConfigurationError):
    """A model cannot be called that."""


class UploadRefused(ModelError):
    """What was uploaded is no model folder that may be taken in."""


class NoMetrics(ModelError):
    """The model is there, and was never evaluated."""


class RunError(GenreLibError):
    """A training or evaluation run did not end well."""


class RunFailed(RunError):
    """The run stopped with an error."""


class RunStopped(RunError):
    """The run was stopped from outside."""


class RunNotFound(RunError):
    """There is no run folder at the path."""


class NotebookFailed(RunFailed):
    """A notebook that ran as a job did not end well.

    Args:
        reason: a sentence without its full stop.
        notebook: the executed notebook, as far as it came.
    """

    def __init__(self, reason: str, notebook: object = "none") -> None:
        super().__init__(f"{reason}. The executed notebook: {notebook}")
        self.reason = f"{reason}."


class JobError(GenreLibError):
    """A job cannot be found, started or changed."""


class JobNotFound(JobError):
    """There is no job of that id."""


class JobConflict(JobError):
    """The job is in a state that does not allow what was asked."""


class QueueFull(JobError):
    """As many jobs wait as may."""


class RequestError(GenreLibError):
    """What was asked for cannot be done as it was asked."""


class TrainingSettingsInvalid(RequestError):
    """A setting of the training is unknown, out of range, or contradicts another."""


class GenresUnknown(RequestError):
    """The catalogue has no tracks of a genre that was asked for."""


class FeaturesRefused(RequestError):
    """Features of a track came for a model that takes none."""


class PathNotAllowed(RequestError):
    """A path leads out of the folders that requests may name."""


class AccessError(GenreLibError):
    """A request may not do what it asks for."""


class NoKeysConfigured(AccessError):
    """Only a key opens this, and there are none."""


class MissingKey(AccessError):
    """Only a key opens this, and none came."""


class InvalidKey(AccessError):
    """The key that came is not known."""


class UnsupportedMediaType(RequestError):
    """The body is in no form that the route takes."""


class TooManyItems(RequestError):
    """A batch holds more tracks than it may."""


class AnalysisBusy(RequestError):
    """As many tracks wait to be analysed as may."""


class SpotifyError(GenreLibError):
    """Something of Spotify's cannot be used."""


class InvalidTrackId(SpotifyError):
    """The text names no track of Spotify's."""


class SpotifyNotConfigured(SpotifyError):
    """No access to Spotify is set up."""


class SpotifyNotConnected(SpotifyError):
    """An app is set up, and nobody has signed in to it."""


class SpotifyLoginFailed(SpotifyError):
    """Signing in did not come to its end: refused, too late, or an answer to somebody else's question."""


class ReauthNeeded(SpotifyNotConnected):
    """Spotify no longer takes the authorisation: it has expired or was taken back."""


class SpotifyCredentialsInvalid(SpotifyError):
    """Spotify does not know the app, or not by that secret."""


class PremiumRequired(SpotifyError):
    """The owner of the app needs Spotify Premium."""


class NotAllowlisted(SpotifyError):
    """The user is not on the app's list of users."""


class SpotifyForbidden(SpotifyError):
    """Spotify does not let this app, or this user, have that."""


class EndpointGone(SpotifyForbidden):
    """Spotify has withdrawn the call for apps like this one."""


class SpotifyNotFound(SpotifyError):
    """Spotify knows nothing of that id."""


class SpotifyUnreachable(SpotifyError):
    """Spotify, or another source of tracks, does not answer, or with what cannot be read.

    Args:
        passing: whether the same call may well be answered a few seconds later.
    """

    def __init__(self, message: str = "", passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing


class SpotifyTimeout(SpotifyUnreachable):
    """Spotify, or another source of tracks, does not answer in time."""


class RateLimited(SpotifyError):
    """Too many calls were made in a short time.

    Args:
        resume_at: when calls are answered again, in seconds since 1970.
    """

    def __init__(self, message: str, resume_at: float = 0.0) -> None:
        super().__init__(message)
        self.resume_at = resume_at


class QuotaExceeded(RateLimited):
    """The app's calls for the day are used up, by Spotify's count or by ours."""


class LibraryEmpty(SpotifyError):
    """There is nothing in the library that was asked for, or nothing was fetched yet."""


class LabelsInvalid(SpotifyError):
    """The labels for a library cannot be used: the file, or what follows from them."""


class NoAudio(SpotifyError):
    """None of the sources has audio for the track, or for any of them."""


class FetchError(GenreLibError):
    """A file could not be fetched from its URL."""


class UrlRefused(FetchError):
    """The URL is none that is fetched from: its scheme, host, port or form."""


class UrlUnreachable(FetchError):
    """Nobody answers at the URL, or not with a file."""


class FetchTimeout(FetchError):
    """The file did not come in time."""


class HubError(GenreLibError):
    """A model cannot be had from a model hub."""


class HubUnreachable(HubError):
    """The hub may not be asked, does not answer, or not as a hub does."""


class HubNotFound(HubError):
    """The hub shows no such repository, revision or file."""


class HubRefused(HubError):
    """The hub wants an account, or one that has accepted the model's terms."""


class HubModelUnsuitable(HubError):
    """The repository holds no model that this library can use safely."""


class DownloadInterrupted(HubError):
    """A file came in part; the part is kept."""


class DownloadCorrupt(HubError):
    """What came is not what the hub says that it has."""


class DownloadBusy(HubError):
    """Another process fetches the same model."""


class DiskFull(GenreLibError):
    """There is no room for what was to be written."""


class ReadOnly(GenreLibError):
    """The folder of models cannot be written to."""


def first_line(message: str) -> str:
    """The first line with text in it, without a full stop: what of another library's message fits into a sentence."""
    return next((line.strip() for line in message.splitlines() if line.strip()), "no message").rstrip(".")
