from __future__ import annotations

from pathlib import Path

import pytest

from genre_lib.data.feature_table import read_features
from genre_lib.errors import CatalogueInvalid, CatalogueNotFound


def test_rows_are_by_absolute_path_and_other_columns_are_left(tmp_path: Path):
    table = tmp_path / "features.csv"
    table.write_text("Path;Energy;tempo;error\na/one.mp3;0.5;;\n/elsewhere/two.mp3;;120;x\n")
    assert read_features(table) == {
        str(tmp_path / "a" / "one.mp3"): {"energy": "0.5", "tempo": ""},
        "/elsewhere/two.mp3": {"energy": "", "tempo": "120"},
    }


def test_what_analyze_writes_can_be_read(tmp_path: Path, tone, write_wav):
    from genre_lib import cli

    song, table = write_wav(tmp_path / "song.wav", tone(4.0)), tmp_path / "features.csv"
    assert cli.main(["analyze", str(song), "--format", "csv", "--output", str(table)]) == 0
    (known,) = read_features(table).values()
    assert float(known["duration_ms"]) == 4000
    assert len(known) == 13


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("energy,tempo\n1,2\n", "column path .* came 1 rows with the columns energy, tempo"),
        ("path,loud\na,2\n", "some of danceability"),
        ("path,energy\n", "came 0 rows"),
        ("", "the file is empty"),
    ],
)
def test_no_such_table(tmp_path: Path, text: str, says: str):
    table = tmp_path / "features.csv"
    table.write_text(text)
    with pytest.raises(CatalogueInvalid, match=says):
        read_features(table)
    with pytest.raises(CatalogueNotFound, match="no table of features at"):
        read_features(tmp_path / "absent.csv")
