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
from genre_lib.settings import get_settings


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


def test_a_table_that_was_edited_is_not_replaced(genre, synthetic_catalogue: Path, tmp_path: Path):
    output = tmp_path / "tracks.csv"
    build = ("catalogue", "build", synthetic_catalogue / "catalogue.csv", "--output", output)
    assert genre(*build).code == 0
    assert genre(*build).code == 0  # the same again, as when the README is followed twice
    built = output.read_bytes()
    for edited in (
        built.replace(b",train,", b",valid,", 1),
        built.replace(b",rock,", b",jazz,", 1),
        built + b"more.wav,rock,Ann,train,mine,,\n",
        b"no table",
    ):
        output.write_bytes(edited)
        assert is_error(genre(*build), 2, "is there already", "--overwrite")
        assert output.read_bytes() == edited
    assert genre(*build, "--overwrite").code == 0
    assert output.read_bytes() == built


def test_building_over_its_own_source_is_refused_before_anything_is_heard(
    genre, tmp_path: Path, tone, write_wav, monkeypatch
):
    for number in range(3):
        for kind in ("jazz", "rock"):
            write_wav(tmp_path / kind / f"{number}.wav", tone(3.0, 200 + 90 * number + 37 * len(kind)))
    source = tmp_path / "mine.csv"
    source.write_text(
        "path,genre\n" + "".join(f"{kind}/{n}.wav,{kind}\n" for kind in ("jazz", "rock") for n in range(3))
    )
    assert is_error(genre("catalogue", "build", source, "--output", source), 2, "is there already")
    assert not (get_settings().cache_path / "fingerprints").exists()
    assert genre("catalogue", "build", source, "--output", source, "--overwrite").code == 0
    assert read(source).has_splits


def test_building_says_what_it_read_otherwise_and_what_is_not_there(genre, tmp_path: Path):
    source, output = tmp_path / "theirs.csv", tmp_path / "tracks.csv"
    rows = [f"C:\\Music\\{n}.mp3,{kind},{split}" for n, (kind, split) in enumerate(
        (kind, split) for kind in ("K-Pop", "jazz") for split in ("train", "dev", "test"))]  # fmt: skip
    source.write_text("\n".join(["path,genre,split", *rows]) + "\n")
    built = genre("catalogue", "build", source, "--output", output)
    assert built.code == 0
    assert "Read otherwise than it stands there: K-Pop as k pop; the split dev as valid.\n" in built.err
    assert (
        f"warning: 6 of 6 files are not there, first {tmp_path}/C:/Music/0.mp3; a path of Windows is none" in built.err
    )
    again = genre("catalogue", "build", output, "--output", tmp_path / "more.csv")
    assert "Read otherwise" not in again.err


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
