"""Which models stand side by side where none are named, and what each is called there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from genre_lib.answers import UNKNOWN, display_name, match_genres
from genre_lib.data.catalogue_source import SYNTHETIC
from genre_lib.evaluation import base_of
from genre_lib.networks.folder import LoadedModel
from genre_lib.registry import describe
from genre_lib.runs import Run


def music_of(runs: Sequence[Run]) -> str | list[str]:
    """What the newest run trained on, or ``synthetic`` where none did. The newest is the first."""
    return next(
        (run.parameters()["data_path"] for run in _trained(runs) if run.parameters().get("data_path")), SYNTHETIC
    )


def _trained(runs: Sequence[Run]) -> list[Run]:
    return [run for run in runs if (run.model / "config.json").is_file()]


def of_runs(runs: Sequence[Run], most: int = 4) -> list[Path]:
    """Folders of the models of the newest runs on the same music, the oldest first, after the newest one's base.

    A base that knows none of the genres, as an encoder knows none at all, is left out.

    Args:
        runs: the newest first.
        most: models, the base not counted.
    """
    trained = _trained(runs)
    music = [run.parameters().get("data_path") for run in trained]
    models = [run.model for run, path in zip(trained, music, strict=True) if path == music[0]][:most]
    base = base_of(models[0]) if models else None
    known = match_genres(describe(base).genres, describe(models[0]).genres) if base else {}
    first = [base] if base and max(known.values(), default=UNKNOWN) != UNKNOWN else []
    return [*first, *reversed(models)]


def distinct_names(models: Sequence[LoadedModel]) -> list[str]:
    """A name for each model; where two have the same, with the folder that it lies in."""
    names = [display_name(model) for model in models]
    counts = Counter(names)
    long = [
        f"{model.folder.resolve().parent.name}/{name}" if counts[name] > 1 and model.folder else name
        for model, name in zip(models, names, strict=True)
    ]
    counts = Counter(long)
    return [f"{name} ({number})" if counts[name] > 1 else name for number, name in enumerate(long, 1)]
