"""Numbers in sentences."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """The number with its noun, in the plural where it is not one.

    >>> counted(1, "track"), counted(2, "track"), counted(0, "error")
    ('1 track', '2 tracks', '0 errors')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def megabytes(size: int) -> str:
    """A number of bytes.

    >>> megabytes(346_400_000), megabytes(12_300)
    ('346.4 MB', '0.0 MB')
    """
    return f"{size / 1e6:,.1f} MB"
