"""Signing in, with a browser that goes where it is sent, against an accounts service on this machine."""

from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from accounts_service import Accounts, settings_for, visit
from library_server import Bad, LibraryServer

from genre_lib.errors import ConfigurationError, SpotifyLoginFailed, SpotifyUnreachable
from genre_lib.settings import Settings
from genre_lib.spotify import invented
from genre_lib.spotify.callback import Answer, answer_in, fault_of
from genre_lib.spotify.invented_world import World
from genre_lib.spotify.login import has_browser, login
from genre_lib.spotify.tokens import Authorisation, Tokens

WORLD = invented.world(tracks=5, playlists=4, artists=2)


@pytest.fixture
def world() -> World:
    return WORLD


@pytest.fixture
def settings(server: LibraryServer, tmp_path: Path) -> Settings:
    return settings_for(server, tmp_path)


class Browser:
    """Opens the address that is told, in a thread of its own, and keeps what it was shown."""

    def __init__(self, before: Callable[[str], object] = lambda address: None) -> None:
        self._before = before
        self.shown: list[tuple[int, str]] = []
        self.address = ""

    def __call__(self, address: str) -> None:
        self.address = address
        threading.Thread(target=self._open).start()

    def _open(self) -> None:
        self._before(self.address)
        self.shown.append(visit(self.address))


def sign_in(
    settings: Settings,
    tell: Callable[[str], object],
    seconds: float = 30,
    typed: int | None = None,
    again: Callable[[str], object] = lambda why: None,
) -> Authorisation:
    with open(typed if typed is not None else os.devnull) as file:  # noqa: PTH123
        return login(settings, tell, seconds=seconds, typed=file, browser=False, again=again)


def question(address: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def test_the_browser_brings_the_answer(settings: Settings, server: LibraryServer):
    browser = Browser()
    found = sign_in(settings, browser)
    asked = question(browser.address)
    assert asked["redirect_uri"] == f"http://127.0.0.1:{settings.spotify_redirect_port}/callback"
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["state"]) == 32
    assert Tokens.of(settings).read() == found
    assert found.refresh_token.startswith("refresh-")
    assert browser.shown[0][0] == 200
    assert "can be closed" in browser.shown[0][1]


def test_the_tokens_are_for_their_owner_alone(settings: Settings):
    before = os.umask(0)
    try:
        sign_in(settings, Browser())
    finally:
        os.umask(before)
    path = Tokens.of(settings).path
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()} == {0o600}


def test_every_sign_in_has_a_state_and_a_challenge_of_its_own(settings: Settings):
    first, second = Browser(), Browser()
    accounts = {sign_in(settings, first).account, sign_in(settings, second).account}
    assert len(accounts) == 2
    for name in ("state", "code_challenge"):
        assert question(first.address)[name] != question(second.address)[name]


@pytest.mark.parametrize("ending", ["\n", ""])
def test_over_ssh_the_address_is_pasted(settings: Settings, accounts: Accounts, ending: str):
    reading, writing = os.pipe()

    def paste(address: str) -> None:
        _, answer = accounts.authorize(question(address))
        os.write(writing, f"\n  {answer}{ending}".encode())
        os.close(writing)

    assert sign_in(settings, paste, typed=reading).access_token == accounts.issued[-1]


def test_what_is_pasted_must_be_the_answer(settings: Settings):
    for pasted in ("what?", "http://[", f"http://127.0.0.1:8888/callback?{urlencode({'code': 'x', 'state': 'old'})}"):
        reading, writing = os.pipe()
        os.write(writing, f"{pasted}\n".encode())
        os.close(writing)
        with pytest.raises(SpotifyLoginFailed, match="paste the whole address"):
            sign_in(settings, lambda address: None, typed=reading)


class Person:
    """Pastes the next of these whenever asked: by ``tell`` the first time, and by ``again`` from then on."""

    def __init__(self, accounts: Accounts, *wrong: str) -> None:
        self.source, self._terminal = os.pipe()
        self._accounts = accounts
        self._wrong = list(wrong)
        self._right = ""
        self.told: list[str] = []

    def __call__(self, address: str) -> None:
        _, self._right = self._accounts.authorize(question(address))
        self._wrong = [each.format(address=address, answer=self._right) for each in self._wrong]
        self._paste()

    def again(self, why: str) -> None:
        self.told.append(why)
        self._paste()

    def _paste(self) -> None:
        os.write(self._terminal, f"{self._wrong.pop(0) if self._wrong else self._right}\n".encode())


def test_what_was_pasted_wrongly_is_pasted_again(settings: Settings, accounts: Accounts):
    person = Person(accounts, "what?", "{address}")
    assert sign_in(settings, person, typed=person.source, again=person.again).access_token == accounts.issued[-1]
    assert len(person.told) == 2
    assert person.told[0].startswith("What was pasted is not the address")
    assert person.told[1].startswith("What was pasted is the address to open")
    wanted = f"; paste the whole address that begins with http://127.0.0.1:{settings.spotify_redirect_port}/callback."
    assert all(why.endswith(wanted) for why in person.told)


def test_it_is_asked_for_three_times(settings: Settings, accounts: Accounts):
    person = Person(accounts, "one", "two", "three", "four")
    with pytest.raises(SpotifyLoginFailed, match="run `genre spotify login` again, and paste the whole address"):
        sign_in(settings, person, typed=person.source, again=person.again)
    assert len(person.told) == 2


def test_the_answer_is_found_among_lines_pasted_together(settings: Settings, accounts: Accounts):
    person = Person(accounts, "the address is:\n{answer}\nthat was it")
    assert sign_in(settings, person, typed=person.source, again=person.again).access_token == accounts.issued[-1]
    assert person.told == []


@pytest.mark.parametrize(
    ("pasted", "why"),
    [
        ("what?", "not the address"),
        ("http://[", "not the address"),
        ("https://accounts.spotify.com/authorize?client_id=a&state=secret", "to open in a browser"),
        ("http://127.0.0.1:8888/callback?code=a&state=old", "another sign-in"),
        ("http://127.0.0.1:8888/callback?code=a", "a part of the address"),
        ("http://127.0.0.1:8888/callback?code=a&state=sec", "a part of the address"),
        ("http://127.0.0.1:8888/callback?state=secret", "a part of the address"),
    ],
)
def test_it_is_said_what_is_wrong_with_a_paste(pasted: str, why: str):
    assert answer_in(pasted, "secret") is None
    assert why in fault_of(pasted, "secret")


def test_an_answer_to_another_question_is_passed_over(settings: Settings):
    shown = []

    def strangers(address: str) -> None:
        home = question(address)["redirect_uri"]
        for path in ("?code=stolen&state=guessed", "?code=stolen", "/x?code=a", f"?state={question(address)['state']}"):
            shown.append(visit(home + path)[0])

    found = sign_in(settings, Browser(strangers))
    assert shown == [400, 400, 400, 400]
    assert found.access_token


def test_a_connection_on_which_nothing_is_said_holds_nobody_up(settings: Settings):
    silent = socket.socket()

    def connect(address: str) -> None:
        silent.connect(("127.0.0.1", settings.spotify_redirect_port))

    with silent:
        assert sign_in(settings, Browser(connect)).access_token


def test_a_person_who_declines_is_told_so(settings: Settings, accounts: Accounts):
    accounts.declines = True
    with pytest.raises(SpotifyLoginFailed, match=r"you declined; run `genre spotify login` again"):
        sign_in(settings, Browser())
    assert Tokens.of(settings).read() is None


def test_nobody_is_waited_for_without_end(settings: Settings):
    with pytest.raises(SpotifyLoginFailed, match=r"within 0.3 s.*INVALID_CLIENT"):
        sign_in(settings, lambda address: None, seconds=0.3)


def test_a_wrong_app_shows_on_spotifys_page_alone(settings: Settings):
    browser = Browser()
    wrong = settings.model_copy(update={"spotify_client_id": "nobody"})
    with pytest.raises(SpotifyLoginFailed, match="check SPOTIFY_CLIENT_ID"):
        sign_in(wrong, browser, seconds=2)
    assert browser.shown == [(400, "INVALID_CLIENT: Invalid client")]


def test_a_port_that_is_taken_is_named(settings: Settings):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", settings.spotify_redirect_port))
        taken.listen()
        with pytest.raises(ConfigurationError, match=rf"port {settings.spotify_redirect_port} .*SPOTIFY_REDIRECT_PORT"):
            sign_in(settings, Browser())


def test_a_code_is_worth_something_once(settings: Settings, accounts: Accounts):
    def use(address: str) -> None:
        code, state = accounts._code(question(address)), question(address)["state"]
        accounts.codes.clear()
        Browser()(f"{question(address)['redirect_uri']}?{urlencode({'code': code, 'state': state})}")

    with pytest.raises(SpotifyLoginFailed, match="was used or is too old"):
        sign_in(settings, use)


def test_a_sign_in_that_fails_leaves_the_one_before_as_it_was(settings: Settings, server: LibraryServer):
    before = sign_in(settings, Browser())
    server.state.options.bad = {"api/token": Bad(how="garbage")}
    with pytest.raises(SpotifyUnreachable, match="cannot be read"):
        sign_in(settings, Browser())
    assert Tokens.of(settings).read() == before


@pytest.mark.parametrize("lacking", ["refresh_token", "access_token", "expires_in"])
def test_an_answer_without_all_tokens_is_none(
    settings: Settings, accounts: Accounts, monkeypatch: pytest.MonkeyPatch, lacking: str
):
    whole = accounts.token
    monkeypatch.setattr(accounts, "token", lambda *asked: (200, {**whole(*asked)[1], lacking: None}))
    with pytest.raises(SpotifyUnreachable, match="cannot be read"):
        sign_in(settings, Browser())
    assert Tokens.of(settings).read() is None


@pytest.mark.parametrize(
    ("address", "answer"),
    [
        ("http://127.0.0.1:1/callback?code=a&state=s", Answer("a")),
        ("/callback?state=s&code=a&code=b", Answer("b")),
        ("/callback?error=access_denied&state=s", Answer(error="access_denied")),
        ("/callback?code=a&state=S", None),
        ("/callback?code=&state=s", None),
        ("/other?code=a&state=s", None),
        ("/callback?code=a&state=ß", None),
    ],
)
def test_an_answer_carries_the_state(address: str, answer: Answer | None):
    assert answer_in(address, "s") == answer


@pytest.mark.parametrize(
    ("environment", "opens"),
    [
        ({"DISPLAY": ":0"}, True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, True),
        ({}, False),
        ({"DISPLAY": ":10", "SSH_CONNECTION": "1 2 3 4"}, False),
        ({"BROWSER": "lynx", "SSH_TTY": "/dev/pts/1"}, True),
    ],
)
def test_a_browser_is_opened_where_a_person_sees_it(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], opens: bool
):
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION", "SSH_TTY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.platform", "linux")
    assert has_browser() is opens
