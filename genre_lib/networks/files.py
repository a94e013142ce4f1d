"""The files of a model's folder, before any network is built: nothing here imports torch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from genre_lib.errors import ModelInvalid, ModelNotFound, first_line
from genre_lib.wording import with_article

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
PREPROCESSOR = "preprocessor_config.json"

GENRE_CNN, MUSICNN, GENRE_FUSION = "genre_cnn", "musicnn", "genre_fusion"
MODEL_TYPES = frozenset({GENRE_CNN, MUSICNN, GENRE_FUSION})
"""``model_type`` of our own networks."""

GENERATORS = frozenset({"musicgen"})
"""``model_type`` of what is published to make music; transformers has no classifier of these, and we have one."""

TOKENIZERS = ("tokenizer.json", "spiece.model")
"""Files of which one reads a prompt."""

CLASSIFIERS = ("ForAudioClassification", "ForSequenceClassification")
"""Endings of the architectures that tell classes apart."""

GENRE_MUSICGEN = "genre_musicgen"
"""``model_type`` of MusicGen with a genre head: ours too, but read through transformers."""

TRANSFORMERS = ("audio-spectrogram-transformer", "hubert", "wav2vec2")
"""``model_type`` of the pretrained transformers whose layers are known here."""

EXTRACTOR_TYPES = {None, "LogMelFeatureExtractor"}
"""``feature_extractor_type`` of their front end; where none is named, the model type says it."""


def require_files(folder: Path) -> None:
    """Refuse what is no model folder.

    Raises:
        ModelNotFound: there is no such folder.
        ModelInvalid: a file is missing; weights that are pickled code count as none.
    """
    if not folder.is_dir():
        raise ModelNotFound(f"Expected a model folder at {folder}, and there is none. `genre models list` shows them.")
    missing = [name for name in (CONFIG, PREPROCESSOR) if not (folder / name).is_file()]
    if not any(folder.glob("*.safetensors")):
        missing.append(WEIGHTS)
    if missing:
        pickled = any(folder.glob("*.bin")) or any(folder.glob("*.pt")) or any(folder.glob("*.ckpt"))
        hint = " Pickled weights are never loaded; save them with safe_serialization." if pickled else ""
        raise ModelInvalid(
            f"Expected {CONFIG}, {PREPROCESSOR} and {WEIGHTS} in {folder}; missing: {', '.join(missing)}.{hint}"
        )


@contextmanager
def as_model_invalid(folder: Path) -> Iterator[None]:
    """Whatever is raised while the folder is read, as ModelInvalid with its reason."""
    try:
        yield
    except Exception as error:  # what transformers, safetensors, torch and json raise has no common root
        raise ModelInvalid(
            f"Expected an audio classifier in {folder}, and it could not be read: "
            f"{first_line(str(error) or type(error).__name__)}. Copy or train the model anew."
        ) from error


def is_plain(folder: Path | str) -> bool:
    """Whether the folder holds a network of ours with its front end, and its weights in one file.

    Raises:
        ModelNotFound: there is no such folder.
        ModelInvalid: a file is missing, or its JSON cannot be read.
    """
    folder = Path(folder)
    require_files(folder)
    with as_model_invalid(folder):
        config, preprocessor = read_json(folder / CONFIG), read_json(folder / PREPROCESSOR)
    ours = config.get("model_type") in MODEL_TYPES
    return ours and preprocessor.get("feature_extractor_type") in EXTRACTOR_TYPES and (folder / WEIGHTS).is_file()


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object that a file holds.

    Raises:
        ValueError: it holds something else, or no JSON.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} is no JSON object")
    return content


def is_encoder(config: Mapping[str, Any]) -> bool:
    """Whether a configuration is of a network without classes: one to fine-tune, and not to predict with."""
    if config.get("model_type") in GENERATORS:
        return True
    architectures = config.get("architectures")
    if not isinstance(architectures, list) or not architectures:
        return False
    return not any(str(name).endswith(CLASSIFIERS) for name in architectures)


def require_genres(folder: Path | str) -> None:
    """Refuse to predict with an encoder, before its weights are read.

    Raises:
        ModelNotFound, ModelInvalid: it has no genres, or is no model folder.
    """
    folder = Path(folder)
    require_files(folder)
    with as_model_invalid(folder):
        config = read_json(folder / CONFIG)
    if is_encoder(config):
        raise ModelInvalid(
            f"{folder.resolve().name} is an encoder without genres; fine-tune it first: "
            f"genre finetune --base-model {folder} --data-path MUSIC."
        )


def require_generator(folder: Path) -> None:
    """Refuse to make music with what cannot, before its weights are read.

    Raises:
        ModelNotFound: there is no such folder.
        ModelInvalid: it is no MusicGen, has no tokenizer, or is no model folder.
    """
    require_files(folder)
    with as_model_invalid(folder):
        kind = read_json(folder / CONFIG).get("model_type")
    name = folder.resolve().name
    if kind not in GENERATORS:
        raise ModelInvalid(
            f"{name} is {with_article(str(kind))}, which makes no music; name a MusicGen, such as musicgen "
            "(`genre models download musicgen`)."
        )
    if not any((folder / file).is_file() for file in TOKENIZERS):
        raise ModelInvalid(
            f"{name} has no tokenizer ({' or '.join(TOKENIZERS)}), so it cannot read a prompt; copy it beside "
            f"{CONFIG}, or fetch the model anew."
        )
