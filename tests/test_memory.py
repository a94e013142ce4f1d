"""What is done with memory that was freed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from genre_lib import memory

BLOCK = 8 * 2**20
PAGES = BLOCK // 4096
TIMES = 20
STEPS = f"""
import resource, sys
import numpy as np
from genre_lib import memory
if sys.argv[1] == "keep": memory.keep_freed()
np.ones({BLOCK} // 8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range({TIMES}): np.ones({BLOCK} // 8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
"""A process that asks for the same block again and again, and prints how many of its pages came anew."""


def faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", STEPS, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(memory._function("mallopt") is None, reason="not glibc")
def test_what_is_kept_need_not_come_anew():
    assert faults("keep") < 2 * PAGES


def test_giving_back_works_wherever_it_is_called():
    memory.give_back()
    memory.keep_freed()


def test_without_the_c_library_nothing_happens(monkeypatch):
    monkeypatch.setattr(memory, "_function", lambda name: None)
    memory.give_back()
    memory.keep_freed()
