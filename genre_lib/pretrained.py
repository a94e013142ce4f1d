"""Which repositories of a model hub can be used here, by which short names, and which of their files make the model.

Weights are safetensors alone, never pickles; code that lies in a repository is not fetched.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from genre_lib.errors import ConfigurationError, HubModelUnsuitable
from genre_lib.hub import PICKLED, Hub
from genre_lib.networks.files import CONFIG, PREPROCESSOR, WEIGHTS
from genre_lib.remote_files import RemoteFile, Snapshot
from genre_lib.short_names import SHORT_NAMES

MUSICGEN = "musicgen"
FAMILIES: dict[str, str] = {
    "audio-spectrogram-transformer": "AST",
    "hubert": "HuBERT",
    "wav2vec2": "wav2vec 2.0",
    MUSICGEN: "MusicGen",
}
"""By ``model_type``, what is told of them."""

REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
INDEX = f"{WEIGHTS}.index.json"
SHARD = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")
WORDS = ("generation_config.json", "tokenizer_config.json", "special_tokens_map.json", "tokenizer.json")
"""What MusicGen needs beside, to be told in words what to play."""

WORD_PIECES = "spiece.model"
"""The tokenizer of older repositories, a table of SentencePiece's, where there is no ``tokenizer.json``."""

LARGEST_CONFIG = 1024**2


def repository(wanted: str) -> str:
    """The repository that a short name stands for, or that is named itself.

    Raises:
        ConfigurationError: it is neither.
    """
    if wanted in SHORT_NAMES:
        return SHORT_NAMES[wanted]
    if not REPOSITORY.fullmatch(wanted):
        raise ConfigurationError(
            f"{wanted[:200]!r} is neither a short name ({', '.join(SHORT_NAMES)}) nor a repository such as "
            f"{SHORT_NAMES['hubert']}."
        )
    return wanted


def read_config(hub: Hub, snapshot: Snapshot) -> dict[str, Any]:
    """Its configuration, once it is known to be of a family that can be used.

    Raises:
        HubModelUnsuitable: it is not.
        HubUnreachable, DownloadInterrupted, DownloadCorrupt: it did not come.
    """
    file = snapshot.files.get(CONFIG)
    if file is None or file.size > LARGEST_CONFIG:
        raise HubModelUnsuitable(
            f"{snapshot.repo} holds no {CONFIG} of a model, so it is nothing that can be used here."
        )
    try:
        config = json.loads(hub.read(snapshot, file))
    except ValueError as error:
        raise HubModelUnsuitable(f"{snapshot.repo} has a {CONFIG} that is no JSON.") from error
    kind = config.get("model_type") if isinstance(config, dict) else None
    if kind not in FAMILIES:
        families = ", ".join(FAMILIES.values())
        raise HubModelUnsuitable(f"{snapshot.repo} is of the family {kind!r}, and only {families} can be used here.")
    return config


def with_weights(hub: Hub, snapshot: Snapshot) -> Snapshot:
    """The snapshot itself where it has safetensors, else what the hub's bot made of it.

    Raises:
        HubModelUnsuitable: there is neither.
    """
    if weights_in(snapshot):
        return snapshot
    offered = hub.conversion(snapshot)
    if offered is None or not weights_in(offered):
        found = ", ".join(sorted(path for path in snapshot.files if path.endswith(PICKLED))) or "none at all"
        raise HubModelUnsuitable(
            f"{snapshot.repo} has no weights as safetensors, nor has the hub's bot made any of them (there are: "
            f"{found}); pickled weights can hold code, so they are never fetched."
        )
    return offered


def weights_in(snapshot: Snapshot) -> list[str]:
    """Names of the files of its weights: one, or shards with their index."""
    if WEIGHTS in snapshot.files:
        return [WEIGHTS]
    shards = sorted(filter(SHARD.fullmatch, snapshot.files))
    return [INDEX, *shards] if shards and INDEX in snapshot.files else []


def needed(snapshot: Snapshot, weights: Snapshot, config: Mapping[str, Any]) -> tuple[RemoteFile, ...]:
    """The files that make the model, in the order in which they are fetched: the large ones last.

    Raises:
        HubModelUnsuitable: one is not there.
    """
    if PREPROCESSOR not in snapshot.files:
        raise HubModelUnsuitable(f"{snapshot.repo} lacks {PREPROCESSOR}, which says how it wants to be given sound.")
    names = [CONFIG, PREPROCESSOR]
    if config["model_type"] == MUSICGEN:
        names += [name for name in WORDS if name in snapshot.files]
        names += [WORD_PIECES] if "tokenizer.json" not in names and WORD_PIECES in snapshot.files else []
    return (*(snapshot.files[name] for name in names), *(weights.files[name] for name in weights_in(weights)))
