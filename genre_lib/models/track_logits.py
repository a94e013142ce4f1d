"""Logits of clips and of whole tracks, and the scores of these, in training as in serving."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from genre_lib import metrics
from genre_lib.clips import pool
from genre_lib.models.embedding import classify

CLIPS_AT_ONCE = 64
"""Clips that validation gives to the network together, so that long tracks need no more memory than short ones."""


def track_scores(logits: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """Loss, accuracy and macro-F1 of tracks' logits [tracks, classes]."""
    predicted = logits.argmax(1)
    return {
        "valid_loss": metrics.negative_log_likelihood(logits, targets),
        "valid_accuracy": float(metrics.accuracy(targets, predicted)),
        "valid_macro_f1": float(metrics.macro_f1(targets, predicted)),
    }


def parts(batch: dict[str, Any]) -> Iterator[tuple[torch.Tensor, torch.Tensor | None]]:
    """Inputs and, where there are any, features of :data:`CLIPS_AT_ONCE` clips after another."""
    stretches = batch["inputs"] if isinstance(batch["inputs"], list) else [batch["inputs"]]
    inputs = [part for stretch in stretches for part in stretch.split(CLIPS_AT_ONCE)]
    lengths = [len(part) for part in inputs]
    features = batch["features"].split(lengths) if "features" in batch else [None] * len(inputs)
    return zip(inputs, features, strict=True)


def clip_logits(
    network: Any, inputs: torch.Tensor, features: torch.Tensor | None = None, embedded: bool = False
) -> torch.Tensor:
    """What the network says of clips [clips, ...], and of the features beside them: float32 [clips, classes].

    Args:
        embedded: whether the clips are embeddings, to which the head alone is applied.
    """
    if embedded:
        return classify(network, inputs).float()
    beside = {} if features is None else {"features": features}
    return network(**{network.main_input_name: inputs}, **beside).logits.float()


@torch.no_grad()
def track_logits(
    network: PreTrainedModel, tracks: Iterable[dict[str, torch.Tensor]], embedded: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Pooled logits [tracks, classes] and targets [tracks] of whole tracks, as serving would compute them."""
    logits, targets = [], []
    for track in tracks:
        clips = torch.cat([clip_logits(network, *part, embedded) for part in parts(track)])
        logits.append(pool(clips).numpy())
        targets.append(int(track["targets"]))
    return np.stack(logits), np.array(targets)
