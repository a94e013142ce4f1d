"""Several models on the same tracks: how good each is, whether it is better than the base, and what it costs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from genre_lib import __version__, costs, evaluation, plots, report
from genre_lib.answers import Answers, answer_by, require_something_to_score, telling
from genre_lib.comparison import compare, share_interval
from genre_lib.data.catalogue import Catalogue
from genre_lib.engines.names import FLOAT32
from genre_lib.errors import CatalogueInvalid, ConfigurationError
from genre_lib.evaluation import Evaluation
from genre_lib.files import write_whole
from genre_lib.inference import Predictor
from genre_lib.metrics import Interval
from genre_lib.networks.folder import LoadedModel
from genre_lib.registry import describe
from genre_lib.runs import Run
from genre_lib.side_by_side_models import distinct_names
from genre_lib.side_by_side_tables import differences, models_table, summary

JSON, CSV, DIFFERENCES = "side_by_side.json", "side_by_side.csv", "differences.csv"
EACH = "models"
"""Folder in the run's, with one for each model that was scored, where there are several."""

TRAINING = ("method", "trainable_parameters", "seconds", "peak_memory_mib", "clips_per_second", "device")
"""What a model's ``metrics.json`` says of its training, where it was trained by a version that wrote it down."""

PAIRED = ("difference", "better", "worse", "mcnemar_p")
COSTS = {"prediction": "time to predict 30 s of music (ms)", "training": "time of training (s)"}
"""What models can be drawn against, and what the axis says."""


@dataclass(frozen=True)
class SideBySide:
    """Several models on the same tracks.

    Args:
        evaluations: of each model that was scored, against the first base.
        content: what is written to ``side_by_side.json``.
    """

    evaluations: list[Evaluation]
    content: dict[str, Any]

    def table(self) -> pd.DataFrame:
        """A row for each model, numbers in plain units; empty where something is not known."""
        return models_table(self.content)

    def summary(self) -> pd.DataFrame:
        """The same for a person, a column for each model."""
        return summary(self.content)

    def differences(self) -> pd.DataFrame:
        """A row for each model and each base, the accuracy of the one minus that of the other."""
        return differences(self.content)

    def figures(self) -> dict[str, plots.Chart]:
        """Accuracy against the time of prediction, and against that of training where two models tell it."""
        charts = {"accuracy_against_prediction": self.figure("prediction")}
        if len(self.points("training")) > 1:
            charts["accuracy_against_training"] = self.figure("training")
        return charts

    def figure(self, cost: str = "prediction") -> plots.Chart:
        """Accuracy against a cost: that of ``prediction``, or of ``training``."""
        return plots.score_against_cost(self.points(cost), COSTS[cost], among=_names(self.content))

    def points(self, cost: str = "prediction") -> list[plots.Point]:
        """The models whose score and cost are known.

        Raises:
            ConfigurationError: the cost is neither ``prediction`` nor ``training``.
        """
        if cost not in COSTS:
            raise ConfigurationError(f"The cost is {' or '.join(COSTS)}, and is {cost!r}.")
        return list(_points(self.content["models"], cost))


def side_by_side(
    models: Sequence[LoadedModel | Path | str],
    catalogue: Catalogue,
    split: str | None = None,
    compare_to: Sequence[LoadedModel | Path | str] = (),
    run: Run | None = None,
    seed: int = 0,
    *,
    device: str = "auto",
    rounds: int = costs.ROUNDS,
) -> SideBySide:
    """Score models on the tracks of a split, each against each base, and measure what they take to predict.

    Every model answers for the same tracks; those that one of them cannot hear are in nobody's score. A base that
    knows none of the genres has no score.

    Args:
        models: those that are scored.
        compare_to: the bases; if none, the first of the models is the base of the others.
        split, run, seed, device: as in :func:`genre_lib.evaluation.evaluate`.
        rounds: of timing.

    Raises:
        ConfigurationError: there is no model, or one stands twice.
        CatalogueInvalid: the split is empty, a model knows none of its genres, or no track of it can be decoded.
        ModelNotFound, ModelInvalid: a model cannot be loaded.
    """
    bases, scored = _sides(models, compare_to)
    split = split or evaluation.default_split(catalogue)
    chosen = evaluation.tracks_of(catalogue, split)
    together = [*bases, *scored]
    named = zip(together, distinct_names(together), strict=True)
    rivals = [_answering(model, name, chosen, split, device, run) for model, name in named]
    for rival in rivals[len(bases) :]:
        require_something_to_score(rival.answers, chosen)
    heard_by_all(rivals)
    for number, rival in enumerate(rivals):
        rival.score = _score(rival, rivals[0] if number >= len(bases) else None, catalogue, split, chosen, seed)
    content = {"split": split, **_content(rivals, len(bases), chosen, seed, rounds)}
    return SideBySide([rival.score for rival in rivals[len(bases) :] if rival.score], content)


def write(found: SideBySide, run: Run) -> None:
    """Keep a comparison in a run folder: ``report.html``, the tables as JSON and CSV, and the figures.

    Of one model that was scored, the report is its own, with the comparison in it, and its ``metrics.json`` and
    ``predictions.csv`` lie there, too. Of several, each has a folder below ``models/``.
    """
    run.prepared()
    write_whole(run.path / JSON, json.dumps(found.content, indent=2, ensure_ascii=False) + "\n")
    write_whole(run.path / CSV, found.table().to_csv(index=False))
    write_whole(run.path / DIFFERENCES, found.differences().to_csv(index=False))
    if len(found.evaluations) == 1:
        only, names = found.evaluations[0], _names(found.content)
        evaluation.write(only, run=run, beside=found.content, charts=found.figures(), among=names)
        return
    charts = {"accuracy": plots.accuracy_intervals(_intervals(found.content)), **found.figures()}
    for name, chart in charts.items():
        plots.save(chart, run.figures / f"{name}.png")
    links = {}
    for each in found.evaluations:
        own = Run(run.path / EACH / str(each.metrics["model"]).replace("/", "-"))
        evaluation.write(each, run=own.prepared(), among=_names(found.content))
        links[str(each.metrics["model"])] = own.report.relative_to(run.path).as_posix()
    write_whole(run.report, report.render_side_by_side(found.content, charts, links))


# --- steps ------------------------------------------------------------------------------------------------------------


@dataclass
class _Rival:
    """One of the models, what it says of the tracks, and how good that is."""

    model: LoadedModel
    predictor: Predictor
    answers: Answers
    score: Evaluation | None = None


def _sides(
    models: Sequence[LoadedModel | Path | str], compare_to: Sequence[LoadedModel | Path | str]
) -> tuple[list[LoadedModel], list[LoadedModel]]:
    """The bases, and the models that are scored against them."""
    given = [*compare_to, *models]
    if not given:
        raise ConfigurationError("There are no models to put side by side; name one at least.")
    loaded = [evaluation.loaded(model) for model in given]
    folders = Counter(model.folder.resolve() for model in loaded if model.folder)
    twice = next((folder for folder, times in folders.items() if times > 1), None)
    if twice:
        raise ConfigurationError(f"{twice.name} ({twice}) is named twice; a model stands beside others once.")
    bases = max(1, len(compare_to))
    return loaded[:bases], loaded[bases:]


def _answering(model: LoadedModel, name: str, chosen: Catalogue, split: str, device: str, run: Run | None) -> _Rival:
    if run is not None:
        run.event("evaluation_started", model=name, split=split, tracks=len(chosen))
    predictor = Predictor(model, device=device, engine=FLOAT32)
    return _Rival(model, predictor, answer_by(predictor, name, chosen, telling(run, name)))


def heard_by_all(rivals: Sequence[_Rival]) -> None:
    """Leave out the tracks that one of the models could not hear, so that all are scored on the same.

    Raises:
        CatalogueInvalid: none is left.
    """
    errors = [
        next((error for error in reasons if error is not None), None)
        for reasons in zip(*(rival.answers.errors for rival in rivals), strict=True)
    ]
    if all(errors):
        raise CatalogueInvalid(f"There is no track that every one of the models can hear; the first: {errors[0]}")
    for rival in rivals:
        rival.answers = replace(rival.answers, errors=errors)


def _score(
    rival: _Rival, base: _Rival | None, catalogue: Catalogue, split: str, chosen: Catalogue, seed: int
) -> Evaluation | None:
    if not len(rival.answers.of_catalogue()):
        return None
    other = None if base is None else base.answers
    return evaluation.score(rival.model, catalogue, split, chosen, rival.answers, other, seed)


def _content(rivals: Sequence[_Rival], bases: int, chosen: Catalogue, seed: int, rounds: int) -> dict[str, Any]:
    """Everything but the split, and the costs measured."""
    heard, predictors = rivals[0].answers.heard, [rival.predictor for rival in rivals]
    taken = costs.measure(predictors, chosen.tracks["path"][heard].tolist(), rounds)
    return {
        "tracks": int(heard.sum()),
        "failed": int((~heard).sum()),
        "genres": chosen.genres,
        "models": [_row(rival, number < bases, taken[number], seed) for number, rival in enumerate(rivals)],
        "differences": _differences(rivals, bases, seed),
        "measured": costs.conditions(predictors, taken),
        "seed": seed,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "genre_lib_version": __version__,
    }


def _row(rival: _Rival, base: bool, cost: costs.Cost, seed: int) -> dict[str, Any]:
    info = describe(rival.model.folder) if rival.model.folder else None
    told = info.metrics.get("training") if info else None
    told = told if isinstance(told, Mapping) else {}
    return {
        "model": rival.answers.name,
        "version": rival.model.version,
        "kind": getattr(rival.model.network.config, "model_type", "unknown"),
        "base_model": info.base_model if info else None,
        "is_base": base,
        "genres": len(rival.answers.genres),
        **_scores(rival, seed),
        "training": {name: told.get(name) for name in TRAINING},
        **cost.to_json(),
    }


def _scores(rival: _Rival, seed: int) -> dict[str, Any]:
    """What the tables tell of a model's answers; None everywhere where it knows none of the genres."""
    if rival.score is None:
        return dict.fromkeys(("accuracy", "accuracy_restricted", "macro_f1", "calibration_error", "f1", "not_covered"))
    answers, found = rival.answers, rival.score.metrics
    among = answers.right(answers.of_catalogue())[answers.heard]
    return {
        "accuracy": found["accuracy"],
        "accuracy_restricted": share_interval(among, seed).to_json(),
        "macro_f1": found["macro_f1"],
        "calibration_error": found["calibration"]["ece_after"],
        "f1": {genre: score["f1"] for genre, score in found["per_genre"].items() if score["support"]},
        "not_covered": found["not_covered"],
    }


def _differences(rivals: Sequence[_Rival], bases: int, seed: int) -> list[dict[str, Any]]:
    pairs = ((one.answers, base.answers) for base in rivals[:bases] for one in rivals[bases:])
    return [{"model": one.name, "against": base.name, **_difference(one, base, seed)} for one, base in pairs]


def _difference(one: Answers, base: Answers, seed: int) -> dict[str, Any]:
    """The comparison of two, without what the row of each tells already."""
    content, _ = compare(one, base, seed)
    assert content is not None
    return {name: content.get(name) for name in ("tracks", *PAIRED, "restricted")}


def _points(rows: Sequence[Mapping[str, Any]], cost: str) -> Iterator[plots.Point]:
    for row in rows:
        seconds = row["training"]["seconds"]
        if row["accuracy"] is None or (cost == "training" and not seconds):
            continue
        score, time = Interval(**row["accuracy"]), row["milliseconds"]
        if cost == "training":
            yield plots.Point(row["model"], float(seconds), score)
        else:
            yield plots.Point(row["model"], time["value"], score, (time["low"], time["high"]))


def _names(content: Mapping[str, Any]) -> list[str]:
    return [row["model"] for row in content["models"]]


def _intervals(content: Mapping[str, Any]) -> dict[str, Interval | None]:
    return {row["model"]: Interval(**row["accuracy"]) if row["accuracy"] else None for row in content["models"]}
