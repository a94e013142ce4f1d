"""What is asked of models: uploaded, listed, activated, deleted."""

from __future__ import annotations

from api_document.requests import AT, WITH_KEY, Request, Route, posted, sent


def upload() -> Route:
    path = "/models/upload"

    def zipped(name: str, *fields: str) -> str:
        return sent(path, f"file=@{name}", *fields, key=True)

    refused = {
        "a path that leads out of the folder": "escape.zip",
        "a path from the root": "absolute.zip",
        "a link": "link.zip",
        "a pickle": "pickle.zip",
        "code": "code.zip",
        "a configuration that names code": "auto_map.zip",
        "an encrypted file": "encrypted.zip",
        "a zip that unpacks to far more": "bomb.zip",
        "folders in the folder": "nested.zip",
        "two files of one name": "twice.zip",
        "no model": "no_model.zip",
        "weights that are cut off": "cut_off.zip",
        "an empty zip": "empty.zip",
        "no zip": "song.wav",
        "an empty file": "empty.mp3",
    }
    named = [("name=spare", "another name"), ("name=mine-1.0", "a third one")]
    requests = [
        Request("a model", zipped("mine.zip"), 201, shows="name active kind genres parameters base_model"),
        *(Request(what, zipped("mine.zip", name), 201, shows="name active") for name, what in named),
        Request("a name that is taken", zipped("mine.zip"), 409, "model_exists"),
        Request("the starter's name", zipped("mine.zip", "name=genre_classifier"), 409, "model_exists"),
        Request("a path for a name", zipped("mine.zip", "name=../mine"), 422, "model_name_invalid"),
        *(Request(what, zipped(name, "name=other"), 422, "upload_refused") for what, name in refused.items()),
        Request("too many bytes", zipped("large.zip"), 413, "model_too_large"),
        Request("no file", sent(path, "name=other", key=True), 422, "invalid_request"),
        Request("a field that is misspelt", zipped("mine.zip", "nam=x"), 422, "invalid_request"),
        Request("no form", posted(path, {"name": "other"}, key=True), 415, "unsupported_media_type"),
        Request(
            "a form without a boundary",
            f'curl {WITH_KEY} -H "Content-Type: multipart/form-data" -d "--x" {AT}{path}',
            400,
            "bad_request",
        ),
    ]
    plain = sent(path, "file=@mine.zip", "name=other")
    return Route("POST", path, "Upload a model", requests, changes=True, plain=plain)


def models() -> list[Route]:
    one = f"{AT}/models"
    shows = "name active kind genres"
    return [
        Route("GET", "/models", "All models", [Request("all", f"curl {one}", 200)], plain=f"curl {one}"),
        Route(
            "GET",
            "/models/{name}",
            "A model",
            [
                Request("the starter", f"curl {one}/genre_classifier", 200),
                Request("one that is damaged", f"curl {one}/broken", 200, shows=shows),
                Request("no such model", f"curl {one}/nobody", 404, "model_not_found"),
                Request("a path", f"curl {one}/..%2F..%2Fetc", 404, "not_found"),
            ],
            plain=f"curl {one}/genre_classifier",
        ),
        Route(
            "GET",
            "/models/{name}/metrics",
            "A model's evaluation",
            [
                Request(
                    "the starter's",
                    f"curl {one}/genre_classifier/metrics",
                    200,
                    shows="split tracks accuracy macro_f1 calibration",
                ),
                Request("of a model that was never evaluated", f"curl {one}/broken/metrics", 404, "no_metrics"),
                Request("no such model", f"curl {one}/nobody/metrics", 404, "model_not_found"),
            ],
            plain=f"curl {one}/genre_classifier/metrics",
        ),
        Route(
            "POST",
            "/models/{name}/activate",
            "Let a model answer",
            [
                Request("a model", f"curl -X POST {WITH_KEY} {one}/spare/activate", 200),
                Request("once more", f"curl -X POST {WITH_KEY} {one}/spare/activate", 200),
                Request("one that is damaged", f"curl -X POST {WITH_KEY} {one}/broken/activate", 422, "model_invalid"),
                Request("no such model", f"curl -X POST {WITH_KEY} {one}/nobody/activate", 404, "model_not_found"),
            ],
            changes=True,
            plain=f"curl -X POST {one}/spare/activate",
        ),
    ]


def delete() -> Route:
    one = f"curl -X DELETE {WITH_KEY} {AT}/models"
    requests = [
        Request("a model", f"{one}/mine-1.0", 204),
        Request("one that is gone", f"{one}/mine-1.0", 404, "model_not_found"),
        Request("the one that answers", f"{one}/spare", 409, "model_in_use"),
        Request("the one that a job starts from", f"{one}/mine", 409, "model_in_use"),
        Request("the starter", f"{one}/genre_classifier", 409, "model_in_use"),
        Request("a path", f"{one}/..%2Fruns", 404, "not_found"),
    ]
    plain = f"curl -X DELETE {AT}/models/spare"
    return Route("DELETE", "/models/{name}", "Delete a model", requests, changes=True, plain=plain)
