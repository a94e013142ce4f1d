"""The ``genre`` command: the library's words on the command line.

Results go to standard output, everything said beside them to standard error. Exit codes: 0 all went well, 1 data or a
model could not be used, 2 the command or a setting is wrong, 130 stopped by Ctrl-C or SIGTERM. A command imports what
it needs when it runs, so that ``--help`` is there at once.
"""

from __future__ import annotations

import io
import os
import re
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from genre_lib import __version__
from genre_lib.cli import (
    analyze,
    batch_size,
    catalogue,
    evaluate,
    finetune,
    generate,
    jobs,
    keys,
    models,
    predict,
    serve,
    spotify,
)
from genre_lib.cli.console import UNWRITABLE
from genre_lib.errors import ConfigurationError, GenreLibError, RunStopped

HELP = "Music-genre prediction and fine-tuning on your own music."
DEBUG = "GENRE_DEBUG"
LONGEST_WORD, SHORTENED = 300, 100
"""Letters without a space that an error may hold, as a path may; of more it shows the first."""

app = typer.Typer(help=HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(catalogue.app, name="catalogue")
app.add_typer(models.app, name="models")
app.add_typer(jobs.app, name="jobs")
app.add_typer(keys.app, name="keys")
app.add_typer(spotify.app, name="spotify")
commands = (
    *(finetune.finetune, evaluate.evaluate, predict.predict, analyze.analyze, generate.generate),
    *(batch_size.batch_size, serve.serve),
)
for command in commands:
    app.command()(command)


def main(arguments: list[str] | None = None) -> int:
    """Run a command; every error ends in one line and an exit code."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that wait sleep: see service.app
    warnings.showwarning = show_warning
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=UNWRITABLE)
    given = sys.argv[1:] if arguments is None else arguments
    with ended_by_term():
        return run(given)


def run(arguments: list[str]) -> int:
    """A command, with what it raises as a line and an exit code."""
    try:
        require_sense(arguments)
        warn_of_unknown_lines(arguments)
        code = app(args=arguments, prog_name="genre", standalone_mode=False) or 0
        return fail("stopped.", 130) if code == 130 else code  # typer ends Ctrl-C in silence
    except typer.TyperException as error:
        return fail(usage(error), 2) if error.format_message() else 2  # a bare `genre` has printed its help
    except ConfigurationError as error:
        return fail(str(error), 2)
    except RunStopped as error:
        return fail(str(error), 130)
    except GenreLibError as error:
        return fail(str(error), 1)
    except BrokenPipeError:  # the reader has seen enough: `genre predict … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (KeyboardInterrupt, typer.Abort):
        return fail("stopped.", 130)
    except OSError as error:
        where = error.filename or "standard output, or a file that was being written"
        return fail(f"{error.strerror or error}: {where}.", 1, debug=True)
    except Exception as error:
        said = " ".join(str(error).split())[:300]
        return fail(f"{type(error).__name__}: {said}. A fault of genre_lib's; {DEBUG}=1 shows where.", 1, debug=True)


@contextmanager
def ended_by_term() -> Iterator[None]:
    """Have SIGTERM end a command as Ctrl-C does, by way of what cleans up: no half of a file stays."""
    before = None
    with suppress(ValueError):  # not the main thread, to which signals come
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def require_sense(arguments: Sequence[str]) -> None:
    """Refuse what no command can mean: an argument of nothing, as a variable that is not set leaves it, and no folder.

    Raises:
        ConfigurationError: says which.
    """
    if "" in arguments:
        before = arguments[max(arguments.index("") - 1, 0)]
        which = f"The value of {before}" if before.startswith("-") else "An argument"
        raise ConfigurationError(f"{which} is empty; name something, or leave it out.")
    try:
        Path.cwd()
    except FileNotFoundError as error:
        raise ConfigurationError("The folder that this is run in is not there any more; go to one that is.") from error


def warn_of_unknown_lines(arguments: list[str]) -> None:
    """Say which lines of ``.env`` change nothing; help stays quick."""
    if not arguments or "--help" in arguments or not Path(".env").is_file():
        return
    from genre_lib.settings import unknown_lines

    for line in unknown_lines():
        print(f"warning: {line}", file=sys.stderr)


def usage(error: typer.TyperException) -> str:
    """What was wrong with the command line, as a sentence; typer leaves out what came where pydantic judged it."""
    said = error.format_message().replace("Value error, ", "").rstrip(".")
    judged = getattr(error.__cause__, "errors", None)
    came = judged()[0]["input"] if judged else None
    wrong = f"{said}, and is {came!r}" if came is not None and repr(came) not in said else said
    wrong += "" if wrong.endswith("?") else "."
    context = getattr(error, "ctx", None)
    return f"{wrong} See {context.command_path if context else 'genre'} --help."


def fail(message: str, code: int, debug: bool = False) -> int:
    """Say it in one line, or with the traceback where that was asked for."""
    if debug and os.environ.get(DEBUG):
        traceback.print_exc()
    line = re.sub(rf"\S{{{LONGEST_WORD},}}", lambda found: f"{found[0][:SHORTENED]}…", " ".join(message.split()))
    print(f"error: {line}", file=sys.stderr)
    return code


def show_warning(message: Any, category: type[Warning], *_: Any, **__: Any) -> None:
    """Our own warnings in one line; those of libraries are for developers."""
    if category.__module__.startswith("genre_lib") or os.environ.get(DEBUG):
        print(f"warning: {message}", file=sys.stderr)


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Print the version and end.", is_eager=True)] = False,
) -> None:
    if show:
        print(f"genre_lib {__version__}")
        raise typer.Exit
