"""``genre analyze``, once in every format and once with wrong input."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from played import cadence, drums

from genre_lib import cli
from genre_lib.descriptors import NUMBERS


@pytest.fixture
def music(tmp_path: Path, write_wav: Callable) -> Path:
    folder = tmp_path / "music [live]"
    write_wav(folder / "a.wav", drums(120, seconds=8) + cadence(2, major=True)[: 8 * 22050])
    (folder / "broken.mp3").write_bytes(b"no audio " * 99)
    (folder / "notes.txt").write_text("not audio by its name")
    return folder


def run(*arguments: object) -> int:
    return cli.main(["analyze", *map(str, arguments)])


def test_jsonl_has_every_row(music: Path, capsys: pytest.CaptureFixture):
    assert run(music, music / "absent.wav", "--format", "jsonl") == 1
    captured = capsys.readouterr()
    rows = [json.loads(line) for line in captured.out.splitlines()]
    assert [set(row) for row in rows] == [{"path", "features", "error"}] * 3
    assert [Path(row["path"]).name for row in rows] == ["a.wav", "broken.mp3", "absent.wav"]
    assert set(rows[0]["features"]) == {*NUMBERS, "tempo_candidates"}
    assert rows[0]["features"]["tempo"] == pytest.approx(120, rel=0.01)
    assert [row["error"] is None for row in rows] == [True, False, False]
    assert captured.err == "2 of 3 could not be described.\n"


def test_a_damaged_file_is_told_once_and_described(music: Path, capsys: pytest.CaptureFixture):
    whole = (music / "a.wav").read_bytes()
    (music / "a.wav").write_bytes(whole[: len(whole) // 2])
    for format in ("table", "csv", "jsonl"):
        assert run(music / "a.wav", "--format", format) == 0
        captured = capsys.readouterr()
        assert captured.err.startswith(f"warning: {music / 'a.wav'} claims 8.00 s, but only 4.00 s could be decoded")
        assert captured.err.count("\n") == 1
    assert json.loads(captured.out)["warning"] == captured.err.removeprefix("warning: ").rstrip("\n")


def test_csv_into_a_file_named_so(music: Path, tmp_path: Path):
    assert run(music / "a.wav", "--output", tmp_path / "rows.csv") == 0
    (row,) = csv.DictReader((tmp_path / "rows.csv").open())
    assert list(row) == ["path", *NUMBERS, "error"]
    assert (float(row["duration"]), row["key"], row["mode"], row["error"]) == (8.0, "2", "1", "")


def test_a_table_shows_whole_paths_and_names_the_key(music: Path, capsys: pytest.CaptureFixture):
    assert run(music) == 1
    out = capsys.readouterr().out
    assert str(music / "a.wav") in out
    assert "D major" in out and "120." in out and "is not audio" in out


@pytest.mark.parametrize("options", [["--format", "xml"], ["--output", "song.mp3"], ["--output", "none/rows.csv"]])
def test_wrong_use_is_2(music: Path, options: list[str], capsys: pytest.CaptureFixture):
    assert run(music, *options) == 2
    assert capsys.readouterr().err.startswith("error: ")
