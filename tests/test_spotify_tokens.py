"""The file that holds an authorisation."""

from __future__ import annotations

import json
import threading
from datetime import datetime
from pathlib import Path

import pytest

from genre_lib.errors import ReauthNeeded
from genre_lib.spotify.tokens import Tokens, months_later

CAME = {"access_token": "access-1", "refresh_token": "refresh-1", "expires_at": 5000, "scope": "b a"}


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(tmp_path / "spotify", "app", now=lambda: 1000.0)


def test_where_nobody_signed_in_there_is_none(tokens: Tokens):
    assert tokens.read() is None
    assert tokens.get_cached_token() is None
    assert tokens.delete() is False


def test_what_is_refreshed_keeps_its_first_day(tokens: Tokens, tmp_path: Path):
    begun = tokens.begin(CAME)
    later = Tokens(tmp_path / "spotify", "app", now=lambda: 9000.0)
    later.save_token_to_cache({"access_token": "access-2", "refresh_token": "refresh-2", "expires_at": 9999})
    found = later.read()
    assert found
    assert (found.authorised_at, found.account, found.scopes) == (1000.0, begun.account, ["a", "b"])
    assert (found.access_token, found.refresh_token, found.expires_at) == ("access-2", "refresh-2", 9999)


def test_tokens_do_not_come_back_after_they_were_deleted(tokens: Tokens):
    """Another process may be refreshing meanwhile."""
    tokens.begin(CAME)
    assert tokens.delete() is True
    tokens.save_token_to_cache(CAME)
    assert tokens.read() is None


def test_signing_in_waits_for_a_refresh_that_is_under_way(tokens: Tokens):
    """Else the refreshed ones of before would take the place of the new ones."""
    tokens.begin(CAME)
    order = []
    signing_in = threading.Thread(target=lambda: order.append(tokens.begin({**CAME, "access_token": "access-3"})))
    with tokens.locked():
        signing_in.start()
        signing_in.join(0.2)
        order.append("refreshing")
        tokens.save_token_to_cache({**CAME, "access_token": "access-2"})
    signing_in.join()
    assert order[0] == "refreshing"
    assert tokens.read() == order[1]
    assert tokens.read().access_token == "access-3"  # type: ignore[union-attr]


def test_no_token_is_in_a_repr(tokens: Tokens):
    shown = repr(tokens.begin(CAME)) + repr(tokens)
    assert "1000.0" in shown
    assert "access-1" not in shown
    assert "refresh-1" not in shown


def test_a_token_is_expired_a_minute_before_its_end(tokens: Tokens):
    found = tokens.begin(CAME)
    assert [found.is_expired(now) for now in (4940, 4941)] == [False, True]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cannot be read"),
        ("[]", "cannot be read"),
        ('{"access_token": "access-1"}', "cannot be read"),
        ("\ud800", "cannot be read"),
    ],
)
def test_a_damaged_file_says_to_sign_in_anew(tokens: Tokens, text: str, said: str):
    tokens.begin(CAME)
    tokens.path.write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(ReauthNeeded, match=f"{said}; sign in anew with `genre spotify login`"):
        tokens.read()


@pytest.mark.parametrize(("name", "value"), [("access_token", None), ("refresh_token", ""), ("expires_at", "soon")])
def test_a_file_without_what_it_needs_is_damaged(tokens: Tokens, name: str, value: object):
    tokens.begin(CAME)
    tokens.path.write_text(json.dumps(json.loads(tokens.path.read_text()) | {name: value}))
    with pytest.raises(ReauthNeeded, match="cannot be read") as told:
        tokens.read()
    assert "access-1" not in str(told.value)


def test_another_apps_authorisation_is_not_used(tokens: Tokens, tmp_path: Path):
    tokens.begin(CAME)
    with pytest.raises(ReauthNeeded, match="another app than SPOTIFY_CLIENT_ID names"):
        Tokens(tmp_path / "spotify", "other").read()


@pytest.mark.parametrize(
    ("day", "later"),
    [
        ("2026-01-15", "2026-07-15"),
        ("2026-08-31", "2027-02-28"),
        ("2027-08-30", "2028-02-29"),
        ("2026-12-31", "2027-06-30"),
    ],
)
def test_six_months_are_counted_by_the_calendar(day: str, later: str):
    found = months_later(datetime.fromisoformat(day).timestamp(), 6)
    assert datetime.fromtimestamp(found).date().isoformat() == later
