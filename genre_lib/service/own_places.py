"""Sentences about the owner's music and Spotify, as somebody elsewhere may read them."""

from collections.abc import Iterator
from contextlib import contextmanager

from genre_lib.errors import GenreLibError
from genre_lib.settings import Settings


@contextmanager
def hidden_places(settings: Settings) -> Iterator[None]:
    """Within the block, errors call the owner's folders as their settings are called."""
    try:
        yield
    except GenreLibError as error:
        error.args = (without_places(str(error), settings), *error.args[1:])
        raise


def without_places(sentence: str, settings: Settings) -> str:
    """The sentence without the folders of this machine."""
    for place, name in ((settings.music_path, "MUSIC_PATH"), (settings.spotify_path, "SPOTIFY_PATH")):
        sentence = sentence.replace(str(place.expanduser().absolute()), name) if place else sentence
    return sentence
