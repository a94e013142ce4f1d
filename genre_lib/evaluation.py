"""Score a model on the tracks of a catalogue, and against another model on the same tracks.

Everything here counts tracks, never clips: a track's clips are cut and pooled by the same code that serves it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from genre_lib import __version__, model_card, plots, report
from genre_lib.answers import Answers, answer, display_name, require_something_to_score, telling
from genre_lib.comparison import METRICS, PREDICTIONS, compare
from genre_lib.comparison import sentence as comparison_sentence
from genre_lib.data.catalogue import Catalogue
from genre_lib.data_description import describe_data
from genre_lib.errors import ModelNotFound
from genre_lib.files import write_whole
from genre_lib.inference import load_model
from genre_lib.metrics import Interval, ReliabilityBins
from genre_lib.networks.folder import LoadedModel
from genre_lib.registry import ENCODER, describe, resolve
from genre_lib.runs import Run
from genre_lib.scores import calibrate, not_covered, per_source, scores_of, table_of
from genre_lib.settings import get_settings

ALL_TRACKS = "all"
"""The split that is every track, whatever split it stands in."""


@dataclass(frozen=True)
class Evaluation:
    """Scores of a model on some tracks.

    Args:
        model: the model, with its folder where it has one.
        catalogue: all of it, the tracks that were not scored too.
        tracks: a row for each track of the split: ``path``, ``genre``, ``predicted``, ``confidence``, ``right``,
            ``error`` (None where it could be heard), and ``base_predicted``, ``base_right`` where there was a base.
        metrics: what is written to ``metrics.json``.
        before, after: reliability at temperature 1, and at the model's.
    """

    model: LoadedModel
    catalogue: Catalogue
    tracks: pd.DataFrame
    metrics: dict[str, Any]
    before: ReliabilityBins
    after: ReliabilityBins
    intervals: dict[str, Interval] = field(default_factory=dict)

    @property
    def split(self) -> str:
        return str(self.metrics["split"])

    def summary(self) -> pd.DataFrame:
        """The headline numbers, a row each, for a notebook."""
        shown = {"accuracy": self.metrics["accuracy"], "macro-F1": self.metrics["macro_f1"]}
        return pd.DataFrame(shown).T.rename(columns={"low": "95 % from", "high": "95 % to"})

    def per_genre(self) -> pd.DataFrame:
        """Precision, recall, F1 and number of tracks of each genre."""
        return pd.DataFrame(self.metrics["per_genre"]).T.astype({"support": int})

    def failed(self) -> pd.DataFrame:
        """The tracks that could not be heard, with the reason; they are in no score."""
        return self.tracks.loc[self.tracks["error"].notna(), ["path", "genre", "error"]]

    def errors(self, count: int = 10) -> pd.DataFrame:
        """The wrong predictions that the model was most sure of."""
        wrong = self.tracks[self.tracks["right"].eq(False)].sort_values("confidence", ascending=False)
        return wrong[["path", "genre", "predicted", "confidence"]].head(count)

    def sentence(self) -> str:
        """The comparison with the base in plain words."""
        return comparison_sentence(self.metrics["comparison"])


def evaluate(
    model: LoadedModel | Path | str,
    catalogue: Catalogue,
    split: str | None = None,
    compare_to: LoadedModel | Path | str | None = None,
    run: Run | None = None,
    seed: int = 0,
    *,
    device: str = "auto",
) -> Evaluation:
    """Predict the tracks of a split, and score them.

    Genres are matched by their canonical names. Tracks of a genre that the model does not know count as wrong, and
    ``metrics["not_covered"]`` names them; tracks that cannot be decoded are in no score, and ``metrics["failed"]``
    counts them. Generated tracks are never scored.

    Args:
        split: ``train``, ``valid``, ``test`` or ``all``; if None, test where there is one, else valid, else all.
        compare_to: another model, scored on the same tracks; an encoder without genres, such as the model was
            fine-tuned from, is not compared with.
        run: where the beginning and the end of the evaluation are written as events.
        seed: of the bootstrap.

    Raises:
        CatalogueInvalid: the split is empty, the model knows none of its genres, or no track of it can be decoded.
        ModelNotFound, ModelInvalid: a model cannot be loaded.
    """
    judged = loaded(model)
    base = None if compare_to is None or _has_no_genres(compare_to) else loaded(compare_to)
    split = split or default_split(catalogue)
    chosen = tracks_of(catalogue, split)
    _note(run, "evaluation_started", model=display_name(judged), split=split, tracks=len(chosen))
    answers = answer(judged, chosen, device, telling(run, display_name(judged)))
    require_something_to_score(answers, chosen)
    other = None if base is None else answer(base, chosen, device, telling(run, display_name(base)))
    evaluation = score(judged, catalogue, split, chosen, answers, other, seed)
    _note(run, "evaluation_ended", model=evaluation.metrics["model"], accuracy=evaluation.metrics["accuracy"])
    return evaluation


def tracks_of(catalogue: Catalogue, split: str) -> Catalogue:
    """The tracks of a split, or :data:`ALL_TRACKS`, without generated ones.

    Raises:
        CatalogueInvalid: there are none.
    """
    return (catalogue if split == ALL_TRACKS else catalogue.split(split)).real()


def default_split(catalogue: Catalogue) -> str:
    """Test where there is one, else valid, else all tracks."""
    return next((split for split in ("test", "valid") if split in catalogue.splits), ALL_TRACKS)


def write(
    evaluation: Evaluation,
    *model_folders: Path | None,
    run: Run | None = None,
    beside: Mapping[str, Any] | None = None,
    charts: Mapping[str, plots.Chart] | None = None,
    among: Sequence[str] = (),
) -> None:
    """Keep an evaluation: beside the model, in a run folder, or both.

    Beside the model: ``metrics.json``, and ``README.md`` (its model card, made anew). In the run folder:
    ``metrics.json``, ``predictions.csv``, ``figures/*.png`` and ``report.html``. Each file is replaced whole.

    Args:
        model_folders: only for the catalogue that the model was trained on, for the card says that it was. How it was
            trained is what the run says, or else what was written there before; then the day of the weights stays,
            too, and that of the scores is told beside it.
        beside: of several models, for the report: the content of :class:`genre_lib.side_by_side.SideBySide`.
        charts: further figures by name, for the run.
        among: as in :func:`figures`.
    """
    trained = model_card.training(_parameters(run)) | _costs(run)
    for folder in {Path(folder): None for folder in model_folders if folder is not None}:
        content = evaluation.metrics | ({"training": trained} if trained else _stored(folder, evaluation))
        write_whole(folder / METRICS, _as_json(content))
        write_whole(folder / model_card.FILE, model_card.render(folder, content))
    if run is not None:
        run.prepared()
        write_whole(run.path / METRICS, _as_json(evaluation.metrics))
        write_whole(run.path / PREDICTIONS, evaluation.tracks.to_csv(index=False), "surrogateescape")
        drawn = {**figures(evaluation, run, among), **(charts or {})}
        for name, chart in drawn.items():
            plots.save(chart, run.figures / f"{name}.png")
        page = report.render(evaluation.metrics, evaluation.tracks, drawn, _parameters(run), beside)
        write_whole(run.report, page, "backslashreplace")


def figures(evaluation: Evaluation, run: Run | None = None, among: Sequence[str] = ()) -> dict[str, plots.Chart]:
    """All figures of an evaluation by name, the learning curves among them where the run trained.

    Args:
        among: all models of the report, which colours them alike in all figures; those compared where it is empty.
    """
    confusion, compared = evaluation.metrics["confusion"], evaluation.metrics["comparison"]
    among = among or [evaluation.metrics["model"], *([compared["model"]] if compared else [])]
    scaled = evaluation.metrics["calibration"]["temperature"] != 1.0
    charts = {
        "accuracy": plots.accuracy_intervals(evaluation.intervals, among=among),
        "confusion": plots.confusion_matrix(np.array(confusion["matrix"]), confusion["genres"]),
        "reliability": plots.reliability(evaluation.before, evaluation.after if scaled else None),
        "class_balance": plots.class_balance(evaluation.catalogue.tracks),
    }
    curve = run.history() if run is not None else pd.DataFrame()
    if len(curve) > 1:  # a single epoch, as of a head that was solved for, is no curve
        charts["learning_curves"] = plots.learning_curves(curve, _best_epoch(run))
    return charts


def loaded(model: LoadedModel | Path | str) -> LoadedModel:
    return model if isinstance(model, LoadedModel) else load_model(model)


def _has_no_genres(model: LoadedModel | Path | str) -> bool:
    return not isinstance(model, LoadedModel) and Path(model).is_dir() and describe(Path(model)).kind == ENCODER


def score(
    model: LoadedModel,
    catalogue: Catalogue,
    split: str,
    chosen: Catalogue,
    answers: Answers,
    other: Answers | None,
    seed: int,
) -> Evaluation:
    """Everything that is told of a model, from what it and perhaps another say of the chosen tracks."""
    calibration = calibrate(model, answers, split, seed)
    compared, intervals = compare(answers, other, seed)
    content = {
        "model": answers.name,
        "model_version": model.version,
        "split": split,
        "tracks": int(answers.heard.sum()),
        "failed": int((~answers.heard).sum()),
        "not_covered": not_covered(answers, chosen),
        **scores_of(answers, chosen, seed),
        "per_source": per_source(answers, chosen, seed),
        "calibration": calibration.content,
        "comparison": compared,
        "data": {**describe_data(catalogue), "inherited_sources": _inherited_sources(model)},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "genre_lib_version": __version__,
    }
    intervals = {answers.name: Interval(**content["accuracy"]), **intervals}
    tracks = table_of(answers, other, chosen, model.inference.temperature)
    return Evaluation(model, catalogue, tracks, content, calibration.before, calibration.after, intervals)


def base_of(model_folder: Path | str) -> Path | None:
    """Folder of the model that this one was fine-tuned from, where it is still there."""
    base = describe(Path(model_folder)).base_model
    try:
        return resolve(base, get_settings()) if base else None
    except ModelNotFound:
        return None


def _inherited_sources(model: LoadedModel) -> list[str]:
    """What the model's base had learned from; where neither it nor its weights say it, that it is not known."""
    base = getattr(model.network.config, "base_model", None)
    folder = base_of(model.folder) if base and model.folder is not None else None
    carried = getattr(model.network.config, "trained_on", None) or []
    found = sorted({*model_card.inherited_sources(folder), *carried})
    return found or ([f"the music of {base}"] if base else [])


def _note(run: Run | None, kind: str, **fields: Any) -> None:
    if run is not None:
        run.event(kind, **fields)


def _parameters(run: Run | None) -> dict[str, Any]:
    return {} if run is None else run.parameters()


def _costs(run: Run | None) -> dict[str, Any]:
    """What of its training a run measured: parameters that learned, seconds, memory and speed."""
    result = (run.result() if run is not None else None) or {}
    return result.get("training") or {}


def _stored(folder: Path, evaluation: Evaluation) -> dict[str, Any]:
    """What the model's ``metrics.json`` says of its training and of when it was made, beside when it is scored now."""
    file = folder / METRICS
    known = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    now = evaluation.metrics["created"]
    return {"training": known.get("training", {}), "created": known.get("created", now), "scored": now}


def _best_epoch(run: Run | None) -> int | None:
    result = (run.result() if run is not None else None) or {}
    return result.get("best_epoch")


def _as_json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
