"""Tables with a row for each track: readable on a narrow terminal, with errors below them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TextIO

from genre_lib.cli.console import print_table, terminal_width, visible

NARROWEST_PATH = 16
"""Columns that a path is cut to at least; where a terminal leaves it fewer, a track takes lines of its own."""

GAP = 1
"""Columns between a table's cells, as rich draws them, and one more after each cell."""

FIXED = "\u00a0"
"""A space at which no line is broken."""


@dataclass
class TrackTable:
    """Rows of tracks, the path first, and what was wrong with the others.

    On a terminal paths are shortened in their middle, for their ends tell tracks apart; in a file or a pipe they are
    whole.
    """

    columns: Sequence[str]
    rows: list[list[str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    failed: set[int] = field(default_factory=set)

    def add(self, *cells: str) -> None:
        self.rows.append([visible(cell) for cell in cells])

    def add_failed(self, path: str, code: str | None, error: str) -> None:
        """A track without numbers: the error's name in the table, its sentence below."""
        name = (code or "error").replace("_", " ")
        self.failed.add(len(self.rows))
        self.add(path, *[""] * (len(self.columns) - 2), name)
        self.errors.append(visible(error if path in error else f"{path}: {error}"))

    def print(self, file: TextIO) -> None:
        width = terminal_width(file)
        room = width and width - self._width_without_paths()
        if width is None or room is None:
            print_table(list(self.columns), self.rows, file)
        elif room >= min(NARROWEST_PATH, self._longest_path()):
            print_table(list(self.columns), [[shortened(row[0], room), *row[1:]] for row in self.rows], file)
        else:
            nameless = [""] * len(self.columns)
            for number, row in enumerate(self.rows):
                names = nameless if number in self.failed else self.columns
                file.writelines(f"{line}\n" for line in stacked(names, row, width))
        if self.errors:
            file.write("\n")
            file.writelines(f"{line}\n" for error in self.errors for line in wrapped(error, width))

    def _longest_path(self) -> int:
        return max((columns_of(row[0]) for row in self.rows), default=0)

    def _width_without_paths(self) -> int:
        cells = zip(*(row[1:] for row in [list(self.columns), *self.rows]), strict=True)
        return sum(max(map(columns_of, column)) + 2 * GAP for column in cells)


def stacked(columns: Sequence[str], row: Sequence[str], width: int) -> list[str]:
    """A track on lines of its own: its path, then what stands in the other columns, each with its column's name."""
    path, *cells = row
    told = [f"{name} {cell}".strip() for name, cell in zip(columns[1:], cells, strict=True) if cell]
    lines = [shortened(path, width)] if path else []
    return lines + wrapped("  ".join(map(together, told)), width, "  ")


def together(text: str) -> str:
    """A text that may be broken at its dots alone, so that a genre and its number stay on a line."""
    return f"{FIXED}· ".join(part.replace(" ", FIXED) for part in text.split(" · "))


def wrapped(text: str, width: int | None, indent: str = "") -> list[str]:
    """The text in lines of so many columns; a word that is longer is broken, and nothing where there is no width."""
    if width is None:
        return [text]
    lines = textwrap.wrap(text, max(width, 8), initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
    return [line.replace(FIXED, " ") for line in lines]


def shortened(text: str, width: int) -> str:
    """The text without its middle, where it takes more than so many columns; twice as much of its end stays.

    >>> shortened("/home/ann/music/jazz/so_what.mp3", 20), shortened("so_what.mp3", 20)
    ('/home/…z/so_what.mp3', 'so_what.mp3')
    """
    if columns_of(text) <= width:
        return text
    head = max(width - 1, 0) // 3
    return f"{_fitting(text, head)}…{_fitting(text[::-1], width - 1 - head)[::-1]}"


def columns_of(text: str) -> int:
    """Columns of a terminal that a text takes; letters of some scripts take two."""
    from rich.cells import cell_len

    return cell_len(text)


def _fitting(text: Iterable[str], width: int) -> str:
    """The first letters that fit into so many columns."""
    kept, taken = "", 0
    for letter in text:
        taken += columns_of(letter)
        if taken > width:
            break
        kept += letter
    return kept
