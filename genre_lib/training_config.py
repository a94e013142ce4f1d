"""What a training run may be told, each field with its help, and the checks between them in one place."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from genre_lib.augmentation import Augmentation
from genre_lib.errors import ConfigurationError
from genre_lib.training_rules import STEPPED, contradictions

__all__ = ["SCORES", "STEPPED", "TrainingConfig", "load_experiment", "nearest"]

SCORES = ("valid_macro_f1", "valid_accuracy", "valid_loss")


class TrainingConfig(BaseModel):
    """Settings of :func:`genre_lib.training.fit`. The defaults fine-tune the starter model on the user's own music.

    Raises:
        ConfigurationError: a field is unknown or out of range, or two contradict each other; names it, what came, and
            for an unknown one the nearest name.
    """

    model_config = ConfigDict(extra="forbid", protected_namespaces=(), allow_inf_nan=False)

    # What is trained, on what, and where it goes
    base_model: str | None = Field(None, description="Model to start from, by name or folder; none: MODEL_PATH's.")
    init: Literal["pretrained", "scratch"] = Field("pretrained", description="Start from base_model, or from nothing.")
    data_path: str | list[str] | None = Field(
        None, description="Folder or CSV of music, several of these, or 'synthetic'; none: FINE_TUNE_DATA_PATH."
    )
    output_path: str | None = Field(None, description="Folder to put the finished model in, beside the run's own copy.")
    overwrite: bool = Field(False, description="Whether a model that stands at output_path already is replaced.")
    run_path: str | None = Field(None, description="The run's folder; none: a new one below RUNS_PATH.")
    name: str | None = Field(None, description="Name of the run in its folder's name; none: that of output_path.")
    resume: bool = Field(False, description="Go on after the last whole epoch of the run in run_path.")

    # How long and how fast
    learning_rate: float = Field(2e-5, gt=0, le=1, description="Highest learning rate of AdamW.")
    num_epochs: int = Field(10, ge=1, le=100_000, description="Epochs to train; early stopping may end sooner.")
    batch_size: int = Field(16, ge=1, le=65_536, description="Clips in a batch, on each device.")
    accumulate: int = Field(1, ge=1, le=65_536, description="Batches whose gradients make one step together.")
    warmup_steps: int = Field(500, ge=0, description="Steps over which the learning rate rises from zero.")
    max_warmup_share: float = Field(
        0.1, ge=0, le=1, description="Share of all steps that the warm-up may take at most, so that short runs learn."
    )
    final_learning_rate: float = Field(0.0, ge=0, description="Learning rate that the cosine ends on.")
    weight_decay: float = Field(
        0.01, ge=0, le=1, description="AdamW's weight decay, on tensors of two or more dimensions."
    )
    gradient_clip: float | None = Field(5.0, gt=0, description="Largest norm of the gradients; none: not bounded.")
    method: Literal["head", "lora", "full"] | None = Field(
        None,
        description="Way to fine-tune: the head alone, on what the network heard of each clip once ('head'), small "
        "matrices beside those of the attention ('lora'), or all layers ('full'); none: as freeze says.",
    )
    freeze: Literal["none", "norms", "front", "backbone"] | None = Field(
        None,
        description="What rests: batch norms' statistics ('norms'), with them the first layers, which cost most of the "
        "time ('front'), or all but the head ('backbone'); left out: as method says, and nothing without one.",
    )
    solver: Literal["adamw", "lbfgs"] = Field(
        "adamw",
        description="How weights are found: step by step, or, for freeze='backbone' and method='head', the head at "
        "once ('lbfgs'), from each track as a whole.",
    )
    head_penalty: float | None = Field(
        None,
        gt=0,
        description="How strongly solver='lbfgs' holds the head to where it starts; none: as does best on tracks of "
        "other artists in cross-validation.",
    )
    start_tags: dict[str, list[str]] = Field(
        {},
        description="Tags of a base model that tells tags, from which solver='lbfgs' lets a genre start, where they "
        "are others than that of its name.",
    )
    lora_rank: int = Field(8, ge=1, le=1024, description="Rank of LoRA's matrices.")
    lora_alpha: float | None = Field(
        None, gt=0, description="LoRA's matrices count lora_alpha / lora_rank times; none: twice lora_rank."
    )
    lora_dropout: float = Field(
        0.05, ge=0, lt=1, description="Share of what LoRA's matrices are given that is dropped."
    )
    lora_targets: list[str] | None = Field(
        None, min_length=1, description="Names of the layers LoRA stands beside; none: queries and values."
    )
    layer_decay: float = Field(
        1.0, gt=0, le=1, description="A layer's learning rate as a share of the next one's, for method='full'."
    )
    unfreeze_every: int | None = Field(
        None, ge=1, description="Epochs after which one more layer learns, from the last one back; none: all at once."
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Share of the target spread over all genres.")
    ema_decay: float | None = Field(
        None, gt=0, lt=1, description="Validate and save a moving average of the weights with this decay; none: off."
    )

    # What an epoch is
    clip_seconds: float | None = Field(
        None, ge=0.1, le=600, description="Length of a clip; none: the base model's, or 3."
    )
    hop_seconds: float | None = Field(
        None, ge=0.1, le=600, description="From a clip's start to the next's in validation; none: a clip's length."
    )
    max_clips_per_track: int = Field(20, ge=1, description="Most random clips of a track in an epoch.")
    clips_per_epoch: int | None = Field(None, ge=1, description="Clips in an epoch; none: as many as fit the tracks.")
    class_balance: Literal["none", "sampler", "loss"] = Field(
        "none", description="Make genres count the same, by drawing them equally often or by weights in the loss."
    )
    source_shares: dict[str, float] | None = Field(
        None, description="Share of the clips from each of the catalogue's sources; implies the balanced sampler."
    )
    subclasses: Literal["none", "source"] = Field(
        "none",
        description="Learn a genre of several sources as a sub-class each, added up to predict; from scratch only.",
    )
    logit_adjustment: float = Field(
        0.0, ge=0, le=2, description="Strength of the logit adjustment by genre frequency; 1 is its full form."
    )
    augmentation: Augmentation = Field(Augmentation(), description="Changes to the CNN's log-mels in training.")
    mixup: float = Field(0.0, ge=0, le=10, description="Alpha of mixup's Beta distribution; 0: off.")
    mixup_share: float = Field(1.0, ge=0, le=1, description="Share of the clips that mixup blends.")

    # Features of the whole track, beside its sound
    features: Literal["none", "descriptors", "catalogue", "auto"] | None = Field(
        None,
        description="Features to learn from beside the sound: descriptors computed of it, the catalogue's columns by "
        "Spotify's names, or those where there are any, else descriptors ('auto'); left out: as the base model.",
    )
    audio_dropout: float = Field(
        0.25, ge=0, le=1, description="Share of the clips learned by their features alone; 1: a model without sound."
    )
    features_dropout: float = Field(0.25, ge=0, le=1, description="Share of the clips learned by their sound alone.")
    features_learning_rate: float | None = Field(
        None, gt=0, le=1, description="Highest learning rate of the network over the features; none: learning_rate."
    )
    feature_network: dict[str, Any] = Field(
        {}, description="Of the network over the features: width, depth, members, dropout, one_dropout."
    )

    # A network from scratch
    architecture: dict[str, Any] = Field(
        {},
        description="For init='scratch': fields of the network's configuration, and its model_type, which is genre_cnn "
        "where none is named, or audio-spectrogram-transformer, hubert or wav2vec2.",
    )
    feature_extractor: dict[str, Any] = Field({}, description="Fields of its feature extractor, for init='scratch'.")
    normalize: Literal["model", "data"] | None = Field(
        None,
        description="Whose mean and deviation AST's filterbank is brought by: the base model's, or the train tracks'; "
        "none: the train tracks' with init='scratch', else the base model's.",
    )

    # When to look, and what to keep
    evaluation_strategy: Literal["epoch", "steps", "no"] = Field(
        "epoch", description="When to validate: after every epoch, every eval_steps steps, or never."
    )
    eval_steps: int | None = Field(
        None, ge=1, description="Steps between validations, for evaluation_strategy='steps'."
    )
    keep: Literal["valid_macro_f1", "valid_accuracy", "valid_loss", "last"] = Field(
        "valid_macro_f1",
        description="Which weights are kept: the best by a score of the validation tracks, or the last.",
    )
    early_stopping_patience: int | None = Field(
        None,
        ge=1,
        description="Validations without a better score of the kind in keep, or the same with a lower loss, after "
        "which to stop; none: off.",
    )

    # Where and how it runs
    seed: int = Field(0, ge=0, lt=2**31, description="Seed of splits, draws, augmentation and initial weights.")
    precision: Literal["32-true", "bf16-mixed", "16-mixed", "auto"] = Field(
        "32-true", description="Lightning's precision; 'auto': bf16-mixed where the hardware multiplies in it."
    )
    gradient_checkpointing: bool = Field(
        False, description="Compute layers anew on the way back instead of keeping what they gave: less memory, slower."
    )
    compile: bool = Field(False, description="Compile the network's steps with torch.compile: minutes at the start.")
    accelerator: str = Field("auto", description="Lightning's accelerator: auto, cpu, gpu, mps …")
    devices: int | str | list[int] = Field("auto", description="Lightning's devices: a number, a list, or auto.")
    num_nodes: int = Field(1, ge=1, description="Machines that train together, for example under torchrun.")
    strategy: str = Field("auto", description="Lightning's strategy: auto, ddp, fsdp …")
    num_workers: int = Field(0, ge=0, le=128, description="Processes that load clips; 0 is fastest for log-mels.")
    cache_path: str | None = Field(None, description="Folder of computed features; none: CACHE_PATH.")
    cache_max_bytes: int | None = Field(None, ge=0, description="Bound of that folder; none: CACHE_MAX_BYTES.")
    strict: bool = Field(False, description="Refuse a catalogue in which its check finds an error.")
    wandb: bool = Field(False, description="Log to Weights & Biases too; offline unless WANDB_MODE says online.")
    progress: bool | None = Field(None, description="Show a progress bar; none: in a terminal.")

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise ConfigurationError(" ".join(_explain(fault) for fault in error.errors())) from None

    @property
    def monitor(self) -> str:
        """The score that early stopping watches, and by which weights are kept."""
        return self.keep if self.keep != "last" else "valid_loss"

    @property
    def mode(self) -> Literal["min", "max"]:
        """Which way the monitored score gets better."""
        return "min" if self.monitor == "valid_loss" else "max"

    @property
    def without_sound(self) -> bool:
        """Whether the catalogue's columns are all that is learned from, so that no file has to be there."""
        return self.features == "catalogue" and self.audio_dropout == 1

    @model_validator(mode="after")
    def _consistent(self) -> TrainingConfig:
        broken = contradictions(self)
        if broken:
            raise ValueError(" ".join(broken))
        return self


def load_experiment(path: Path | str) -> dict[str, Any]:
    """Fields of an experiment file, as they are given to the notebook or to :class:`TrainingConfig`.

    Raises:
        ConfigurationError: there is no such file, or it holds no mapping.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"Expected an experiment file at {path}: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The experiment file {path} is no YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ConfigurationError(f"Expected lines like 'num_epochs: 10' in {path}, and got {type(content).__name__}.")
    return {name: _number(value) for name, value in content.items()}


def nearest(name: str, known: list[str]) -> str:
    """A hint at the name that was meant, or the known ones."""
    begin_so = [other for other in known if other.startswith(name)]
    close = begin_so or difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(sorted(known))}."


def _explain(fault: Any) -> str:
    """One fault of pydantic's as a sentence."""
    place = ".".join(map(str, fault["loc"]))
    if fault["type"] == "extra_forbidden":
        known = Augmentation.model_fields if fault["loc"][0] == "augmentation" else TrainingConfig.model_fields
        return f"Unknown field {place}; {nearest(str(fault['loc'][-1]), list(known))}"
    if fault["type"] == "value_error":
        return str(fault["ctx"]["error"])
    return f"{place}: {fault['msg'].lower()}, and is {fault['input']!r}."


def _number(value: Any) -> Any:
    """YAML 1.1 reads ``1e-3`` as text; here it is the number that was meant."""
    if isinstance(value, dict):
        return {name: _number(inner) for name, inner in value.items()}
    if isinstance(value, str) and "e" in value.lower() and value.strip()[:1] in "+-.0123456789":
        try:
            return float(value)
        except ValueError:
            return value
    return value
