"""``POST /analyze/features``: the descriptors of a track."""

from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from pydantic import Field

from genre_lib.errors import AnalysisBusy
from genre_lib.service import bodies
from genre_lib.service.auth import may_read
from genre_lib.service.bodies import RequestBody
from genre_lib.service.errors import responses
from genre_lib.service.messages import TrackRequest
from genre_lib.service.predict import FILE, REFUSALS, Url
from genre_lib.service.schemas import Schema
from genre_lib.service.tracks import laid_down
from genre_lib.service.worker import Worker

router = APIRouter(tags=["analysis"])

WAITING_SHARE = 4
"""One in so many of the requests in flight may wait for an analysis, so that they leave room for predictions."""

EXAMPLE = {
    "duration": 30.0,
    "duration_ms": 30000,
    "tempo": 120.2,
    "tempo_confidence": 0.83,
    "tempo_candidates": [{"tempo": 120.2, "strength": 1.0}, {"tempo": 60.1, "strength": 0.62}],
    "key": 9,
    "mode": 0,
    "key_confidence": 0.71,
    "loudness": -11.4,
    "time_signature": 4,
    "energy": 0.64,
    "danceability": 0.58,
    "valence": 0.41,
    "acousticness": 0.22,
    "instrumentalness": 0.73,
    "speechiness": 0.06,
    "liveness": 0.19,
}


SHOWN: dict[int | str, dict[str, Any]] = {200: {"content": {"application/json": {"example": EXAMPLE}}}}


class Nothing(RequestBody):
    """A form with a file and nothing else."""


class AnalyzedUrl(RequestBody):
    """A track by its address."""

    audio_url: Url


class TempoCandidate(Schema):
    """A tempo that fits, too."""

    tempo: float = Field(description="Beats per minute.")
    strength: float = Field(ge=0, le=1, description="How well it fits beside the best.")


class Features(Schema):
    """A track's descriptors, by the names and encodings of Spotify's audio features; an estimate says how it leans."""

    duration: float = Field(ge=0, description="Seconds that were heard.")
    duration_ms: int = Field(ge=0, description="The same in milliseconds.")
    tempo: float = Field(ge=0, description="Beats per minute; 0 where nothing repeats.")
    tempo_confidence: float = Field(ge=0, le=1)
    tempo_candidates: list[TempoCandidate] = Field(description="The strongest first; often half or twice the first.")
    key: int = Field(ge=-1, le=11, description="0 = C, 1 = C♯ … 11 = B; -1 where nothing has a pitch.")
    mode: int = Field(ge=0, le=1, description="1 major, 0 minor.")
    key_confidence: float = Field(ge=0, le=1, description="Of key and mode together.")
    loudness: float = Field(description="Integrated loudness in LUFS (ITU-R BS.1770-4).")
    time_signature: int = Field(description="Estimate: beats in a bar.")
    energy: float = Field(ge=0, le=1, description="Estimate: loud, dense and noisy.")
    danceability: float = Field(ge=0, le=1, description="Estimate: a clear, regular beat at a tempo to move to.")
    valence: float = Field(ge=0, le=1, description="Estimate, and the weakest: how cheerful it sounds.")
    acousticness: float = Field(ge=0, le=1, description="Estimate: neither bright nor noisy nor compressed.")
    instrumentalness: float = Field(ge=0, le=1, description="Estimate: nothing moves as a voice does.")
    speechiness: float = Field(ge=0, le=1, description="Estimate: it moves as speech does.")
    liveness: float = Field(ge=0, le=1, description="Estimate: the quiet moments are full of sound.")
    claimed_duration: float | None = Field(None, description="Only of a damaged file: seconds that it states.")
    warning: str | None = Field(None, description="Only where there is one: that the file was cut off.")


@router.post(
    "/analyze/features",
    summary="Tempo, key, loudness and more of a track",
    response_model=Features,
    responses=responses(*(status for status in REFUSALS if status != 404)) | SHOWN,
    dependencies=[Depends(may_read)],
    openapi_extra=bodies.documented(
        AnalyzedUrl, Nothing, FILE, a_track_on_the_web={"audio_url": "https://example.com/song.mp3"}
    ),
)
async def analyze(request: Request) -> JSONResponse:
    """Send the track as `file` in a multipart form, or its address as `audio_url` in JSON.

    Tempo, key and loudness are measured; the others are estimates. The same audio is not analysed twice.
    """
    state = request.app.state
    require_room(state.analysis, state.settings.max_requests_in_flight)
    async with bodies.read(request, AnalyzedUrl, Nothing, FILE) as body:
        source = body.fields.audio_url if isinstance(body.fields, AnalyzedUrl) else body.files[0]
        async with laid_down(source, state) as track:
            answer: Any = await state.analysis.ask(TrackRequest(track.path, track.name))
    return JSONResponse(answer.content, answer.status, headers=answer.headers)


def require_room(analysis: Worker, in_flight: int) -> None:
    """Refuse what would wait behind too many others.

    Raises:
        AnalysisBusy.
    """
    most = max(1, in_flight // WAITING_SHARE)
    if len(analysis.asked) >= most:
        raise AnalysisBusy(f"{most} tracks wait to be analysed already; try again in a few seconds.")
