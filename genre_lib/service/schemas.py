"""What the service answers, as types; the OpenAPI page is made of them."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Schema(BaseModel):
    """Base of all answers; ``model_name`` and its like are ours to use."""

    model_config = ConfigDict(protected_namespaces=())


class GenreConfidence(Schema):
    """A genre and how sure the model is of it."""

    genre: str = Field(examples=["jazz"])
    confidence: float = Field(ge=0, le=1, description="Calibrated probability.", examples=[0.87])


Outside: Any = Field(
    None,
    ge=0,
    le=1,
    description="Probability that it is none of the genres: only of a model that knows other sounds, too (AudioSet's).",
)


class Segment(Schema):
    """A part of the track and what it sounds like."""

    start: float = Field(description="Seconds from the beginning.", examples=[0.0])
    end: float = Field(description="Seconds from the beginning.", examples=[3.0])
    predictions: list[GenreConfidence]
    outside: float | None = Outside


class PredictAnswer(Schema):
    """The genres of one track, the likeliest first."""

    model_name: str = Field(examples=["genre_classifier"])
    model_version: str = Field(description="Twelve digits that change with the weights.", examples=["4f0c6a1e9b72"])
    duration: float = Field(description="Seconds that were heard.", examples=[30.0])
    predictions: list[GenreConfidence]
    outside: float | None = Outside
    timeline: list[Segment] | None = Field(None, description="Only where it was asked for.")
    warning: str | None = Field(None, description="Only where there is one: that the file was cut off, for example.")


class NamedTrack(Schema):
    """A track as Spotify names it."""

    id: str = Field(examples=["7ouMYWpwJ422jRcDASZB7P"])
    title: str
    artists: list[str]


class AudioFound(Schema):
    """Where the audio of a track on Spotify came from, and how sure it is that it is this recording."""

    source: str = Field(description="folder (own music), spotify, deezer or itunes (previews).", examples=["folder"])
    how: str = Field(
        description="isrc, artist_title, artist_title_close, file_name or preview.",
        examples=["isrc"],
    )
    sureness: float = Field(ge=0, le=1, description="That it is this very recording.", examples=[0.98])


class SpotifyAnswer(PredictAnswer):
    """The genres of a track on Spotify, and what was heard of it."""

    track: NamedTrack
    audio: AudioFound


class ErrorBody(Schema):
    """Every error looks like this."""

    detail: str = Field(
        description="What was expected, what came, what to do.",
        examples=["song.mp3 is not audio that can be decoded: its bytes are in no known format."],
    )
    code: str = Field(description="One word for machines, stable over versions.", examples=["not_audio"])


class BatchItem(Schema):
    """What became of one track of a batch."""

    name: str | None = Field(None, description="The file's name, where files were sent.", examples=["song.mp3"])
    url: str | None = Field(None, description="The address, where addresses were sent.")
    status: int = Field(description="What POST /predict would have answered with.", examples=[200])
    result: PredictAnswer | None = Field(description="Null where there is an error.")
    error: ErrorBody | None = Field(description="Null where there is a result.")


class BatchAnswer(Schema):
    """An item for each track, in the order in which they were sent."""

    results: list[BatchItem]


class ServedModel(Schema):
    """The model that answers where none is named."""

    name: str
    version: str
    engine: str | None = Field(None, description="What computes it.", examples=["torch-float32", "openvino-bf16"])
    engine_fault: str | None = Field(None, description="Why it is not computed by what the settings or a tuning name.")


class Batches(Schema):
    """How tracks were put together since the worker started."""

    passes: int = Field(description="Passes through the network.")
    tracks: int = Field(description="Tracks in them.")
    mean: float = Field(description="Tracks a pass; 0 before the first.")


class Process(Schema):
    """A process that works for the service."""

    state: str = Field(description="ready, starting, or ended until it is started again.", examples=["ready"])
    pid: int | None = Field(None, description="Null until it is started.")
    alive: bool = Field(description="Whether there is a process of that id.")
    restarts: int = Field(description="How often it ended by itself and was started again.")
    uptime: float = Field(description="Seconds since it was started.")


class Health(Schema):
    """How the service is."""

    status: str = Field(
        description="ok, starting until the worker can predict, or error where the active model cannot be loaded.",
        examples=["ok"],
    )
    version: str = Field(description="Of genre_lib.")
    model: ServedModel | None = Field(None, description="Null until one is loaded.")
    error: str | None = Field(
        None, description="Why the active model is not served; the one before goes on, or else none."
    )
    batches: Batches
    worker: Process = Field(description="It predicts; without it the status is 503.")
    analysis: Process = Field(description="It computes descriptors; predictions go on without it.")


class NotReady(ErrorBody, Health):
    """The worker cannot predict at present: it is starting, or the active model cannot be loaded."""
