"""``genre catalogue build`` and ``check``."""

from __future__ import annotations

import csv
import json
import os
import re
from pathlib import Path

from command_line import is_error

from genre_lib.data.catalogue_table import read
from genre_lib.data.feature_table import read_features


def test_catalogue_build_and_check(genre, synthetic_catalogue: Path, tmp_path: Path):
    built = genre("catalogue", "build", synthetic_catalogue, "--output", tmp_path / "tracks.csv")
    assert built.code == 0
    assert "24 tracks of 4 genres" in built.err
    assert len(list(csv.DictReader((tmp_path / "tracks.csv").open()))) == 24
    checked = genre("catalogue", "check", tmp_path / "tracks.csv", "--format", "jsonl", "--strict")
    assert checked.code == 0
    assert re.fullmatch(r"24 tracks, 0 errors, \d+ warnings?: fit to train on\.\n", checked.err)
    assert all(set(json.loads(line)) == {"kind", "severity", "message", "paths"} for line in checked.out.splitlines())


def test_catalogue_check_refuses_when_strict(genre, tmp_path: Path, tone, write_wav):
    for number, genre_name in enumerate(("jazz", "rock")):
        for track in range(2):
            write_wav(tmp_path / "music" / genre_name / f"{track}.wav", tone(3.0, 200 + 90 * track + 37 * number))
    (tmp_path / "music" / "rock" / "2.wav").write_bytes(b"broken")
    told = genre("catalogue", "check", tmp_path / "music")
    assert told.code == 0
    assert told.err.startswith("5 tracks, 2 errors, 0 warnings: the exit code is 0")
    strict = genre("catalogue", "check", tmp_path / "music", "--strict")
    assert strict.code == 1
    assert strict.out == told.out
    assert [line.split()[:2] for line in strict.out.splitlines()[1:]] == [
        ["error", "undecodable"],
        ["error", "cannot_be_split"],
    ]
    assert strict.err.startswith("5 tracks, 2 errors, 0 warnings: refused, and the exit code is 1")


def test_what_is_called_by_other_bytes_than_text_is_built_checked_and_described(genre, tmp_path: Path, tone, write_wav):
    odd = os.fsdecode(b"bad\xe9.wav")
    for number, name in enumerate((odd, "a.wav", "b.wav")):
        for kind in ("jazz", "rock"):
            write_wav(tmp_path / "music" / kind / name, tone(3.0, 200 + 90 * number + 37 * len(kind)))
    output = tmp_path / "tracks.csv"
    assert genre("catalogue", "build", tmp_path / "music", "--output", output).code == 0
    checked = genre("catalogue", "check", output, "--format", "jsonl")
    assert checked.code == 0, checked.err
    assert "missing" not in checked.out + checked.err
    described = genre("analyze", tmp_path / "music", "--output", tmp_path / "features.csv")
    assert described.code == 0, described.err
    assert set(read_features(tmp_path / "features.csv")) == set(read(output).tracks["path"])


def test_catalogue_of_nothing(genre, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "words.csv").write_text("a,b\n1,2\n")
    output = tmp_path / "out.csv"
    assert is_error(genre("catalogue", "build", tmp_path / "absent", "--output", output), 1, "nothing at")
    assert genre("catalogue", "build", tmp_path / "empty", "--output", output).code == 1
    assert is_error(genre("catalogue", "build", tmp_path / "words.csv", "--output", output), 1, "path", "genre")
    assert is_error(genre("catalogue", "check", tmp_path / "absent.csv"), 1, "nothing at")
    assert is_error(genre("catalogue", "build", "synthetic", "--output", tmp_path / "no" / "x.csv"), 2, "no folder")
    assert not output.exists()
