from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from genre_lib.claim import claimed, require_unclaimed
from genre_lib.errors import ModelExists

HOLDER = """
import sys
from pathlib import Path
from genre_lib.claim import claimed
with claimed(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_place_is_held_by_one_and_free_after_it(tmp_path: Path):
    place = tmp_path / "models" / "mine"
    require_unclaimed(place)
    with claimed(place), claimed(tmp_path / "models" / "other"):
        with pytest.raises(ModelExists, match=rf"Process \d+ is training a model for {place}"), claimed(place):
            pass
        with pytest.raises(ModelExists):
            require_unclaimed(place)
    require_unclaimed(place)
    with claimed(place):
        assert not place.exists()
    assert not list(place.parent.iterdir())


def test_one_that_was_killed_holds_nothing(tmp_path: Path):
    place = tmp_path / "mine"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(place)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout and holder.stdout.readline() == "held\n"
    with pytest.raises(ModelExists, match=f"Process {holder.pid} is training"):
        require_unclaimed(place)
    holder.kill()
    holder.communicate()
    assert [path.name for path in tmp_path.iterdir()] == [".mine.claim"]
    require_unclaimed(place)
    with claimed(place):
        pass
    assert not list(tmp_path.iterdir())


def test_of_many_at_once_one_holds_it(tmp_path: Path):
    together = Barrier(8)

    def hold(_: int) -> bool:
        together.wait()
        try:
            with claimed(tmp_path / "mine"):
                together.wait()
                return True
        except ModelExists:
            together.wait()
            return False

    for _ in range(20):
        with ThreadPoolExecutor(8) as threads:
            assert sum(threads.map(hold, range(8))) == 1
