from __future__ import annotations

import pytest

from genre_lib.errors import InvalidTrackId
from genre_lib.spotify.ids import track_id

ID = "7ouMYWpwJ422jRcDASZB7P"


@pytest.mark.parametrize(
    "text",
    [
        ID,
        f"  {ID}\n",
        f"spotify:track:{ID}",
        f"SPOTIFY:track:{ID}",
        f"https://open.spotify.com/track/{ID}",
        f"https://open.spotify.com/track/{ID}?si=0123456789abcdef&context=spotify%3Aplaylist%3Ax",
        f"https://open.spotify.com/track/{ID}/#t=1:02",
        f"http://open.spotify.com/track/{ID}",
        f"https://open.spotify.com/intl-de/track/{ID}?si=x",
        f"https://open.spotify.com/intl-pt-BR/track/{ID}",
        f"https://open.spotify.com/embed/track/{ID}?utm_source=generator",
        f"HTTPS://OPEN.SPOTIFY.COM/track/{ID}",
        f"open.spotify.com/track/{ID}",
        f"https://play.spotify.com/track/{ID}",
    ],
)
def test_all_forms_name_the_same_track(text: str):
    assert track_id(text) == ID


@pytest.mark.parametrize(
    "text",
    [
        "",
        "song",
        ID[:-1],
        f"{ID}x",
        f"{ID[:-1]}-",
        f"spotify:track:{ID}:more",
        f"spotify:track:{ID[:-1]}",
        f"spotify:user:someone:track:{ID}",
        "spotify:local:artist:album:title:200",
        f"https://open.spotify.com.example.com/track/{ID}",
        f"https://example.com/track/{ID}",
        f"https://example.com/?u=open.spotify.com/track/{ID}",
        f"https://open.spotify.com@example.com/track/{ID}",
        f"ftp://open.spotify.com/track/{ID}",
        f"https://open.spotify.com/track/{ID}/{ID}",
        f"https://open.spotify.com/intl-de/intl-de/track/{ID}",
        "https://open.spotify.com/track/",
        "https://spotify.link/abcdefg",
        "http://[",
        "٧" * 22,
        "\x00\ud800",
    ],
)
def test_what_names_no_track_is_refused_with_the_forms_that_do(text: str):
    with pytest.raises(InvalidTrackId, match=r"names no track of Spotify's.*spotify:track:ID.*22 letters"):
        track_id(text)


@pytest.mark.parametrize("text", [f"spotify:album:{ID}", f"https://open.spotify.com/intl-de/playlist/{ID}?si=x"])
def test_another_kind_is_told_as_such(text: str):
    with pytest.raises(InvalidTrackId, match="but another kind of thing"):
        track_id(text)


def test_a_long_text_is_told_in_short():
    with pytest.raises(InvalidTrackId) as refused:
        track_id("x" * 10_000)
    assert len(str(refused.value)) < 300
