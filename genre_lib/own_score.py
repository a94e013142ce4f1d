"""Which later evaluation may stand beside a model as its own score, where fine-tuning wrote one."""

from __future__ import annotations

from pathlib import Path

from genre_lib.comparison import METRICS
from genre_lib.data.catalogue import Catalogue
from genre_lib.data_description import describe_data, read_digest
from genre_lib.errors import ConfigurationError
from genre_lib.evaluation import default_split

UNHEARD = ("valid", "test")
"""The splits whose tracks a model was not trained on."""


def place_to_record(model_folder: Path, catalogue: Catalogue, split: str | None) -> Path:
    """The model's folder, if a score on these tracks may stand there; asked before the tracks are heard.

    They must be of the catalogue that the model's score is about by now, for its card says that it was trained on it,
    and of a split that it was not trained on.

    Raises:
        ConfigurationError: they are not.
    """
    split = split or default_split(catalogue)
    if split not in UNHEARD:
        raise ConfigurationError(
            f"What is recorded as a model's own score is one on valid or test tracks; this is one on {split}, where "
            "tracks are that it was trained on. Evaluate without record, or choose another split."
        )
    known = read_digest(model_folder / METRICS)
    if known is None:
        raise ConfigurationError(
            f"{model_folder} has no {METRICS} that tells what it was trained on, so no score can be recorded there; "
            "evaluate without record."
        )
    if known != describe_data(catalogue)["digest"]:
        raise ConfigurationError(
            f"The score of {model_folder.name} is about the catalogue that it was trained on, and these tracks are of "
            "another, or split otherwise; evaluate without record, which leaves a report."
        )
    return model_folder
