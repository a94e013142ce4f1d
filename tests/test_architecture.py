"""The shape of the package, read from its sources: who may import whom, and through which door the outside enters."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "genre_lib"

ROWS: list[set[str]] = [
    {
        "augmentation",
        "wording",
        "working_ahead",
        "errors",
        "files",
        "claim",
        "short_names",
        "imports",
        "settings",
        "labels",
        "api_keys",
        "memory",
        "taxonomy",
        "weights",
    }
    | {"predictions", "prompts", "sampling", "audioset", "engines.names"},
    {"analysis", "analysis.*", "clips", "cache", "doubts", "hub", "remote_files", "outputs", "models_path"}
    | {"audio", "audio_durations", "audio_mixing", "audio_opening"},
    {
        *("data.catalogue", "data.catalogue_folder", "data.catalogue_source", "data.catalogue_table", "data.tags"),
        *("data.check", "data.check_findings", "data.check_hearing", "data.check_report"),
        *("data.spellings", "data.splits", "data.fingerprint", "data.generated", "data.opening"),
        *("data.synthetic", "data.synthetic_sounds", "data.synthetic_tracks"),
        "networks.*",
        *("engines", "engines.engine", "engines.machine", "engines.report", "engines.compiled", "engines.making"),
        *("engines.torch_engine", "engines.openvino_engine", "engines.openvino_library", "engines.quantising"),
        *("models", "models.logmel", "models.cnn", "models.augment", "models.folder", "models.head"),
        *(
            "models.embedding",
            "models.of_labels",
            "models.parameter_groups",
            "models.track_logits",
            "models.quiet",
            "models.untrained",
        ),
        *("models.adapters", "models.layers"),
        "models.probe",
        *(
            "models.fusion",
            "models.generator",
            "models.musicgen",
            "models.musicnn",
            "models.musicnn_weights",
            "models.tensorflow_checkpoint",
        ),
        *("calibration", "described_files", "descriptors", "doubtful_labels", "metrics"),
        *("plots.*", "spotify", "spotify.*"),
    },
    {
        *("data.features", "data.track_features", "data.embeddings", "data.feature_table", "data.soundless"),
        "data.datamodule",
        *("models.classifier", "beside_sound", "decoded_files", "inference"),
        *("runs", "registry", "pretrained", "download"),
        *("generation", "data.fill"),
    },
    {
        *("engines.clips", "engines.tuning"),
        "training",
        "training_embeddings",
        "training_features",
        "training_inputs",
        "training_network",
        "training_outputs",
        "training_probe",
        "training_run",
        "training_scratch",
        "training_config",
        "training_batch",
        "training_costs",
        "training_hardware",
        "training_rules",
        "training_bases",
        "training_defaults",
        "training_callbacks",
        "evaluation",
        "own_score",
        "scores",
        "data_description",
        "review",
        "comparison",
        "costs",
        "side_by_side",
        "side_by_side_models",
        "side_by_side_tables",
        "answers",
        "explore",
        "listening",
        "report",
        "model_card",
    },
    {
        "jobs",
        "job_folder",
        "job_library",
        "job_music",
        "job_process",
        "job_progress",
        "job_request",
        "job_runner",
        "job_standing",
        "job_store",
        "notebook_events",
        "notebook_failure",
        "notebook_papermill",
        "notebook_process",
        "service.*",
    },
    {"__main__", "cli.*", "demo"},
]

DOORWAYS: dict[str, set[str]] = {
    "av": {"audio", "audio_durations", "audio_mixing", "audio_opening"},
    "fastapi": {"service.*"},
    "fastapi_offline": {"service.docs"},
    "httpcore": {"service.connections", "service.fetch"},
    "huggingface_hub": {"hub"},
    "librosa": {"descriptors"},
    "lightning": {
        "data.datamodule",
        "models.classifier",
        "training",
        "training_batch",
        "training_callbacks",
        "training_run",
    },
    "limits": {"service.rate_counter", "service.rates"},
    "litserve": {"service.*"},
    "matplotlib": {"plots.*"},
    "mutagen": {"data.tags"},
    "nncf": {"engines.openvino_library"},
    "openvino": {"engines.openvino_library"},
    "papermill": {"notebook_papermill"},
    "peft": {"models.adapters"},
    "prometheus_client": {"service.*"},
    "pydantic_settings": {"settings"},
    "pyloudnorm": {"analysis.loudness"},
    "rapidfuzz": {"spotify.*"},
    "requests": {"spotify.*"},
    "rich": {"cli.*", "demo"},
    "seaborn": {"plots.chart"},
    "spotipy": {"spotify.*"},
    "starlette": {"service.*"},
    "torchaudio": {"audio", "models.*"},
    "transformers": {"models.*"},
    "typer": {"cli.*"},
    "wandb": {"training"},
}


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


SOURCES = {module_name(path): path for path in PACKAGE.rglob("*.py")}
MODULES = sorted(name for name in SOURCES if name not in {"", "data", "service"})


def matches(module: str, pattern: str) -> bool:
    return module == pattern or (pattern.endswith(".*") and f"{module}.".startswith(pattern[:-1]))


def row(module: str) -> int | None:
    return next((i for i, names in enumerate(ROWS) if any(matches(module, name) for name in names)), None)


@cache
def imports(module: str) -> list[tuple[str, int]]:
    """Every module that the source names, inside functions too, with its line."""
    found = []
    for node in ast.walk(ast.parse(SOURCES[module].read_text())):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found += [
                (node.module, node.lineno),
                *((f"{node.module}.{alias.name}", node.lineno) for alias in node.names),
            ]
    return found


def own_imports(module: str) -> set[tuple[str, int]]:
    named = {(name.removeprefix("genre_lib."), line) for name, line in imports(module) if name.startswith("genre_lib.")}
    return {(name, line) for name, line in named if name in SOURCES and name not in {"data", "service", module}}


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_its_row(module: str):
    assert row(module) is not None, f"give genre_lib.{module} a row in ROWS: the lowest number that its imports allow"


@pytest.mark.parametrize("module", MODULES)
def test_modules_import_from_their_own_row_or_above(module: str):
    own = row(module)
    wrong = [f"line {line}: {name}" for name, line in own_imports(module) if row(name) > own]
    assert not wrong, f"genre_lib.{module} (row {own}) reaches down to {wrong}; move the shared part up a row"


def test_no_two_modules_import_each_other():
    graph = {module: {name for name, _ in own_imports(module)} for module in MODULES}

    def reaches(start: str, goal: str, seen: frozenset[str] = frozenset()) -> bool:
        return any(n == goal or (n not in seen and reaches(n, goal, seen | {n})) for n in graph.get(start, ()))

    assert not [module for module in MODULES if reaches(module, module)]


@pytest.mark.parametrize("library", sorted(DOORWAYS))
def test_libraries_enter_through_their_doorway(library: str):
    users = {m for m in MODULES if any(name.split(".")[0] == library for name, _ in imports(m))}
    strays = {m for m in users if not any(matches(m, door) for door in DOORWAYS[library])}
    assert not strays, f"{library} enters through {sorted(DOORWAYS[library])} only; call those from {sorted(strays)}"


def test_only_the_download_command_reaches_a_model_hub():
    ways = {name: {m for m in MODULES if name in {n for n, _ in own_imports(m)}} for name in ("hub", "download")}
    assert ways == {"hub": {"pretrained", "download", "cli.download"}, "download": {"cli.download"}}, (
        "models are fetched by `genre models download` alone; all else works without a network"
    )


def test_relative_imports_are_not_used():
    relative = [
        f"{module}:{node.lineno}"
        for module in MODULES
        for node in ast.walk(ast.parse(SOURCES[module].read_text()))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert not relative, "write the full module name"


def loaded_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; print('\\n'.join(sorted({{m.split('.')[0] for m in sys.modules}})))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_serving_loads_nothing_of_training():
    loaded = loaded_by("import genre_lib.service.app, genre_lib.service.api, genre_lib.inference, genre_lib.registry")
    assert "litserve" in loaded
    assert not loaded & {"lightning", "pytorch_lightning", "wandb", "papermill", "matplotlib", "seaborn"}


def test_the_worker_loads_no_transformers():
    worker = ("batch", "loading", "model_cache", "prediction_cache")  # beside inference: what GenreAPI.load imports
    loaded = loaded_by(f"import genre_lib.inference, {', '.join(f'genre_lib.service.{name}' for name in worker)}")
    assert "torch" in loaded
    assert not loaded & {"transformers", "lightning", "torchaudio", "sympy", "scipy", "pandas", "matplotlib", "librosa"}


def test_scoring_and_exploring_load_nothing_of_training():
    loaded = loaded_by("import genre_lib.evaluation, genre_lib.side_by_side, genre_lib.explore")
    assert {"torch", "matplotlib"} <= loaded
    assert not loaded & {"transformers", "lightning", "torchaudio", "sympy", "wandb", "papermill"}


def test_the_package_itself_loads_nothing():
    assert not loaded_by("import genre_lib") & {"torch", "numpy", "transformers", "pydantic"}


def test_there_is_no_utils():
    assert not [name for name in SOURCES if {"utils", "helpers", "common", "misc"} & set(name.split("."))]
