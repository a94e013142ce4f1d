"""Collecting a large library from a Spotify of our own: undisturbed, killed at random points, and within a quota.

    python benchmarks/spotify_library.py
    python benchmarks/spotify_library.py --tracks 500 --playlists 30 --artists 200 --quota 40      # in two minutes

The server is a process of its own that counts what it is asked, and so is each collection, which asks through spotipy
for whoever has signed in to that server. Three things are claimed:

* undisturbed, every call is made once;
* killed with -9 at random points and started again, the library is the same to the last field, and no call is made
  twice but those that were in flight;
* with a quota of single artists it ends with an error that says when it goes on, asks nothing before that time, and
  goes on after it to the same library.

Exit code 1 where one does not hold.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import requests

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path.insert(0, str(TESTS))

from accounts_service import settings_for, visit  # noqa: E402

from genre_lib.errors import RateLimited  # noqa: E402
from genre_lib.settings import Settings  # noqa: E402
from genre_lib.spotify.client import Client  # noqa: E402
from genre_lib.spotify.collect import collect  # noqa: E402
from genre_lib.spotify.library import Library  # noqa: E402
from genre_lib.spotify.login import login  # noqa: E402
from genre_lib.spotify.store import Store  # noqa: E402

RETRY_SECONDS = 65
"""What the server says to wait when the quota is used up: longer than is waited out in silence."""

LIMITED = 3
"""Exit code of a collection that the quota ended."""

WAIT_SECONDS = 300


@dataclass
class Run:
    """What one collection said of itself."""

    code: int
    seconds: float
    told: dict[str, Any]


class Server:
    """The library over HTTP, in a process of its own."""

    def __init__(self, given: argparse.Namespace) -> None:
        sizes = [f"--{name}={getattr(given, name)}" for name in ("tracks", "playlists", "artists", "seed", "delay")]
        command = [sys.executable, str(TESTS / "library_server.py"), "--signing", *sizes]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        self._root = self.url.removesuffix("v1/")

    def sign_in(self, folder: Path) -> None:
        """As a person with a browser does; the calls that this takes are not counted."""
        settings = settings_of(self.url, folder)
        opened = lambda address: threading.Thread(target=visit, args=(address,)).start()  # noqa: E731
        login(settings, opened, browser=False)
        self.configure()

    def asked(self) -> list[str]:
        return requests.get(f"{self._root}asked", timeout=10).json()["asked"]

    def count(self) -> int:
        return requests.get(f"{self._root}count", timeout=10).json()["count"]

    def configure(self, **options: float) -> None:
        requests.get(f"{self._root}configure", params=options, timeout=10).raise_for_status()


@contextmanager
def serving(given: argparse.Namespace) -> Iterator[Server]:
    server = Server(given)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.wait()


class Claims:
    """What was claimed, and whether it holds."""

    def __init__(self) -> None:
        self.broken: list[str] = []

    def require(self, holds: bool, claim: str) -> None:
        print(f"  {'yes' if holds else 'NO '}  {claim}", flush=True)
        if not holds:
            self.broken.append(claim)


def main() -> int:
    given = parse_arguments()
    if given.collect:
        return collect_here(*given.collect)
    claims = Claims()
    with tempfile.TemporaryDirectory(prefix="genre-spotify-") as name, serving(given) as server:
        whole, calls = undisturbed(server, Path(name, "undisturbed"), claims)
        killed(server, Path(name, "killed"), whole, calls, given, claims)
        limited(server, Path(name, "limited"), whole, given, claims)
    for claim in claims.broken:
        print(f"does not hold: {claim}", file=sys.stderr)
    return 1 if claims.broken else 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, size in {"tracks": 5000, "playlists": 300, "artists": 1200, "quota": 600, "kills": 5, "seed": 0}.items():
        parser.add_argument(f"--{name}", type=int, default=size)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer of the server")
    parser.add_argument("--collect", nargs=2, metavar=("URL", "FOLDER"), help=argparse.SUPPRESS)
    return parser.parse_args()


# --- the three parts --------------------------------------------------------------------------------------------------


def undisturbed(server: Server, folder: Path, claims: Claims) -> tuple[str, int]:
    """The library's digest, and how many calls it takes."""
    server.sign_in(folder)
    run = collected(server, folder)
    told, asked = run.told, server.asked()
    print(f"undisturbed: {told['tracks']} tracks, {told['playlists']} playlists read, {told['artists']} artists")
    kinds = Counter(kind(path) for path in asked)
    print(f"  {len(asked)} calls: {', '.join(f'{count} {name}' for name, count in kinds.most_common())}")
    print(f"  {run.seconds:.1f} s with starting Python; {told['seconds']:.1f} s of collecting")
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"  peak memory {told['peak']:.0f} MB, of which {told['before']:.0f} MB before it began; {size / 1e6:.1f} MB")
    print(f"  refused: {', '.join(f'{count} × {reason}' for reason, count in told['refused'].items())}")
    claims.require(run.code == 0 and told["complete"], "it is complete")
    claims.require(len(asked) == len(set(asked)) == told["calls"], "every call was made once")
    server.configure()
    again = collected(server, folder)
    kinds = Counter(kind(path) for path in server.asked())
    print(f"again: {again.told['calls']} calls: {', '.join(f'{count} {name}' for name, count in kinds.most_common())}")
    claims.require(kinds["playlists/…"] == kinds["artists/…"] == 0, "unchanged playlists and known artists are left")
    claims.require(again.told["digest"] == told["digest"], "the library is the same")
    return told["digest"], len(asked)


def killed(server: Server, folder: Path, whole: str, calls: int, given: argparse.Namespace, claims: Claims) -> None:
    server.sign_in(folder)
    points = sorted(random.Random(given.seed).sample(range(1, calls), given.kills))
    print(f"killed (-9) at calls {', '.join(map(str, points))}")
    in_flight = [kill_at(server, folder, point) for point in points]
    run = collected(server, folder)
    asked = server.asked()
    repeated = {path: times - 1 for path, times in Counter(asked).items() if times > 1}
    print(f"  {len(asked)} calls in all, {sum(repeated.values())} of them repeated, {given.kills} were killed")
    claims.require(run.code == 0 and run.told["digest"] == whole, "the library is identical to the undisturbed one")
    claims.require(
        set(repeated) <= set(in_flight) and all(times <= in_flight.count(p) for p, times in repeated.items()),
        "no call was repeated but those in flight",
    )


def kill_at(server: Server, folder: Path, point: int) -> str:
    """Kill a collection once so many calls were made; the last that was asked."""
    process = start(server, folder)
    while server.count() < point and process.poll() is None:
        time.sleep(0.001)
    process.kill()
    process.communicate()
    time.sleep(0.1)  # what was sent may still be on its way
    return server.asked()[-1]


def limited(server: Server, folder: Path, whole: str, given: argparse.Namespace, claims: Claims) -> None:
    server.sign_in(folder)
    server.configure(artist_quota=given.quota, retry_after=RETRY_SECONDS, rest=RETRY_SECONDS - 1)
    print(f"a quota of {given.quota} single artists, and {RETRY_SECONDS} s to wait for as many again")
    run = collected(server, folder)
    first = server.count()
    print(f"  after {first} calls: {run.told.get('error', 'no error')}")
    claims.require(run.code == LIMITED, "it stops, and says when it goes on")
    early = collected(server, folder)
    claims.require(early.code == LIMITED and server.count() == first, "before that time nothing is asked")
    rounds = 0
    while run.code == LIMITED and rounds < 10:
        time.sleep(max(0.0, run.told["resume_at"] - time.time()) + 0.5)
        run, rounds = collected(server, folder), rounds + 1
    asked = server.asked()
    print(f"  {len(asked)} calls in all, in {rounds + 1} rounds")
    claims.require(run.code == 0 and run.told["digest"] == whole, "after it the library becomes the same")
    claims.require(len(asked) - len(set(asked)) == rounds, "only the call that met the quota was repeated")


def kind(path: str) -> str:
    """A path without what is of one playlist or artist."""
    name = path.partition("?")[0]
    return f"{name.split('/')[0]}/…" if name.startswith(("artists/", "playlists/")) else name


# --- a collection in its own process ----------------------------------------------------------------------------------


def start(server: Server, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, str(Path(__file__).resolve()), "--collect", server.url, str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})


def collected(server: Server, folder: Path) -> Run:
    begun = time.monotonic()
    process = start(server, folder)
    said, _ = process.communicate(timeout=WAIT_SECONDS)
    return Run(process.returncode, time.monotonic() - begun, json.loads(said or "{}"))


def collect_here(url: str, folder: str) -> int:
    """In the child: collect, and say in JSON how it went."""
    before, begun = peak(), time.monotonic()
    settings = settings_of(url, Path(folder))
    store = Store.of(settings)
    try:
        summary = collect(Client.for_user(settings), store)
    except RateLimited as error:
        print(json.dumps({"error": str(error), "resume_at": error.resume_at}))
        return LIMITED
    told = {"seconds": time.monotonic() - begun, "peak": peak(), "before": before}
    print(json.dumps({**asdict(summary), **told, "digest": digest(store.library(summary.user_id))}))
    return 0


def settings_of(url: str, folder: Path) -> Settings:
    """Of somebody whose Spotify is the server, with all that is kept in the folder."""
    server = SimpleNamespace(url=url, accounts_url=url.removesuffix("/v1/"))
    return settings_for(server, folder.parent, spotify_path=folder)


def peak() -> float:
    """Most memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def digest(library: Library) -> str:
    """Of every field, in its order."""
    told = asdict(library) | {"sources": {id: sorted(sources) for id, sources in library.sources.items()}}
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
