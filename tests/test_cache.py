"""The cache of arrays on disk."""

from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path

import numpy as np
import pytest

from genre_lib.cache import ArrayCache, FileCache, JsonCache, combine, content_digest

HEADER = 128  # bytes of an .npy header


@pytest.fixture
def cache(tmp_path: Path) -> ArrayCache:
    return ArrayCache(tmp_path / "cache", max_bytes=10**6)


def files(cache: ArrayCache) -> list[Path]:
    return sorted(path for path in cache.root.glob("??/*") if path.is_file())


def make_older(cache: FileCache, key: str, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(cache._path(key), (then, then))


def test_what_was_put_is_got_as_a_read_only_map(cache: ArrayCache) -> None:
    array = np.arange(6, dtype=np.float16).reshape(2, 3)
    cache.put("a", array)
    kept = cache.get("a")
    assert isinstance(kept, np.memmap)
    assert kept.dtype == np.float16
    assert kept.tolist() == array.tolist()
    with pytest.raises(ValueError, match="read-only"):
        kept[0, 0] = 1


def test_absent(cache: ArrayCache) -> None:
    assert cache.get("a") is None


def test_computed_once(cache: ArrayCache) -> None:
    calls = []
    for _ in range(3):
        assert cache.get_or_compute("a", lambda: calls.append(1) or np.ones(2)).tolist() == [1, 1]
    assert len(calls) == 1


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"x" * 200, lambda b: b[:40]])
def test_a_damaged_file_is_absent_and_deleted(cache: ArrayCache, damage) -> None:
    cache.put("a", np.ones(1000))
    path = cache._path("a")
    path.write_bytes(damage(path.read_bytes()))
    assert cache.get("a") is None
    assert not path.exists()
    assert cache.get_or_compute("a", lambda: np.zeros(1)).tolist() == [0]


def test_what_was_unused_for_longest_is_forgotten(tmp_path: Path) -> None:
    array = np.zeros(1000, np.uint8)
    cache = ArrayCache(tmp_path, max_bytes=4 * (1000 + HEADER))
    for age, key in enumerate("dcba"):
        cache.put(key, array)
        make_older(cache, key, 100 - age)
    assert cache.get("d") is not None  # used again, so c is the oldest now
    cache.put("e", array)
    kept = {key for key in "abcde" if cache.get(key) is not None}
    assert "c" not in kept
    assert {"a", "d", "e"} <= kept
    assert sum(path.stat().st_size for path in files(cache)) <= cache.max_bytes


def test_an_array_beyond_the_bound_is_returned_and_not_kept(tmp_path: Path) -> None:
    cache = ArrayCache(tmp_path, max_bytes=100)
    assert cache.put("a", np.ones(1000)).sum() == 1000
    assert files(cache) == []


def test_a_map_outlives_its_eviction(cache: ArrayCache) -> None:
    kept = cache.put("a", np.ones(1000))
    cache._path("a").unlink()
    assert kept.sum() == 1000


def test_leftovers_of_dead_processes_are_cleared(cache: ArrayCache) -> None:
    cache.put("a", np.ones(1))
    old, new = (cache._path("a").with_name(f"{name}.partial") for name in ("old", "new"))
    old.write_bytes(b"x")
    new.write_bytes(b"x")
    os.utime(old, (0, 0))
    ArrayCache(cache.root, cache.max_bytes).put("b", np.ones(1))
    assert not old.exists()
    assert new.exists()


def test_a_disk_that_refuses_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = ArrayCache(tmp_path / "file", max_bytes=100)
    with pytest.warns(UserWarning, match="cannot keep"):
        array = cache.get_or_compute("a", lambda: np.ones(3))
    assert array.tolist() == [1, 1, 1]


def test_a_full_disk_leaves_nothing_half_written(cache: ArrayCache, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file, array, **_) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.warns(UserWarning, match="No space left"):
        assert cache.put("a", np.ones(3)).tolist() == [1, 1, 1]
    assert files(cache) == []


def work(root: Path, seed: int, faults) -> None:
    """Put and get in a bounded folder that another process uses as well; count what is wrong."""
    cache = ArrayCache(root, max_bytes=20_000)
    for value in np.random.default_rng(seed).integers(0, 30, size=300):
        array = cache.get_or_compute(f"key {value}", lambda value=value: np.full(250, value))
        if array.shape != (250,) or (array != value).any():
            with faults.get_lock():
                faults.value += 1


def test_two_processes_share_a_folder(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    faults = context.Value("i", 0)
    workers = [context.Process(target=work, args=(tmp_path, seed, faults)) for seed in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert faults.value == 0
    assert not list(tmp_path.glob("??/*.partial"))
    assert sum(path.stat().st_size for path in tmp_path.glob("??/*.npy")) <= 1.1 * 20_000


def test_digests(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"music")
    assert content_digest(tmp_path / "a") == content_digest(b"music")
    assert content_digest(b"music") != content_digest(b"noise")
    assert combine("ab", "c") != combine("a", "bc")
    assert combine("a", "b") == combine("a", "b") != combine("b", "a")


def test_small_results_are_kept_within_their_bound(tmp_path: Path) -> None:
    cache, value = JsonCache(tmp_path / "cache", max_bytes=1000), {"tempo": 120.5, "key": None, "text": "x" * 100}
    assert cache.get("0") is None
    for number in range(20):
        cache.put(str(number), value)
        make_older(cache, str(number), 100 - number)
        assert cache.get("0") == value  # what is used stays
    kept = list(cache.root.glob("??/*.json"))
    assert 0 < sum(path.stat().st_size for path in kept) <= 1000
    assert cache.get("19") == value
    assert cache.get("1") is None


@pytest.mark.parametrize("damage", ["", "{", "\x00", "[" * 10_000])
def test_a_damaged_small_result_is_absent(tmp_path: Path, damage: str) -> None:
    cache = JsonCache(tmp_path / "cache", max_bytes=1000)
    cache.put("a", [1])
    cache._path("a").write_text(damage)
    assert cache.get("a") is None
    cache.put("a", [2])
    assert cache.get("a") == [2]
