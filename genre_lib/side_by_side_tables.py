"""A comparison of several models as tables: plain numbers to reckon with, and cells for a person to read.

All functions take the content of ``side_by_side.json``. A table for a person is its columns and its rows of text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from genre_lib.wording import amount, counted, milliseconds, number, percent, points, size, span

Content = Mapping[str, Any]
Table = tuple[list[str], list[list[str]]]

MIB = 2**20
ENDS = {"value": "", "low": "_low", "high": "_high"}


def models_table(content: Content) -> pd.DataFrame:
    """A row for each model, in plain units; what is not known is empty."""
    return pd.DataFrame([_plain_row(row) for row in content["models"]])


def summary(content: Content) -> pd.DataFrame:
    """All that is for a person to read of each model, a column for each, for a notebook."""
    parts = (quality(content), prediction(content), training(content))
    return pd.concat([pd.DataFrame(rows, columns=columns).set_index("Model").T for columns, rows in parts])


def differences(content: Content) -> pd.DataFrame:
    """A row for each model and base, asked for all their genres and for those of the tracks only."""
    columns = ["model", "against", "asked", "tracks", "better", "worse", "difference", "low", "high", "mcnemar_p"]
    rows = [_plain_difference(pair, asked, found) for pair in content["differences"] for asked, found in _asked(pair)]
    return pd.DataFrame(rows, columns=columns)


def quality(content: Content) -> Table:
    """How good each is."""
    columns = ["Model", "Accuracy", "95 % interval", "These genres only", "Macro-F1", "95 % interval", "ECE"]
    rows = [
        [
            row["model"],
            *_share(row["accuracy"]),
            _share(row["accuracy_restricted"])[0],
            *_share(row["macro_f1"]),
            percent(row["calibration_error"]),
        ]
        for row in content["models"]
    ]
    return columns, rows


def prediction(content: Content) -> Table:
    """What each takes to predict, and how large it is."""
    columns = ["Model", "ms per 30 s", "quartiles", "Tracks a second", "Memory", "Parameters", "File"]
    on_gpu = any(row["peak_bytes"] is not None for row in content["models"])
    rows = [
        [
            row["model"],
            *_time(row["milliseconds"]),
            milliseconds(row["tracks_per_second"]),
            size(row["memory_bytes"]),
            *([size(row["peak_bytes"])] if on_gpu else []),
            amount(row["parameters"]),
            size(row["file_bytes"]),
        ]
        for row in content["models"]
    ]
    if on_gpu:
        columns.insert(5, "Peak on the GPU")
    return columns, rows


def training(content: Content) -> Table:
    """What the training of each took; dashes where its folder does not tell it."""
    columns = [
        "Model",
        "Method",
        "Trained numbers",
        "Training time",
        "Training memory",
        "Clips trained a second",
        "Trained on",
    ]
    rows = [[row["model"], *_trained(row["training"])] for row in content["models"]]
    return columns, rows


def paired(content: Content) -> Table:
    """Whether each is better than the base, on the same tracks; one row where both ways to ask give the same."""
    columns = ["Model", "against", "asked for", "better", "worse", "points", "95 % interval", "p"]
    rows = [
        [
            *(str(row[name]) for name in ("model", "against", "asked", "better", "worse")),
            *(points(row["difference"]), f"{points(row['low'])} to {points(row['high'])}", number(row["mcnemar_p"])),
        ]
        for row in (
            _plain_difference(pair, asked, found)
            for pair in content["differences"]
            for asked, found in _asked(pair)[: 1 if pair["difference"] and _same(pair) else 2]
        )
    ]
    return columns, rows


def genres(content: Content) -> Table:
    """F1 of each genre by each model."""
    rows = [
        [genre, *(percent((row["f1"] or {}).get(genre)) for row in content["models"])] for genre in content["genres"]
    ]
    return ["Genre", *(row["model"] for row in content["models"])], rows


def scored(content: Content) -> str:
    """On how many tracks, and of which split."""
    tracks = counted(content["tracks"], "track")
    return f"all {tracks}" if content["split"] == "all" else f"{tracks} of the {content['split']} split"


def measured(content: Content) -> str:
    """How and where the times were measured, in plain words."""
    how = content["measured"]
    where = how["processor"] if how["device"].startswith("cuda") else f"{how['processor']}, {_threads(how['threads'])}"
    return (
        f"Times are of {how['seconds']:.0f} s of decoded sound, front end included and decoding not, at most "
        f"{counted(how['batch_size'], 'clip')} at once: the median of {counted(how['rounds'], 'round')} in which the "
        f"models took turns on the same tracks, after one that was not counted, on {how['device']} ({where}), "
        f"torch {how['torch']}, engine {how['engine']}."
    )


def _threads(count: int) -> str:
    return counted(count, "thread")


def not_comparable(content: Content) -> list[str]:
    """Names of the models that know none of the genres."""
    return [row["model"] for row in content["models"] if row["accuracy"] is None]


def partly(content: Content) -> dict[str, str]:
    """By model, the genres that it does not know, with their number of tracks."""
    return {
        row["model"]: ", ".join(f"{genre} ({counted(tracks, 'track')})" for genre, tracks in row["not_covered"].items())
        for row in content["models"]
        if row["not_covered"]
    }


# --- rows -------------------------------------------------------------------------------------------------------------


def _plain_row(row: Content) -> dict[str, Any]:
    told = row["training"]
    return {
        **{name: row[name] for name in ("model", "version", "kind", "base_model", "is_base", "genres")},
        **_ends("accuracy", row["accuracy"]),
        "accuracy_restricted": (row["accuracy_restricted"] or {}).get("value"),
        **_ends("macro_f1", row["macro_f1"]),
        "calibration_error": row["calibration_error"],
        **_ends("milliseconds", row["milliseconds"]),
        **{name: row[name] for name in ("tracks_per_second", "memory_bytes", "peak_bytes", "parameters", "file_bytes")},
        "method": told["method"],
        "trainable_parameters": told["trainable_parameters"],
        "training_seconds": told["seconds"],
        "training_peak_mib": told["peak_memory_mib"],
        "training_clips_per_second": told["clips_per_second"],
        "training_device": told["device"],
    }


def _ends(name: str, score: Mapping[str, float] | None) -> dict[str, float | None]:
    return {f"{name}{suffix}": (score or {}).get(end) for end, suffix in ENDS.items()}


def _asked(pair: Content) -> list[tuple[str, Content]]:
    """The two ways that the models of a pair are asked; none for a base that knows none of the genres."""
    if pair["difference"] is None:
        return []
    return [("all genres", pair), ("these genres only", pair["restricted"])]


def _same(pair: Content) -> bool:
    """Whether it makes no difference which way they are asked, as with models of the same genres."""
    return all(pair[name] == pair["restricted"][name] for name in ("difference", "better", "worse"))


def _plain_difference(pair: Content, asked: str, found: Content) -> dict[str, Any]:
    return {
        **{"model": pair["model"], "against": pair["against"], "asked": asked, "tracks": pair["tracks"]},
        **{"better": found["better"], "worse": found["worse"], "difference": found["difference"]["value"]},
        **{end: found["difference"][end] for end in ("low", "high")},
        "mcnemar_p": found["mcnemar_p"],
    }


def _share(score: Mapping[str, float] | None) -> list[str]:
    if score is None:
        return ["–", "–"]
    return [percent(score["value"]), f"{percent(score['low'])} to {percent(score['high'])}"]


def _time(found: Mapping[str, float]) -> list[str]:
    return [milliseconds(found["value"]), f"{milliseconds(found['low'])} to {milliseconds(found['high'])}"]


def _trained(told: Content) -> Sequence[str]:
    peak = told["peak_memory_mib"]
    return [
        told["method"] or "–",
        amount(told["trainable_parameters"]),
        span(told["seconds"]),
        size(None if peak is None else peak * MIB),
        milliseconds(told["clips_per_second"]),
        told["device"] or "–",
    ]
