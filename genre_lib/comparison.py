"""Which of two models is better on the same tracks, by how much, and how surely."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from genre_lib.answers import UNKNOWN, Answers
from genre_lib.errors import RunError
from genre_lib.metrics import Interval, bootstrap_interval, disagreements, mcnemar_exact, paired_bootstrap
from genre_lib.runs import Run

METRICS = "metrics.json"
PREDICTIONS = "predictions.csv"


def compare(answers: Answers, other: Answers | None, seed: int) -> tuple[dict | None, dict[str, Interval]]:
    """The comparison with a base: as it is, and with both asked only for the catalogue's genres.

    The second is the fairer one to a base of many genres, which may name some that the catalogue does not have.
    """
    if other is None:
        return None, {}
    if not len(other.of_catalogue()):
        return {"model": other.name, "tracks": 0, "difference": None}, {}
    both = answers.heard & other.heard
    mine, theirs = answers.right()[both], other.right()[both]
    mine_among = answers.right(answers.of_catalogue())[both]
    theirs_among = other.right(other.of_catalogue())[both]
    content: dict[str, Any] = {
        "model": other.name,
        "tracks": int(both.sum()),
        "accuracy": share_interval(theirs, seed).to_json(),
        "accuracy_restricted": share_interval(theirs_among, seed).to_json(),
        **difference(mine, theirs, seed),
        "restricted": {
            "accuracy": share_interval(mine_among, seed).to_json(),
            **difference(mine_among, theirs_among, seed),
        },
        "not_covered": int((other.targets[both] == UNKNOWN).sum()),
    }
    intervals = {
        f"{other.name}, all its genres": Interval(**content["accuracy"]),
        f"{other.name}, these genres only": Interval(**content["accuracy_restricted"]),
    }
    return content, intervals


def difference(mine: np.ndarray, theirs: np.ndarray, seed: int) -> dict[str, Any]:
    """Accuracy of one minus the other's, from which tracks each has right (bool [tracks]), with interval and p."""
    truth = np.ones(len(mine), dtype=bool)
    better, worse = disagreements(truth, mine, theirs)
    return {
        "difference": paired_bootstrap(truth, mine, theirs, seed=seed).to_json(),
        "better": better,
        "worse": worse,
        "mcnemar_p": mcnemar_exact(better, worse),
    }


def share_interval(right: np.ndarray, seed: int) -> Interval:
    """Share of tracks that are right, from bool [tracks], with its interval."""
    return bootstrap_interval(np.ones(len(right), dtype=bool), right, seed=seed)


def sentence(comparison: Mapping[str, Any] | None) -> str:
    """What a comparison says, in plain words.

    >>> print(sentence({"model": "base", "tracks": 60, "better": 9, "worse": 2, "mcnemar_p": 0.0654,
    ...     "difference": {"value": 7 / 60, "low": 0.03, "high": 0.2}}))
    Against base: better on 9, worse on 2 of 60; difference +11.7 points, 95 % interval +3.0 to +20.0, p = 0.065.
    """
    if comparison is None:
        return "Not compared with another model."
    if comparison.get("difference") is None:
        return f"{comparison['model']} knows none of these genres, so there is nothing to compare."
    points = {end: 100 * value for end, value in comparison["difference"].items()}
    return (
        f"Against {comparison['model']}: better on {comparison['better']}, worse on {comparison['worse']} of "
        f"{comparison['tracks']}; difference {points['value']:+.1f} points, 95 % interval {points['low']:+.1f} to "
        f"{points['high']:+.1f}, p = {comparison['mcnemar_p']:.2g}."
    )


# --- several runs -----------------------------------------------------------------------------------------------------


def read_metrics(runs: Sequence[Run]) -> dict[str, dict[str, Any]]:
    """``metrics.json`` of each run that was evaluated, by the run's id."""
    return {run.id: json.loads(path.read_text("utf-8")) for run in runs if (path := run.path / METRICS).is_file()}


def intervals_of(scores: Mapping[str, Mapping[str, Any]], score: str = "accuracy") -> dict[str, Interval]:
    """The interval of a score by run, from :func:`read_metrics`."""
    return {name: Interval(**found[score]) for name, found in scores.items()}


def compare_pairs(runs: Sequence[Run], seed: int = 0) -> pd.DataFrame:
    """Every pair of evaluated runs, on the tracks that both scored: who is better on how many, and how surely.

    The p values are of one comparison each; the smallest of many pairs is small by chance alone.
    """
    tables = {run.id: _read_predictions(run) for run in runs if (run.path / PREDICTIONS).is_file()}
    rows = [_pair(first, second, tables[first], tables[second], seed) for first, second in combinations(tables, 2)]
    columns = ["first", "second", "tracks", "first_better", "second_better", "difference", "low", "high", "mcnemar_p"]
    return pd.DataFrame([row for row in rows if row is not None], columns=columns)


def _read_predictions(run: Run) -> pd.DataFrame:
    try:
        table = pd.read_csv(
            run.path / PREDICTIONS, usecols=["path", "right"], encoding_errors="surrogateescape"
        ).dropna()
        return table.assign(right=table["right"].astype(str) == "True").set_index("path")
    except ValueError as error:
        raise RunError(
            f"{run.path / PREDICTIONS} is no table of predictions: {error}. Evaluate the run anew."
        ) from error


def _pair(first: str, second: str, one: pd.DataFrame, two: pd.DataFrame, seed: int) -> dict[str, Any] | None:
    both = one.join(two, how="inner", lsuffix="_one", rsuffix="_two")
    if both.empty:
        return None
    result = difference(both["right_one"].to_numpy(), both["right_two"].to_numpy(), seed)
    return {
        **{"first": first, "second": second, "tracks": len(both)},
        **{"first_better": result["better"], "second_better": result["worse"]},
        **{"difference": result["difference"]["value"], **{e: result["difference"][e] for e in ("low", "high")}},
        "mcnemar_p": result["mcnemar_p"],
    }
