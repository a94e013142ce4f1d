"""``genre predict``, in every format, with good files and bad ones."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import is_error

from genre_lib import cli


@pytest.fixture
def music(tmp_path: Path, tone, write_wav) -> Path:
    """Two good tracks, one broken, and a file that is none."""
    folder = tmp_path / "music [live]"  # rich would take the brackets for a style
    write_wav(folder / "a.wav", tone(4.0))
    write_wav(folder / "deep" / "b.wav", tone(7.0, 330.0))
    (folder / "broken.mp3").write_bytes(b"no audio " * 99)
    (folder / "notes.txt").write_text("not audio by its name")
    return folder


def test_predict_as_jsonl_has_every_row(genre, music: Path):
    outcome = genre("predict", music, music / "absent.wav", "--format", "jsonl", "--top-k", "2")
    rows = [json.loads(line) for line in outcome.out.splitlines()]
    assert outcome.code == 1
    assert [set(row) for row in rows] == [{"path", "duration", "predictions", "error"}] * 4
    assert [Path(row["path"]).name for row in rows] == ["a.wav", "broken.mp3", "b.wav", "absent.wav"]
    assert [row["duration"] for row in rows] == [4.0, None, 7.0, None]
    assert [len(row["predictions"]) for row in rows] == [2, 0, 2, 0]
    assert [row["error"] is None for row in rows] == [True, False, True, False]
    assert outcome.err == "2 of 4 could not be predicted.\n"


def test_predict_good_files_is_0(genre, music: Path):
    outcome = genre("predict", music / "a.wav", "--timeline", "--format", "jsonl")
    assert (outcome.code, outcome.err) == (0, "")
    assert json.loads(outcome.out)["timeline"][-1]["end"] == 4.0


def test_a_track_of_three_samples_stops_no_other(genre, tmp_path: Path, tone, write_wav):
    short = write_wav(tmp_path / "short.wav", tone()[:3], 32000)
    outcome = genre("predict", short, write_wav(tmp_path / "whole.wav", tone(2)), "--format", "jsonl")
    rows = [json.loads(line) for line in outcome.out.splitlines()]
    assert outcome.code == 0 and "internal" not in outcome.err
    assert [Path(row["path"]).name for row in rows if row["predictions"]] == ["short.wav", "whole.wav"]


def test_predict_as_table_shows_whole_paths(genre, music: Path):
    outcome = genre("predict", music, "--timeline")
    assert str(music / "deep" / "b.wav") in outcome.out
    assert "0:07.0" in outcome.out
    assert "is not audio" in outcome.out


def test_predict_as_csv_into_a_file(genre, music: Path, tmp_path: Path):
    outcome = genre("predict", music, "--format", "csv", "--output", tmp_path / "rows.csv", "--top-k", "1")
    assert (outcome.code, outcome.out) == (1, "")
    rows = list(csv.DictReader((tmp_path / "rows.csv").open()))
    assert list(rows[0]) == ["path", "duration", "genre_1", "confidence_1", "error"]
    assert [row["duration"] for row in rows] == ["4.000", "", "7.000"]
    assert not list(tmp_path.glob(".rows.csv*"))


def test_predict_writes_what_the_ending_says(genre, music: Path, tmp_path: Path):
    genre("predict", music, "--output", tmp_path / "rows.jsonl")
    assert [json.loads(line)["path"] for line in (tmp_path / "rows.jsonl").open()]
    genre("predict", music, "--output", tmp_path / "rows.csv")
    assert (tmp_path / "rows.csv").read_text().startswith("path,duration")


def test_predict_does_not_write_over_music(genre, music: Path):
    before = (music / "a.wav").read_bytes()
    assert is_error(genre("predict", music / "a.wav", "--output", music / "a.wav"), 2, "named as audio")
    assert is_error(genre("catalogue", "build", music, "--output", music / "a.wav"), 2, "named as audio")
    (music / "kept.csv").touch(0o444)
    assert is_error(genre("predict", music / "a.wav", "--output", music / "kept.csv"), 2, "may only be read")
    assert (music / "a.wav").read_bytes() == before


def test_predict_leaves_no_half_file(genre, music: Path, tmp_path: Path, monkeypatch):
    (tmp_path / "rows.jsonl").write_text("from before")

    def break_off(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.predict, "write_jsonl", break_off)
    assert genre("predict", music, "--format", "jsonl", "--output", tmp_path / "rows.jsonl").code == 130
    assert (tmp_path / "rows.jsonl").read_text() == "from before"
    assert not list(tmp_path.glob(".rows.jsonl*"))


def test_predict_an_empty_folder_is_a_row(genre, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    outcome = genre("predict", tmp_path / "empty", "--format", "jsonl")
    assert outcome.code == 1
    assert "without audio files" in json.loads(outcome.out)["error"]


def test_predict_with_what_cannot_be(genre, music: Path, tmp_path: Path):
    assert is_error(genre("predict", music, "--model", "absent"), 1, "no model 'absent'", "tiny")
    assert is_error(genre("predict", music, "--model", music), 1, "config.json")
    assert is_error(genre("predict", music, "--timeline", "--format", "csv"), 2, "--timeline")
    assert is_error(genre("predict", music, "--output", tmp_path), 2, "is a folder")
    assert is_error(genre("predict", music, "--output", tmp_path / "no" / "x"), 2, "there is no folder")


def test_a_reader_that_has_seen_enough(music: Path, tiny_model: Path):
    command = f"{sys.executable} -m genre_lib.cli predict {' '.join([repr(str(music))] * 50)} --format jsonl | head -1"
    environment = os.environ | {"MODEL_PATH": str(tiny_model)}
    ended = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True)
    assert ended.stdout.count("\n") == 1
    assert "Traceback" not in ended.stderr
    assert "BrokenPipe" not in ended.stderr


def test_ctrl_c_in_a_terminal_ends_without_a_traceback(tiny_model: Path, tmp_path: Path, tone, write_wav):
    track = write_wav(tmp_path / "a.wav", tone(60.0))
    command = [sys.executable, "-m", "genre_lib.cli", "predict", *[str(track)] * 500, "--format", "jsonl"]
    environment = os.environ | {"MODEL_PATH": str(tiny_model)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.decode() == "error: stopped.\n"


def test_a_name_that_is_no_text_is_written_as_json_writes_it(genre, tmp_path: Path, tone, write_wav):
    song = tmp_path / os.fsdecode(b"caf\xe9.wav")
    write_wav(song, tone())
    outcome = genre("predict", song, "--format", "jsonl", "--output", tmp_path / "o.jsonl")
    assert outcome.code == 0, outcome.err
    assert json.loads((tmp_path / "o.jsonl").read_text(encoding="utf-8"))["path"] == str(song)


def test_names_of_files_cannot_command_the_terminal(genre, music: Path):
    (music / "esc\x1b[31mred\n.wav").write_bytes((music / "a.wav").read_bytes())
    out = genre("predict", music).out
    assert "\x1b" not in out and "esc\\x1b[31mred\\n.wav" in out


@pytest.mark.parametrize(
    "name, begins", [("p.png", b"\x89PNG"), ("p.svg", b"<?xml"), ("p.pdf", b"%PDF"), ("P.PNG", b"\x89PNG")]
)
def test_a_track_is_drawn_as_the_ending_says(genre, music: Path, tmp_path: Path, name: str, begins: bytes):
    outcome = genre("predict", music / "deep", "--timeline", "--figure", tmp_path / name)
    assert (outcome.code, outcome.err) == (0, "")
    assert (tmp_path / name).read_bytes().startswith(begins)
    assert "b.wav" in outcome.out and not list(tmp_path.glob(".*"))


def test_a_track_without_its_timeline_is_drawn_as_bars(genre, music: Path, tmp_path: Path):
    assert genre("predict", music / "a.wav", "--top-k", 2, "--figure", tmp_path / "bars.svg").code == 0
    assert "<!-- confidence -->" in (tmp_path / "bars.svg").read_text()


def test_what_cannot_be_drawn_is_refused_before_the_work(genre, music: Path, tmp_path: Path):
    song = music / "a.wav"
    assert is_error(genre("predict", song, "--figure", tmp_path / "p.gif"), 2, ".png, .svg, .pdf")
    assert is_error(genre("predict", music, "--figure", tmp_path / "p.png"), 2, "one track, and 3 are named")
    assert is_error(genre("predict", song, "--figure", tmp_path / "no" / "p.png"), 2, "there is no folder")
    assert genre("predict", music / "broken.mp3", "--figure", tmp_path / "p.png").code == 1
    assert not (tmp_path / "p.png").exists()
