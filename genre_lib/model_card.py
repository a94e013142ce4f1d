"""The model card: ``README.md`` in a model's folder, made from its scores and its data.

The front matter is that of the Hugging Face Hub (huggingface.co/docs/hub/model-cards); the sections follow Mitchell et
al., "Model Cards for Model Reporting", FAT* 2019 (arXiv:1810.03993).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from genre_lib.data.generated import generator_of
from genre_lib.registry import source_of
from genre_lib.training_rules import LORA, idle

FILE = "README.md"
TEMPLATES = Path(__file__).parent / "templates"
TEMPLATE = "model_card.md.j2"
RESEARCH_WORDS = ("-nc", "noncommercial", "non-commercial", "research")
"""Parts of a licence's name that forbid commercial use."""

NOT_STATED = "not stated"
DOWNLOADED = re.compile(r"([\w.-]+/[\w.-]+) \((.*)\)")
"""A base that was downloaded, with its licence, among the sources that a model inherits."""


@dataclass(frozen=True)
class Source:
    """What is known of a public set of music: title, where it is from, its licence, and whether trade may use it."""

    title: str
    origin: str
    licence: str
    research_only: bool


SOURCES: dict[str, Source] = {
    "synthetic": Source("Synthetic catalogue", "made by genre_lib.data.synthetic", "MIT, as this package", False),
    "emotify": Source(
        "Emotify",
        "Aljanaki, Wiering and Veltkamp, 2016; audio by Magnatune",
        "CC BY-NC-SA (Magnatune's previews)",
        True,
    ),
    "gtzan": Source(
        "GTZAN genre collection",
        "Tzanetakis and Cook, 2002; splits after the fault-filtered lists; faults in Sturm, arXiv:1306.1461",
        "none: unlicensed commercial recordings, research use only",
        True,
    ),
    "million-song": Source(
        "Million Song Dataset with Last.fm's tags",
        "Bertin-Mahieux et al., 2011; weights by Pons and Serra, 2019, arXiv:1909.06654",
        "weights: ISC, copyright Music Technology Group, Universitat Pompeu Fabra",
        False,
    ),
}
"""Public sets by the name that a catalogue's ``source`` column gives them."""

MADE = Source(
    "Generated clips",
    "made from prompts by {generator}, for training alone",
    "that of the generator's weights (MusicGen's: CC BY-NC 4.0)",
    True,
)


def render(folder: Path, metrics: Mapping[str, Any]) -> str:
    """The card of the model in ``folder``, as Markdown with YAML front matter.

    Args:
        folder: for the model's genres, type and clip length, which are read from ``config.json``.
        metrics: the content of ``metrics.json``; its ``training``, if there, is as :func:`training` has it.
    """
    config = json.loads((Path(folder) / "config.json").read_text("utf-8"))
    hears = "features_source" not in config or config.get("audio") is not None
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(percent=_percent, cell=_cell, points=_points)
    return environment.get_template(TEMPLATE).render(
        front_matter=yaml.safe_dump(front_matter(metrics, config), sort_keys=False, allow_unicode=True).strip(),
        metrics=metrics,
        genres=genres_of(config),
        kind=config.get("model_type", "unknown"),
        base=config.get("base_model"),
        inference=config.get("inference") or {},
        hears=hears,
        needs_files=hears or config["features_source"] != "catalogue",
        features=FEATURES.get(str(config.get("features_source"))),
        per_source=per_source(metrics),
        sources=[_row(name, splits) for name, splits in metrics["data"]["sources"].items()],
        inherited=[_describe(name) for name in metrics["data"]["inherited_sources"]],
        generated=generated_clips(metrics["data"]),
        fair_use=fair_use(metrics["data"]),
        training=metrics.get("training") or {},
    )


FEATURES = {
    "descriptors": "tempo, key, loudness and the other descriptors of the whole track, computed of its sound",
    "catalogue": "Spotify's audio features of the whole track, which whoever asks brings; any may be missing",
}
"""What a model takes beside the sound, by where it is from."""

TRAINING = (
    *("init", "method", "num_epochs", "batch_size", "accumulate", "learning_rate", "warmup_steps", "weight_decay"),
    *("freeze", "solver", "layer_decay", "unfreeze_every", *LORA),
    *("head_penalty", "start_tags", "source_shares"),
    *("class_balance", "label_smoothing", "mixup", "ema_decay", "keep", "seed"),
    *("features", "features_learning_rate"),
)
"""Parameters of the run that a card tells; the run folder holds them all."""


def training(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What of a training run's parameters a card tells; a head that was solved for took no steps. Empty for others."""
    if "init" not in parameters:
        return {}
    named = [name for name in TRAINING if name not in idle(parameters)]
    return {name: parameters[name] for name in named if parameters.get(name) not in (None, {}, [])}


def front_matter(metrics: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """What the Hugging Face Hub reads of a card."""
    scores = [
        {"type": "accuracy", "name": "Track accuracy", "value": round(metrics["accuracy"]["value"], 4)},
        {"type": "f1", "name": "Macro-F1 over tracks", "value": round(metrics["macro_f1"]["value"], 4)},
    ]
    sources = ", ".join(metrics["data"]["sources"])
    result = {
        "task": {"type": "audio-classification", "name": "Music genre classification"},
        "dataset": {"name": sources, "type": "catalogue", "split": metrics["split"]},
        "metrics": scores,
    }
    return {
        **licence(metrics["data"]),
        "library_name": "transformers",
        "pipeline_tag": "audio-classification",
        "tags": ["audio-classification", "music", "music-genre", "genre_lib", str(config.get("model_type", "unknown"))],
        "metrics": ["accuracy", "f1"],
        "model-index": [{"name": metrics["model"], "results": [result]}],
    }


def per_source(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Accuracy on each source by its title, where there are several."""
    found = metrics.get("per_source") or {}
    return {_describe(name).title: score for name, score in found.items()} if len(found) > 1 else {}


def licence(data: Mapping[str, Any]) -> dict[str, str]:
    """The weights' licence: the package's where all audio is free of conditions, else ``other`` and where to read."""
    if fair_use(data)["kind"] == "free":
        return {"license": "mit"}
    return {"license": "other", "license_name": "see-fair-use", "license_link": "#fair-use"}


def fair_use(data: Mapping[str, Any]) -> dict[str, Any]:
    """What the audio's licences allow the model for: ``research``, ``free`` or ``unknown``, and because of which."""
    names = [*data["sources"], *data["inherited_sources"]]
    research = [_describe(name).title for name in names if _describe(name).research_only]
    research += [name for name in data["licences"] if any(word in name.casefold() for word in RESEARCH_WORDS)]
    if research:
        return {"kind": "research", "because": list(dict.fromkeys(research))}
    unknown = [name for name in names if _describe(name) not in SOURCES.values()]
    if unknown and not data["licences"]:
        return {"kind": "unknown", "because": unknown}
    return {"kind": "stated" if data["licences"] else "free", "because": list(data["licences"])}


def generated_clips(data: Mapping[str, Any]) -> int:
    """How many of the train tracks a model made."""
    return sum(splits.get("train", 0) for name, splits in data["sources"].items() if generator_of(name) is not None)


def inherited_sources(base_folder: Path | None) -> list[str]:
    """Names of the sources that a base model, and its own base, learned from; read from its ``metrics.json``.

    Of a base that was downloaded, its repository with its licence, which holds for what is made of it, too.
    """
    if base_folder is None:
        return []
    source = source_of(base_folder)
    downloaded = [f"{source['repo']} ({source.get('licence') or NOT_STATED})"] if "repo" in source else []
    try:
        data = json.loads((Path(base_folder) / "metrics.json").read_text("utf-8"))["data"]
    except (OSError, ValueError, KeyError, TypeError):
        return downloaded
    return sorted({*data.get("sources", {}), *data.get("inherited_sources", []), *downloaded})


def genres_of(config: Mapping[str, Any]) -> list[str]:
    """The model's genres in the order of its logits, from ``config.json``."""
    labels = config.get("id2label") or {}
    return [labels[key] for key in sorted(labels, key=int)]


def _describe(name: str) -> Source:
    generator = generator_of(name)
    if generator is not None:
        return replace(MADE, origin=MADE.origin.format(generator=generator or "a model"))
    known = SOURCES.get(name.split("-")[0] if name.startswith("synthetic") else name)
    if downloaded := DOWNLOADED.fullmatch(name):
        repo, said = downloaded.groups()
        research_only = any(word in said.casefold() for word in RESEARCH_WORDS)
        return Source(f"the data of {repo}", "its card on the hub", f"weights: {said}", research_only)
    return known or Source(name or "unnamed", "a catalogue of the user's own", NOT_STATED, False)


def _row(name: str, splits: Mapping[str, int]) -> dict[str, Any]:
    source = _describe(name)
    counts = {split: splits.get(split, 0) for split in ("train", "valid", "test")}
    return {"title": source.title, "origin": source.origin, "licence": source.licence, **counts}


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _points(share: float) -> str:
    return f"{100 * share:+.1f}"


def _cell(text: object) -> str:
    """Text as a table's cell: no line breaks, no bars, no tags."""
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;")
