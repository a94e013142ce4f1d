"""Genre tags by ISRC, from a MusicBrainz and a ListenBrainz on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from preview_services import Clock, PreviewServices, preview_services

from genre_lib.errors import ConfigurationError
from genre_lib.settings import Settings, get_settings
from genre_lib.spotify.labelling import by_genre
from genre_lib.spotify.library import Library, Track
from genre_lib.spotify.pace import Pace
from genre_lib.spotify.store import Store
from genre_lib.spotify.tags import RecordingTags, tags_of

CODE, OTHER = "ZZAAA2600001", "ZZAAA2600002"
ISRC, METADATA = f"/ws/2/isrc/{CODE}", "/1/metadata/recording/"


@pytest.fixture
def services() -> Iterator[PreviewServices]:
    with preview_services() as services:
        yield services


@pytest.fixture
def settings(services: PreviewServices, tmp_path: Path) -> Settings:
    return get_settings(
        tag_sources=True,
        contact="ann@example.org",
        musicbrainz_url=services.url,
        listenbrainz_url=services.url,
        spotify_path=tmp_path / "kept",
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tags(settings: Settings, clock: Clock) -> RecordingTags:
    spans = {"MusicBrainz": (1, 1.0), "ListenBrainz": (30, 10.0)}
    paces = [Pace(name, *span, now=clock.now, sleep=clock.sleep) for name, span in spans.items()]
    return RecordingTags(settings, Store.of(settings), paces=(paces[0], paces[1]))


def track(isrc: str = CODE, id: str = "t") -> Track:
    return Track(id, "Title", ("Ana",), isrc=isrc)


def recording(id: str, **tags: list[tuple[str, int]]) -> dict[str, object]:
    said = {kind: [{"name": name, "count": count} for name, count in given] for kind, given in tags.items()}
    return {"id": id, "title": "Title", **said}


def test_the_recordings_own_genres_come_first(tags: RecordingTags, services: PreviewServices):
    told = [
        recording("a", genres=[("Reggae", 2), ("dub", 3)], tags=[("seen live", 9)]),
        recording("b", tags=[("dub", 4)]),
    ]
    services.put(ISRC, {"recordings": told})
    assert list(tags(track())) == ["dub", "reggae"]
    assert services.asked == [f"{ISRC}?inc=genres+tags&fmt=json"]


def test_else_those_of_the_artists(tags: RecordingTags, services: PreviewServices):
    services.put(ISRC, {"recordings": [recording("a"), recording("b", tags=[("unliked", -1)])]})
    services.put(METADATA, {"a": {"tag": {"recording": [], "artist": [{"tag": "ska", "count": 5}]}}, "b": {"tag": []}})
    assert list(tags(track())) == ["ska"]
    assert services.asked[1] == f"{METADATA}?recording_mbids=a%2Cb&inc=tag+artist"


def test_nothing_is_asked_twice(tags: RecordingTags, services: PreviewServices, settings: Settings):
    services.put(ISRC, {"recordings": [recording("a", genres=[("jazz", 1)])]})
    assert list(tags(track())) == list(tags(track(id="again"))) == ["jazz"]
    assert list(tags(track(OTHER))) == list(tags(track(OTHER))) == []  # which it does not know
    assert list(RecordingTags(settings, Store.of(settings))(track())) == ["jazz"]
    assert len(services.asked) == 2


def test_without_a_code_nothing_is_asked(tags: RecordingTags, services: PreviewServices):
    assert list(tags(track(""))) == []
    assert services.asked == []


def test_a_call_a_second(tags: RecordingTags, clock: Clock):
    for isrc in (CODE, OTHER, "ZZAAA2600003"):
        tags(track(isrc))
    assert clock.slept == [1.0, 1.0]


def test_whoever_asks_too_fast_waits_as_told(tags: RecordingTags, services: PreviewServices, clock: Clock):
    services.put(ISRC, {"error": "exceeding"}, status=503, Retry_After="4")
    assert list(tags(track())) == []
    assert len(services.asked) == 3
    assert clock.slept == [4.0, 4.0]
    assert "MusicBrainz takes no more calls" in tags.silent


def test_a_source_that_fails_is_asked_no_more_and_nothing_is_kept_of_it(
    tags: RecordingTags, services: PreviewServices, settings: Settings
):
    services.put(ISRC, b"<html>", status=500)
    assert list(tags(track())) == list(tags(track(OTHER))) == []
    assert len(services.asked) == 1
    assert tags.silent == "MusicBrainz answers 500 with what cannot be used. Try again later."
    services.put(ISRC, {"recordings": [recording("a", genres=[("jazz", 1)])]})
    assert list(RecordingTags(settings, Store.of(settings))(track())) == ["jazz"]


@pytest.mark.parametrize("answer", [{}, {"recordings": None}, {"recordings": [None, {"id": 3}, {"genres": [{}, 1]}]}])
def test_answers_of_another_form_are_no_tags(tags: RecordingTags, services: PreviewServices, answer: object):
    services.put(ISRC, answer)
    assert list(tags(track())) == []
    assert tags.silent == ""


def test_they_label_tracks_of_which_spotify_says_nothing(tags: RecordingTags, services: PreviewServices):
    services.put(ISRC, {"recordings": [recording("a", genres=[("roots reggae", 2)])]})
    known = Track("known", "Title", ("Bob",), ("b",), isrc=OTHER)
    library = Library("me", {"t": track(), "known": known}, artist_genres={"b": ("bebop",)})
    assert dict(by_genre(library, tags).genres) == {"t": "reggae", "known": "jazz"}
    assert len(services.asked) == 1


def test_they_are_off_until_switched_on_and_need_a_contact(settings: Settings):
    store = Store.of(settings)
    assert tags_of(settings.model_copy(update={"tag_sources": False}), store) is None
    with pytest.raises(ConfigurationError, match=r"set CONTACT in .env .*or TAG_SOURCES=false"):
        tags_of(settings.model_copy(update={"contact": " "}), store)
