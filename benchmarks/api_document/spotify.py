"""What is asked of a track on Spotify, and the Spotify that answers: a small server with an invented library."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from own_service import REPOSITORY

from api_document.requests import AT, SETUPS, STREAMING, Request, Route, posted
from genre_lib.data import synthetic
from genre_lib.spotify import invented_music

sys.path.insert(0, str(REPOSITORY / "tests"))

from accounts_service import CLIENT_ID, SECRET, Accounts
from library_server import Bad, serving


@dataclass(frozen=True)
class Tracks:
    """Ids of tracks of the invented library, and what becomes of who asks for them."""

    heard: str
    silent: str
    slow: str
    failing: str
    not_listed: str
    used_up: str

    @classmethod
    def chosen(cls) -> Tracks:
        """The first song that has a file, and five of a genre that has none."""
        songs, ids = invented_music.table(), list(invented_music.world().tracks)
        played = songs["genre"].isin(synthetic.SYNTH_GENRES)
        first = (played & (songs["number"] % invented_music.MISSING != 0)).idxmax()
        return cls(ids[first], *(ids[place] for place in songs.index[~played][:5]))

    def bad(self) -> dict[str, Bad]:
        """What Spotify answers, by the beginning of a path."""
        return {
            f"tracks/{self.slow}": Bad(how="hang"),
            f"tracks/{self.failing}": Bad(503, "Service unavailable"),
            f"tracks/{self.not_listed}": Bad(403, "User not registered in the Developer Dashboard", plain=True),
            f"tracks/{self.used_up}": Bad(429, "API rate limit exceeded", "QUOTA_EXCEEDED", retry_after="86400"),
        }


@contextmanager
def streaming(temporary: Path) -> Iterator[dict[str, dict[str, str]]]:
    """The settings of each setup that a Spotify of our own adds, while it runs."""
    own = invented_music.make(temporary / "own").folder
    with serving(invented_music.world(), Accounts(), bad=Tracks.chosen().bad()) as server:
        nowhere: dict[str, dict[str, str]] = {setup: {} for setup in SETUPS}
        yield nowhere | {
            STREAMING: {
                "SPOTIFY_CLIENT_ID": CLIENT_ID,
                "SPOTIFY_CLIENT_SECRET": SECRET,
                "SPOTIFY_API_URL": server.url,
                "SPOTIFY_ACCOUNTS_URL": server.accounts_url,
                "SPOTIFY_PATH": str(temporary / "spotify"),
                "MUSIC_PATH": str(own),
            }
        }


def spotify() -> Route:
    path, tracks = "/predict/spotify", Tracks.chosen()

    def asked(id: str, **more: object) -> str:
        return posted(path, {"track_id": id, **more})

    good = posted(path, {"track_id": "spotify:track:7ouMYWpwJ422jRcDASZB7P"})
    requests = [
        Request("a track that one has a file of", asked(f"spotify:track:{tracks.heard}", top_k=1), 200, at=STREAMING),
        Request("one that one has no file of", asked(tracks.silent), 404, "no_audio", at=STREAMING),
        Request("one that Spotify does not know", asked("0" * 22), 404, "spotify_not_found", at=STREAMING),
        Request("no such model", asked(tracks.heard, model_name="nobody"), 404, "model_not_found", at=STREAMING),
        Request("Spotify does not answer", asked(tracks.slow), 504, "spotify_timeout", at=STREAMING),
        Request("Spotify answers 503", asked(tracks.failing), 502, "spotify_unreachable", at=STREAMING),
        Request("Spotify does not serve this app", asked(tracks.not_listed), 503, "not_allowlisted", at=STREAMING),
        Request("the calls are used up", asked(tracks.used_up), 429, "quota_exceeded", at=STREAMING, late=True),
        Request("no app of Spotify's", good, 501, "spotify_not_configured"),
        Request("no track's id", posted(path, {"track_id": "spotify:album:1"}), 422, "invalid_track_id"),
        Request("no id", posted(path, {}), 422, "invalid_request"),
        Request("a field that is misspelt", posted(path, {"track": "7ouMYWpwJ422jRcDASZB7P"}), 422, "invalid_request"),
        Request("JSON that is none", posted(path, "{"), 400, "invalid_json"),
        Request("JSON that is not called so", f"curl -d '{{}}' {AT}{path}", 415, "unsupported_media_type"),
        Request("too large", posted(path, "@large.json"), 413, "body_too_large"),
    ]
    return Route("POST", path, "The genres of a track on Spotify", requests, plain=good)
