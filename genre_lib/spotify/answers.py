"""What Spotify answers instead of what was asked for, as errors that say what to do next.

Spotify tells refusals apart by words alone: a 403 may mean the owner's subscription, the list of users, a scope, or a
call that is no more, and comes as JSON or as plain text. The words are those that its users report, such as
https://github.com/spotipy-dev/spotipy/issues/1233 and https://github.com/spotipy-dev/spotipy/issues/1044.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from spotipy.exceptions import SpotifyException, SpotifyOauthError

from genre_lib.errors import (
    EndpointGone,
    NotAllowlisted,
    PremiumRequired,
    QuotaExceeded,
    RateLimited,
    ReauthNeeded,
    SpotifyCredentialsInvalid,
    SpotifyError,
    SpotifyForbidden,
    SpotifyNotFound,
    SpotifyTimeout,
    SpotifyUnreachable,
    first_line,
)
from genre_lib.spotify.budget import clock_time
from genre_lib.spotify.downloads import is_late, may_pass, reason_of, seconds_to_wait

USUAL_WAIT = 30.0
"""Seconds, where an answer says to wait and not for how long: Spotify counts calls in spans of thirty."""

SERVERS_FAULT = 500
"""Statuses from here on say that the fault is Spotify's, which often passes."""

QUOTA = "QUOTA_EXCEEDED"
WITHDRAWN = re.compile(r"(audio-features|audio-analysis|recommendations|users|browse)\b|(tracks|artists|albums)/?$")
"""Calls that Spotify has taken away from apps like this one, by their path."""

LONGEST_SAID = 120
DASHBOARD = "https://developer.spotify.com/dashboard"

PREMIUM = (
    "The owner of the Spotify app needs Spotify Premium; subscribe, or name another app in SPOTIFY_CLIENT_ID. After a "
    "change it can take hours."
)
NOT_LISTED = (
    "Whoever signed in is not on the list of the app's users. Its owner adds them, by name and e-mail address, at "
    f"{DASHBOARD} under Settings, User Management (five at most); then ask again."
)
SCOPE = "The authorisation does not reach so far; sign in anew with `genre spotify login`."
REAUTH = (
    "Spotify no longer takes the authorisation: it ends six months after signing in, or when it is taken back; sign in "
    "anew with `genre spotify login`."
)
UNKNOWN_APP = (
    "Spotify does not know this app: check SPOTIFY_CLIENT_ID and SPOTIFY_CLIENT_SECRET in .env against those at "
    f"{DASHBOARD}."
)


def of_api(error: SpotifyException, path: str, now: float) -> SpotifyError:
    """The error that an answer of the Web API stands for.

    Args:
        path: that was asked for, below the API.
        now: seconds since 1970.
    """
    said = said_by(error.msg)
    if error.http_status == 429:
        return limited(error.headers, error.reason == QUOTA, now)
    if error.http_status == 401:
        return ReauthNeeded(REAUTH)
    if error.http_status == 403:
        return forbidden(said, str(error.reason or ""), path)
    if error.http_status == 410:
        return gone(path)
    if error.http_status == 404 or (error.http_status == 400 and "id" in said.lower().split()):
        return SpotifyNotFound(f"Spotify has nothing at {name_of(path)}{in_brackets(said)}; check the id.")
    told = f"Spotify answered {error.http_status}{in_brackets(said)}. Try again later."
    return SpotifyUnreachable(told, passing=error.http_status >= SERVERS_FAULT)


def forbidden(said: str, reason: str, path: str) -> SpotifyError:
    """What a 403 means."""
    words = f"{said} {reason}".lower().replace("_", " ")
    if "premium" in words:
        return PremiumRequired(PREMIUM)
    if "registered" in words or "approved for app" in words:
        return NotAllowlisted(NOT_LISTED)
    if "scope" in words:
        return SpotifyForbidden(SCOPE)
    if WITHDRAWN.match(name_of(path)[1:]):
        return gone(path)
    return SpotifyForbidden(f"Spotify does not let this app, or this person, have {name_of(path)}{in_brackets(said)}.")


def gone(path: str) -> EndpointGone:
    return EndpointGone(f"Spotify has withdrawn the call {name_of(path)} for apps like this one.")


def limited(headers: Mapping[str, str], quota: bool, now: float) -> RateLimited:
    """How long to wait, and whether it is the day's calls that are used up."""
    wait = seconds_to_wait(headers.get("Retry-After", ""), now)
    resume_at = now + (USUAL_WAIT if wait is None else wait)
    when = clock_time(resume_at)
    if quota:
        return QuotaExceeded(f"Spotify says that this app's calls are used up, and answers again at {when}.", resume_at)
    return RateLimited(f"Spotify takes no more calls for now, and answers again at {when}.", resume_at)


def of_accounts(error: SpotifyOauthError, now: float) -> SpotifyError:
    """The error that an answer of the accounts service stands for, when tokens are asked for."""
    response = getattr(error.__context__, "response", None)
    status = getattr(response, "status_code", 0)
    word = error.error if isinstance(error.error, str) and re.fullmatch(r"[a-z_]{1,40}", error.error) else ""
    if word == "invalid_grant":
        return ReauthNeeded(REAUTH)
    if word in {"invalid_client", "unauthorized_client"}:
        return SpotifyCredentialsInvalid(UNKNOWN_APP)
    if status == 429:
        return limited(response.headers, False, now)  # type: ignore[union-attr]
    told = f"Spotify's sign-in answered {status or 'nothing'}{in_brackets(word)}. Try again later."
    return SpotifyUnreachable(told, passing=status >= SERVERS_FAULT)


def of_failure(error: Exception) -> SpotifyUnreachable:
    """The error where no answer came, or not the whole of one."""
    kind = SpotifyTimeout if is_late(error) else SpotifyUnreachable
    return kind(f"Spotify {reason_of(error)}. Check the connection, and try again later.", passing=may_pass(error))


def unreadable() -> SpotifyUnreachable:
    """The error where an answer has not the form that it should have."""
    return SpotifyUnreachable("Spotify answered with what cannot be read. Try again later.", passing=True)


def said_by(message: object) -> str:
    """What a person may read of Spotify's own words; spotipy puts the address on a line before them."""
    lines = str(message).split(":\n", maxsplit=1)
    said = first_line(re.sub(r"[^\x20-\x7e\n]+", " ", lines[-1]))
    return "" if said in {"None", "no message"} or said.startswith("<") else said[:LONGEST_SAID]


def in_brackets(said: str) -> str:
    return f" ({said})" if said else ""


def name_of(path: str) -> str:
    """A call as it is named to a person: its path, without what is asked of it."""
    return "/" + urlsplit(path).path.lstrip("/").removeprefix("v1/")
