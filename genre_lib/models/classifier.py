"""Training and validating a network on clips, with scores by track: the network's LightningModule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch.nn import functional
from transformers import PreTrainedModel

from genre_lib.clips import pool
from genre_lib.models.augment import LogMelAugment, mixup
from genre_lib.models.head import freeze_backbone, freeze_front, rest_frozen, rest_norms
from genre_lib.models.layers import depths, unfreeze
from genre_lib.models.parameter_groups import layered_groups, learning_rate_factor, parameter_groups
from genre_lib.models.track_logits import clip_logits, parts, track_scores
from genre_lib.networks.fusion import by_member


@dataclass(frozen=True)
class Recipe:
    """How the network learns; the training configuration explains each field."""

    learning_rate: float = 2e-5
    features_learning_rate: float | None = None
    weight_decay: float = 0.01
    warmup_steps: int = 500
    max_warmup_share: float = 0.1
    final_learning_rate: float = 0.0
    mixup: float = 0.0
    mixup_share: float = 1.0
    label_smoothing: float = 0.0
    logit_adjustment: float = 0.0
    freeze: str = "none"
    layer_decay: float = 1.0
    unfreeze_every: int | None = None
    seed: int = 0


class GenreClassifier(LightningModule):
    """A network with its loss, optimizer and scores.

    Args:
        network: any transformers audio classifier.
        recipe: how it learns.
        augment: changes to training inputs; None for none.
        class_weights: weight of each genre's loss [genres]; None for equal ones.
        class_shares: expected share of each genre among training clips [genres], for the logit adjustment.
        subclasses: where training targets are sub-classes of the CNN's (with weights and shares of these), their names.
        embedded: whether inputs are what :func:`genre_lib.models.embedding.embed` made of the clips.
        compiled: whether training steps go through ``torch.compile``; validation, whose batches are of any size, not.
    """

    class_weights: torch.Tensor
    log_prior: torch.Tensor

    def __init__(
        self,
        network: PreTrainedModel,
        recipe: Recipe,
        augment: LogMelAugment | None = None,
        class_weights: np.ndarray | None = None,
        class_shares: np.ndarray | None = None,
        subclasses: Sequence[Any] | None = None,
        embedded: bool = False,
        compiled: bool = False,
    ) -> None:
        super().__init__()
        self.network, self.recipe, self.augment, self.embedded = network, recipe, augment, embedded
        # Beside the network and not in its place, so that its weights keep their names; in a list, so that it is no
        # second child.
        self.stepping: list[Callable] = [torch.compile(network) if compiled else network]
        self.classes: int = len(subclasses) if subclasses else int(network.config.num_labels or 0)
        self.by_subclass = bool(subclasses)
        self.register_buffer("class_weights", _tensor(class_weights, self.classes), persistent=False)
        self.register_buffer("log_prior", _tensor(class_shares, self.classes).clamp(min=1e-6).log(), persistent=False)
        self.validated: list[tuple[np.ndarray, np.ndarray]] = []
        if recipe.freeze == "front":
            freeze_front(network)
        if recipe.freeze == "backbone":
            freeze_backbone(network)
        self.resting = {name for name, parameter in self.named_parameters() if not parameter.requires_grad}
        self.depths = depths(network) if recipe.unfreeze_every else {}
        self.most_depth = max(self.depths.values(), default=0)
        self.depths = {name: depth for name, depth in self.depths.items() if f"network.{name}" not in self.resting}

    def forward(self, inputs: torch.Tensor, features: torch.Tensor | None = None) -> torch.Tensor:
        """Features of clips [clips, ...], and of their tracks [clips, 13] → logits [clips, classes]."""
        network = self.stepping[0] if self.training else self.network
        return clip_logits(network, inputs, features, self.embedded)

    def subclass_logits(self, inputs: torch.Tensor) -> torch.Tensor:
        """The CNN's outputs before sub-classes are added up [clips, sub-classes]."""
        return self.network.subclass_logits(inputs).float()  # type: ignore[operator]

    def on_train_epoch_start(self) -> None:
        # Each epoch draws its own noise from its number, so that a resumed run goes on as if it had never stopped.
        seed = hash((self.recipe.seed, self.current_epoch, self.global_rank))
        torch.manual_seed(seed % 2**63)
        np.random.seed(seed % 2**32)  # by which HuBERT and wav2vec 2.0 choose the frames that they mask
        if self.recipe.unfreeze_every:
            unfreeze(self.network, self.depths, self.most_depth, self.current_epoch, self.recipe.unfreeze_every)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leave out what never learns: the base model has it."""
        for part in ("state_dict", "current_model_state"):  # the second is beside an average of the weights
            for name in self.resting & set(checkpoint.get(part, ())):
                del checkpoint[part][name]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        own = self.state_dict()
        for part in ("state_dict", "current_model_state"):
            if part in checkpoint:
                checkpoint[part] = {name: own[name] for name in self.resting} | checkpoint[part]

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        self.to_learn()  # Lightning leaves a network that was loaded to predict in evaluation mode

    def to_learn(self) -> None:
        """Put the network into the mode for a step: what rests does not drop anything out, and counts nothing."""
        self.network.train()
        rest_frozen(self.network)
        if self.recipe.freeze in ("norms", "front"):
            rest_norms(self.network)

    def training_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
        inputs, targets = batch["inputs"], functional.one_hot(batch["targets"], self.classes).float()
        with torch.no_grad():
            inputs = self.augment(inputs) if self.augment else inputs
            inputs, targets = mixup(inputs, targets, self.recipe.mixup, self.recipe.mixup_share)
        # A clip that mixup has blended keeps the features of its larger part.
        logits = self.subclass_logits(inputs) if self.by_subclass else self(inputs, batch.get("features"))
        loss = self.loss(logits, targets)
        self.log("train_loss", loss.detach(), on_step=False, on_epoch=True, batch_size=len(inputs), sync_dist=True)
        return loss

    def loss(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Cross entropy of logits [clips, classes] or [clips, members, classes] with targets [clips, classes].

        It is smoothed and weighted, and each member learns by itself.

        Adding the logarithm of the genres' shares to the logits, in training alone, keeps the frequent ones from
        winning by being frequent (Menon et al. 2021, arXiv:2007.07314).
        """
        logits, targets = by_member(logits, targets)
        adjusted = logits + self.recipe.logit_adjustment * self.log_prior
        return functional.cross_entropy(
            adjusted, targets, weight=self.class_weights, label_smoothing=self.recipe.label_smoothing
        )

    def validation_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> None:
        logits = torch.cat([self(*part) for part in parts(batch)])
        pooled = [pool(logits[batch["tracks"] == row]) for row in batch["tracks"].unique_consecutive()]
        self.validated.append((torch.stack(pooled).cpu().numpy(), batch["targets"].cpu().numpy()))

    def on_validation_epoch_end(self) -> None:
        logits, targets = self._gathered()
        self.validated.clear()
        for name, value in track_scores(logits, targets).items():
            self.log(name, value, rank_zero_only=False, sync_dist=False)

    def groups(self) -> list[dict[str, Any]]:
        """The parameters that learn, for an optimizer."""
        recipe = self.recipe
        if recipe.layer_decay < 1:
            return layered_groups(self.network, recipe.weight_decay, recipe.learning_rate, recipe.layer_decay)
        return parameter_groups(self.network, recipe.weight_decay, recipe.features_learning_rate)

    def configure_optimizers(self) -> Any:
        # In one pass over the weights, where torch can; 16-mixed must scale the gradients before they are clipped.
        fused = self.device.type in ("cpu", "cuda") and self.trainer.precision != "16-mixed"
        optimizer = torch.optim.AdamW(self.groups(), lr=self.recipe.learning_rate, fused=fused)
        optimizer._step_supports_amp_scaling = False  # so Lightning clips, as it may here
        total = int(self.trainer.estimated_stepping_batches)
        warmup = min(self.recipe.warmup_steps, int(total * self.recipe.max_warmup_share))
        final = self.recipe.final_learning_rate / self.recipe.learning_rate
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: learning_rate_factor(step, warmup, total, final)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _gathered(self) -> tuple[np.ndarray, np.ndarray]:
        """Track logits [tracks, classes] and targets [tracks] of all processes."""
        parts = self.validated
        if self.trainer.world_size > 1:
            everyone: list[list] = [[] for _ in range(self.trainer.world_size)]
            torch.distributed.all_gather_object(everyone, parts)
            parts = [part for each in everyone for part in each]
        return np.concatenate([logits for logits, _ in parts]), np.concatenate([targets for _, targets in parts])


def inverse_frequency(targets: np.ndarray, classes: int) -> np.ndarray:
    """Weight of each genre that makes all count the same [classes]; a track's mean weight is one."""
    counts = np.bincount(targets, minlength=classes)
    return len(targets) / (np.count_nonzero(counts) * np.maximum(counts, 1))


def _tensor(values: np.ndarray | None, classes: int) -> torch.Tensor:
    return torch.ones(classes) if values is None else torch.as_tensor(values, dtype=torch.float32)
