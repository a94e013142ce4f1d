"""Which settings of a training contradict each other, and what to do about it, in a sentence each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genre_lib.augmentation import Augmentation

STEPPED = (
    *("learning_rate", "num_epochs", "batch_size", "warmup_steps", "max_warmup_share", "final_learning_rate"),
    *("weight_decay", "ema_decay", "max_clips_per_track", "clips_per_epoch", "augmentation", "mixup", "mixup_share"),
    *("logit_adjustment", "keep", "early_stopping_patience", "gradient_clip", "precision", "eval_steps"),
    *("accumulate", "gradient_checkpointing", "compile", "layer_decay", "unfreeze_every"),
)
"""Fields that say how weights are learned step by step, of which a head that is solved for knows nothing."""

LORA = ("lora_rank", "lora_alpha", "lora_dropout", "lora_targets")
"""Fields that are for ``method='lora'`` alone."""

FULL = ("layer_decay", "unfreeze_every")
"""Fields that are for ``method='full'`` alone."""


SOLVED = ("head_penalty", "start_tags")
"""Fields that are for ``solver='lbfgs'`` alone."""

BESIDE = ("audio_dropout", "features_dropout", "features_learning_rate", "feature_network")
"""Fields that are for features beside the sound, or in its place."""


def idle(parameters: Mapping[str, Any]) -> set[str]:
    """Fields that a training with these parameters does not look at; none where they are those of another notebook."""
    if "init" not in parameters:
        return set()
    solved, method = parameters.get("solver") == "lbfgs", parameters.get("method")
    return {
        *(STEPPED if solved else SOLVED),
        *(LORA if method != "lora" else ()),
        *(FULL if method != "full" else ()),
        *(BESIDE if parameters.get("features") in (None, "none") else ()),
    }


def contradictions(config: Any) -> list[str]:
    """What is wrong with a :class:`genre_lib.training_config.TrainingConfig` whose fields are right each by itself."""
    rules = _of_what_is_learned(config) | _of_methods(config) | _of_the_solver(config) | _of_time_and_place(config)
    return [sentence for sentence, is_broken in rules.items() if is_broken]


def _of_what_is_learned(config: Any) -> dict[str, bool]:
    scratch, with_features = config.init == "scratch", config.features not in (None, "none")
    return {
        "architecture and feature_extractor are for init='scratch'; a base model brings its own.": not scratch
        and bool(config.architecture or config.feature_extractor),
        "base_model and init='scratch' contradict each other; leave one out.": scratch and bool(config.base_model),
        f"freeze={config.freeze!r} needs a base model; with init='scratch' the backbone knows nothing.": scratch
        and config.freeze not in (None, "none"),
        "subclasses='source' shapes the CNN's head; it needs init='scratch'.": not scratch
        and config.subclasses != "none",
        "subclasses='source' is for sound alone; leave features out.": config.subclasses != "none" and with_features,
        "audio_dropout and features_dropout are shares of the same clips, not above 1 together.": (
            config.audio_dropout < 1 < config.audio_dropout + config.features_dropout
        ),
        "source_shares must be above zero together, and none below.": config.source_shares is not None
        and (min(config.source_shares.values(), default=0) < 0 or sum(config.source_shares.values()) <= 0),
    }


def _of_methods(config: Any) -> dict[str, bool]:
    method, lora = config.method, _changed(config, LORA)
    allowed = {"head": (None, "backbone"), "lora": (None,), "full": (None, "none", "norms", "front")}
    head, full = method == "head", _changed(config, FULL)
    idle = _changed(config, ("gradient_checkpointing", "compile"))
    return {
        f"method={method!r} changes a base model; leave it out with init='scratch'.": bool(method)
        and config.init == "scratch",
        f"method={method!r} and freeze={config.freeze!r} contradict each other; leave freeze out.": method is not None
        and config.freeze not in allowed[method],
        f"{' and '.join(lora)} {_are(lora)} for method='lora'.": bool(lora) and method != "lora",
        f"{' and '.join(full)} {_are(full)} for method='full'.": bool(full) and method != "full",
        "method='head' has every clip heard once, as it is; leave augmentation out, or set freeze='backbone' in place "
        "of the method.": head and config.augmentation != Augmentation(),
        "method='head' learns from the sound alone; leave features out.": head
        and config.features not in (None, "none"),
        f"{' and '.join(idle)} {_are(idle)} for layers that learn, and with method='head' they rest.": head
        and bool(idle),
    }


def _of_the_solver(config: Any) -> dict[str, bool]:
    solves, stepped = config.solver == "lbfgs", _stepped(config)
    return {
        "solver='lbfgs' solves for the head alone; set freeze='backbone', or method='head'.": solves
        and config.freeze != "backbone"
        and config.method != "head",
        "solver='lbfgs' finds a head for the sound alone; leave features out.": solves
        and config.features not in (None, "none"),
        f"solver='lbfgs' takes no steps; leave {', '.join(stepped)} out, or learn step by step, as "
        "experiments/finetune_all.yaml does.": solves and bool(stepped),
        "head_penalty and start_tags are for solver='lbfgs'.": not solves
        and (config.head_penalty is not None or bool(config.start_tags)),
    }


def _of_time_and_place(config: Any) -> dict[str, bool]:
    validation = config.evaluation_strategy
    return {
        "evaluation_strategy='steps' needs eval_steps.": validation == "steps" and not config.eval_steps,
        "early_stopping_patience needs validation; evaluation_strategy is 'no'.": validation == "no"
        and config.early_stopping_patience is not None,
        "resume needs run_path, the folder of the run to go on with.": config.resume and not config.run_path,
        "final_learning_rate must not be above learning_rate.": config.final_learning_rate > config.learning_rate,
    }


def _stepped(config: Any) -> list[str]:
    """Fields of :data:`STEPPED` that are not as by default; one epoch is what goes without steps."""
    return [name for name in _changed(config, STEPPED) if name != "num_epochs" or config.num_epochs != 1]


def _changed(config: Any, names: tuple[str, ...]) -> list[str]:
    """Those of the fields that are not as by default."""
    defaults = {name: type(config).model_fields[name].default for name in names}
    return [name for name, value in defaults.items() if getattr(config, name) != value]


def _are(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"
