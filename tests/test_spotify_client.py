"""spotipy against a Spotify on this machine, over HTTP: every answer becomes an error that says what to do."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from accounts_service import CLIENT_ID, SECRET, Accounts, settings_for, visit
from library_server import Bad, LibraryServer

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
    SpotifyNotConfigured,
    SpotifyNotConnected,
    SpotifyNotFound,
    SpotifyTimeout,
    SpotifyUnreachable,
)
from genre_lib.settings import Settings, get_settings
from genre_lib.spotify import invented
from genre_lib.spotify.access import SCOPES, UserAccess
from genre_lib.spotify.client import Client
from genre_lib.spotify.invented_world import World
from genre_lib.spotify.login import login
from genre_lib.spotify.tokens import Tokens

WORLD = invented.world(tracks=10, playlists=4, artists=5)
TRACK = next(iter(WORLD.tracks))


@pytest.fixture
def world() -> World:
    return WORLD


@pytest.fixture
def settings(server: LibraryServer, tmp_path: Path) -> Settings:
    return settings_for(server, tmp_path)


def sign_in(settings: Settings) -> None:
    """As a person does, whose browser is on this machine."""
    login(settings, lambda address: threading.Thread(target=visit, args=(address,)).start(), seconds=30, browser=False)


@pytest.fixture
def client(settings: Settings) -> Client:
    sign_in(settings)
    return Client.for_user(settings)


def test_whoever_signed_in_is_asked_for(client: Client, server: LibraryServer):
    assert client.get("me")["id"] == invented.USER
    page = client.get("me/tracks", limit=1)
    assert client.get(page["next"])["offset"] == 1
    assert server.asked[-2:] == ["me/tracks?limit=1", "me/tracks?limit=1&offset=1"]
    assert len(client.account) == 16


def test_without_an_app_everything_is_off(tmp_path: Path):
    settings = get_settings(spotify_client_id="", spotify_path=tmp_path)
    for make in (Client.for_user, Client.for_app, Client.for_tracks):
        with pytest.raises(SpotifyNotConfigured, match=r"SPOTIFY_CLIENT_ID in \.env .*http://127.0.0.1:8888/callback"):
            make(settings)


def test_without_anybody_signed_in_it_says_how(settings: Settings):
    with pytest.raises(SpotifyNotConnected, match="run `genre spotify login`"):
        Client.for_user(settings)
    with pytest.raises(SpotifyNotConfigured, match="SPOTIFY_CLIENT_SECRET"):
        Client.for_app(settings)


# --- as an app ----------------------------------------------------------------------------------------------------


def test_an_app_with_its_secret_may_read_tracks(settings: Settings, server: LibraryServer):
    client = Client.for_tracks(settings.model_copy(update={"spotify_client_secret": secret(SECRET)}))
    assert client.get(f"tracks/{TRACK}")["id"] == TRACK
    assert client.get(f"tracks/{TRACK}")["id"] == TRACK
    assert server.asked.count("api/token client_credentials") == 1
    assert client.account == ""


def test_without_a_secret_tracks_are_read_for_whoever_signed_in(client: Client, settings: Settings):
    assert Client.for_tracks(settings).account == client.account


def test_a_token_of_an_app_that_is_refused_early_is_asked_for_anew(settings: Settings, accounts: Accounts):
    client = Client.for_app(settings.model_copy(update={"spotify_client_secret": secret(SECRET)}))
    client.get(f"tracks/{TRACK}")
    accounts.expire()
    assert client.get(f"tracks/{TRACK}")["id"] == TRACK


def test_wrong_credentials_are_named(settings: Settings):
    client = Client.for_app(settings.model_copy(update={"spotify_client_secret": secret("wrong-secret")}))
    with pytest.raises(SpotifyCredentialsInvalid, match="check SPOTIFY_CLIENT_ID and SPOTIFY_CLIENT_SECRET") as told:
        client.get(f"tracks/{TRACK}")
    assert "wrong-secret" not in str(told.value)


def secret(text: str) -> object:
    return get_settings(spotify_client_secret=text).spotify_client_secret


# --- an authorisation that ends -----------------------------------------------------------------------------------


def test_an_expired_token_is_refreshed_before_the_call(settings: Settings, accounts: Accounts, server: LibraryServer):
    accounts.token_seconds = 59  # spotipy counts the last minute as over
    sign_in(settings)
    before = Tokens.of(settings).read()
    accounts.token_seconds = 3600
    client = Client.for_user(settings)
    client.get("me")
    client.get("me")
    after = Tokens.of(settings).read()
    assert server.asked.count("api/token refresh_token") == 1
    assert before and after
    assert after.access_token != before.access_token
    assert after.refresh_token != before.refresh_token
    assert (after.account, after.authorised_at, after.scope) == (before.account, before.authorised_at, before.scope)


def test_a_token_that_is_refused_early_is_refreshed_once(client: Client, accounts: Accounts, server: LibraryServer):
    accounts.expire()
    assert client.get("me")["id"] == invented.USER
    assert [path for path in server.asked if path in {"me", "api/token refresh_token"}][-3:] == [
        "me",
        "api/token refresh_token",
        "me",
    ]


def test_a_token_that_another_process_brought_is_used(client: Client, settings: Settings, accounts: Accounts):
    client.get("me")
    held = UserAccess(settings)
    held.get_access_token()
    accounts.expire()
    client.get("me")  # refreshes
    issued = len(accounts.issued)
    held.renew()
    assert len(accounts.issued) == issued
    assert held.get_access_token() == accounts.issued[-1]


def test_an_authorisation_that_has_ended_says_to_sign_in(client: Client, accounts: Accounts):
    accounts.expire()
    accounts.revoked = True
    with pytest.raises(ReauthNeeded, match=r"six months .* sign in anew with `genre spotify login`"):
        client.get("me")


def test_of_several_who_find_a_token_expired_one_refreshes_it(
    settings: Settings, accounts: Accounts, server: LibraryServer
):
    accounts.token_seconds = 59
    sign_in(settings)
    accounts.token_seconds = 3600
    found: list[str] = []
    asking = [threading.Thread(target=lambda: found.append(UserAccess(settings).get_access_token())) for _ in range(8)]
    for each in asking:
        each.start()
    for each in asking:
        each.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert server.asked.count("api/token refresh_token") == 1


# --- what Spotify answers instead ---------------------------------------------------------------------------------

PREMIUM = "Active premium subscription required for the owner of the app."
REFUSALS = [
    ("me", Bad(403, PREMIUM, plain=True), PremiumRequired, "needs Spotify Premium"),
    ("me", Bad(403, "Forbidden", "PREMIUM_REQUIRED"), PremiumRequired, "needs Spotify Premium"),
    ("me", Bad(403, "User not registered in the Developer Dashboard", plain=True), NotAllowlisted, "User Management"),
    ("me", Bad(403, "User not approved for app"), NotAllowlisted, "User Management"),
    ("me", Bad(403, "Insufficient client scope"), SpotifyForbidden, "sign in anew"),
    ("playlists/x/items", Bad(403, "Forbidden."), SpotifyForbidden, r"have /playlists/x/items \(Forbidden\)"),
    ("audio-features/x", Bad(403, ""), EndpointGone, "withdrawn the call /audio-features/x"),
    ("tracks", Bad(403, "Forbidden"), EndpointGone, "withdrawn"),
    ("artists/x", Bad(410, "Gone"), EndpointGone, "withdrawn"),
    ("tracks/x", Bad(404, "Resource not found"), SpotifyNotFound, r"nothing at /tracks/x \(Resource not found\)"),
    ("tracks/x", Bad(400, "Invalid base62 id"), SpotifyNotFound, "check the id"),
    ("me", Bad(401, "Invalid access token"), ReauthNeeded, "sign in anew"),
    ("me", Bad(503, "Service unavailable"), SpotifyUnreachable, r"answered 503 \(Service unavailable\)"),
    ("me", Bad(500, "broken", how="word"), SpotifyUnreachable, "answered 500"),
    ("me", Bad(404, "gone", how="word"), SpotifyNotFound, "nothing at /me"),
    ("me", Bad(200, how="garbage"), SpotifyUnreachable, "cannot be read"),
    ("me", Bad(200, how="cut"), SpotifyUnreachable, "cut its answer off"),
    ("me", Bad(302, how="away"), SpotifyUnreachable, "cannot be read"),
]


@pytest.mark.parametrize(("path", "bad", "error", "said"), REFUSALS)
def test_an_answer_becomes_its_error(
    client: Client, server: LibraryServer, path: str, bad: Bad, error: type[Exception], said: str
):
    server.state.options.bad = {path: replace(bad)}
    with pytest.raises(error, match=said) as raised:
        client.get(path)
    assert type(raised.value) is error
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("bad", "passing"),
    [(Bad(503, "busy"), True), (Bad(how="cut"), True), (Bad(how="garbage"), True), (Bad(418, "a teapot"), False)],
)
def test_trouble_says_whether_it_may_pass(client: Client, server: LibraryServer, bad: Bad, passing: bool):
    server.state.options.bad = {"me": replace(bad)}
    with pytest.raises(SpotifyUnreachable) as raised:
        client.get("me")
    assert raised.value.passing is passing


@pytest.mark.parametrize(
    ("reason", "header", "error", "seconds"),
    [
        ("QUOTA_EXCEEDED", "86400", QuotaExceeded, 86400),
        ("", "7", RateLimited, 7),
        ("", None, RateLimited, 30),
        ("", "soon", RateLimited, 30),
    ],
)
def test_too_many_calls_are_answered_at_once_with_when(
    settings: Settings, server: LibraryServer, reason: str, header: str | None, error: type[RateLimited], seconds: int
):
    sign_in(settings)
    server.state.options.bad = {"me": Bad(429, "API rate limit exceeded", reason, retry_after=header)}
    client = Client(settings, UserAccess(settings), now=lambda: 1000.0)
    with pytest.raises(error) as raised:
        client.get("me")
    assert type(raised.value) is error
    assert raised.value.resume_at == 1000 + seconds
    assert server.asked.count("me") == 1


@pytest.mark.parametrize("how", ["hang", "drip"])
def test_an_answer_that_does_not_come_in_time_is_given_up(settings: Settings, server: LibraryServer, how: str):
    sign_in(settings)
    server.state.options.bad = {"me": Bad(how=how)}
    client = Client.for_user(settings.model_copy(update={"spotify_timeout": 0.5}))
    with pytest.raises(SpotifyTimeout, match="does not answer in time") as raised:
        client.get("me")
    assert raised.value.passing


def test_where_nobody_listens_it_says_so(client: Client, server: LibraryServer):
    server.close()
    with pytest.raises(SpotifyUnreachable, match=r"cannot be reached|cut its answer off"):
        client.get("me")


@pytest.mark.parametrize(
    "bad", [Bad(how="garbage"), Bad(500, "oh"), Bad(429, "slow down", retry_after="9"), Bad(how="cut")]
)
def test_a_sign_in_service_that_fails_is_no_end_of_the_authorisation(
    client: Client, settings: Settings, server: LibraryServer, accounts: Accounts, bad: Bad
):
    accounts.expire()
    before = Tokens.of(settings).path.read_text()
    server.state.options.bad = {"api/token": replace(bad)}
    with pytest.raises((SpotifyUnreachable, RateLimited)):
        client.get("me")
    assert Tokens.of(settings).path.read_text() == before


@pytest.mark.parametrize(
    "link",
    [
        "https://example.com/v1/me/tracks?offset=50",
        "http://127.0.0.1:9/v1/me/tracks",
        "//example.com/v1/me",
        "{}/v2/me",
        "http://user@{host}/v1/me",
    ],
)
def test_a_link_to_elsewhere_is_not_followed(client: Client, server: LibraryServer, link: str):
    asked = len(server.asked)
    home = server.accounts_url
    with pytest.raises(SpotifyUnreachable, match="was not followed"):
        client.get(link.format(home, host=home.removeprefix("http://")))
    assert len(server.asked) == asked


# --- secrets ------------------------------------------------------------------------------------------------------


def test_no_secret_is_ever_logged_or_shown(
    settings: Settings, accounts: Accounts, server: LibraryServer, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    for name in ("spotipy", "spotipy.client", "spotipy.oauth2", "urllib3"):
        caplog.set_level(logging.DEBUG, logger=name)
    sign_in(settings)
    settings = settings.model_copy(update={"spotify_client_secret": secret(SECRET)})
    app, user = Client.for_app(settings), Client.for_user(settings)
    shown = [str(app.get(f"tracks/{TRACK}")["id"]), repr(app), repr(user), repr(settings)]
    accounts.expire()
    user.get("me")
    shown.append(repr(Tokens.of(settings).read()))
    for bad in (Bad(403, "no"), Bad(401, "no"), Bad(how="cut"), Bad(how="garbage"), Bad(500, "no", how="word")):
        server.state.options.bad = {"me": bad}
        with pytest.raises(SpotifyError) as raised:
            user.get("me")
        shown.append(repr(raised.value) + repr(raised.value.__cause__))
    server.state.options.bad = {}
    accounts.expire()
    accounts.revoked = True
    with pytest.raises(ReauthNeeded) as ended:
        user.get("me")
    told = "\n".join([*shown, repr(ended.value), *(f"{each.getMessage()} {each.exc_text}" for each in caplog.records)])
    assert "api/token" in told  # what urllib3 says at DEBUG was caught
    kept = [*accounts.issued, SECRET, Tokens.of(settings).read().access_token]  # type: ignore[union-attr]
    assert len(kept) > 5
    assert not [one for one in kept if one in told]


def test_the_right_to_read_is_all_that_is_asked_for(client: Client, settings: Settings):
    found = Tokens.of(settings).read()
    assert found
    assert found.client_id == CLIENT_ID
    assert found.scopes == sorted(SCOPES)
    assert all("-read" in scope for scope in SCOPES)
