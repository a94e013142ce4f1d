"""Files from URLs: what is refused, where the connection goes, and what is bounded; over real HTTP and HTTPS servers.

Names are resolved by tables in the tests. A name that is listed in ``FETCH_ALLOWED_HOSTS`` stands for a public one; the
servers listen on loopback, which is what everything else must not reach.
"""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import httpcore
import pytest
import trustme

from genre_lib.errors import (
    AudioTooLarge,
    ConfigurationError,
    EmptyAudio,
    FetchTimeout,
    NotAudio,
    UrlRefused,
    UrlUnreachable,
)
from genre_lib.service import addresses
from genre_lib.service.fetch import Fetched, Fetcher
from genre_lib.service.urls import checked_url, file_name
from genre_lib.settings import get_settings

SOUND = b"RIFF" + bytes(range(256)) * 40
PUBLIC = "93.184.215.14"

Answer = Callable[[BaseHTTPRequestHandler], None]


def send(body: bytes = SOUND, kind: str | None = "audio/wav", status: int = 200, **headers: str) -> Answer:
    """An answer whole and in order; ``_`` in a header's name is ``-``."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        if kind is not None:
            request.send_header("Content-Type", kind)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(body)

    return answer


def redirect(location: str, status: int = 302) -> Answer:
    return send(b"", status=status, Location=location)


def endless(request: BaseHTTPRequestHandler) -> None:
    """Bytes without a length, until the other side hangs up."""
    request.send_response(200)
    request.end_headers()
    while True:
        request.wfile.write(bytes(65536))


def dripping(request: BaseHTTPRequestHandler) -> None:
    """A byte now and then, so that no single read is slow."""
    request.send_response(200)
    request.send_header("Content-Length", "100000")
    request.end_headers()
    for _ in range(200):
        request.wfile.write(b"x")
        request.wfile.flush()
        time.sleep(0.05)


def silent(request: BaseHTTPRequestHandler) -> None:
    time.sleep(5)


def cut_off(request: BaseHTTPRequestHandler) -> None:
    send(SOUND, Content_Length=str(len(SOUND) * 2))(request)


def no_http(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"220 mail.example ESMTP\r\n" * 9)


class Site:
    """A server on loopback that answers by path, and remembers what it was asked."""

    def __init__(self, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[BaseHTTPRequestHandler] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append(self)
                try:
                    site.answers.get(self.path.partition("?")[0], send(b"none", status=404))(self)
                except OSError:  # the other side had enough
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

            def handle_error(self, *_: object) -> None:
                pass

        self.server = Server((host, 0), Handler)
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def hosts(self) -> list[str]:
        return [request.headers["Host"] for request in self.asked]


@pytest.fixture
def site() -> Iterator[Site]:
    running = Site()
    yield running
    running.close()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def secure_site(authority: trustme.CA) -> Iterator[Site]:
    """HTTPS, with a certificate for music.example alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("music.example").configure_cert(context)
    running = Site(tls=context)
    yield running
    running.close()


class Names:
    """A table of names in place of DNS; each look-up takes the next answer, the last one for ever."""

    def __init__(self, **answers: list[list[str]] | str) -> None:
        self.answers = {name.replace("_", "."): answer for name, answer in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        answer = self.answers.get(host)
        if answer is None:
            raise UrlUnreachable(f"There is no host {host}; check the address.")
        if isinstance(answer, str):
            return [answer]
        return answer.pop(0) if len(answer) > 1 else answer[0]


class LoopbackOnly(httpcore.AnyIOBackend):
    """The real network, as far as tests may go; remembers where connections went."""

    def __init__(self) -> None:
        self.connected: list[tuple[str, int]] = []

    async def connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None):
        self.connected.append((host, port))
        if not ip_address(host).is_loopback:
            raise httpcore.ConnectError("There is no network in tests")
        return await super().connect_tcp(host, port, timeout, local_address, socket_options)


class Fetching:
    """Fetches into a file, by the settings of a test."""

    def __init__(self, folder: Path, names: Names | None = None, tls: ssl.SSLContext | None = None, **settings) -> None:
        self.target = folder / "fetched"
        self.names = names or Names()
        self.fetcher = Fetcher(get_settings(**settings), resolve=self.names, tls=tls)
        self.network = self.fetcher.backend.network = LoopbackOnly()

    def __call__(self, url: str) -> Fetched:
        try:
            return asyncio.run(self.fetcher.fetch(url, self.target))
        except Exception as error:
            assert not self.target.exists(), "what failed leaves nothing behind"
            assert str(error).endswith(".")
            raise


@pytest.fixture
def fetch(site: Site, tmp_path: Path) -> Fetching:
    """Where the site's own address is allowed."""
    return Fetching(tmp_path, fetch_allowed_hosts=f"127.0.0.1:{site.port}", max_audio_bytes=100_000, fetch_timeout=20)


def at(site: Site, path: str = "/song.wav", host: str = "127.0.0.1", scheme: str = "http") -> str:
    return f"{scheme}://{host}:{site.port}{path}"


# --- a good file ------------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/music/song.mp3", "song.mp3"),
        ("/J%C3%BCrgen.ogg?x=/../secret", "Jürgen.ogg"),
        ("/", "The file"),
        ("", "The file"),
        ("/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "passwd"),
        ("/a%0d%0aSet-Cookie:%20b.mp3", "aSet-Cookie: b.mp3"),
        ("/%ff.mp3", "\ufffd.mp3"),
        ("/" + "x" * 500, "x" * 100),
    ],
)
def test_the_name_comes_from_the_path(path: str, name: str):
    assert file_name(checked_url(f"https://example.com{path}")) == name


# --- addresses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        *(
            "127.0.0.1",
            "127.255.255.254",
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
        ),
        *("100.64.0.1", "100.127.255.255", "169.254.169.254", "169.254.0.1", "100.100.100.200", "168.63.129.16"),
        *("192.0.0.1", "192.0.0.192", "192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "192.88.99.1"),
        *("224.0.0.1", "232.1.1.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "fe80::1", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "ff0e::1", "100::1", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "::127.0.0.1", "::ffff:0:127.0.0.1"),
        *("64:ff9b::127.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::8.8.8.8", "2002:7f00:1::", "2002:808:808::1"),
        *("2001:0:7f00:1::1", "2001:10::1", "2001:20::1", "3fff::1", "5f00::1", "4000::1", "fe80::1%eth0"),
    ],
)
def test_addresses_that_are_not_public(text: str):
    address = addresses.parse(text)
    assert address is not None
    assert not addresses.is_public(address)


@pytest.mark.parametrize(
    "text",
    ["8.8.8.8", PUBLIC, "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1",
     "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"],
)  # fmt: skip
def test_addresses_that_are_public(text: str):
    address = addresses.parse(text)
    assert address is not None
    assert addresses.is_public(address)


@pytest.mark.parametrize(
    "host",
    [
        *(
            "127.0.0.1",
            "localhost",
            "LOCALHOST",
            "localhost.",
            "10.1.2.3",
            "169.254.169.254",
            "0.0.0.0",
            "[::1]",
            "[::]",
        ),
        *(
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "[fd00:ec2::254]",
            "[::127.0.0.1]",
        ),
        *("2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "127.0.1", "0", "017700000001", "0x7f.0.0.0x1"),
        *(
            "127.0.0.1.",
            "127.0.0.0x1",
            "[fe80::1%25lo]",
            "[::1%25lo]",
            "127%2e0.0.1",
            "%31%32%37.0.0.1",
            "１２７.０.０.１",
        ),
        *(
            "127。0。0。1",
            "①②⑦.0.0.1",
            "metadata.google.internal",
            "inside.example",
            "half.example",
            "",
            ".",
            "a..b",
            "-",
            "a b",
        ),
        *(
            "good@127.0.0.1",
            "good:word@127.0.0.1",
            "127.0.0.1#@good.example",
            "127.0.0.1\\@good.example",
            ":word@good.example",
        ),
        *("[::1", "[127.0.0.1]", "good.example:99999", "good.example:-1", "good.example:80:80", "xn--a", "x" * 300),
    ],
)
def test_hosts_that_are_not_fetched_from(host: str, tmp_path: Path):
    names = Names(
        localhost="127.0.0.1", metadata_google_internal="169.254.169.254", inside_example="::ffff:10.0.0.1",
        half_example=[[PUBLIC, "127.0.0.1"]], good_example=PUBLIC,
    )  # fmt: skip
    fetch = Fetching(tmp_path, names, fetch_allowed_hosts="other.example")
    for url in (f"http://{host}/x", f"https://{host}/x"):
        with pytest.raises((UrlRefused, UrlUnreachable)) as caught:
            fetch(url)
        assert caught.type is UrlRefused or host in ("x" * 300, "xn--a")  # names that no resolver knows
        assert "10.0.0.1" not in str(caught.value), "what names mean inside is not told"
    assert not fetch.network.connected


@pytest.mark.parametrize(
    "url",
    [
        *(
            "ftp://good.example/x",
            "file:///etc/passwd",
            "gopher://good.example/",
            "data:audio/wav;base64,AAAA",
            "javascript:1",
        ),
        *(
            "//good.example/x",
            "/etc/passwd",
            "good.example/x",
            "",
            " http://good.example/",
            "http:good.example",
            "unix:/run/x",
        ),
        *(
            "http://good.example/\r\nHost: evil",
            "http://good.example/\tx",
            "http://good.example/\x00",
            "http://good.example/a b",
        ),
        *(
            "http://good.example\\.evil.example/",
            "http://good.example:22/",
            "http://good.example:8080/",
            "http://good.example:0/",
        ),
        *("https://good.example:25/", "http://" + "good.example/" * 900, "http://\ud800/"),
    ],
)
def test_urls_that_are_refused(url: str, tmp_path: Path):
    fetch = Fetching(tmp_path, Names(good_example=PUBLIC))
    with pytest.raises(UrlRefused) as caught:
        fetch(url)
    assert caught.value.code == "url_refused"
    assert not fetch.network.connected
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("host", ["user@good.example", "user:hunter2@good.example", ":hunter2@good.example"])
def test_credentials_are_refused_and_not_repeated(host: str, tmp_path: Path):
    with pytest.raises(UrlRefused, match="user name or a password") as caught:
        Fetching(tmp_path, Names(good_example=PUBLIC))(f"https://{host}/x?token=hunter3")
    assert "hunter" not in str(caught.value)


# --- where the connection goes ----------------------------------------------------------------------------------------


def test_the_connection_goes_to_the_address_that_was_checked(site: Site, tmp_path: Path):
    """The second look-up tells another address; it must never happen, and the host's name stays in the request."""
    site.answers["/song.wav"] = send()
    names = Names(music_example=[["127.0.0.1"], ["169.254.169.254"]])
    fetch = Fetching(tmp_path, names, fetch_allowed_hosts=f"music.example:{site.port}")
    assert fetch(at(site, host="music.example")).size == len(SOUND)
    assert names.asked == ["music.example"]
    assert site.hosts == [f"music.example:{site.port}"]


def test_a_name_that_is_rebound_to_loopback_is_not_followed_there(tmp_path: Path):
    """First a public address, then 127.0.0.1: what is connected to is the first."""
    names = Names(rebound_example=[[PUBLIC], ["127.0.0.1"]])
    fetch = Fetching(tmp_path, names)
    with pytest.raises(UrlUnreachable):
        fetch("http://rebound.example/song.wav")
    assert (names.asked, fetch.network.connected) == (["rebound.example"], [(PUBLIC, 80)])
    with pytest.raises(UrlRefused):
        fetch("http://rebound.example/song.wav")  # asked again, the name is checked again
    assert fetch.network.connected == [(PUBLIC, 80)]


def test_the_next_address_is_tried_where_one_does_not_answer(site: Site, tmp_path: Path):
    site.answers["/song.wav"] = send()
    names = Names(music_example=[["127.0.0.2", "127.0.0.1"]])  # the site listens on the second alone
    fetch = Fetching(tmp_path, names, fetch_allowed_hosts=f"music.example:{site.port}")
    assert fetch(at(site, host="music.example")).size == len(SOUND)


def test_ipv6_loopback_is_refused_and_can_be_allowed(tmp_path: Path):
    site = Site("::1")
    site.answers["/song.wav"] = send()
    try:
        with pytest.raises(UrlRefused, match="not public"):
            Fetching(tmp_path)(at(site, host="[::1]"))
        assert not site.asked
        allowing = Fetching(tmp_path, fetch_allowed_hosts=f"[::1]:{site.port}")
        assert allowing(at(site, host="[::1]")).size == len(SOUND)
        assert site.hosts == [f"[::1]:{site.port}"]
    finally:
        site.close()


def test_https_checks_the_certificate_against_the_name(secure_site: Site, authority: trustme.CA, tmp_path: Path):
    secure_site.answers["/song.wav"] = send()
    context = ssl.create_default_context()
    authority.configure_trust(context)
    names = Names(music_example="127.0.0.1", other_example="127.0.0.1")
    fetch = Fetching(tmp_path, names, context, fetch_allowed_hosts=f"*.example:{secure_site.port}")
    assert fetch(at(secure_site, host="music.example", scheme="https")).size == len(SOUND)
    assert fetch(at(secure_site, host="music.example.", scheme="https")).size == len(SOUND)
    with pytest.raises(UrlUnreachable, match=r"other\.example cannot be fetched from: .*certificate"):
        fetch(at(secure_site, host="other.example", scheme="https"))
    strict = Fetching(tmp_path, names, fetch_allowed_hosts=f"*.example:{secure_site.port}")
    with pytest.raises(UrlUnreachable, match="certificate"):
        strict(at(secure_site, host="music.example", scheme="https"))  # by an authority that nobody knows
    assert len(secure_site.asked) == 2


# --- the allow-list ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "url", "is_allowed"),
    [
        ("127.0.0.1", "http://127.0.0.1/", True),
        ("127.0.0.1", "http://127.0.0.1:8123/", False),
        ("127.0.0.1:8123", "http://127.0.0.1:8123/", True),
        ("127.0.0.1:8123", "http://127.0.0.1:8124/", False),
        ("127.0.0.1:8123", "http://127.0.0.1/", False),
        ("127.0.0.1:*", "http://127.0.0.1:9/", True),
        ("10.0.0.0/8", "http://10.1.2.3/", True),
        ("10.0.0.0/8", "http://inside.example/", True),
        ("10.0.0.0/8:8080", "http://inside.example:8080/", True),
        ("10.0.0.0/8", "http://192.168.0.1/", False),
        ("inside.example", "http://INSIDE.example./", True),
        ("INSIDE.example", "https://inside.example/", True),
        ("inside.example", "http://10.1.2.3/", False),
        ("inside.example", "http://very.inside.example/", False),
        ("*.example", "http://very.inside.example/", True),
        ("*.example", "http://example/", False),
        ("*.inside.example", "http://notinside.example/", False),
        ("*.example:8080", "http://inside.example:8080/", True),
        ("*.example:8080", "http://inside.example/", False),
        ("::1", "http://[::1]/", True),
        ("[::1]:8123", "http://[::1]:8123/", True),
        ("fd00::/8", "http://[fd00::1]/", True),
        ("[fd00::/8]:8123", "http://[fd00::1]:8123/", True),
        ("127.0.0.1", "http://[::ffff:127.0.0.1]/", True),
        ("public.example:8080", "http://public.example:8080/", True),
        ("", "http://public.example:8080/", False),
        ("", "http://public.example/", True),
    ],
)
def test_what_is_allowed(entry: str, url: str, is_allowed: bool, tmp_path: Path):
    names = Names(
        inside_example="10.1.2.3", very_inside_example="10.1.2.3", notinside_example="10.1.2.3", example="10.1.2.3",
        public_example=PUBLIC,
    )  # fmt: skip
    fetch = Fetching(tmp_path, names, fetch_allowed_hosts=entry)
    address = checked_url(url)
    port = address.port or {"http": 80, "https": 443}[address.scheme]
    check = fetch.fetcher.backend.checked(address.host, port)
    if is_allowed:
        assert asyncio.run(check)
    else:
        with pytest.raises(UrlRefused, match="FETCH_ALLOWED_HOSTS"):
            asyncio.run(check)


@pytest.mark.parametrize(
    "entry", ["http://host", "host:port", "host/path", "*", "a*.example", "[name]:80", "10.0.0.0/99", "a b"]
)
def test_a_malformed_list_is_one_error(entry: str):
    with pytest.raises(ConfigurationError, match=r"^FETCH_ALLOWED_HOSTS must be names"):
        Fetcher(get_settings(fetch_allowed_hosts=f"good.example,{entry}"))


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
