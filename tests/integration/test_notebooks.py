"""Every notebook runs as it stands, and as a job leaves the numbers that it promises."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from genre_lib.jobs import notebook_parameters, run_notebook
from genre_lib.models.folder import load
from genre_lib.settings import REPOSITORY
from genre_lib.training import TrainingConfig

NOTEBOOKS = REPOSITORY / "notebooks"
NAMES = sorted(path.name for path in NOTEBOOKS.glob("*.ipynb"))

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def workplace(tmp_path, tiny_model, monkeypatch) -> Path:
    """Models, runs and caches below ``tmp_path``; the starter is a small random network."""
    places = {"MODELS_PATH": "models", "RUNS_PATH": "runs", "CACHE_PATH": "cache", "MPLCONFIGDIR": "matplotlib"}
    for variable, folder in places.items():
        monkeypatch.setenv(variable, str(tmp_path / folder))
    monkeypatch.setenv("MODEL_PATH", str(tiny_model))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def cells(name: str, kind: str) -> list[Any]:
    return [cell for cell in nbformat.read(NOTEBOOKS / name, as_version=4).cells if cell.cell_type == kind]


def result(run: Path) -> dict[str, Any]:
    return json.loads((run / "result.json").read_text())


@pytest.mark.parametrize("name", NAMES)
def test_notebooks_are_thin(name):
    """Parameters first, no functions or classes, no outputs, the result last."""
    code = cells(name, "code")
    assert code[0].metadata.get("tags") == ["parameters"]
    assert not [cell for cell in code if cell.outputs or cell.execution_count]
    assert not [cell.source for cell in code if re.search(r"^\s*(async |def |class )", cell.source, re.MULTILINE)]
    assert "write_result(" in code[-1].source
    assert max(len(cell.source.splitlines()) for cell in code[2:]) <= 10


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_has_its_help(name):
    for parameter in notebook_parameters(NOTEBOOKS / name).values():
        assert parameter["help"], f"{name}: write '# what it does' behind {parameter['name']}"
        assert parameter["inferred_type_name"] != "None", f"{name}: give {parameter['name']} a type"


def test_finetune_has_every_field_of_the_configuration_with_its_default():
    cell = cells("02_finetune.ipynb", "code")[0].source
    values: dict[str, Any] = {}
    exec(cell, values)
    fields = {name: values[name] for name in TrainingConfig.model_fields}
    assert TrainingConfig(**fields) == TrainingConfig(data_path="synthetic")
    assert set(notebook_parameters(NOTEBOOKS / "02_finetune.ipynb")) >= set(TrainingConfig.model_fields)


def test_all_run_with_their_defaults(workplace):
    """In their own folder, as in Jupyter."""
    options = ["--nbval-lax", "--nbval-cell-timeout=600", "-q", "-p", "no:cacheprovider", "--timeout=0"]
    command = [sys.executable, "-m", "pytest", *options, *(str(NOTEBOOKS / name) for name in NAMES)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=NOTEBOOKS, env=dict(os.environ), check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert len(list((workplace / "runs").glob("*/result.json"))) == len(NAMES)


def test_finetune_evaluate_and_compare_as_jobs(workplace, tiny_model):
    run = workplace / "runs" / "first"
    parameters = {"num_epochs": 2, "learning_rate": 0.003, "run_path": str(run), "output_path": str(workplace / "mine")}
    events: list[dict[str, Any]] = []
    run_notebook(NOTEBOOKS / "02_finetune.ipynb", parameters, run / "notebook.ipynb", on_event=events.append)
    assert [event["epoch"] for event in events if event["kind"] == "epoch_ended"] == [1, 2]
    trained = result(run)
    assert trained["status"] == "completed"
    assert trained["evaluation"]["split"] == "valid"
    assert trained["evaluation"]["accuracy"]["value"] == pytest.approx(trained["metrics"]["valid_accuracy"])
    assert trained["evaluation"]["comparison"]["model"] == tiny_model.name
    assert (run / "report.html").is_file() and (workplace / "mine" / "README.md").is_file()
    assert load(workplace / "mine").genres == load(run / "model").genres

    scored = workplace / "runs" / "second"
    parameters = {"model": str(workplace / "mine"), "compare_to": str(tiny_model), "run_path": str(scored)}
    before = json.loads((workplace / "mine" / "metrics.json").read_text())
    run_notebook(NOTEBOOKS / "03_evaluate.ipynb", parameters, scored / "notebook.ipynb")
    assert json.loads((workplace / "mine" / "metrics.json").read_text()) == before
    run_notebook(NOTEBOOKS / "03_evaluate.ipynb", parameters | {"record": True}, scored / "notebook.ipynb")
    own = json.loads((workplace / "mine" / "metrics.json").read_text())
    assert own.pop("training")["solver"] == "adamw"  # as the first run had it, which the second cannot know
    assert own.pop("created") == before["created"]
    assert own | {"created": own.pop("scored")} == result(scored)["evaluation"]
    assert own["split"] == "test"
    assert sum(map(sum, own["confusion"]["matrix"])) == own["tracks"]

    compared = workplace / "runs" / "third"
    run_notebook(NOTEBOOKS / "04_compare_runs.ipynb", {"run_path": str(compared)}, compared / "notebook.ipynb")
    assert set(result(compared)["evaluated"]) == {"first", "second"}
    beside = result(compared)["side_by_side"]  # of the first run, the only one that trained, and of its base
    assert [row["model"] for row in beside["models"]] == [tiny_model.name, "first"]
    assert beside["models"][1]["accuracy"] == own["accuracy"]
    assert (compared / "report.html").is_file() and (compared / "side_by_side.csv").is_file()
