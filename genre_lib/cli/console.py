"""What commands say: results on standard output, all else on standard error."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from genre_lib.errors import ConfigurationError
from genre_lib.files import can_be_made, whole_file

UNWRITABLE = "backslashreplace"
"""What happens to a file's name that is no text in the encoding; in JSON it is read back as it was."""

AS_NAMED = "surrogateescape"
"""The same for a table that is read back: the name's own bytes."""


def say(text: str) -> None:
    """Beside the result: to standard error."""
    print(text, file=sys.stderr)


def shown(value: Any) -> str:
    """A value for a person: three decimals, a dash for none."""
    if value is None:
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def print_lines(lines: dict[str, Any]) -> None:
    width = max(map(len, lines)) + 2
    write_text("".join(f"{name:{width}}{value}\n" for name, value in lines.items()))


def print_table(columns: list[str], rows: Iterable[list[str]], file: TextIO | None = None) -> None:
    """A table as wide as the terminal; where there is none, as wide as it needs, so that nothing is cut off."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    file = file or sys.stdout
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    console = Console(file=file, highlight=False)
    if not console.is_terminal:
        console.width = max(console.measure(table, options=console.options.update(max_width=10_000)).maximum, 1)
    console.print(table)


def terminal_width(file: TextIO) -> int | None:
    """Columns of the terminal that the file is, as rich finds them; None where it is none."""
    from rich.console import Console

    console = Console(file=file)
    return console.width if console.is_terminal else None


def visible(text: str) -> str:
    """Control characters, which names of files may hold and terminals obey, as escapes: ``\\x1b``."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def write_text(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


@contextlib.contextmanager
def sink(output: Path | None, errors: str = UNWRITABLE) -> Iterator[TextIO]:
    """Standard output, or a file that appears whole and only where all went well.

    Args:
        errors: what becomes of names in the file that are no text.
    """
    if output is None:
        yield sys.stdout
        sys.stdout.flush()
        return
    try:
        with whole_file(output, errors=errors, newline="") as file:
            yield file
    except OSError as error:
        raise ConfigurationError(f"--output {output} cannot be written ({error.strerror}); choose another.") from error


def require_writable(output: Path, option: str = "--output") -> None:
    """Refuse before the work what could not be written after it, or what no table should be written over.

    Args:
        option: that it was given by.
    """
    from genre_lib.audio import AUDIO_SUFFIXES

    folder = output.absolute().parent
    if output.suffix.lower() in AUDIO_SUFFIXES:
        raise ConfigurationError(f"{option} is the file to write the rows to, and {output} is named as audio.")
    if output.is_dir():
        raise ConfigurationError(f"{option} expects a file, and {output} is a folder.")
    if output.exists() and not output.stat().st_mode & 0o222:
        raise ConfigurationError(f"{option} {output} is there and may only be read; choose another.")
    is_device = output.exists() and not output.is_file()
    if not is_device and not (folder.is_dir() and can_be_made(output)):
        raise ConfigurationError(f"{option} {output}: there is no folder {folder} that can be written to.")


@contextlib.contextmanager
def progress_bar(title: str, quiet: bool = False, total: int | None = None) -> Iterator[Callable[..., None]]:
    """A bar on standard error, where that is a terminal; called with what is done, the total, and perhaps a text.

    A total of 0 is none: the bar goes to and fro.

    Args:
        total: where it is known before anything is done.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[far]}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=total, far=f"0/{total}" if total else "")

        def advance(done: int, total: int, text: str | None = None) -> None:
            far = f"{done}/{total}" if total else ""
            progress.tasks[0].total = total or None  # update() would leave the one before: None changes nothing there
            progress.update(task, completed=done, description=text or title, far=far)

        yield advance


def interval(score: dict[str, float]) -> str:
    return f"{score['value']:.3f} (95 % interval {score['low']:.3f} to {score['high']:.3f})"
