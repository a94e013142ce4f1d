"""Memory that was freed goes back to the system."""

import ctypes
from functools import cache
from typing import Any


def give_back() -> None:
    """Let glibc return what it holds free.

    It keeps small blocks that several threads freed, hundreds of MB after a track of an hour, and only a later call to
    ``free`` at the heap's end would return them: see ``malloc_trim(3)``. Elsewhere than on glibc this does nothing.
    """
    if trim := _malloc_trim():
        trim(0)


@cache
def _malloc_trim() -> Any:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):
        return None
