"""What is asked of fine-tuning jobs and what is answered, as types."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from genre_lib import job_request
from genre_lib.job_music import LONGEST_PATH
from genre_lib.job_standing import Status
from genre_lib.service.schemas import Schema
from genre_lib.training_config import TrainingConfig


def describe_settings(schema: dict[str, Any]) -> None:
    """Tell the document of the settings as the training itself knows them, with their ranges and defaults."""
    known = TrainingConfig.model_json_schema()
    properties = {sent: dict(known["properties"][inner]) for sent, inner in job_request.FIELDS.items()}
    properties["augmentation"] = known["$defs"]["Augmentation"]
    for sent, described in properties.items():
        described["title"] = sent
    schema |= {"properties": properties, "additionalProperties": False}


class FinetuneSettings(BaseModel):
    """Settings of the training; what is left out has its default. The checks are the training's own."""

    model_config = ConfigDict(extra="allow", json_schema_extra=describe_settings)

    @model_validator(mode="before")
    @classmethod
    def _checked(cls, given: Any) -> Any:
        if isinstance(given, dict):
            job_request.checked(given)
        return given


def form_of(labels: Any) -> str:
    """Which of its two forms a value is checked as."""
    return "text" if isinstance(labels, str) else "list"


Labels = Annotated[
    Annotated[list[str], Field(min_length=2, max_length=1000), Tag("list")]
    | Annotated[str, Field(min_length=1, max_length=LONGEST_PATH), Tag("text")],
    Discriminator(form_of),
]
"""Genres of a catalogue, or what the tracks of a library are called by."""


class StartRequest(Schema):
    """What to train, and on which music: exactly one of ``catalogue``, ``data_path`` and ``spotify_user_id``."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "base_model": "genre_classifier",
                    "catalogue": "synthetic",
                    "model_name": "mine",
                    "config": {"epochs": 4, "freeze": "backbone", "learning_rate": 0.001},
                }
            ]
        },
    )

    base_model: str | None = Field(
        None, min_length=1, max_length=100, description="A name from GET /models; the active model where left out."
    )
    catalogue: str | None = Field(
        None,
        min_length=1,
        max_length=LONGEST_PATH,
        description="A CSV with the columns path and genre: its path below FINETUNE_DATA_ROOTS, with or without .csv; "
        "or the word synthetic, for invented music to try things with.",
    )
    data_path: str | None = Field(
        None,
        min_length=1,
        max_length=LONGEST_PATH,
        description="A folder below FINETUNE_DATA_ROOTS with a folder per genre in it, or of tagged files.",
    )
    spotify_user_id: str | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="Spotify's id of a user, or `me` for whoever signed in: the job collects the library, and trains "
        "on the files of it in the service's own folder of music. See the README for what Spotify's terms forbid.",
    )
    labels: Labels | None = Field(
        None,
        description="A list of genres to train on, all of the catalogue's where left out. With `spotify_user_id` a "
        "word: `genre` (the artists', where left out), `playlist` (the user's own are the classes), or `csv:FILE`, "
        "a table with `id` and `genre` below FINETUNE_DATA_ROOTS.",
    )
    model_name: str | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="What the model will be called; made of the base's and the music's names where left out.",
    )
    config: FinetuneSettings = Field(default_factory=FinetuneSettings)

    @model_validator(mode="after")
    def _one_source(self) -> "StartRequest":
        given = [name for name in ("catalogue", "data_path", "spotify_user_id") if getattr(self, name) is not None]
        if len(given) != 1:
            came = " and ".join(given) or "none of them"
            raise ValueError(f"it needs exactly one of catalogue, data_path and spotify_user_id; came {came}")
        if self.spotify_user_id is not None and isinstance(self.labels, list):
            raise ValueError("with spotify_user_id, labels is genre, playlist or csv:FILE; came a list")
        if self.spotify_user_id is None and isinstance(self.labels, str):
            raise ValueError("labels is a list of genres where there is no spotify_user_id; came a text")
        return self


class Kept(Schema):
    """What a stopped job left: a model of its best epoch so far, in the folder of the job."""

    epoch: int = Field(description="Whose weights they are; epochs count from one.")
    metrics: dict[str, float | None] = Field(description="Scores of the validation tracks.")


class JobSummary(Schema):
    """A fine-tuning job."""

    job_id: str = Field(examples=["20260131-174501-mine-8f2c0d91ab"])
    status: Status
    model_name: str = Field(description="Under which the model is published once the job is completed.")
    base_model: str
    submitted: str = Field(description="ISO 8601, as all times here.")
    started: str | None = Field(None, description="Of the latest attempt.")
    ended: str | None = None
    queue_position: int | None = Field(None, description="1 is the next to start; null where it does not wait.")
    attempt: int = Field(description="1, and one more with every resume that began.")
    phase: Literal["collecting", "preparing", "training", "evaluating", "publishing"] | None = Field(
        None, description="What a running job does."
    )
    prepared: float | None = Field(
        None, ge=0, le=1, description="Of a step that looks at every track: the share that it has; null elsewhere."
    )
    progress: float = Field(
        ge=0,
        le=1,
        description="Share of the epochs that are done, of the one under way its part; 1 where all of the job is.",
    )
    epoch: int = Field(description="The last one that was completed; 0 before the first.")
    epochs: int = Field(description="That are to be trained; early stopping may end sooner.")
    seconds_left: float | None = Field(
        None, description="Of the training, by what is done of it; null before any is, and when the last epoch is over."
    )
    metrics: dict[str, float | None] = Field(description="Losses and scores of the last epoch.")
    kept: Kept | None = Field(None, description="What a stopped job left; resume goes on from its last whole epoch.")
    error: str | None = Field(None, description="Why it failed.")
    error_code: str | None = Field(
        None, description="The same as a word, where it failed before the training: `quota_exceeded`, `no_audio` …"
    )


class JobStatus(JobSummary):
    """A fine-tuning job with all that happened so far."""

    request: dict[str, Any] = Field(description="What was asked.")
    history: list[dict[str, float | None]] = Field(description="Losses, scores, seconds and more of every epoch.")


class JobList(Schema):
    """A page of the jobs, the newest first."""

    jobs: list[JobSummary]
    total: int = Field(description="Jobs on all pages.")
    limit: int
    offset: int
