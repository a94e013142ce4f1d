"""``genre spotify``: sign in to Spotify, see what it lets the app have, and take a library from it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from genre_lib.cli.console import print_lines, print_table, progress_bar, say
from genre_lib.cli.options import get_settings
from genre_lib.cli.spotify_catalogue import catalogue
from genre_lib.cli.spotify_fetch import fetch
from genre_lib.wording import counted

if TYPE_CHECKING:
    from genre_lib.settings import Settings
    from genre_lib.spotify.client import Client
    from genre_lib.spotify.probing import Probed
    from genre_lib.spotify.store import Store

HELP = "Your Spotify library as a catalogue to train on; off until SPOTIFY_CLIENT_ID names an app of your own."

app = typer.Typer(help=HELP, no_args_is_help=True)
app.command()(fetch)
app.command()(catalogue)


@app.command()
def login(
    browser: Annotated[
        bool | None, typer.Option(help="Open a browser.", show_default="where there is one on this machine")
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds until it is given up.", min=1)] = 300,
) -> None:
    """Sign in to Spotify with your own app; over SSH, paste the address that the browser ends at."""
    from genre_lib.errors import ConfigurationError, RateLimited
    from genre_lib.files import can_be_made
    from genre_lib.spotify.client import Client
    from genre_lib.spotify.login import login as sign_in

    settings = get_settings()
    if not can_be_made(settings.spotify_path.expanduser() / "authorisation.json"):
        raise ConfigurationError(
            f"SPOTIFY_PATH is {settings.spotify_path}, and no folder can be made there to keep the authorisation in."
        )
    found = sign_in(settings, tell_address, seconds=timeout, typed=sys.stdin, browser=browser, again=say)
    try:
        user = signed_in_user(Client.for_user(settings), settings)
        who = f"{user} is"
    except RateLimited as error:  # signing in has succeeded all the same
        say(str(error))
        who = "You are"
    say(f"{who} signed in until {day(found.ends_at)}. What this app may call: genre spotify status.")


@app.command()
def status() -> None:
    """Who is signed in until when, and what Spotify lets this app call: each call is tried once."""
    from genre_lib.spotify.access import require_app
    from genre_lib.spotify.client import Client
    from genre_lib.spotify.store import Store
    from genre_lib.spotify.tokens import Tokens

    settings = get_settings()
    require_app(settings)
    connected = Tokens.of(settings).read() is not None
    client = Client.for_user(settings) if connected else Client.for_tracks(settings)
    store = Store.of(settings)
    print_lines(facts(settings, store))
    probed = list(probe_by(client, store, connected))
    print_table(["what", "call", "answer", "note"], ([p.what, p.call, p.outcome, p.note] for p in probed))


@app.command()
def disconnect(
    purge: Annotated[
        bool, typer.Option("--purge", help="Delete all that was fetched, and the catalogues made of it, too.")
    ] = False,
) -> None:
    """Forget the authorisation; with --purge everything of Spotify's on this machine."""
    from genre_lib.spotify.access import require_app
    from genre_lib.spotify.connection import REVOKE, kept
    from genre_lib.spotify.connection import disconnect as forget

    settings = get_settings()
    if not kept(settings):
        require_app(settings)
    gone = forget(settings, purge)
    left = list(kept(settings))
    say(f"Deleted: {', '.join(gone)}." if gone else "There was nothing to delete.")
    if left:
        say(f"Left: {', '.join(left)}; genre spotify disconnect --purge deletes that too.")
    say(f"Spotify itself forgets this app at {REVOKE}.")


def tell_address(address: str) -> None:
    say(
        f"Open this address in a browser, and allow the app to read your library:\n\n{address}\n\nWhere the browser is "
        "on another machine, it ends at an address that cannot be opened: paste that address here, and press Enter."
    )


def signed_in_user(client: Client, settings: Settings) -> str:
    """Spotify's id of whoever signed in, remembered for the commands that follow."""
    from genre_lib.spotify.asking import Asking
    from genre_lib.spotify.signed_in import signed_in
    from genre_lib.spotify.store import Store

    store = Store.of(settings)
    return signed_in(Asking(client, store.budget), store)


def facts(settings: Settings, store: Store) -> dict[str, str]:
    """What is known without asking Spotify."""
    from genre_lib.spotify.tokens import Tokens

    found = Tokens.of(settings).read()
    met = {user: n for user in store.users() if (n := len(store.library(user).tracks))}
    limit = f" of {settings.spotify_calls_per_day:,}" if settings.spotify_calls_per_day else ""
    return {
        "app": settings.spotify_client_id,
        "secret": "set" if settings.spotify_client_secret.get_secret_value() else "not set: signing in needs none",
        "signed in": f"since {day(found.authorised_at)}, until {day(found.ends_at)}" if found else "nobody",
        "may read": ", ".join(found.scopes) if found else "what is public",
        "calls in 24 hours": f"{store.budget.calls_in_day():,}{limit}",
        "fetched": ", ".join(f"{counted(n, 'track')} of {user}" for user, n in met.items()) or "–",
    }


def probe_by(client: Client, store: Store, user: bool) -> list[Probed]:
    """What each call is answered."""
    from genre_lib.spotify.asking import Asking
    from genre_lib.spotify.probing import probe

    found: list[Probed] = []
    with progress_bar("asking Spotify") as bar:
        for probed in probe(Asking(client, store.budget), user):
            found.append(probed)
            bar(len(found), None, probed.what)
    return found


def day(seconds: float) -> str:
    from datetime import datetime

    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d")
