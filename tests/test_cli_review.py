"""``genre catalogue review``: what it shows, what it writes, and what it refuses."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

from command_line import is_error

COLUMNS = {"path", "genre", "predicted", "genre_confidence", "confidence", "doubtful"}


def test_catalogue_review(genre, synthetic_catalogue: Path, tmp_path: Path):
    asked = ("catalogue", "review", synthetic_catalogue, "--folds", "2")
    shown = genre(*asked, "--top", "1")
    assert shown.code == 0
    assert re.search(r"^accuracy +\d\.\d{3} \(95 % interval", shown.out, re.MULTILINE)
    assert re.match(r"\d+ labels? of 24 (is|are) doubtful\.", shown.err)
    written = genre(*asked, "--output", tmp_path / "all.csv")
    rows = list(csv.DictReader((tmp_path / "all.csv").open()))
    assert len(rows) == 24
    assert set(rows[0]) == COLUMNS
    doubtful = sum(row["doubtful"] == "True" for row in rows)
    assert written.err.startswith(f"{doubtful} label")
    lines = genre(*asked, "--format", "jsonl").out.splitlines()
    assert [json.loads(line)["path"] for line in lines] == [row["path"] for row in rows]


def test_what_cannot_be_reviewed(genre, synthetic_catalogue: Path, tmp_path: Path):
    asked = ("catalogue", "review", synthetic_catalogue)
    assert is_error(genre("catalogue", "review", tmp_path / "absent"), 1, "nothing at")
    assert is_error(genre(*asked, "--split", "half"), 2, "--split")
    (tmp_path / "tracks.csv").write_text("path,genre\na.wav,jazz\nb.wav,rock\n")
    assert is_error(genre("catalogue", "review", tmp_path / "tracks.csv", "--split", "test"), 1, "split 'test'", "none")
    assert is_error(genre(*asked, "--model", "absent"), 1, "no model")
    assert is_error(genre(*asked, "--output", tmp_path / "all.txt"), 2, ".csv or .jsonl")
    assert is_error(genre(*asked, "--output", tmp_path / "no" / "all.csv"), 2, "no folder")
    (tmp_path / "one.csv").write_text("path,genre\na.wav,jazz\n")
    assert is_error(genre("catalogue", "review", tmp_path / "one.csv"), 1, "two genres")
