"""``genre spotify`` as a person types it: processes, a browser, and a Spotify on this machine."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pandas as pd
import pytest
from accounts_service import CLIENT_ID, SECRET, Accounts, free_port
from library_server import Bad, LibraryServer
from preview_services import preview_services
from tagged_songs import songs_of, write_song

from genre_lib.cli import main
from genre_lib.settings import get_settings
from genre_lib.spotify import invented
from genre_lib.spotify.access import SCOPES
from genre_lib.spotify.asking import TROUBLE_WAITS
from genre_lib.spotify.invented_world import World
from genre_lib.spotify.store import Store
from genre_lib.spotify.summary import genres_of
from genre_lib.spotify.tokens import Tokens

GENRES, ARTISTS, SONGS = ("jazz", "metal", "reggae"), 5, 6
HERE = Path(__file__).parent
PREMIUM = Bad(403, "Active premium subscription required for the owner of the app.", plain=True)
NOT_LISTED = Bad(403, "User not registered in the Developer Dashboard", plain=True)


@pytest.fixture(scope="module")
def world() -> World:
    return invented.library_of(pd.DataFrame(songs_of(GENRES, ARTISTS, SONGS)))


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One's own files of all songs but every sixth."""
    folder = tmp_path_factory.mktemp("music")
    for number, row in enumerate(songs_of(GENRES, ARTISTS, SONGS)):
        if number % SONGS:
            write_song(folder / f"{number:03}.wav", artist=str(row["artist"]), title=str(row["title"]))
    return folder


@pytest.fixture
def home(server: LibraryServer, music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose ``.env`` names the app, and a browser."""
    lines = {
        "SPOTIFY_CLIENT_ID": CLIENT_ID,
        "SPOTIFY_API_URL": server.url,
        "SPOTIFY_ACCOUNTS_URL": server.accounts_url,
        "SPOTIFY_PATH": tmp_path / "kept",
        "SPOTIFY_REDIRECT_PORT": free_port(),
        "SPOTIFY_TIMEOUT": 5,
        "MUSIC_PATH": music,
    }
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BROWSER", f"{sys.executable} {HERE / 'accounts_service.py'} %s")
    return tmp_path


def genre(*arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("genre")), "spotify", *arguments]
    return subprocess.run(command, input=typed, capture_output=True, text=True, timeout=120, check=False)


def table(output: str) -> dict[str, str]:
    """A table that was printed: the last column by the first."""
    found = (re.split(r"\s{2,}", line.strip()) for line in output.splitlines() if line.strip())
    return {cells[0]: cells[-1] for cells in found}


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """A command in this process: its exit code, and what it printed and said."""

    def command(*arguments: str) -> tuple[int, str, str]:
        code = main(["spotify", *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return command


# --- the whole way ------------------------------------------------------------------------------------------------


def test_from_signing_in_to_a_catalogue_and_back(home: Path, server: LibraryServer, accounts: Accounts, world: World):
    told = [
        genre("login"),
        genre("fetch", "--output", "tracks.csv"),
        genre("catalogue", "--labels", "playlist", "--dry-run"),
    ]
    told.append(genre("catalogue", "--labels", "playlist", "--output", "mine.csv"))
    calls = len(server.asked)
    assert [each.returncode for each in told] == [0, 0, 0, 0], "\n".join(each.stderr for each in told)

    login, fetch, dry, made = told
    assert f"{invented.USER} is signed in until " in login.stderr
    assert table(fetch.stdout)["tracks"] == str(len(world.tracks))
    assert table(fetch.stdout)["with a file"] == str(len(world.tracks) * (SONGS - 1) // SONGS)
    assert table(dry.stdout)["spotify"] == "off: SPOTIFY_PREVIEWS"
    assert "Nothing was downloaded" in dry.stderr

    with (home / "mine.csv").open(newline="") as file:
        catalogue = list(csv.DictReader(file))
    own = {each["name"].lower() for each in world.playlists if each and each["owner"]["id"] == invented.USER}
    assert len(catalogue) == int(table(made.stdout)["files in the table"])
    assert {row["genre"] for row in catalogue} <= own
    assert len({row["genre"] for row in catalogue}) >= 2
    assert all(Path(row["path"]).is_file() for row in catalogue)
    missing = {id for id, track in world.tracks.items() if track["name"].endswith(" 0")}
    assert not {row["spotify_id"] for row in catalogue} & missing
    labelled = sum(int(n) for name, n in table(made.stdout).items() if name.startswith("by playlist"))
    assert labelled == int(table(made.stdout)["labelled"]) > len(catalogue)
    folder = next(line for line in dry.stdout.splitlines() if line.startswith("folder"))
    assert folder.split()[1:3] == [str(labelled), table(made.stdout)["with a file"]]

    assert genre("fetch", "--source", "recent").returncode == 0
    assert len(server.asked) == calls + 4  # the listing and the most heard artists in three spans; no person, no artist
    gone = genre("disconnect", "--purge")
    assert "Deleted: the authorisation, what was fetched, its catalogues." in gone.stderr
    assert not (home / "kept").exists()
    shown = "".join(each.stdout + each.stderr for each in told)
    assert not [secret for secret in accounts.issued if secret in shown]


def test_by_pasting_the_address_where_no_browser_is(home: Path, accounts: Accounts, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("BROWSER")
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.1 1 192.0.2.2 22")
    command = [str(Path(sys.executable).with_name("genre")), "spotify", "login", "--timeout", "60"]
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:  # type: ignore[call-overload]
        address = next(line for line in process.stderr if line.startswith("http"))
        _, answer = accounts.authorize(dict(parse_qsl(urlsplit(address.strip()).query)))
        process.stdin.write("that page says it cannot be opened\n")
        process.stdin.flush()
        assert next(line for line in process.stderr if "pasted" in line).startswith(
            "What was pasted is not the address"
        )
        _, said = process.communicate(f"{answer}\n")
    assert process.returncode == 0, said
    assert "is signed in until" in said


def test_where_nothing_can_be_kept_nobody_is_asked_to_sign_in(home: Path, run, monkeypatch: pytest.MonkeyPatch):
    (home / "file").write_text("")
    monkeypatch.setenv("SPOTIFY_PATH", str(home / "file" / "kept"))
    said_once(run("login"), 2, "SPOTIFY_PATH is .*kept, and no folder can be made there")


def test_the_address_of_a_person_who_declines(home: Path, accounts: Accounts):
    accounts.declines = True
    done = genre("login")
    assert done.returncode == 1
    assert done.stderr.endswith(
        "error: Spotify's page answered that you declined; run `genre spotify login` again to sign in.\n"
    )


# --- status -------------------------------------------------------------------------------------------------------


@pytest.fixture
def signed_in(home: Path, accounts: Accounts) -> Path:
    """The authorisation as signing in leaves it, without a browser."""
    _, token = accounts._tokens(" ".join(SCOPES))
    Tokens.of(get_settings()).begin({**token, "expires_at": time.time() + token["expires_in"]})
    return home


def test_status_tells_who_is_signed_in_and_tries_each_call(signed_in: Path, server: LibraryServer, run):
    server.state.options.bad = {"me/top": Bad(403, "Insufficient client scope")}
    code, out, err = run("status")
    assert code == 0, err
    told = [re.split(r"\s{2,}", line.strip()) for line in out.splitlines()]
    facts, calls = {row[0]: row[1:] for row in told[:6]}, {row[0]: row[1:] for row in told[7:]}
    assert facts["app"] == [CLIENT_ID]
    assert re.fullmatch(r"since \d{4}-\d\d-\d\d, until \d{4}-\d\d-\d\d", facts["signed in"][0])
    assert "user-library-read" in facts["may read"][0]
    assert calls["your profile"] == ["/me", "works", invented.USER]
    assert calls["saved tracks"] == ["/me/tracks", "works"]
    assert calls["most heard tracks"][1] == "refused"
    assert calls["audio features"][1] == calls["several tracks at once"][1] == "withdrawn"
    assert calls["search"] == ["/search", "works, and is empty"]
    assert calls["others' public playlists"] == ["/users/spotify/playlists", "withdrawn"]
    assert calls["tracks of your playlist"][1] == "works"
    assert calls["one track"][1] == "works"
    assert calls["one artist"][1] == "works"
    assert len([path for path in server.asked if "api/token" not in path]) == len(calls)


def test_status_as_an_app_alone_tells_what_is_public(home: Path, run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SPOTIFY_CLIENT_SECRET", SECRET)
    code, out, err = run("status")
    assert code == 0, err
    assert SECRET not in out + err
    assert "nobody" in out
    assert "/me" not in out


def test_status_goes_on_to_the_end_where_calls_are_used_up(signed_in: Path, server: LibraryServer, run):
    server.state.options.bad = {"search": Bad(429, "no", "QUOTA_EXCEEDED", retry_after="86400")}
    code, out, err = run("status")
    assert code == 0, err
    assert len(re.findall(r"not asked\s+Spotify says that this app's calls are used up", out)) >= 4
    assert not [path for path in server.asked if path.startswith("tracks")]


# --- disconnect ---------------------------------------------------------------------------------------------------


def test_disconnect_leaves_what_was_fetched_until_it_is_purged(signed_in: Path, run):
    assert run("fetch", "--source", "saved")[0] == 0
    code, _, err = run("disconnect")
    assert code == 0
    assert "Deleted: the authorisation." in err
    assert "Left: what was fetched; genre spotify disconnect --purge" in err
    assert run("fetch")[0] == 1
    assert "Deleted: what was fetched." in run("disconnect", "--purge")[2]
    assert not (signed_in / "kept").exists()


# --- bad input: a sentence, an exit code, no traceback ------------------------------------------------------------


def said_once(told: tuple[int, str, str], code: int, said: str) -> None:
    """One line, with what to do, and no more."""
    assert told[0] == code, told
    errors = [line for line in told[2].splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, told
    assert re.search(said, errors[0]), errors[0]
    assert "Traceback" not in told[2]


@pytest.mark.parametrize("command", ["login", "status", "fetch", "catalogue", "disconnect"])
def test_without_an_app_each_command_says_what_to_do(
    command: str, run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPOTIFY_CLIENT_ID", "")
    monkeypatch.setenv("SPOTIFY_PATH", str(tmp_path / "kept"))
    told = run(command)
    said_once(told, 1, "Spotify is off until SPOTIFY_CLIENT_ID in .env names an app of your own")
    assert len(told[2].splitlines()) == 1
    assert told[1] == ""
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("command", ["status", "fetch"])
def test_before_anybody_signed_in(home: Path, run, command: str):
    said_once(run(command), 1, "run `genre spotify login`")


def test_wrong_credentials(home: Path, run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SPOTIFY_CLIENT_SECRET", "a-wrong-one")
    told = run("status")
    said_once(told, 1, "does not know this app: check SPOTIFY_CLIENT_ID and SPOTIFY_CLIENT_SECRET")
    assert "a-wrong-one" not in told[1] + told[2]


@pytest.mark.parametrize("command", ["status", "fetch"])
@pytest.mark.parametrize(
    ("bad", "said"), [(PREMIUM, "needs Spotify Premium; subscribe"), (NOT_LISTED, "not on the list .*User Management")]
)
def test_nobody_whom_spotify_does_not_serve(
    signed_in: Path, server: LibraryServer, run, command: str, bad: Bad, said: str
):
    server.state.options.bad = {"me": bad}
    said_once(run(command), 1, said)


def test_who_is_not_served_is_told_so_when_signing_in(home: Path, server: LibraryServer):
    server.state.options.bad = {"me": NOT_LISTED}
    done = genre("login")
    said_once((done.returncode, done.stdout, done.stderr), 1, "not on the list of the app's users")


@pytest.mark.parametrize("command", ["status", "fetch"])
def test_an_authorisation_that_has_ended(signed_in: Path, accounts: Accounts, run, command: str):
    accounts.expire()
    accounts.revoked = True
    said_once(run(command), 1, "no longer takes the authorisation.*sign in anew with `genre spotify login`")


def test_a_catalogue_of_what_was_never_fetched(signed_in: Path, run):
    said_once(run("catalogue"), 1, "run `genre spotify fetch` first")
    said_once(
        run("catalogue", "--user-id", "somebody"), 1, "no tracks in the library of somebody; run `genre spotify f"
    )


def test_an_empty_library(signed_in: Path, server: LibraryServer, run):
    user = {**server.state.world.user}
    server.state.world = World(
        user, top_tracks={each: [] for each in RANGES}, top_artists={each: [] for each in RANGES}
    )
    said_once(run("fetch"), 1, "no track in the library of invented-listener.*save some")
    said_once(run("catalogue"), 1, "no tracks in the library")


RANGES = ("short_term", "medium_term", "long_term")


@pytest.fixture
def fetched(signed_in: Path, run) -> Path:
    code, _, err = run("fetch")
    assert code == 0, err
    return signed_in


def test_no_audio_for_any_track(fetched: Path, run, monkeypatch: pytest.MonkeyPatch):
    (fetched / "empty").mkdir()
    monkeypatch.setenv("MUSIC_PATH", str(fetched / "empty"))
    said_once(
        run("catalogue", "--labels", "playlist"), 1, "no audio file in .*Set MUSIC_PATH to the folder of your own"
    )
    write_song(fetched / "empty" / "other.wav", artist="Nobody", title="Nothing")
    said_once(run("catalogue", "--labels", "playlist"), 1, "None of the .* is among the 1 file.*or add the music")
    monkeypatch.setenv("MUSIC_PATH", str(fetched / "nowhere"))
    said_once(run("catalogue", "--labels", "playlist"), 2, "MUSIC_PATH should be the folder")
    said_once(run("fetch"), 2, "MUSIC_PATH should be the folder")


def test_one_class_only(fetched: Path, run, world: World):
    write_labels(fetched / "one.csv", dict.fromkeys(world.tracks, "jazz"))
    said_once(run("catalogue", "--labels", "csv:one.csv"), 1, "needs two classes, and all 90 labelled tracks are jazz")


def test_labels_of_ids_that_are_not_in_the_library(fetched: Path, run, world: World):
    write_labels(fetched / "other.csv", {"0" * 22: "jazz", "1" * 22: "rock"})
    said_once(run("catalogue", "--labels", "csv:other.csv"), 1, "None of the 2 rows .*fetch the library first")
    said_once(run("catalogue", "--labels", "csv:none.csv"), 1, "none.csv cannot be read as a CSV of labels")
    said_once(run("catalogue", "--labels", "mood"), 2, "Expected as labels genre .*csv:FILE")

    half = {
        id: row["genre"] for (id, _), row in zip(world.tracks.items(), songs_of(GENRES, ARTISTS, SONGS), strict=True)
    }
    write_labels(fetched / "some.csv", half | {"0" * 22: "jazz"})
    code, out, err = run("catalogue", "--labels", "csv:some.csv")
    assert code == 0, err
    assert table(out)["left out: in the table, and not in the library"] == "1"
    assert table(out)["by table"] == "90"
    assert table(out)["files in the table"] == str(90 * (SONGS - 1) // SONGS)


def test_a_track_under_two_genres_in_a_table_is_named_with_its_lines(fetched: Path, run, world: World):
    half = {id: ("jazz", "rock")[at % 2] for at, id in enumerate(world.tracks)}
    write_labels(fetched / "some.csv", half)
    first = next(iter(half))
    with (fetched / "some.csv").open("a") as file:
        file.write(f"spotify:track:{first},rock\n")
    code, out, err = run("catalogue", "--labels", "csv:some.csv", "--dry-run")
    assert code == 0, err
    assert table(out)["left out: in the table under several genres"] == "1"
    assert f"is jazz in line 2 ({first}) and rock in line {len(half) + 2} (spotify:track:{first})" in err


def test_a_dry_run_names_every_source_and_writes_nothing(fetched: Path, run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MUSIC_PATH", "")
    monkeypatch.setenv("SPOTIFY_PREVIEWS", "true")
    code, out, err = run("catalogue", "--labels", "playlist", "--dry-run")
    assert code == 0, err
    told = table(out)
    assert (told["folder"], told["deezer"]) == ("off: MUSIC_PATH", "off: DEEZER_PREVIEWS")
    assert told["spotify"] == "0"
    assert "III.14" in err
    assert not (fetched / "kept" / "catalogues").exists()


def test_tags_come_to_the_help_of_genres(fetched: Path, run, monkeypatch: pytest.MonkeyPatch):
    unlabelled = int(table(run("catalogue", "--dry-run")[1])["left out: no genre is named"])
    library = Store.of(get_settings()).library(invented.USER)
    codes = [track.isrc for track in library.tracks.values() if track.isrc and not genres_of(track, library)]
    with preview_services() as services:
        for code in codes[1:]:
            services.put(f"/ws/2/isrc/{code}", b"", status=500)
        services.put(f"/ws/2/isrc/{codes[0]}", {"recordings": [{"id": "a", "genres": [{"name": "bebop", "count": 1}]}]})
        monkeypatch.setenv("MUSICBRAINZ_URL", services.url)
        monkeypatch.setenv("TAG_SOURCES", "true")
        said_once(run("catalogue", "--dry-run"), 2, "set CONTACT in .env")
        monkeypatch.setenv("CONTACT", "ann@example.org")
        code, out, err = run("catalogue", "--dry-run")
    assert code == 0, err
    assert int(table(out)["left out: no genre is named"]) == unlabelled - 1
    assert len(services.asked) == 2
    assert "CC BY-NC-SA" in err
    assert "MusicBrainz answers 500" in err


def write_labels(path: Path, labels: dict[str, object]) -> None:
    path.write_text("id,genre\n" + "".join(f"{id},{genre}\n" for id, genre in labels.items()))


def test_somebody_elses_library_is_tried_and_explained(signed_in: Path, run):
    said_once(run("fetch", "--user-id", "somebody"), 1, "does not tell this app of the playlists of somebody")


def test_calls_that_are_used_up_say_when_it_goes_on(signed_in: Path, server: LibraryServer, run):
    server.state.options.bad = {"playlists/": Bad(429, "no", "QUOTA_EXCEEDED", retry_after="86400")}
    told = run("fetch", "--output", "tracks.csv")
    said_once(told, 1, r"calls are used up.*Kept: \d+ tracks. Fetch again at \d{4}-")
    assert table(told[1])["complete"] == "no"
    said_once(run("catalogue", "--labels", "playlist"), 1, "Playlists as labels need two or more")


def test_a_fetch_that_breaks_off_tells_what_is_there_and_goes_on(signed_in: Path, server: LibraryServer, run):
    server.state.options.bad = {"artists/": Bad(503, "Service unavailable", times=1 + len(TROUBLE_WAITS))}
    told = run("fetch")
    said_once(told, 1, r"answered 503 \(Service unavailable\)")
    assert (table(told[1])["tracks"], table(told[1])["complete"]) == ("90", "no")
    assert len(set(server.asked[-1 - len(TROUBLE_WAITS) :])) == 1
    before = list(server.asked)
    assert run("fetch")[0] == 0
    again = [path for path in server.asked[len(before) :] if path in before]
    assert len(again) == 1  # the call that failed
    assert again[0].startswith("artists/")


def test_a_listing_that_is_refused_is_named_and_the_others_are_fetched(signed_in: Path, server: LibraryServer, run):
    server.state.options.bad = {"me/player": Bad(403, "Insufficient client scope")}
    code, out, err = run("fetch", "--output", "tracks.csv")
    assert code == 0, err
    assert table(out)["refused: recently played tracks"] == "all"
    assert int(table(out)["tracks"]) > 0
    assert (
        "Spotify refused the recently played tracks: The authorisation does not reach so far; sign in anew with `genre "
        "spotify login`."
    ) in err
    assert (signed_in / "tracks.csv").is_file()
    server.state.options.bad = {"me/": PREMIUM}
    told = run("fetch")
    said_once(told, 1, "needs Spotify Premium")
    assert table(told[1])["tracks"] == table(out)["tracks"]


def test_a_library_beside_other_music_is_refused(signed_in: Path, server: LibraryServer, capsys):
    for arguments, said in {
        ("--spotify-user", "me", "--data-path", "synthetic"): "leave --data-path and --resume out",
        ("--labels", "playlist"): "name it by --spotify-user",
        ("--data-path", "spotify:me/playlist"): "`genre spotify catalogue` makes it",
        ("--spotify-user", "me", "--base-model", "absent"): "absent",
        ("--spotify-user", "me", "--labels", "mood"): "Expected as labels genre",
    }.items():
        assert main(["finetune", *arguments]) in {1, 2}
        assert said in capsys.readouterr().err
    assert server.asked == []


def test_what_is_kept_holds_no_secret_in_the_clear_for_others(signed_in: Path):
    kept = json.loads((signed_in / "kept" / "authorisation.json").read_text())
    assert kept["client_id"] == CLIENT_ID
    assert os.stat(signed_in / "kept" / "authorisation.json").st_mode & 0o077 == 0  # noqa: PTH116
