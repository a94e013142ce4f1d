"""What is kept on this machine, and that all of it goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from genre_lib.errors import SpotifyNotConnected
from genre_lib.settings import Settings, get_settings
from genre_lib.spotify.client import Client
from genre_lib.spotify.connection import disconnect, kept
from genre_lib.spotify.place import SpotifyPlace
from genre_lib.spotify.store import Store
from genre_lib.spotify.tokens import Tokens

CAME = {"access_token": "access-1", "refresh_token": "refresh-1", "expires_at": 5000, "scope": ""}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Somebody is signed in, has fetched, and made a table."""
    settings = get_settings(spotify_client_id="app", spotify_path=tmp_path / "kept")
    Tokens.of(settings).begin(CAME)
    store = Store.of(settings)
    store.put_artist("a" * 22, {"name": "A person's artist", "genres": ["jazz"]})
    store.close()
    table = SpotifyPlace().table(settings)
    table.parent.mkdir()
    table.write_text("path,genre\n")
    return settings


def test_what_is_kept_has_names(settings: Settings):
    assert list(kept(settings)) == ["the authorisation", "what was fetched", "its catalogues"]


def test_without_purging_only_the_authorisation_goes(settings: Settings):
    assert disconnect(settings) == ["the authorisation"]
    assert list(kept(settings)) == ["what was fetched", "its catalogues"]
    assert Store.of(settings).genres() == {"a" * 22: ("jazz",)}
    with pytest.raises(SpotifyNotConnected):
        Client.for_user(settings)


def test_purging_leaves_nothing(settings: Settings):
    (settings.spotify_path / ".authorisation.json.0badcafe").write_text("refresh-0")  # its writer was killed
    assert disconnect(settings, purge=True) == ["the authorisation", "what was fetched", "its catalogues"]
    assert not settings.spotify_path.exists()
    assert disconnect(settings, purge=True) == []


def test_what_cannot_be_read_goes_as_well(settings: Settings):
    Tokens.of(settings).path.write_text("{")
    (settings.spotify_path / "library.sqlite3").write_text("no database")
    disconnect(settings, purge=True)
    assert not settings.spotify_path.exists()


def test_a_file_of_somebody_elses_stays(settings: Settings):
    (settings.spotify_path / "notes.txt").write_text("mine")
    disconnect(settings, purge=True)
    assert [each.name for each in settings.spotify_path.iterdir()] == ["notes.txt"]


def test_no_app_has_to_be_named_for_it(settings: Settings):
    assert disconnect(settings.model_copy(update={"spotify_client_id": ""}), purge=True)
    assert not settings.spotify_path.exists()
