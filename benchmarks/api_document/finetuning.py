"""What is asked of fine-tuning jobs."""

from __future__ import annotations

from api_document.requests import AT, STREAMING, WITH_KEY, Request, Route, posted, sent

SHOWN_OF_A_JOB = "job_id status model_name base_model queue_position attempt progress epochs"


def start() -> Route:
    path = "/finetune/start"
    synthetic_music = {"base_model": "mine", "catalogue": "synthetic"}

    def started(**asked: object) -> str:
        return posted(path, asked, key=True)

    def configured(**config: object) -> str:
        return started(catalogue="synthetic", config=config)

    long = {"epochs": 1000, "learning_rate": 0.001}
    requests = [
        Request(
            "a job, which begins at once",
            started(**synthetic_music, model_name="long", config=long),
            202,
            shows=SHOWN_OF_A_JOB,
            keeps="JOB",
        ),
        Request(
            "a second one, on a folder, which waits",
            started(data_path="music", base_model="mine", model_name="next", labels=["rock", "hiphop"]),
            202,
            shows=SHOWN_OF_A_JOB + " request",
            keeps="WAITING",
        ),
        Request("more than may wait", started(**synthetic_music), 503, "queue_full"),
        Request("a name that a model has", started(**synthetic_music, model_name="spare"), 409, "model_exists"),
        Request("a name that a job has", started(**synthetic_music, model_name="next"), 409, "model_exists"),
        Request("a path for a name", started(**synthetic_music, model_name="../x"), 422, "model_name_invalid"),
        Request("no such base", started(catalogue="synthetic", base_model="nobody"), 404, "model_not_found"),
        Request("no such music", started(data_path="nothing"), 404, "catalogue_not_found"),
        Request("a path that leads out", started(data_path="../.."), 403, "path_not_allowed"),
        Request("a path from the root", started(data_path="/etc"), 403, "path_not_allowed"),
        Request("a link that leads out", started(data_path="link"), 403, "path_not_allowed"),
        Request("music of one genre", started(data_path="one_genre"), 422, "catalogue_invalid"),
        Request("a table without its columns", started(catalogue="columns"), 422, "catalogue_invalid"),
        Request(
            "a genre without tracks", started(catalogue="synthetic", labels=["rock", "polka"]), 422, "genres_unknown"
        ),
        Request("no app of Spotify's", started(spotify_user_id="me"), 501, "spotify_not_configured"),
        Request("nobody signed in", started(spotify_user_id="me"), 409, "spotify_not_connected", at=STREAMING),
        Request("labels that are none", started(spotify_user_id="me", labels="mood"), 422, "training_settings_invalid"),
        Request("a table from elsewhere", started(spotify_user_id="me", labels="csv:/etc/x"), 403, "path_not_allowed"),
        Request("genres of a user", started(spotify_user_id="me", labels=["rock", "pop"]), 422, "invalid_request"),
        Request("no music", started(), 422, "invalid_request"),
        Request("music twice", started(catalogue="synthetic", data_path="music"), 422, "invalid_request"),
        Request("a field that is misspelt", started(catalog="synthetic"), 422, "invalid_request"),
        Request("a setting that is misspelt", configured(epoch=3), 422, "training_settings_invalid"),
        Request("a setting out of range", configured(epochs=0), 422, "training_settings_invalid"),
        Request("a setting of another type", configured(learning_rate="fast"), 422, "training_settings_invalid"),
        Request("a place among the settings", configured(output_path="/tmp"), 422, "training_settings_invalid"),
        Request("JSON that is none", posted(path, "{", key=True), 400, "invalid_json"),
        Request("a form", sent(path, "catalogue=synthetic", key=True), 415, "unsupported_media_type"),
        Request("too large", posted(path, "@large.json", key=True), 413, "body_too_large"),
    ]
    plain = posted(path, {"catalogue": "synthetic"})
    return Route("POST", path, "Start a fine-tuning", requests, changes=True, plain=plain)


ONE = f"{AT}/finetune"
POST = f"curl -X POST {WITH_KEY} {ONE}"
NO_JOB, A_PATH = "20260131-174501-mine-8f2c0d91ab", "..%2F..%2Fetc"
STATE = "job_id status queue_position attempt"
"""Shown of a job whose progress is not the point."""


def jobs() -> list[Route]:
    return [start(), status(), listed(), stop(), events(), resume()]


def status() -> Route:
    return Route(
        "GET",
        "/finetune/status/{job_id}",
        "See how a job goes",
        [
            Request("one that runs", f"curl {ONE}/status/$JOB", 200),
            Request("one that waits", f"curl {ONE}/status/$WAITING", 200, shows=STATE),
            Request("no such job", f"curl {ONE}/status/{NO_JOB}", 404, "job_not_found"),
            Request("a path", f"curl {ONE}/status/{A_PATH}", 404, "not_found"),
        ],
        plain=f"curl {ONE}/status/$JOB",
    )


def listed() -> Route:
    return Route(
        "GET",
        "/finetune",
        "List the jobs",
        [
            Request("all", f"curl {ONE}", 200, shows="total limit offset"),
            Request("those that wait", f'curl "{ONE}?status=queued&limit=1"', 200),
            Request("no such status", f'curl "{ONE}?status=lost"', 422, "invalid_request"),
            Request("out of range", f'curl "{ONE}?limit=0&offset=-1"', 422, "invalid_request"),
        ],
        plain=f"curl {ONE}",
    )


def stop() -> Route:
    return Route(
        "POST",
        "/finetune/stop/{job_id}",
        "Stop a job",
        [
            Request("one that waits", f"{POST}/stop/$WAITING", 202, shows=STATE),
            Request("once more: nothing changes", f"{POST}/stop/$WAITING", 202, shows=STATE),
            Request("one that runs", f"{POST}/stop/$JOB", 202, shows="job_id status", late=True),
            Request("no such job", f"{POST}/stop/{NO_JOB}", 404, "job_not_found"),
        ],
        changes=True,
        plain=f"curl -X POST {ONE}/stop/$WAITING",
    )


def events() -> Route:
    return Route(
        "GET",
        "/finetune/events/{job_id}",
        "Follow a job",
        [
            Request(
                "a job that has ended, from its beginning", f"curl -N {ONE}/events/$WAITING", 200, shows="event: id:"
            ),
            Request("after its end", f'curl -N -H "Last-Event-ID: 0-end" {ONE}/events/$WAITING', 204),
            Request("no such job", f"curl -N {ONE}/events/{NO_JOB}", 404, "job_not_found"),
        ],
        plain=f"curl -N {ONE}/events/$WAITING",
    )


def resume() -> Route:
    return Route(
        "POST",
        "/finetune/resume/{job_id}",
        "Let a job go on",
        [
            Request("one that was stopped", f"{POST}/resume/$WAITING", 202, shows=STATE),
            Request("one that waits already", f"{POST}/resume/$WAITING", 409, "job_conflict"),
            Request("one that runs", f"{POST}/resume/$JOB", 409, "job_conflict"),
            Request("no such job", f"{POST}/resume/{NO_JOB}", 404, "job_not_found"),
        ],
        changes=True,
        plain=f"curl -X POST {ONE}/resume/$WAITING",
    )
