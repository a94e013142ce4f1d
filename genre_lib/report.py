"""The evaluation report: one HTML file that needs nothing beside it, to open, mail or keep."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from genre_lib import plots, side_by_side_tables
from genre_lib.training_rules import idle
from genre_lib.wording import counted, number, percent, points

TEMPLATES = Path(__file__).parent / "templates"
TEMPLATE, TEMPLATE_OF_SEVERAL = "report.html.j2", "side_by_side.html.j2"
WORST = 12
"""Most wrong predictions that are listed."""

SIGNIFICANT = 0.05

CAPTIONS = {
    "accuracy": "Share of tracks whose genre is predicted right. The bar holds 95 % of what other tracks like these "
    "would have given.",
    "confusion": "A row is the true genre, a column the predicted one; the numbers are tracks.",
    "reliability": "On the line, a confidence of 80 % is right 8 times in 10. Below it the model is too sure, above it "
    "too modest. Larger dots stand for more tracks; the upright lines hold 95 % of what other tracks would have given.",
    "class_balance": "All tracks of the catalogue, those that were not scored too.",
    "accuracy_against_prediction": "Upright bars hold 95 % of what other tracks like these would have given, level "
    "ones half of the times that were measured. Models that take the same time stand beside each other.",
    "accuracy_against_training": "What the training took, as each model's folder tells it; they may have been trained "
    "on different machines.",
    "learning_curves": "The run that trained this model; scores are of the validation split, at track level.",
}


def render(
    metrics: Mapping[str, Any],
    tracks: pd.DataFrame,
    figures: Mapping[str, plots.Chart],
    parameters: Mapping[str, Any] | None = None,
    beside: Mapping[str, Any] | None = None,
) -> str:
    """The report as HTML. All names and paths in it are escaped.

    Args:
        metrics: the content of ``metrics.json``.
        tracks: a row for each track with ``path``, ``genre``, ``predicted``, ``confidence``, ``right``, ``error``.
        figures: by name; known names have captions.
        parameters: what the run was asked; a table at the end has those that it used.
        beside: of several models: the content of :class:`genre_lib.side_by_side.SideBySide`.
    """
    wrong = tracks[tracks["right"].eq(False)].sort_values("confidence", ascending=False)
    return (
        _environment()
        .get_template(TEMPLATE)
        .render(
            metrics=metrics,
            beside=beside,
            verdict=verdict(metrics["model"], metrics["comparison"]) if _differs(metrics) else "",
            pictures={name: picture(figure) for name, figure in figures.items()},
            captions=CAPTIONS,
            worst=wrong.head(WORST).to_dict("records"),
            wrong=len(wrong),
            failed=tracks[tracks["error"].notna()].to_dict("records"),
            parameters=used(parameters or {}),
        )
    )


def render_side_by_side(
    content: Mapping[str, Any], figures: Mapping[str, plots.Chart], links: Mapping[str, str]
) -> str:
    """The report of several models as HTML.

    Args:
        content: of :class:`genre_lib.side_by_side.SideBySide`.
        links: address of each model's own report, by its name.
    """
    pictures = {name: picture(figure) for name, figure in figures.items()}
    page = _environment().get_template(TEMPLATE_OF_SEVERAL)
    return page.render(beside=content, pictures=pictures, captions=CAPTIONS, links=links)


def _environment() -> Environment:
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    environment.filters.update(percent=percent, points=points, value=plain, number=number, counted=counted)
    environment.globals.update(tables=side_by_side_tables, verdict_of=verdict)
    return environment


def picture(figure: plots.Chart) -> dict[str, Any]:
    """The figure as a PNG inside a ``data:`` address, and the width in CSS pixels (96 an inch) that it is drawn for."""
    address = "data:image/png;base64," + base64.b64encode(figure.print_png).decode()
    return {"address": address, "width": round(96 * figure.get_figwidth())}


def verdict(name: str, comparison: Mapping[str, Any]) -> str:
    """What the interval and the test say together, in one sentence."""
    difference, other = comparison["difference"], comparison["model"]
    if difference["low"] <= 0 <= difference["high"]:
        return "The interval holds zero: these tracks do not tell which of the two is better."
    better, worse = (name, other) if difference["low"] > 0 else (other, name)
    if comparison["mcnemar_p"] < SIGNIFICANT:
        return f"{better} is better than {worse} on tracks like these."
    return f"{better} looks better than {worse}, but so few tracks decide it that chance could."


def plain(value: Any) -> str:
    """A parameter as a person writes it."""
    if value is None or value == "":
        return "–"
    return f"{value:g}" if isinstance(value, float) else str(value)


def used(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What a run was asked, without what is empty or off, and without what it did not look at."""
    unused = idle(parameters)
    said = {name: value for name, value in parameters.items() if name not in unused}
    return {name: value for name, value in said.items() if value is not False and value not in (None, "", {}, [], ())}


def _differs(metrics: Mapping[str, Any]) -> bool:
    return bool(metrics["comparison"] and metrics["comparison"]["difference"])
