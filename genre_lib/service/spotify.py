"""``POST /predict/spotify``: the genres of a track on Spotify, once access to it is set up."""

from typing import NoReturn

from fastapi import APIRouter, Depends
from pydantic import Field

from genre_lib.errors import SpotifyNotConfigured
from genre_lib.service.auth import may_read
from genre_lib.service.bodies import RequestBody
from genre_lib.service.errors import responses
from genre_lib.service.schemas import PredictAnswer
from genre_lib.spotify.ids import track_id

router = APIRouter(tags=["prediction"])


class SpotifyTrack(RequestBody):
    """A track on Spotify, and what is asked of it."""

    track_id: str = Field(
        min_length=1,
        max_length=500,
        description="`spotify:track:ID`, an open.spotify.com link, or the bare id.",
        examples=["spotify:track:7ouMYWpwJ422jRcDASZB7P"],
    )
    model_name: str | None = Field(
        None, max_length=100, description="A name from GET /models; the active model where left out."
    )


@router.post(
    "/predict/spotify",
    summary="The genres of a track on Spotify",
    response_model=PredictAnswer,
    responses=responses(400, 401, 403, 413, 422, 429, 500, 501, 503, 504),
    dependencies=[Depends(may_read)],
)
async def predict_spotify(asked: SpotifyTrack) -> NoReturn:
    """For now this says whether the id can be read, and 501: Spotify is not set up in this version."""
    found = track_id(asked.track_id)
    raise SpotifyNotConfigured(
        f"Track {found} cannot be looked up, for this version has no access to Spotify. It will be set up with an app "
        "of your own (SPOTIFY_CLIENT_ID in .env); until then, send the track's file to POST /predict."
    )
