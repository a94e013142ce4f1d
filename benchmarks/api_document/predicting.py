"""What is asked of the routes that hear tracks: predictions, batches and features."""

from __future__ import annotations

from api_document.requests import AT, KEYLESS, NOBODY, Request, Route, posted, sent, web


def audio_requests(path: str, good: list[Request]) -> list[Request]:
    """What is asked of a route that takes one track, beside what is good."""

    def by_url(url: str) -> str:
        return posted(path, {"audio_url": url})

    files = [
        Request("no audio", sent(path, "file=@text.mp3"), 415, "not_audio"),
        Request("an empty file", sent(path, "file=@empty.mp3"), 422, "empty_audio"),
        Request("too long", sent(path, "file=@long.wav"), 422, "audio_too_long"),
        Request("too many bytes", sent(path, "file=@large.wav"), 413, "audio_too_large"),
        Request("no file", sent(path, "other=1"), 422, "invalid_request"),
        Request("a text where the file belongs", sent(path, "file=song.wav"), 422, "invalid_request"),
        Request("two files", sent(path, "file=@song.wav", "file=@other.wav"), 422, "invalid_request"),
        Request("a field that is misspelt", sent(path, "file=@song.wav", "topk=3"), 422, "invalid_request"),
        Request(
            "another type of content",
            f'curl -H "Content-Type: audio/wav" --data-binary @song.wav {AT}{path}',
            415,
            "unsupported_media_type",
        ),
        Request(
            "a form without a boundary",
            f'curl -H "Content-Type: multipart/form-data" -d "--x" {AT}{path}',
            400,
            "bad_request",
        ),
        Request("JSON that is none", posted(path, "{"), 400, "invalid_json"),
        Request("JSON without an address", posted(path, {}), 422, "invalid_request"),
        Request("JSON of another type", posted(path, {"audio_url": 3}), 422, "invalid_request"),
        Request("a large body that is no form", posted(path, "@large.json"), 413, "body_too_large"),
    ]
    fetched = [
        Request("a private address", by_url("http://10.0.0.1/song.mp3"), 422, "url_refused"),
        Request("this machine", by_url("http://localhost/song.mp3"), 422, "url_refused"),
        Request("this machine, by IPv6", by_url("http://[::1]/song.mp3"), 422, "url_refused"),
        Request("a cloud's metadata", by_url("http://169.254.169.254/latest"), 422, "url_refused"),
        Request("an address in disguise", by_url("http://2130706433/song.mp3"), 422, "url_refused"),
        Request("a redirect to a private address", by_url(web("to-private")), 422, "url_refused"),
        Request("another port", by_url("http://127.0.0.1:22/song.mp3"), 422, "url_refused"),
        Request("a file of the server", by_url("file:///etc/passwd"), 422, "url_refused"),
        Request("a password in the address", by_url("http://ann:secret@example.com/a.mp3"), 422, "url_refused"),
        Request("nobody there", by_url(web("song.wav", NOBODY)), 502, "url_unreachable"),
        Request("no such file there", by_url(web("missing.wav")), 502, "url_unreachable"),
        Request("redirects without an end", by_url(web("in-circles")), 502, "url_unreachable"),
        Request("a web page", by_url(web("page")), 415, "not_audio"),
        Request("an empty file there", by_url(web("empty")), 422, "empty_audio"),
        Request("too many bytes there", by_url(web("large")), 413, "audio_too_large"),
        Request("too slow", by_url(web("slow")), 504, "fetch_timeout"),
    ]
    return [*good, *files, *fetched]


def predict() -> Route:
    path = "/predict"
    url = web("song.wav")
    good = [
        Request("a file", sent(path, "file=@song.wav"), 200),
        Request("the same sound again: not computed twice", sent(path, "file=@song.wav", "top_k=1"), 200),
        Request("over its length", sent(path, "file=@song.wav", "top_k=1", "timeline=true"), 200, shows="timeline"),
        Request("an address", posted(path, {"audio_url": url, "top_k": 1}), 200),
        Request("by way of a redirect", posted(path, {"audio_url": web("moved"), "top_k": 1}), 200),
        Request("a file that is cut off", sent(path, "file=@cut.wav", "top_k=1"), 200, shows="duration warning"),
        Request("no such model", sent(path, "file=@song.wav", "model_name=nobody"), 404, "model_not_found"),
        Request("a path for a model", sent(path, "file=@song.wav", "model_name=../mine"), 404, "model_not_found"),
        Request("a model that is damaged", sent(path, "file=@song.wav", "model_name=broken"), 422, "model_invalid"),
        Request("out of range", sent(path, "file=@song.wav", "top_k=0"), 422, "invalid_request"),
        Request("a text for a number", posted(path, {"audio_url": url, "top_k": "3"}), 422, "invalid_request"),
        Request(
            "features for a model of sound",
            posted(path, {"audio_url": url, "features": {"tempo": 120}}),
            422,
            "features_refused",
        ),
        Request(
            "a feature that is none",
            posted(path, {"audio_url": url, "features": {"pace": 120}}),
            422,
            "invalid_request",
        ),
        Request("a field twice", sent(path, "file=@song.wav", "top_k=1", "top_k=2"), 422, "invalid_request"),
    ]
    return Route("POST", path, "The genres of a track", audio_requests(path, good), plain=sent(path, "file=@song.wav"))


def batch() -> Route:
    path = "/predict/batch"
    song, other = "files=@song.wav", "files=@other.wav"
    urls = {"audio_urls": [web("song.wav"), "http://10.0.0.1/song.mp3"], "top_k": 1}
    requests = [
        Request("two files", sent(path, song, other, "top_k=1"), 200),
        Request("more tracks than requests are left", sent(path, song, other), 429, "rate_limited", at=KEYLESS),
        Request("a good and a bad one", sent(path, song, "files=@text.mp3", "top_k=1"), 200),
        Request("addresses, one of them private", posted(path, urls), 200),
        Request("no such model", sent(path, song, "model_name=nobody"), 200),
        Request("too many files", sent(path, song, song, song), 422, "invalid_request"),
        Request("too many addresses", posted(path, {"audio_urls": [web("song.wav")] * 3}), 422, "too_many_items"),
        Request("too many bytes", sent(path, "files=@large.wav", song), 413, "audio_too_large"),
        Request("no file", sent(path, "top_k=1"), 422, "invalid_request"),
        Request("no address", posted(path, {"audio_urls": []}), 422, "invalid_request"),
        Request("the other route's field", sent(path, "file=@song.wav"), 422, "invalid_request"),
        Request("out of range", sent(path, song, "top_k=1001"), 422, "invalid_request"),
        Request("JSON that is none", posted(path, "[1"), 400, "invalid_json"),
        Request("JSON that is no object", posted(path, "[1]"), 422, "invalid_request"),
        Request("neither form nor JSON", f"curl -d files=song.wav {AT}{path}", 415, "unsupported_media_type"),
    ]
    return Route("POST", path, "The genres of many tracks", requests, plain=sent(path, song))


def features() -> Route:
    path = "/analyze/features"
    shows = "duration tempo key mode loudness energy"
    good = [
        Request("a file", sent(path, "file=@song.wav"), 200),
        Request("an address", posted(path, {"audio_url": web("song.wav")}), 200, shows=shows),
    ]
    return Route(
        "POST", path, "Tempo, key, loudness and more", audio_requests(path, good), plain=sent(path, "file=@song.wav")
    )
