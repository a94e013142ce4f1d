from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from preview_services import Clock, PreviewServices, beep, preview_services

from genre_lib import audio
from genre_lib.errors import RateLimited, SpotifyUnreachable
from genre_lib.settings import MIB, Settings, get_settings
from genre_lib.spotify.deezer import Deezer
from genre_lib.spotify.downloads import Service
from genre_lib.spotify.itunes import Itunes
from genre_lib.spotify.library import Track
from genre_lib.spotify.pace import Pace
from genre_lib.spotify.previews import SpotifyPreviews

ISRC = "GBAYE0601498"
SONG = Track("0" * 22, "Day Trip - Remastered 2009", ("The Ferrymen",), album="Out", duration=171.0, isrc=ISRC)
QUOTA = {"error": {"type": "Exception", "message": "Quota limit exceeded", "code": 4}}
NO_DATA = {"error": {"type": "DataException", "message": "no data", "code": 800}}


@pytest.fixture
def services() -> Iterator[PreviewServices]:
    with preview_services() as running:
        yield running


@pytest.fixture
def settings(services: PreviewServices) -> Settings:
    url = f"{services.url}/"
    return get_settings(spotify_api_url=url, deezer_url=url, itunes_url=url, spotify_timeout=1)


def test_an_address_is_opened_only_if_it_is_the_services_own():
    deezer = Service("Deezer", "https://api.deezer.com/", (".dzcdn.net",))
    assert deezer.owns("https://cdnt-preview.dzcdn.net/api/1/1/x.mp3?hdnea=exp")
    assert deezer.owns("https://api.deezer.com/track/1")
    for url in (
        "http://cdnt-preview.dzcdn.net/x.mp3",
        "http://cdnt-preview.dzcdn.net:443/x.mp3",
        "https://dzcdn.net.evil.org/x.mp3",
        "https://evildzcdn.net/x.mp3",
        "https://user@cdnt-preview.dzcdn.net/x.mp3",
        "https://cdnt-preview.dzcdn.net:8443/x.mp3",
        "https://127.0.0.1/x.mp3",
        "file:///etc/passwd",
        "https://[cdnt",
        "",
    ):
        assert not deezer.owns(url), url


def test_a_configured_server_is_its_own_host_and_no_other_port_of_it():
    local = Service("Deezer", "http://127.0.0.1:8123/", (".dzcdn.net",))
    assert local.owns("http://127.0.0.1:8123/preview.mp3")
    assert not local.owns("http://127.0.0.1:8124/preview.mp3")
    assert not local.owns("https://127.0.0.1:8123/preview.mp3")


def with_preview(url: str) -> Track:
    return Track("0" * 22, "Day Trip", ("The Ferrymen",), preview_url=url)


def test_spotifys_preview_is_fetched_into_memory(services: PreviewServices, settings: Settings):
    track = with_preview(services.put("/mp3-preview/1", beep()))
    source = SpotifyPreviews(settings)
    assert source.has(track) == 1.0
    assert services.asked == []  # that did not fetch it
    sound = source.find(track)
    assert sound is not None
    assert (sound.source, sound.how, sound.sureness, sound.path) == ("spotify", "preview", 1.0, None)
    assert audio.load(sound.content, 8000).duration == pytest.approx(0.5)


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_dead_preview_is_no_audio(services: PreviewServices, settings: Settings, status: int):
    track = with_preview(services.put("/dead", b"gone", status))
    assert SpotifyPreviews(settings).find(track) is None


@pytest.mark.parametrize("content", [b"<html>sorry</html>", b""])
def test_a_page_in_place_of_a_preview_is_no_audio(services: PreviewServices, settings: Settings, content: bytes):
    assert SpotifyPreviews(settings).find(with_preview(services.put("/page", content))) is None


def test_a_track_without_an_address_or_with_a_foreign_one_has_no_preview(settings: Settings):
    source = SpotifyPreviews(settings)
    for url in ("", "https://evil.org/x.mp3", "http://127.0.0.1:1/x.mp3"):
        assert source.has(with_preview(url)) == 0.0
        assert source.find(with_preview(url)) is None


def test_a_redirect_is_followed_to_the_same_service_alone(services: PreviewServices, settings: Settings):
    services.put("/there", beep())
    source = SpotifyPreviews(settings)
    stays = services.put("/moved", b"", 302, Location="/there")
    leaves = services.put("/lured", b"", 302, Location="http://127.0.0.1:1/secret")
    circles = services.put("/circle", b"", 302, Location="/circle")
    assert source.find(with_preview(stays)) is not None
    assert source.find(with_preview(leaves)) is None
    with pytest.raises(SpotifyUnreachable, match="circles"):
        source.find(with_preview(circles))


def test_a_preview_that_is_too_large_too_slow_cut_off_or_failing_is_told_without_its_address(
    services: PreviewServices, settings: Settings
):
    source = SpotifyPreviews(settings)
    for url, reason in (
        (services.put("/big", bytes(5 * MIB + 1)), "5,242,880 bytes"),
        (services.put_drip("/drip"), "more than 1 s"),
        (services.put("/cut", beep()[:100], Content_Length="5000"), "cut its answer off"),
        (services.put("/down", b"", 503), "503"),
    ):
        with pytest.raises(SpotifyUnreachable, match=reason) as caught:
            source.find(with_preview(url))
        assert services.url not in str(caught.value)


def test_an_address_in_the_settings_that_is_none_is_told():
    with pytest.raises(SpotifyUnreachable, match="cannot be asked at the address in the settings"):
        Deezer(get_settings(deezer_url="deezer")).has(SONG)


def test_nobody_at_the_address_is_told_as_such():
    settings = get_settings(deezer_url="http://127.0.0.1:9/", spotify_timeout=1)
    with pytest.raises(SpotifyUnreachable, match="Deezer cannot be reached"):
        Deezer(settings).find(SONG)


# --- Deezer -----------------------------------------------------------------------------------------------------------


def put_song(services: PreviewServices, **changes: object) -> None:
    url = services.put("/stream/1.mp3", beep())
    answer = {"id": 1, "title": "Day Trip", "isrc": ISRC, "duration": 170, "preview": url}
    services.put(f"/track/isrc:{ISRC}", answer | changes)


def test_deezer_is_asked_by_isrc(services: PreviewServices, settings: Settings):
    put_song(services)
    deezer = Deezer(settings)
    assert deezer.has(SONG) == 0.98
    assert services.asked == [f"/track/isrc:{ISRC}"]
    sound = deezer.find(SONG)
    assert sound is not None
    assert (sound.source, sound.how, sound.content) == ("deezer", "isrc", beep())


def test_deezers_errors_come_with_status_200(services: PreviewServices, settings: Settings):
    services.put(f"/track/isrc:{ISRC}", NO_DATA)
    assert Deezer(settings).find(SONG) is None


@pytest.mark.parametrize(
    "changes",
    [{"preview": ""}, {"preview": None}, {"isrc": "USAAA0000001"}, {"duration": 240}, {"preview": "https://evil.org/"}],
)
def test_what_deezer_says_of_another_recording_is_not_taken(
    services: PreviewServices, settings: Settings, changes: dict[str, object]
):
    put_song(services, **changes)
    assert Deezer(settings).find(SONG) is None


def test_a_track_without_a_code_is_not_asked_of_deezer(services: PreviewServices, settings: Settings):
    assert Deezer(settings).find(Track("0" * 22, "Day Trip", ("The Ferrymen",))) is None
    assert services.asked == []


def test_a_full_quota_is_waited_for_and_then_told(services: PreviewServices, settings: Settings):
    services.put(f"/track/isrc:{ISRC}", QUOTA)
    clock = Clock(now=1000.0)
    deezer = Deezer(settings, Pace("Deezer", 50, 5.0, now=clock.now, sleep=clock.sleep))
    with pytest.raises(RateLimited, match="Deezer takes no more calls") as caught:
        deezer.has(SONG)
    assert clock.slept == [5.0, 5.0]  # three attempts, a rest between two of them
    assert len(services.asked) == 3
    assert caught.value.resume_at == 1000.0 + 5 + 5 + 5


def test_a_quota_that_frees_itself_is_only_waited_for(services: PreviewServices, settings: Settings):
    answers = [QUOTA, {"preview": services.put("/stream/1.mp3", beep())}]
    services.put_each(f"/track/isrc:{ISRC}", lambda query: answers.pop(0))
    clock = Clock()
    assert Deezer(settings, Pace("Deezer", 50, 5.0, now=clock.now, sleep=clock.sleep)).has(SONG) == 0.98
    assert clock.slept == [5.0]


def test_what_is_no_json_is_told(services: PreviewServices, settings: Settings):
    services.put(f"/track/isrc:{ISRC}", b"<html>maintenance</html>")
    with pytest.raises(SpotifyUnreachable, match="cannot be used"):
        Deezer(settings).has(SONG)


# --- iTunes -----------------------------------------------------------------------------------------------------------


def result(
    url: str, artist: str = "The Ferrymen", title: str = "Day Trip", seconds: float = 170.2
) -> dict[str, object]:
    return {
        "kind": "song",
        "artistName": artist,
        "trackName": title,
        "collectionName": "Out",
        "trackTimeMillis": round(1000 * seconds),
        "previewUrl": url,
    }


def test_itunes_is_searched_and_judged_as_files_are(services: PreviewServices, settings: Settings):
    right, wrong = services.put("/right.m4a", beep()), services.put("/wrong.m4a", b"no")
    results = [
        result(wrong, title="Day Trip (Live)"),
        result(wrong, artist="The Tribute Band"),
        result(wrong, seconds=230),
        result(right),
    ]
    services.put("/search", {"resultCount": 4, "results": results})
    sound = Itunes(settings).find(SONG)
    assert sound is not None
    assert (sound.source, sound.how, sound.content) == ("itunes", "artist_title", beep())
    assert sound.sureness > 0.9
    assert services.asked[0].startswith("/search?term=The+Ferrymen+day+trip&media=music&entity=song")


def test_nothing_is_taken_where_no_result_is_the_track(services: PreviewServices, settings: Settings):
    services.put(
        "/search", {"results": [result(f"{services.url}/x", title="Night Trip"), {"trackName": "Day Trip"}, 7]}
    )
    assert Itunes(settings).find(SONG) is None
    assert Itunes(settings).has(SONG) == 0.0


@pytest.mark.parametrize("status", [403, 429])
def test_apples_refusal_is_a_limit(services: PreviewServices, settings: Settings, status: int):
    services.put("/search", {}, status)
    clock = Clock(now=5000.0)
    with pytest.raises(RateLimited) as caught:
        Itunes(settings, Pace("iTunes", 20, 60.0, now=clock.now, sleep=clock.sleep)).has(SONG)
    assert caught.value.resume_at == 5060.0


def test_a_retry_after_is_believed(services: PreviewServices, settings: Settings):
    services.put("/search", {}, 429, Retry_After="7")
    clock = Clock(now=5000.0)
    with pytest.raises(RateLimited) as caught:
        Itunes(settings, Pace("iTunes", 20, 60.0, now=clock.now, sleep=clock.sleep)).has(SONG)
    assert caught.value.resume_at == 5007.0


# --- all --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [Deezer, Itunes])
def test_every_call_keeps_the_pace(services: PreviewServices, settings: Settings, source: type[Deezer | Itunes]):
    services.put(f"/track/isrc:{ISRC}", NO_DATA)
    services.put("/search", {"results": []})
    clock = Clock()
    asked = source(settings, Pace("It", 1, 4.0, now=clock.now, sleep=clock.sleep))
    for _ in range(3):
        assert asked.has(SONG) == 0.0
    assert clock.slept == [4.0, 4.0]


def test_nothing_of_a_preview_reaches_the_disk(
    services: PreviewServices, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("CACHE_PATH", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    put_song(services)
    assert Deezer(settings).find(SONG) is not None
    assert list(tmp_path.rglob("*")) == []
