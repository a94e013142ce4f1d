"""Papermill without a grammar that it has no use for: ``python -m genre_lib.notebook_papermill`` is its command.

Papermill checks notebooks by jsonschema, and that imports ``rfc3987_syntax`` where it is there, as it is beside
JupyterLab: a grammar of international addresses, which is compiled anew in every process and takes longer than all the
rest of papermill. No field of a notebook is such an address. jsonschema goes without where it is not installed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

GRAMMAR = "rfc3987_syntax"


@contextmanager
def passed_over(module: str) -> Iterator[None]:
    """Have imports of a module fail, as where it is not installed; one that is imported already stays."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]


with passed_over(GRAMMAR):
    from papermill import inspect_notebook
    from papermill.cli import papermill

__all__ = ["inspect_notebook", "papermill"]

if __name__ == "__main__":
    papermill()
