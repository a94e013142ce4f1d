"""Files from URLs, whole or not at all: good ones, redirects, and what is bounded; over real HTTP and HTTPS sites."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from pathlib import Path

import pytest
import trustme
from fetch_sites import (
    SOUND,
    Answer,
    Fetching,
    Names,
    Site,
    at,
    cut_off,
    dripping,
    endless,
    no_http,
    redirect,
    send,
    silent,
)

from genre_lib.errors import (
    AudioTooLarge,
    EmptyAudio,
    FetchTimeout,
    NotAudio,
    UrlRefused,
    UrlUnreachable,
)
from genre_lib.service.fetch import Fetched, Fetcher
from genre_lib.settings import get_settings


@pytest.fixture
def fetch(site: Site, tmp_path: Path) -> Fetching:
    """Where the site's own address is allowed."""
    return Fetching(tmp_path, fetch_allowed_hosts=f"127.0.0.1:{site.port}", max_audio_bytes=100_000, fetch_timeout=20)


def test_a_file_is_fetched_whole(site: Site, fetch: Fetching):
    site.answers["/a/My%20song.wav"] = send(kind="Audio/X-WAV; charset=binary")
    fetched = fetch(at(site, "/a/My%20song.wav?token=secret#part"))
    assert (fetched.filename, fetched.size, fetched.content_type) == ("My song.wav", len(SOUND), "audio/x-wav")
    assert fetched.path.read_bytes() == SOUND
    request = site.asked[0]
    assert request.path == "/a/My%20song.wav?token=secret"
    assert request.headers["Host"] == f"127.0.0.1:{site.port}"
    assert request.headers["Accept-Encoding"] == "identity"
    assert request.headers["User-Agent"].startswith("genre_lib/")


def test_nothing_of_the_environment_is_used(site: Site, fetch: Fetching, monkeypatch, tmp_path: Path):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    site.answers["/song.wav"] = redirect("/two", 302)
    site.answers["/song.wav"] = lambda request: send(b"", status=302, Location="/two", Set_Cookie="a=b; Path=/")(
        request
    )
    site.answers["/two"] = send()
    assert fetch(at(site)).size == len(SOUND)
    assert not {"authorization", "cookie", "proxy-authorization"} & {k.lower() for k in site.asked[-1].headers}


@pytest.mark.parametrize(
    "kind", ["audio/mpeg", "video/mp4", "application/octet-stream", "application/ogg", None, "", "Audio/FLAC"]
)
def test_types_that_audio_comes_as(kind: str | None, site: Site, fetch: Fetching):
    site.answers["/song.wav"] = send(kind=kind)
    assert fetch(at(site)).size == len(SOUND)


# --- redirects --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(status: int, site: Site, fetch: Fetching):
    site.answers |= {"/a/song.wav": redirect("../b?x=1", status), "/b": redirect(at(site, "/c")), "/c": send()}
    assert fetch(at(site, "/a/song.wav")).filename == "song.wav"
    assert [request.path for request in site.asked] == ["/a/song.wav", "/b?x=1", "/c"]


@pytest.mark.parametrize(
    "location",
    [
        *(
            "http://127.0.0.2/",
            "http://127.0.0.1:22/",
            "//localhost/",
            "http://2130706433/",
            "http://[::1]/",
            "file:///etc/passwd",
        ),
        *(
            "http://169.254.169.254/latest/meta-data/",
            "http://inside.example/",
            "ftp://127.0.0.1/",
            "http://a@127.0.0.1/",
        ),
        *("http://[broken", "gopher://127.0.0.1/", "http://127.0.0.1\\@good.example/", "https://10.0.0.1/"),
    ],
)
def test_a_redirect_is_checked_as_the_first_address_was(location: str, site: Site, tmp_path: Path):
    names = Names(localhost="127.0.0.1", inside_example="10.1.2.3")
    fetch = Fetching(tmp_path, names, fetch_allowed_hosts=f"127.0.0.1:{site.port}")
    site.answers["/song.wav"] = redirect(location)
    with pytest.raises(UrlRefused):
        fetch(at(site))
    assert len(site.asked) == 1


def test_five_redirects_and_no_more(site: Site, fetch: Fetching):
    site.answers |= {f"/{n}": redirect(f"/{n + 1}") for n in range(6)} | {"/6": send()}
    assert fetch(at(site, "/1")).size == len(SOUND)
    with pytest.raises(UrlUnreachable, match="more than 5 times"):
        fetch(at(site, "/0"))
    site.answers["/loop"] = redirect("/loop")
    site.asked.clear()
    with pytest.raises(UrlUnreachable, match="more than 5 times"):
        fetch(at(site, "/loop"))
    assert len(site.asked) == 6


def test_a_redirect_to_nowhere(site: Site, fetch: Fetching):
    site.answers["/song.wav"] = send(b"", status=302)
    with pytest.raises(UrlUnreachable, match="without saying to where"):
        fetch(at(site))


def test_https_is_not_left_for_http(site: Site, secure_site: Site, authority: trustme.CA, tmp_path: Path):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    fetch = Fetching(tmp_path, Names(music_example="127.0.0.1"), context, fetch_allowed_hosts="music.example:*")
    site.answers |= {"/up": redirect(at(secure_site, host="music.example", scheme="https")), "/song.wav": send()}
    secure_site.answers |= {"/song.wav": send(), "/down": redirect(at(site, host="music.example"))}
    assert fetch(at(site, "/up", host="music.example")).size == len(SOUND)
    with pytest.raises(UrlRefused, match="from https to http"):
        fetch(at(secure_site, "/down", host="music.example", scheme="https"))


# --- bounds -----------------------------------------------------------------------------------------------------------


def test_too_many_bytes_by_the_header_or_as_they_come(site: Site, fetch: Fetching):
    site.answers |= {
        "/exact": send(bytes(100_000)),
        "/header": send(bytes(100_001)),
        "/endless": endless,
        "/absurd": send(b"x", Content_Length="9" * 18),
    }
    assert fetch(at(site, "/exact")).size == 100_000
    for path in ("/header", "/endless", "/absurd"):
        with pytest.raises(AudioTooLarge, match="MiB that are allowed"):
            fetch(at(site, path))


def test_compressed_bodies_are_refused(site: Site, fetch: Fetching):
    bomb = gzip.compress(bytes(50_000_000))
    assert len(bomb) < 100_000
    for encoding in ("gzip", "deflate", "br", "GZIP", "identity, gzip", "zstd"):
        site.answers["/song.wav"] = send(bomb, Content_Encoding=encoding)
        with pytest.raises(UrlUnreachable, match="compressed"):
            fetch(at(site))
    site.answers["/song.wav"] = send(Content_Encoding="identity")
    assert fetch(at(site)).size == len(SOUND)


@pytest.mark.parametrize("answer", [dripping, silent])
def test_slow_servers_end_at_the_total(answer: Answer, site: Site, tmp_path: Path):
    site.answers |= {"/song.wav": answer, "/again": redirect("/song.wav")}
    fetch = Fetching(tmp_path, fetch_allowed_hosts=f"127.0.0.1:{site.port}", fetch_timeout=0.4)
    for path in ("/song.wav", "/again"):
        with pytest.raises(FetchTimeout, match=r"within 0\.4 seconds") as caught:
            fetch(at(site, path))
        assert caught.value.code == "fetch_timeout"


def test_a_slow_name_server_ends_at_the_total(tmp_path: Path):
    class Slow(Names):
        async def __call__(self, host: str, port: int) -> list[str]:
            await asyncio.sleep(60)
            return []

    with pytest.raises(FetchTimeout):
        Fetching(tmp_path, Slow(), fetch_timeout=0.2)("http://slow.example/")


@pytest.mark.parametrize("kind", ["text/html", "TEXT/HTML; charset=utf-8", "application/xhtml+xml"])
def test_a_web_page_in_place_of_a_file(kind: str, site: Site, fetch: Fetching):
    site.answers["/song.wav"] = send(b"<html>", kind)
    with pytest.raises(NotAudio, match="a web page in place of a file"):
        fetch(at(site))


@pytest.mark.parametrize(
    "kind", ["application/json", "text/plain", "image/png", "audio/x-mpegurl", "application/vnd.apple.mpegurl"]
)
def test_types_that_are_no_audio(kind: str, site: Site, fetch: Fetching):
    site.answers["/song.wav"] = send(kind=kind)
    with pytest.raises(NotAudio, match=f"'{kind}' in place of audio"):
        fetch(at(site))


def test_nothing_in_the_body(site: Site, fetch: Fetching):
    site.answers["/song.wav"] = send(b"")
    with pytest.raises(EmptyAudio):
        fetch(at(site))


@pytest.mark.parametrize("status", [201, 204, 206, 304, 400, 401, 403, 404, 410, 429, 500, 503])
def test_other_statuses_are_told(status: int, site: Site, fetch: Fetching):
    site.answers["/song.wav"] = send(b"" if status in (204, 304) else SOUND, status=status)
    with pytest.raises(UrlUnreachable, match=f"status {status} ") as caught:
        fetch(at(site))
    assert caught.value.code == "url_unreachable"


@pytest.mark.parametrize("answer", [cut_off, no_http])
def test_answers_that_break_off_or_are_no_http(answer: Answer, site: Site, fetch: Fetching):
    site.answers["/song.wav"] = answer
    with pytest.raises(UrlUnreachable, match="cannot be fetched from"):
        fetch(at(site))


def test_a_port_that_nobody_listens_on(site: Site, fetch: Fetching):
    site.close()
    with pytest.raises(UrlUnreachable, match=r"127\.0\.0\.1 cannot be fetched from"):
        fetch(at(site))


def test_names_that_do_not_exist(tmp_path: Path):
    """By the system's resolver: .invalid never exists (RFC 2606), and a label has at most 63 letters."""
    fetcher = Fetcher(get_settings())
    for host in ("nowhere.invalid", "x" * 64 + ".invalid"):
        with pytest.raises(UrlUnreachable, match="There is no host"):
            asyncio.run(fetcher.fetch(f"https://{host}/", tmp_path / "x"))


def test_the_system_resolves_localhost_to_loopback(site: Site, tmp_path: Path):
    fetcher = Fetcher(get_settings())
    with pytest.raises(UrlRefused, match="localhost has an address that is not public"):
        asyncio.run(fetcher.fetch(f"http://localhost:{site.port}/song.wav", tmp_path / "x"))
    assert not site.asked


def test_queries_are_neither_told_nor_logged(site: Site, fetch: Fetching, caplog: pytest.LogCaptureFixture):
    caplog.set_level("DEBUG")
    site.answers |= {"/song.wav": send(), "/page": send(kind="text/html"), "/away": redirect("/gone?token=hunter2")}
    fetch(at(site, "/song.wav?token=hunter2"))
    for path in ("/page?token=hunter2", "/away", "/missing?token=hunter2"):
        with pytest.raises((NotAudio, UrlUnreachable)) as caught:
            fetch(at(site, path))
        assert "hunter2" not in str(caught.value)
    assert "hunter2" not in caplog.text


def test_a_fetch_that_is_given_up_leaves_nothing(site: Site, fetch: Fetching):
    site.answers["/song.wav"] = dripping

    async def give_up() -> None:
        task = asyncio.create_task(fetch.fetcher.fetch(at(site), fetch.target))
        while not site.asked:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(give_up())
    assert not fetch.target.exists()


def test_many_at_once(site: Site, tmp_path: Path):
    site.answers["/song.wav"] = send()
    fetcher = Fetcher(get_settings(fetch_allowed_hosts=f"127.0.0.1:{site.port}"))

    async def fetch_all() -> list[Fetched]:
        return await asyncio.gather(*(fetcher.fetch(at(site), tmp_path / str(n)) for n in range(20)))

    assert {fetched.path.read_bytes() for fetched in asyncio.run(fetch_all())} == {SOUND}
