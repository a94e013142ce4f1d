from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from preview_services import PreviewServices, beep, preview_services
from tagged_songs import write_song

from genre_lib.errors import ConfigurationError, NoAudio, RateLimited
from genre_lib.settings import Settings, get_settings
from genre_lib.spotify.coverage import SourceCoverage, coverage, find, sound_of, spread
from genre_lib.spotify.library import Track
from genre_lib.spotify.sources import TERMS, sources_of


@pytest.fixture
def services() -> Iterator[PreviewServices]:
    with preview_services() as running:
        yield running


def made(number: int, **changes: object) -> Track:
    values: dict[str, object] = {"artists": ("Ana",), "duration": 1.0, "isrc": f"QZABC{number:07d}"}
    return Track(f"{number:022d}", f"Song {number}", **(values | changes))  # type: ignore[arg-type]


@pytest.fixture
def settings(services: PreviewServices, tmp_path: Path) -> Settings:
    """All sources on: the folder has song 0, Spotify 1, Deezer every even one, iTunes none."""
    write_song(tmp_path / "music" / "a.wav", artist="Ana", title="Song 0")
    url = services.put("/preview", beep())
    for number in range(200):
        none = {"error": {"code": 800, "message": "no data"}}
        services.put(f"/track/isrc:QZABC{number:07d}", none if number % 2 else {"preview": url})
    services.put("/search", {"results": []})
    return get_settings(
        music_path=tmp_path / "music",
        cache_path=tmp_path / "cache",
        spotify_previews=True,
        deezer_previews=True,
        itunes_previews=True,
        spotify_api_url=f"{services.url}/",
        deezer_url=f"{services.url}/",
        itunes_url=f"{services.url}/",
        spotify_timeout=5,
    )


def test_all_sources_are_off_until_they_are_switched_on():
    assert sources_of(get_settings()) == []


def test_the_own_folder_is_asked_first(settings: Settings):
    assert [source.name for source in sources_of(settings)] == ["folder", "spotify", "deezer", "itunes"]


def test_a_music_path_that_is_no_folder_is_told(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="MUSIC_PATH"):
        sources_of(get_settings(music_path=tmp_path / "none"))


def test_every_source_that_is_not_ones_own_has_terms():
    assert set(TERMS) == {"spotify", "deezer", "itunes"}
    assert "train a machine learning or AI model" in TERMS["spotify"]


def test_sources_are_asked_until_one_has_it(settings: Settings, services: PreviewServices):
    sources = sources_of(settings)
    first = find(made(0), sources)
    assert first.sound is not None
    assert first.sound.source == "folder"
    assert services.asked == []
    second = find(made(2), sources)
    assert second.sound is not None
    assert [each.source for each in second.tried] == ["folder", "spotify", "deezer"]
    assert second.tried[-1].said == "found by isrc, 98% sure"


def test_where_none_has_it_what_was_tried_is_told(settings: Settings):
    with pytest.raises(NoAudio) as caught:
        sound_of(made(3), sources_of(settings))
    told = str(caught.value)
    assert told.startswith("No audio was found for Ana – Song 3. Tried: folder: ")
    for part in ("spotify: no preview", "deezer: no preview under its ISRC", "itunes: no result"):
        assert part in told
    assert "Switched off" not in told


def test_without_sources_it_is_told_how_to_switch_them_on():
    with pytest.raises(NoAudio, match=r"No source of audio is switched on. Switched off: folder \(MUSIC_PATH\)"):
        sound_of(made(3), [])


def test_a_source_that_does_not_answer_is_passed_over(settings: Settings, services: PreviewServices):
    services.put("/search", {}, 500)
    tried = find(made(3), sources_of(settings)).tried
    assert tried[-1].said.startswith("iTunes answers 500")


def test_a_limit_is_told_where_nobody_else_has_it(settings: Settings, services: PreviewServices):
    services.put("/search", {}, 403, Retry_After="30")
    with pytest.raises(RateLimited, match="itunes: iTunes takes no more calls") as caught:
        sound_of(made(3), sources_of(settings))
    assert caught.value.resume_at > 0
    assert sound_of(made(2), sources_of(settings)).source == "deezer"


def test_a_dry_run_counts_each_track_at_the_first_source_that_has_it(settings: Settings, services: PreviewServices):
    tracks = [made(0), made(1, preview_url=f"{services.url}/preview"), made(2), made(3)]
    covered = coverage(tracks, sources_of(settings))
    assert covered.sources == (
        SourceCoverage("folder", 4, 4, 1),
        SourceCoverage("spotify", 3, 3, 1),
        SourceCoverage("deezer", 2, 2, 1),
        SourceCoverage("itunes", 1, 1, 0),
    )
    assert covered.estimate == 3
    assert sorted(covered.sureness) == [made(number).id for number in range(3)]


def test_a_dry_run_fetches_no_audio_and_asks_services_about_some_alone(settings: Settings, services: PreviewServices):
    tracks = [made(number) for number in range(101)]
    told: list[tuple[int, int, str]] = []
    covered = coverage(
        tracks, sources_of(settings), samples={"deezer": 20, "itunes": 3}, progress=lambda *values: told.append(values)
    )
    folder, spotify, deezer, itunes = covered.sources
    assert (folder.found, spotify.found) == (1, 0)
    assert (deezer.lacking, deezer.asked, deezer.found, deezer.estimate) == (100, 20, 10, 50)
    assert "asked about 20 tracks of 100" in deezer.note
    assert (itunes.lacking, itunes.asked, itunes.estimate) == (90, 3, 0)
    assert covered.estimate == 51
    assert len([path for path in services.asked if path.startswith("/track/")]) == 20
    assert "/preview" not in services.asked
    assert told[-1] == (3, 3, "itunes")


def test_a_source_that_stops_answering_is_noted(settings: Settings, services: PreviewServices):
    services.put("/search", {}, 429)
    *_, itunes = coverage([made(3)], sources_of(settings)).sources
    assert (itunes.asked, itunes.found, itunes.estimate) == (0, 0, 0)
    assert "takes no more calls" in itunes.note


def test_samples_are_spread_over_the_whole():
    tracks = [made(number) for number in range(10)]
    assert [track.title for track in spread(tracks, 3)] == ["Song 0", "Song 3", "Song 6"]
    assert spread(tracks, 10) == tracks
