"""What is right: what the library says of each track, without a service, and what is wrong about an answer."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file, save_file
from uploads import Upload

from genre_lib.descriptors import analyze_file
from genre_lib.inference import Predictor
from long_load.scene import FIRST, SECOND, Track

FEATURES = ("tempo", "key", "mode", "loudness")

ANALYSED = 4
"""So many of the files are analysed; an analysis costs as much as many predictions."""

TOLERANCE = 0.005
"""Confidences differ by rounding with the tracks that share a pass."""


def make_models(model: Path, place: Path) -> None:
    """The model twice; the second one with the rows of its head, and so its genres, in reverse."""
    for name in (FIRST, SECOND):
        shutil.copytree(model, place / name)
    genres = len(json.loads((model / "config.json").read_text(encoding="utf-8"))["id2label"])
    weights = place / SECOND / "model.safetensors"
    tensors = load_file(weights)
    turned = {n: t[::-1].copy() if n.startswith("classifier.") and len(t) == genres else t for n, t in tensors.items()}
    save_file(turned, weights, metadata={"format": "pt"})


def known(uploads: Sequence[Upload], models: Path, temporary: Path) -> list[Track]:
    """What the library says of each file, without a service."""
    predictors = {name: Predictor.from_folder(models / name) for name in (FIRST, SECOND)}
    place, tracks = temporary / "known.mp3", []
    for number, upload in enumerate(uploads):
        place.write_bytes(upload.content)
        said = {name: predictor.file(place).to_json() for name, predictor in predictors.items()}
        genres = {name: {p["genre"]: p["confidence"] for p in row["predictions"]} for name, row in said.items()}
        described = analyze_file(place).to_json() if number < ANALYSED else None
        features = {name: described[name] for name in FEATURES} if described else None
        tracks.append(Track(upload, said[FIRST]["duration"], genres, features))
    return tracks


def fault_of(said: dict[str, Any], track: Track, models: set[str]) -> str | None:
    """What is wrong about a prediction."""
    name = said["model_name"]
    if name not in models:
        return f"{name} answered, where {' or '.join(sorted(models))} should have"
    right = track.genres[name]
    for shown in said["predictions"]:
        if abs(shown["confidence"] - right[shown["genre"]]) > TOLERANCE:
            return f"{name}: {shown['genre']} {shown['confidence']:.3f}, and not {right[shown['genre']]:.3f}"
    if max(right.values()) - right[said["predictions"][0]["genre"]] > TOLERANCE:
        return f"{name}: {said['predictions'][0]['genre']} came first, and not {max(right, key=lambda g: right[g])}"
    return None if abs(said["duration"] - track.duration) < 0.01 else f"{said['duration']} s, and not {track.duration}"


def fault_of_timeline(said: dict[str, Any]) -> str | None:
    """What is wrong about the parts of a track: they follow one another, from its beginning to its end."""
    parts = said["timeline"]
    gaps = [one["end"] != next_["start"] for one, next_ in itertools.pairwise(parts)]
    whole = parts and parts[0]["start"] == 0 and abs(parts[-1]["end"] - said["duration"]) < 0.1
    return None if whole and not any(gaps) else f"a timeline from {parts[:1]} to {parts[-1:]} of {said['duration']} s"
