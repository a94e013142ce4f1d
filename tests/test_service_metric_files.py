"""Counts on a full disk: nothing is killed, nothing raised, and nothing missing once there is room again."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from prometheus_client.mmap_dict import MmapedDict

from genre_lib.service import metric_files, metrics
from genre_lib.service.metric_files import ReservedDict

pytestmark = pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="files cannot take their room here")

RESERVE = metric_files.reserve


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No file gets any more room, until the patch is undone."""

    def refuse(file: int, size: int) -> None:
        if size > os.fstat(file).st_size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(metric_files, "reserve", refuse)
    return monkeypatch


def values_in(file: Path) -> dict[str, float]:
    return {key: value for key, value, _, _ in MmapedDict.read_all_values_from_file(str(file))}


def fill(counts: MmapedDict) -> None:
    """Take the file's room but less than a value needs."""
    key = "k" * 1000
    while counts._used + 1100 < counts._capacity:
        counts.write_value(f"{key}{counts._used}", 1.0, 0.0)


def test_a_file_has_room_for_all_of_its_size(tmp_path: Path):
    file = tmp_path / "counter_1.db"
    counts = ReservedDict(str(file))
    assert file.stat().st_blocks * 512 >= file.stat().st_size == metric_files.INITIAL_BYTES
    fill(counts)
    counts.write_value("more" * 300, 3.0, 0.0)
    assert file.stat().st_blocks * 512 >= file.stat().st_size == 2 * metric_files.INITIAL_BYTES
    assert values_in(file)["more" * 300] == 3


def test_what_finds_no_room_is_written_once_there_is_some(tmp_path: Path, full: pytest.MonkeyPatch):
    file = tmp_path / "counter_1.db"
    counts = ReservedDict(str(file))
    counts.write_value("one", 1.0, 0.0)
    assert counts.read_value("one") == (0.0, 0.0)
    assert list(tmp_path.iterdir()) == []
    full.undo()
    counts.write_value("one", 2.0, 0.0)
    assert values_in(file) == {"one": 2}


def test_a_file_that_cannot_grow_keeps_what_it_has(tmp_path: Path, request: pytest.FixtureRequest):
    file = tmp_path / "counter_1.db"
    counts = ReservedDict(str(file))
    counts.write_value("one", 1.0, 0.0)
    fill(counts)
    full = request.getfixturevalue("full")
    counts.write_value("more" * 300, 3.0, 0.0)
    counts.write_value("one", 2.0, 0.0)
    assert values_in(file)["one"] == 2
    assert "more" * 300 not in values_in(file)
    full.undo()
    counts.write_value("more" * 300, 4.0, 0.0)
    assert values_in(file)["more" * 300] == 4


def test_the_instruments_count_through_a_full_disk(tmp_path: Path, request: pytest.FixtureRequest):
    patch = request.getfixturevalue("monkeypatch")
    patch.setenv(metrics.FOLDER, "")
    metrics.prepare(tmp_path / "metrics")
    full = request.getfixturevalue("full")
    metrics.cache_hit("models")
    metrics.cache_hit("models")
    with patch.context() as room:
        room.setattr(metric_files, "reserve", RESERVE)
        metrics.cache_hit("models")
    files = list((tmp_path / "metrics").glob("counter_*.db"))
    assert [value for file in files for key, value in values_in(file).items() if "hits" in key] == [3]
    full.undo()
    metrics._instruments.cache_clear()
