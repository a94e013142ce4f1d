"""Which models are taken of which runs, and their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from genre_lib.models.folder import load, save
from genre_lib.runs import Run
from genre_lib.side_by_side_models import distinct_names, music_of, of_runs


@pytest.fixture
def trained(tiny_model: Path, tmp_path: Path, monkeypatch):
    """Makes a run that trained a model from ``base`` on some music."""
    monkeypatch.setenv("MODELS_PATH", str(tmp_path / "models"))
    save(load(tiny_model), tmp_path / "models" / "base")

    def make(name: str, data_path: str | None, base: str | None = "base") -> Run:
        run = Run.create(tmp_path / "runs", name)
        run.write_parameters({"data_path": data_path})
        model = load(tiny_model)
        model.network.config.base_model = base
        save(model, run.model)
        return run

    return make


def test_the_newest_on_the_same_music_and_their_base(trained, tmp_path):
    a, b, c, other = (trained(name, path) for name, path in (("a", "x"), ("b", "x"), ("c", "x"), ("other", "y")))
    empty = Run.create(tmp_path / "runs", "evaluate")
    runs = [empty, c, other, b, a]
    assert of_runs(runs, most=2) == [tmp_path / "models" / "base", b.model, c.model]
    assert music_of(runs) == "x"
    alone = trained("alone", "x", base=None)
    assert of_runs([alone]) == [alone.model]


def test_a_base_that_knows_none_of_the_genres_is_no_base(trained, tmp_path):
    run = trained("a", "x")
    base = load(tmp_path / "models" / "base")
    base.network.config.id2label = {i: f"LABEL_{i}" for i in base.network.config.id2label}
    save(base, tmp_path / "models" / "base")
    assert of_runs([run]) == [run.model]


def test_no_runs(tmp_path):
    assert of_runs([]) == [] and music_of([Run.create(tmp_path, "evaluate")]) == "synthetic"


def test_names_are_told_apart(tiny_model, tmp_path):
    model = load(tiny_model)
    places = [tmp_path / "one" / "mine", tmp_path / "two" / "mine", tmp_path / "two" / "other"]
    models = [save(model, place) for place in places]
    assert distinct_names(models) == ["one/mine", "two/mine", "other"]
    deep = [save(model, tmp_path / top / "same" / "mine") for top in ("x", "y")]
    assert distinct_names(deep) == ["same/mine (1)", "same/mine (2)"]
