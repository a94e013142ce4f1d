"""``genre evaluate``, of one model and of several."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from command_line import is_error

from genre_lib.data.opening import open_catalogue
from genre_lib.evaluation import evaluate as evaluation_of
from genre_lib.evaluation import write


def test_evaluate(genre, synthetic_catalogue: Path, tiny_model: Path, tmp_path: Path):
    outcome = genre(
        "evaluate", "--data-path", synthetic_catalogue, "--compare-to", "tiny", "--output-path", tmp_path / "e"
    )
    assert outcome.code == 0, outcome.err
    assert "accuracy" in outcome.out
    assert "95 % interval" in outcome.out
    assert (tmp_path / "e" / "report.html").is_file()


def test_evaluate_several_side_by_side(genre, synthetic_catalogue: Path, tiny_model: Path, tmp_path: Path):
    other = shutil.copytree(tiny_model, tmp_path / "other")
    asked = ("evaluate", "--data-path", synthetic_catalogue, "--output-path", tmp_path / "e")
    outcome = genre(*asked, "--compare-to", other)
    assert outcome.code == 0, outcome.err
    assert "better on 0, worse on 0" in outcome.out and "ms per 30 s" in outcome.out
    assert "Side by side" in (tmp_path / "e" / "report.html").read_text()
    third = shutil.copytree(tiny_model, tmp_path / "third")
    outcome = genre(*asked, *(word for model in (tiny_model, other, third) for word in ("--model", model)))
    assert outcome.code == 0, outcome.err
    assert "<p>tiny, other, third</p>" in (tmp_path / "e" / "report.html").read_text()


def test_a_score_is_the_model_s_own_only_where_that_is_said(
    genre, synthetic_catalogue: Path, tiny_model: Path, tmp_path: Path
):
    mine = shutil.copytree(tiny_model, tmp_path / "mine")
    music = open_catalogue(synthetic_catalogue)
    write(evaluation_of(mine, music, split="valid", device="cpu"), mine)
    before = (mine / "metrics.json").read_text()
    asked = ("evaluate", "--model", mine, "--data-path", synthetic_catalogue, "--output-path", tmp_path / "e")
    assert genre(*asked, "--split", "test").code == 0
    assert is_error(genre(*asked, "--split", "train", "--record"), 2, "this is one on train")
    assert is_error(genre(*asked, "--model", tiny_model, "--record"), 2, "--record is for the score of one model")
    assert (mine / "metrics.json").read_text() == before
    assert genre(*asked, "--split", "test", "--compare-to", tiny_model, "--record").code == 0
    recorded = json.loads((mine / "metrics.json").read_text())
    assert recorded["split"] == "test"
    assert recorded["comparison"]["model"] == "tiny"
    assert recorded["created"] == json.loads(before)["created"]


def test_evaluate_with_what_cannot_be(genre, synthetic_catalogue: Path, tmp_path: Path):
    assert is_error(genre("evaluate", "--data-path", tmp_path / "absent"), 1, "nothing at")
    assert is_error(genre("evaluate", "--data-path", synthetic_catalogue, "--split", "half"), 2, "--split")
    assert is_error(genre("evaluate", "--data-path", synthetic_catalogue, "--compare-to", "absent"), 1, "no model")
    twice = ("--model", "tiny", "--model", "tiny")
    assert is_error(genre("evaluate", "--data-path", synthetic_catalogue, *twice), 2, "names tiny twice")
