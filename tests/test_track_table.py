"""Tables of tracks: whole paths in a file, shortened ones on a terminal, errors below."""

from __future__ import annotations

import io
import os
import re

import pytest

from genre_lib.cli.track_table import TrackTable, columns_of, shortened, stacked

COLUMNS = ["track", "length", "genres"]


@pytest.fixture
def table() -> TrackTable:
    table = TrackTable(COLUMNS)
    table.add("music/a folder with a long name/first.mp3", "1:00.0", "rock 0.60 · jazz 0.30 · pop 0.10")
    table.add_failed("music/broken.mp3", "not_audio", "music/broken.mp3 is not audio. Give another.")
    return table


def on_terminal(table: TrackTable, width: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines that a terminal of so many columns is given."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(width))
    ours, terminal = os.openpty()
    with os.fdopen(terminal, "w") as file:
        table.print(file)
        file.write("the end")
        file.flush()
        got = b""
        while not got.endswith(b"the end"):
            got += os.read(ours, 65536)
    os.close(ours)
    return re.sub(r"\x1b\[\d*m", "", got.decode()).replace("\r\n", "\n").splitlines()[:-1]


def test_a_file_has_whole_paths_and_errors_below_the_table(table: TrackTable):
    file = io.StringIO()
    table.print(file)
    lines = [line.rstrip() for line in file.getvalue().splitlines()]
    assert lines[1].split("  ")[0] == "music/a folder with a long name/first.mp3"
    assert lines[2].split() == ["music/broken.mp3", "not", "audio"]
    assert lines[3:] == ["", "music/broken.mp3 is not audio. Give another."]
    assert max(map(len, lines)) < 90


def test_an_error_that_names_no_path_is_given_it():
    table = TrackTable(COLUMNS)
    table.add_failed("a.mp3", None, "Something went wrong.")
    assert table.errors == ["a.mp3: Something went wrong."]


def test_a_terminal_shortens_paths_in_their_middle(table: TrackTable, monkeypatch: pytest.MonkeyPatch):
    lines = on_terminal(table, 66, monkeypatch)
    assert all(columns_of(line) <= 66 for line in lines)
    track = next(line for line in lines if "rock" in line)
    assert (
        track.startswith("music/") and "…" in track and "first.mp3  1:00.0  rock 0.60 · jazz 0.30 · pop 0.10" in track
    )


def test_a_narrow_terminal_gives_each_track_lines_of_its_own(table: TrackTable, monkeypatch: pytest.MonkeyPatch):
    assert on_terminal(table, 30, monkeypatch) == [
        "music/a f… long name/first.mp3",
        "  length 1:00.0",
        "  genres rock 0.60 ·",
        "  jazz 0.30 · pop 0.10",
        "music/broken.mp3",
        "  not audio",
        "",
        "music/broken.mp3 is not audio.",
        "Give another.",
    ]


def test_a_wide_terminal_changes_nothing(table: TrackTable, monkeypatch: pytest.MonkeyPatch):
    assert "music/a folder with a long name/first.mp3" in "\n".join(on_terminal(table, 200, monkeypatch))


def test_letters_that_take_two_columns_count_so():
    name = "音楽" * 20
    assert columns_of(shortened(name, 21)) <= 21
    assert shortened(name, 80) == name


def test_a_stretch_of_a_track_has_no_path():
    assert stacked(COLUMNS, ["", "0:00.0–0:03.0", "rock 1.00"], 60) == ["  length 0:00.0–0:03.0  genres rock 1.00"]
