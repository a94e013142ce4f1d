"""``genre keys``: make and list the API keys of the service."""

from __future__ import annotations

from typing import Annotated

import typer

from genre_lib import api_keys
from genre_lib.api_keys import ApiKey
from genre_lib.cli.console import say, write_text
from genre_lib.cli.options import get_settings
from genre_lib.errors import ConfigurationError

app = typer.Typer(help="Make and list the API keys of the service.", no_args_is_help=True)


@app.command("create")
def keys_create(
    name: Annotated[str, typer.Argument(help="Whose key it is: letters, digits, '.', '_' and '-'.")],
) -> None:
    """Make a key: shown once, on the first line; the second line is for .env."""
    known = get_settings().api_keys
    if not api_keys.NAME.fullmatch(name):
        raise ConfigurationError(
            f"A key's name has at most 64 letters, digits, '.', '_' and '-', and begins with a letter or digit; "
            f"{name!r} does not."
        )
    if name in {key.name for key in known}:
        raise ConfigurationError(
            f"There is a key of the name {name} already; take it out of API_KEYS, or choose another name."
        )
    key = api_keys.generate()
    entries = (*known, ApiKey(name, api_keys.digest(key)))
    write_text(f"{key}\nAPI_KEYS={','.join(map(str, entries))}\n")
    say(
        f"The first line is {name}'s key: it is shown now and never again. The second takes the place of API_KEYS in "
        ".env, and holds hashes alone; the service knows the key once it is started again."
    )


@app.command("list")
def keys_list() -> None:
    """The names of the keys, one a line."""
    names = [key.name for key in get_settings().api_keys]
    write_text("".join(f"{name}\n" for name in names))
    if not names:
        say("There are no keys: what changes something is closed. Make one with: genre keys create NAME")
