"""Numbers in sentences."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """The number with its noun, in the plural where it is not one.

    >>> counted(1, "track"), counted(2, "track"), counted(0, "error")
    ('1 track', '2 tracks', '0 errors')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
