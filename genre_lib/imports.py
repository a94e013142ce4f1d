"""Import heavy libraries without the garbage collector, which would look through all of their modules over and over."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected(library: str) -> Iterator[None]:
    """Import what stays as long as the process, and have the collector pass over it from then on.

    A sixth of the processor time of importing torch goes into finding out that nothing of it is garbage. With
    transformers and Lightning it is two fifths, much of it at the end of the process. What is garbage already when the
    block begins is collected before.

    Args:
        library: the one that weighs. Where it is imported already, nothing is done, and nothing either where the
            collector is off, as in a block within another.
    """
    if library in sys.modules or not gc.isenabled():
        yield
        return
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
