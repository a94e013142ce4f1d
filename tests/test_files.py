from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from genre_lib.files import can_be_made, put_new, replace_folder, staged_folder, sweep, whole_file, write_whole


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


def folder_with(path: Path, text: str) -> Path:
    path.mkdir()
    (path / "a").write_text(text)
    return path


def test_a_staged_folder_is_moved_to_its_place_or_goes(tmp_path: Path):
    place = tmp_path / "models" / "mine"
    with pytest.raises(ZeroDivisionError), staged_folder(place) as folder:
        (folder / "a").write_text("half")
        raise ZeroDivisionError
    assert not list(place.parent.iterdir())
    with staged_folder(place) as folder:
        (folder / "a").write_text("whole")
        assert folder.name.startswith(".mine.")
        put_new(folder, place)
    assert [path.name for path in place.parent.iterdir()] == ["mine"]
    assert (place / "a").read_text() == "whole"


def test_nothing_is_put_where_something_is(tmp_path: Path):
    place = folder_with(tmp_path / "place", "before")
    with pytest.raises(FileExistsError):
        put_new(folder_with(tmp_path / "new", "after"), place)
    assert (place / "a").read_text() == "before"
    replace_folder(tmp_path / "new", place)
    assert (place / "a").read_text() == "after"
    assert [path.name for path in tmp_path.iterdir()] == ["place"]


def test_what_a_killed_process_left_is_swept_and_what_lives_is_not(tmp_path: Path):
    killed = (
        "import os, pathlib; from genre_lib.files import staged_folder\n"
        f"with staged_folder(pathlib.Path({str(tmp_path)!r}) / 'killed') as f: os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", killed])
    assert [path.name.split(".")[1] for path in tmp_path.iterdir()] == ["killed"]
    with staged_folder(tmp_path / "living") as living:
        sweep(tmp_path)
        assert list(tmp_path.iterdir()) == [living]
    sweep(tmp_path / "absent")


def test_whether_a_folder_can_be_made_is_tried_and_leaves_nothing(tmp_path):
    assert can_be_made(tmp_path / "new" / "model")
    assert [*tmp_path.iterdir()] == []
    (tmp_path / "file").write_text("in the way")
    assert not can_be_made(tmp_path / "file" / "model")


def test_a_file_appears_whole_and_only_where_all_went_well(tmp_path: Path):
    place = tmp_path / "rows.csv"
    place.write_text("old")
    with pytest.raises(ZeroDivisionError), whole_file(place) as file:
        file.write("half")
        raise ZeroDivisionError
    assert place.read_text() == "old" and list(tmp_path.iterdir()) == [place]
    with whole_file(place) as file:
        file.write("new")
        assert place.read_text() == "old"
    assert place.read_text() == "new" and list(tmp_path.iterdir()) == [place]


def test_a_link_stays_one_and_what_it_leads_to_is_written(tmp_path: Path):
    (tmp_path / "there").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "there" / "rows.csv")
    with whole_file(link) as file:
        file.write("new")
    assert link.is_symlink() and (tmp_path / "there" / "rows.csv").read_text() == "new"


def test_a_pipe_is_written_into(tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with whole_file(pipe) as file:
        file.write("rows")
    assert os.read(reader, 100) == b"rows"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_full_disk_says_for_which_file():
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
        write_whole(Path("/dev/full"), "x")
