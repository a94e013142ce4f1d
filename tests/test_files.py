from __future__ import annotations

from pathlib import Path

import pytest

from genre_lib.files import write_whole


def test_a_text_replaces_another_whole(tmp_path: Path):
    write_whole(tmp_path / "a.json", "first, and longer")
    write_whole(tmp_path / "a.json", "second ü")
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == "second ü"
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path):
    write_whole(tmp_path / "a.json", "before")
    with pytest.raises(UnicodeEncodeError):
        write_whole(tmp_path / "a.json", "half a \ud800")
    assert (tmp_path / "a.json").read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]
