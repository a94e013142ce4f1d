"""Settings from the environment and from ``.env``: where things lie, and how much is allowed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

from dotenv.parser import parse_stream
from platformdirs import user_cache_path, user_config_path
from pydantic import AfterValidator, BeforeValidator, Field, IPvAnyNetwork, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from genre_lib import api_keys
from genre_lib.api_keys import ApiKey
from genre_lib.engines.names import parse_engine
from genre_lib.errors import ConfigurationError

logging.getLogger("dotenv.main").setLevel(logging.ERROR)  # it tells of a bad line at every reading; we do so once

REPOSITORY = Path(__file__).resolve().parent.parent

STARTER = REPOSITORY / "pretrained" / "genre_classifier"
"""The model that is shipped; it has its name whatever ``MODEL_PATH`` says."""

EXPECTED = {"int": "a whole number", "float": "a number", "bool": "true or false"}
"""What is expected of a setting that cannot be read, by pydantic's name for it."""

EMPTY_LIFTS = ("rate_limit", "rate_limit_predictions", "rate_limit_changes", "rate_limit_failed_keys")
"""Settings that mean something where they are left empty: no limit. Any other one is then as if it were not there."""

OWN_PREFIXES = ("deezer_", "fetch_", "finetune_", "fine_tune_", "itunes_", "model_", "rate_limit_", "spotify_")
"""Beginnings of names that are ours, and hardly another program's that reads the same ``.env``."""

NEARNESS = 0.84
"""What difflib takes for a slip: MODEL_PAHT for MODEL_PATH, which is 0.9, and not REPORT for PORT, which is 0.8."""

MIB = 1024**2
GIB = 1024**3


def parse_keys(given: object) -> object:
    """API keys from the environment's text; keys that were made in Python go through."""
    return api_keys.parse(given) if isinstance(given, str) else given


def parse_list(given: object) -> object:
    """A list from the environment's text, separated by commas."""
    return [entry.strip() for entry in given.split(",") if entry.strip()] if isinstance(given, str) else given


class Settings(BaseSettings):
    """Every field may be set by an environment variable of its name, or by a line in ``.env``."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", protected_namespaces=(), hide_input_in_errors=True
    )

    model_path: Path = Field(STARTER, description="The model that predicts until another is promoted.")
    fine_tune_data_path: Path = Field(Path("data/training"), description="Music to fine-tune on, where none is named.")
    models_path: Path = Field(Path("models"), description="Folder of the fine-tuned models.")
    runs_path: Path = Field(Path("experiments/runs"), description="Folder of the run folders.")
    notebooks_path: Path = Field(REPOSITORY / "notebooks", description="Folder of the notebooks that are run as jobs.")
    cache_path: Path = Field(
        user_cache_path("genre_lib"), description="Folder of computed features; may be deleted at any time."
    )
    cache_max_bytes: int = Field(
        20 * GIB, ge=0, description="The feature cache forgets what was least used beyond this."
    )

    max_audio_bytes: int = Field(200 * MIB, gt=0, description="A larger file is refused.")
    max_audio_seconds: float = Field(3600, gt=0, description="A longer track is refused.")

    device: str = Field("auto", description="auto, cpu, cuda or cuda:N.")
    engine: Annotated[str, AfterValidator(parse_engine)] = Field(
        "auto",
        description="What computes the network: auto, torch, openvino, or one in its numbers, such as openvino-int8.",
    )
    host: str = Field("127.0.0.1", description="Address that the server listens on; 0.0.0.0 for all.")
    port: int = Field(8000, ge=1, le=65535, description="Port that the server listens on.")
    max_batch_size: int = Field(16, ge=1, description="Most requests that are predicted together.")
    batch_timeout: float = Field(0, ge=0, le=1, description="Seconds that an idle worker waits for a batch to fill.")
    request_timeout: float = Field(60, gt=0, description="Seconds after which a request is answered with 504.")
    max_requests_in_flight: int = Field(64, ge=1, description="Requests beyond this are answered with 503.")
    model_cache_bytes: int = Field(
        2 * GIB, ge=0, description="The worker keeps the models that were asked for in memory, up to this many bytes."
    )
    max_model_bytes: int = Field(
        2 * GIB, gt=0, description="A larger upload of a model is refused, and so is one that unpacks to more."
    )
    model_check_timeout: float = Field(
        120, gt=0, description="Seconds that a model may take to be unpacked, loaded and run once."
    )
    model_timeout: float = Field(
        900, gt=0, description="Seconds after which uploading or activating a model is answered with 504."
    )

    max_batch_items: int = Field(32, ge=1, le=1000, description="Most tracks in one request to /predict/batch.")
    max_batch_bytes: int = Field(500 * MIB, gt=0, description="Most bytes of the files in such a request together.")
    prediction_cache_bytes: int = Field(
        64 * MIB, ge=0, description="Memory for what was predicted, by content and model; 0 predicts all anew."
    )

    max_jobs: int = Field(1, ge=1, description="Fine-tuning jobs that run at once.")
    max_queued_jobs: int = Field(20, ge=0, description="Fine-tuning jobs that wait; another one is refused.")
    finetune_data_roots: Annotated[tuple[Path, ...], NoDecode, BeforeValidator(parse_list)] = Field(
        (), description="Folders that a job's music lies below, comma-separated; none: FINE_TUNE_DATA_PATH's."
    )

    api_keys: Annotated[tuple[ApiKey, ...], NoDecode, BeforeValidator(parse_keys)] = Field(
        (), description="name:sha256hex of each key, comma-separated, as `genre keys create NAME` prints them."
    )
    read_requires_key: bool = Field(False, description="Whether a key is needed for routes that change nothing, too.")
    rate_limit: str = Field("12000/minute", description="Requests that change nothing, of one client; empty for any.")
    rate_limit_predictions: str = Field("12000/minute", description="Predictions and analyses of one client.")
    rate_limit_changes: str = Field("120/minute", description="Requests of one client that change something.")
    rate_limit_failed_keys: str = Field("30/minute", description="Wrong keys from one address.")
    rate_limit_store: SecretStr = Field(
        SecretStr("memory://"), description="Where requests are counted: memory:// or Redis' address."
    )
    trusted_proxies: Annotated[tuple[IPvAnyNetwork, ...], NoDecode, BeforeValidator(parse_list)] = Field(
        (), description="Networks of the proxies in front, comma-separated; only their X-Forwarded-For counts."
    )
    fetch_timeout: float = Field(30, gt=0, description="Seconds that fetching an audio_url may take in all.")
    fetch_allowed_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(parse_list)] = Field(
        (),
        description="Hosts that are fetched from although they are not public: name, *.suffix, network, each [:port].",
    )

    spotify_client_id: str = Field("", description="Of your own app at developer.spotify.com; empty: Spotify is off.")
    spotify_client_secret: SecretStr = Field(
        SecretStr(""), description="Of the same app; only needed for public tracks without signing in."
    )
    spotify_redirect_port: int = Field(
        8888, ge=1024, le=65535, description="Signing in comes back to http://127.0.0.1:PORT/callback."
    )
    spotify_path: Path = Field(
        user_config_path("genre_lib") / "spotify", description="Folder of the authorisation and of what was fetched."
    )
    spotify_calls_per_day: int = Field(
        0,
        ge=0,
        description="Calls to Spotify in 24 hours, to leave some for other uses; 0 for no own limit.",
    )
    spotify_timeout: float = Field(20, gt=0, description="Seconds that one answer of Spotify's may take.")
    spotify_api_url: str = Field("https://api.spotify.com/v1/", description="Where Spotify's Web API is.")
    spotify_accounts_url: str = Field("https://accounts.spotify.com", description="Where one signs in to Spotify.")
    music_path: Path | None = Field(None, description="Folder of your own music, to find a Spotify track's audio in.")
    spotify_previews: bool = Field(False, description="Whether Spotify's previews are heard, where an app gets them.")
    deezer_previews: bool = Field(False, description="Whether Deezer's previews are heard; see its terms.")
    deezer_url: str = Field("https://api.deezer.com/", description="Where Deezer's API is.")
    itunes_previews: bool = Field(False, description="Whether iTunes' previews are heard; see Apple's terms.")
    itunes_url: str = Field("https://itunes.apple.com/", description="Where the iTunes Search API is.")
    tag_sources: bool = Field(
        False, description="Whether genre tags are asked of ListenBrainz and MusicBrainz, by a recording's ISRC."
    )
    listenbrainz_url: str = Field("https://api.listenbrainz.org/", description="Where ListenBrainz' API is.")
    musicbrainz_url: str = Field("https://musicbrainz.org/", description="Where MusicBrainz' API is.")
    contact: str = Field("", description="Your address, which MusicBrainz wants to know of who asks it.")

    @model_validator(mode="before")
    @classmethod
    def without_empty_ones(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Take a line that ends at its ``=`` for none: an empty path would be the current folder, a host any."""
        return {name: value for name, value in given.items() if value != "" or name in EMPTY_LIFTS}


def of_option(name: str, fault: str, given: object) -> str:
    """What is wrong with an option's value, as a sentence that names the option and the value."""
    came = "" if repr(given) in fault else f", and is {given}"
    return f"--{name.replace('_', '-')}: {fault[:1].lower()}{fault[1:]}{came}."


def fault_of(error: Any) -> str:
    """One of pydantic's errors in our words; what came is shown where a number, or true or false, was expected."""
    name, kind = str(error["loc"][0]), error["type"].removesuffix("_parsing")
    if kind not in EXPECTED:
        return error["msg"].removeprefix("Value error, ")
    example = "" if kind == "bool" else f", such as {Settings.model_fields[name].default}"
    return f"expected {EXPECTED[kind]}{example}, and got {error['input']!r}"


def get_settings(**overrides: object) -> Settings:
    """Read the settings anew.

    Args:
        overrides: what an option of that name gave in place of a variable.

    Raises:
        ConfigurationError: a value cannot be used; names the variable, or the option, and what is wrong with it.
    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        told = [(".".join(map(str, each["loc"])), fault_of(each)) for each in error.errors()]
        if options := [of_option(name, fault, overrides[name]) for name, fault in told if name in overrides]:
            raise ConfigurationError(" ".join(options)) from error
        faults = "; ".join(f"{name.upper()}: {fault}" for name, fault in told)
        raise ConfigurationError(f"A setting in the environment or .env cannot be used. {faults}.") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"Expected text in UTF-8 in the file .env here, and it is none: {error}.") from error


def unknown_lines() -> Iterator[str]:
    """A sentence for each line of ``.env`` that is none, or whose name seems meant to be one of ours and is none."""
    try:
        with Path(str(Settings.model_config["env_file"])).open(encoding="utf-8") as file:
            lines = list(parse_stream(file))
    except (OSError, UnicodeDecodeError):  # there is none, or reading the settings says so
        return
    for line in lines:
        if line.error or (line.key is not None and line.value is None):
            said = line.original.string.strip()[:40]
            yield f"Line {line.original.line} of .env is not NAME=value and changes nothing: {said!r}."
    known = list(Settings.model_fields)
    for name in dict.fromkeys(line.key.lower() for line in lines if line.key and line.value is not None):
        close = get_close_matches(name.removeprefix("genre_"), known, n=1, cutoff=NEARNESS)
        if name in known or not (close or name.startswith(OWN_PREFIXES)):
            continue
        hint = f"did you mean {close[0].upper()}?" if close else "`.env.example` names all settings."
        yield f".env names {name.upper()}, which is no setting and changes nothing; {hint}"
