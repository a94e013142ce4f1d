"""The check: each fault is named once, with its files, and all of them at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from genre_lib.data.catalogue import Catalogue
from genre_lib.data.catalogue_source import build
from genre_lib.data.catalogue_table import read
from genre_lib.data.check import check
from genre_lib.data.check_report import SEVERITIES, CheckReport, Finding
from genre_lib.data.synthetic_tracks import compose, render
from genre_lib.errors import CatalogueInvalid, CatalogueLeaks

RATE = 8000


def music(genre: str, index: int) -> np.ndarray:
    """Six seconds of an invented track: float32 [samples] at :data:`RATE`."""
    score = compose(genre, artist=index, index=index, seconds=6.0, sample_rate=RATE, seed=3)
    return render(score, genre)


def catalogue(rows: list[tuple[Path | str, str, str, str]], **columns: list[str]) -> Catalogue:
    table = pd.DataFrame([(str(path), *rest) for path, *rest in rows], columns=["path", "genre", "artist", "split"])
    return Catalogue(table.assign(**columns))


def found(report: CheckReport, kind: str) -> list[tuple[str, list[str]]]:
    return [(f.message, [Path(path).name for path in f.paths]) for f in report.findings if f.kind == kind]


@pytest.fixture
def song(tmp_path: Path, write_wav: Callable[..., Path]) -> Callable[..., Path]:
    def write(name: str, genre: str = "rock", index: int = 0, gain: float = 1.0) -> Path:
        return write_wav(tmp_path / name, gain * music(genre, index), RATE)

    return write


def test_a_clean_catalogue_has_no_findings(song: Callable[..., Path]):
    rows = [(song(f"{genre}{n}.wav", genre, n), genre, f"{genre} {n}", split)
            for genre in ("rock", "hiphop") for n, split in enumerate(("train", "valid", "test"))]  # fmt: skip
    report = check(catalogue(rows))
    assert (report.findings, report.ok, report.tracks, report.copies) == ([], True, 6, [])
    assert report.seconds == pytest.approx(36.0)
    report.raise_if_errors()


def test_what_was_heard_before_is_known_without_decoding(song: Callable[..., Path]):
    first, again = song("rock.wav", "rock", 0), song("jazz.wav", "rock", 0)
    rows = catalogue([(first, "rock", "Ann", "train"), (again, "jazz", "Bob", "train")])
    assert "recording_under_two_genres" not in check(rows, decode=False).counts()
    assert check(rows).counts()["recording_under_two_genres"] == 1
    assert check(rows, decode=False).counts()["recording_under_two_genres"] == 1


def test_training_tells_errors_and_labels_that_contradict_each_other_in_a_line():
    findings = [Finding("recording_under_two_genres", "a and b are one.", []), Finding("duplicate", "c is twice.", [])]
    told = CheckReport(findings, 4, 1.0).told()
    assert told == "The music has 1 error and 1 warning, first: a and b are one."
    assert CheckReport(findings[1:], 4, 1.0).told() is None
    twice = [*findings[1:], Finding("artist_in_two_genres", "Ann stands in jazz (1) and rock (1).", [])]
    assert "The music has 2 warnings, first: Ann stands in" in (CheckReport(twice, 4, 1.0).told() or "")


def test_everything_is_found_at_once(song: Callable[..., Path], tmp_path: Path):
    cut = song("cut.wav", index=6)
    cut.write_bytes(cut.read_bytes()[:40_000])
    (tmp_path / "text.mp3").write_text("this is no music")
    rows = [
        (song("one.wav", index=0), "rock", "Ann", "train"),
        (song("one again.wav", index=0, gain=0.3), "rock", "", "valid"),
        (song("two.wav", index=1), "rock", "Bob", "train"),
        (song("two again.wav", index=1), "rock", "bob ", "train"),
        (song("three.wav", index=2), "rock", "", "train"),
        (song("three again.wav", index=2, gain=0.5), "jazz", "", "train"),
        (song("four.wav", index=3), "jazz", "Bob", "valid"),
        (cut, "rock", "Cid", "train"),
        (tmp_path / "text.mp3", "rock", "Dan", "train"),
        (tmp_path / "gone.wav", "rock", "Eve", "train"),
        (song("five.wav", index=4), "blues", "Fay", "train"),
    ]
    report = check(catalogue(rows, tag_genre=["", "", "", "", "Indie Rock", "", "Rock", "Other", "", "", ""]))
    assert report.counts() == {
        "undecodable": 2,
        "duplicate_across_splits": 1,
        "recording_under_two_genres": 1,
        "artist_in_two_splits": 1,
        "truncated": 1,
        "duplicate": 1,
        "artist_in_two_genres": 1,
        "tag_disagrees": 1,
        "class_too_small": 1,
    }
    assert found(report, "duplicate_across_splits")[0][1] == ["one.wav", "one again.wav"]
    assert found(report, "recording_under_two_genres")[0][1] == ["three.wav", "three again.wav"]
    assert found(report, "duplicate")[0][1] == ["two.wav", "two again.wav"]
    assert found(report, "artist_in_two_splits") == [
        ("Bob stands in train (2) and valid (1).", ["two.wav", "two again.wav", "four.wav"])
    ]
    assert found(report, "artist_in_two_genres")[0][0] == "Bob stands in jazz (1) and rock (2)."
    assert found(report, "tag_disagrees") == [("1 of 2 jazz tracks are tagged 'Rock'.", ["four.wav"])]
    assert found(report, "class_too_small") == [("blues has 1 track and none in valid.", ["five.wav"])]
    assert found(report, "truncated")[0][1] == ["cut.wav"]
    missing, broken = found(report, "undecodable")
    assert missing == (f"1 of 11 files are missing, first {tmp_path / 'gone.wav'}.", ["gone.wav"])
    assert "text.mp3 is not audio" in broken[0]
    assert [[Path(path).name for path in group] for group in report.copies] == [
        ["one.wav", "one again.wav"],
        ["two.wav", "two again.wav"],
        ["three.wav", "three again.wav"],
    ]
    usable = report.usable(catalogue(rows))
    assert len(usable) == 9
    assert not usable.tracks["path"].str.contains("gone|text").any()


def test_a_strict_run_refuses_and_names_all_errors():
    leak = Finding("artist_in_two_splits", "Bob stands in train (2) and valid (1).", ["/1"])
    broken = Finding("undecodable", "1.mp3 is not audio.", ["/2"])
    small = Finding("class_too_small", "blues has 1 track.", ["/3"])
    with pytest.raises(CatalogueLeaks, match=r"and has 2: Bob stands .*\. 1\.mp3 is not audio") as error:
        CheckReport([leak, broken, small], 3, 0.0).raise_if_errors()
    assert "blues" not in str(error.value)
    with pytest.raises(CatalogueInvalid, match=r"1\.mp3"):
        CheckReport([broken], 3, 0.0).raise_if_errors()
    CheckReport([small], 3, 0.0).raise_if_errors()


def test_the_report_as_a_table_and_as_json():
    report = CheckReport([Finding("duplicate", "1 and 2.", ["/1", "/2"])], 2, 60.0)
    assert report.to_table().iloc[0].to_dict() == {
        "severity": "warning",
        "kind": "duplicate",
        "message": "1 and 2.",
        "files": 2,
        "paths": ["/1", "/2"],
    }
    assert CheckReport([], 2, 60.0).to_table().columns.tolist() == ["severity", "kind", "message", "files", "paths"]
    assert json.loads(report.to_json()) == {
        "ok": True,
        "tracks": 2,
        "seconds": 60.0,
        "findings": [{"severity": "warning", "kind": "duplicate", "message": "1 and 2.", "paths": ["/1", "/2"]}],
    }


def test_errors_stand_before_warnings():
    assert list(SEVERITIES.values()) == sorted(SEVERITIES.values())


def test_without_decoding_missing_files_artists_and_sizes_are_still_found(song: Callable[..., Path], tmp_path: Path):
    (tmp_path / "text.mp3").write_text("this is no music")
    rows = [(tmp_path / "text.mp3", "rock", "Ann", "train"), (tmp_path / "gone.mp3", "rock", "Ann", "valid")]
    report = check(catalogue(rows), decode=False)
    assert report.counts() == {"undecodable": 1, "artist_in_two_splits": 1, "one_genre": 1}
    assert report.seconds == 0


def test_progress_counts_every_file(song: Callable[..., Path]):
    seen: list[tuple[int, int]] = []
    rows = [(song(f"{n}.wav", index=n), "rock", "", "") for n in range(3)]
    check(catalogue(rows), workers=2, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_without_splits_a_genre_with_few_artists_is_too_small(tmp_path: Path):
    names = ["Ann", "Ann", "", "", "Bob", "Cid", "Dan", ""]
    for n in range(8):
        (tmp_path / f"{n}.mp3").touch()
    rows = [(tmp_path / f"{n}.mp3", "rock" if n < 4 else "jazz", name, "") for n, name in enumerate(names)]
    assert check(catalogue(rows), decode=False).findings == []  # Ann, and two tracks by nobody known
    rows[3] = (tmp_path / "3.mp3", "rock", "ann", "")
    (finding,) = check(catalogue(rows), decode=False).findings
    assert finding.message == "rock has tracks by 2 artists; 3 are needed for train, valid and test."
    assert (finding.kind, finding.severity) == ("cannot_be_split", "error")


def test_one_genre_is_nothing_to_choose_from(tmp_path: Path):
    for n in range(3):
        (tmp_path / f"{n}.mp3").touch()
    rows = [(tmp_path / f"{n}.mp3", "rock", "", "") for n in range(3)]
    (finding,) = check(catalogue(rows), decode=False).errors
    assert finding.message == "All tracks are rock; a model needs two genres to choose from."


@pytest.mark.real_data
def test_the_known_faults_of_emotify_are_named(real_data: Path):
    """Tags and artists of all 300 tracks, without decoding."""
    report = check(read(real_data / "emotify" / "tracks.csv"), decode=False)
    assert report.ok
    artists = [message.split(" stands")[0] for message, _ in found(report, "artist_in_two_genres")]
    assert artists == ["Arthur Yoria", "DJ Cary", "Shane Jackman", "Wicked boy"]
    tags = [message for message, _ in found(report, "tag_disagrees")]
    assert tags[0] == "54 of 75 pop tracks are tagged 'Alternative Rock'."


@pytest.mark.real_data
def test_the_repeats_of_emotify_are_named(real_data: Path):
    tracks = build(real_data / "emotify").tracks
    names = [f"{name}.mp3" for name in ("rock/70", "rock/76", "rock/72", "rock/75", "rock/71", "pop/59", "pop/66")]
    some = tracks[[path.endswith(tuple(f"audio/{name}" for name in names)) for path in tracks["path"]]]
    report = check(Catalogue(some))
    assert [names for _, names in found(report, "duplicate")] == [
        ["59.mp3", "66.mp3"],
        ["70.mp3", "76.mp3"],
        ["72.mp3", "75.mp3"],
    ]
    assert "pop/59.mp3, pop/66.mp3 hold the same recording (60 s of it)." in report.findings[0].message


@pytest.mark.real_data
def test_broken_files_are_named(real_data: Path):
    files = sorted(path for path in (real_data / "odd_files").iterdir() if path.is_file())
    report = check(catalogue([(path, "classical", "", "") for path in files]))
    broken = {name for _, names in found(report, "undecodable") for name in names}
    assert broken == {"corrupt_headeronly.wav", "empty.mp3", "text_renamed.mp3"}
    cut = {name for _, names in found(report, "truncated") for name in names}
    assert cut == {"corrupt_truncated.mp3"}  # the damage in corrupt_midstream.flac lies in its padding
    assert [len(group) for group in report.copies] == [12, 13]  # Vibe Ace; the Hungarian Dance and its two broken parts
