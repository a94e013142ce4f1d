"""``POST /predict/spotify``: the genres of a track on Spotify, by audio that is found for it."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from pydantic import Field
from starlette.datastructures import State

from genre_lib.service.auth import may_read
from genre_lib.service.errors import responses
from genre_lib.service.messages import Answer, PredictRequest
from genre_lib.service.own_places import hidden_places
from genre_lib.service.predict import Asked
from genre_lib.service.schemas import AudioFound, NamedTrack, SpotifyAnswer
from genre_lib.service.spotify_lookup import Found, Lookup, held
from genre_lib.spotify.ids import track_id

router = APIRouter(tags=["prediction"])

MEANING = {
    403: "No API key is configured, or Spotify does not let this app have the track.",
    404: "There is no such track or model, or no audio of the track; the sentence says what was tried.",
    409: "Nobody has signed in to Spotify, or has to anew.",
    429: "Too many requests came from you or go to Spotify; try again after Retry-After seconds.",
    501: "No app of Spotify's is set up here.",
    502: "Spotify cannot be reached, or answers with what cannot be read.",
    503: "Too many requests are being answered, the worker is starting, or Spotify does not serve this app.",
    504: "Spotify, or the answer, took longer than allowed.",
}


class SpotifyTrack(Asked):
    """A track on Spotify, and what is asked of it."""

    track_id: str = Field(
        min_length=1,
        max_length=500,
        description="`spotify:track:ID`, an open.spotify.com link, or the bare id.",
        examples=["spotify:track:7ouMYWpwJ422jRcDASZB7P"],
    )


@router.post(
    "/predict/spotify",
    summary="The genres of a track on Spotify",
    response_model=SpotifyAnswer,
    response_model_exclude_unset=True,
    responses={
        status: entry | ({"description": MEANING[int(status)]} if status in MEANING else {})
        for status, entry in responses(
            *(400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 501, 502, 503, 504, 507)
        ).items()
    },
    dependencies=[Depends(may_read)],
)
async def predict_spotify(asked: SpotifyTrack, request: Request) -> JSONResponse:
    """The track's audio is looked for in the service's own folder of music, then among previews that are switched on.

    Spotify is asked what the track is, by an app of the owner's. `audio` says where the audio came from and how sure it
    is that it is this recording; where there is none, the error says what was tried. See the README for what Spotify's
    terms forbid.
    """
    id, state = track_id(asked.track_id), request.app.state
    with hidden_places(state.settings):
        found = await lookup_of(state).find(id)
    answer = await answer_for(found, asked, state)
    return JSONResponse(answer.content, answer.status, headers=answer.headers)


async def answer_for(found: Found, asked: Asked, state: State) -> Answer:
    """The worker's answer, with what was heard."""
    async with held(found, state.worker.folder) as track:
        question = PredictRequest(
            track.path, track.name, asked.model_name or None, asked.top_k, asked.timeline, track.digest
        )
        answer: Answer = await state.worker.ask(question)
    if answer.status != 200:
        return answer
    return Answer(answer.status, {**answer.content, **heard(found)}, answer.headers)


def heard(found: Found) -> dict[str, object]:
    """Which track it is, and where its audio came from."""
    track, sound = found.track, found.sound
    named = NamedTrack(id=track.id, title=track.title, artists=list(track.artists))
    audio = AudioFound(source=sound.source, how=sound.how, sureness=round(sound.sureness, 3))
    return {"track": named.model_dump(), "audio": audio.model_dump()}


def lookup_of(state: State) -> Lookup:
    """The app's lookup, made when it is first needed."""
    if not hasattr(state, "lookup"):
        state.lookup = Lookup(state.settings)
    found: Lookup = state.lookup
    return found
