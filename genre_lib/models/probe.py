"""A linear probe: the head of a frozen network, solved at once on whole tracks instead of learned clip by clip.

A track's logits are the mean of its clips', and the head is linear, so that they are the head's answer to the mean of
the clips' embeddings. On these means, one for each track, the head is a logistic regression: a convex problem with one
solution, which L-BFGS finds in a second. It is held to where it starts (L2-SP: Li et al., "Explicit inductive bias for
transfer learning with convolutional networks", ICML 2018, arXiv:1802.01483), which is worth much where a genre has few
tracks and the base model has heard of it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.model_selection import StratifiedGroupKFold
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from genre_lib.models import embedding
from genre_lib.models.head import last_layer

PENALTIES = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
"""What :func:`best_penalty` chooses among."""

DEFAULT_PENALTY = 100.0
"""Where there are too few tracks to choose by."""

FOLDS = 5
START_SPREAD = 3.0
"""Standard deviation over the tracks, in nats, that logits of tags start with: 2 and 3 do alike, 1 is too timid."""

CLIPS_AT_ONCE = 32
"""Clips that go through the network together."""

DEAD = 1e-4
"""A number of the embedding that varies less than this, beside the largest, says nothing, and gets no weight."""


@dataclass(frozen=True)
class Head:
    """A linear layer: ``weight`` [classes, dim] and ``bias`` [classes]."""

    weight: torch.Tensor
    bias: torch.Tensor

    @classmethod
    def of(cls, network: PreTrainedModel) -> Head:
        """A copy of the network's, in double precision."""
        layer = last_layer(network)[1]
        bias = torch.zeros(layer.out_features) if layer.bias is None else layer.bias
        return cls(layer.weight.detach().cpu().double(), bias.detach().cpu().double())

    def put_into(self, network: PreTrainedModel) -> None:
        """Make it the network's."""
        layer = last_layer(network)[1]
        with torch.no_grad():
            layer.weight.copy_(self.weight)
            layer.bias.copy_(self.bias)

    def logits(self, embeddings: torch.Tensor) -> torch.Tensor:
        """[tracks, dim] → [tracks, classes]."""
        return embeddings @ self.weight.T + self.bias


@dataclass(frozen=True)
class Examples:
    """What a head is solved on: ``embeddings`` [tracks, dim] in double precision, genre ids and weights [tracks]."""

    embeddings: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor

    def __getitem__(self, rows: np.ndarray) -> Examples:
        return Examples(self.embeddings[rows], self.targets[rows], self.weights[rows])

    def moments(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Weighted mean and standard deviation of the embeddings [dim]; infinite where they say nothing."""
        mean, std = self.spread(self.embeddings)
        return mean, torch.where(std > DEAD * std.max(), std, torch.inf)

    def spread(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Weighted mean and standard deviation over the tracks of values [tracks, dim]."""
        shares = (self.weights / self.weights.sum())[:, None]
        mean = (values * shares).sum(0)
        return mean, ((values - mean).square() * shares).sum(0).sqrt()


@torch.no_grad()
def embed(network: PreTrainedModel, tracks: Iterable[torch.Tensor], device: torch.device | str) -> torch.Tensor:
    """The mean over its clips of what the head is given, of each track's inputs [clips, ...]: [tracks, dim]."""

    def heard(inputs: torch.Tensor) -> torch.Tensor:
        given = embedding.embed(network, {network.main_input_name: inputs.to(device)})
        return embedding.last_inputs(network, given).double().cpu()

    return torch.stack([torch.cat([heard(part) for part in inputs.split(CLIPS_AT_ONCE)]).mean(0) for inputs in tracks])


def started(head: Head, examples: Examples) -> Head:
    """A tagger's rows as a start for genres: every logit with mean 0 and the spread ``START_SPREAD`` over the tracks.

    A rare tag's logits lie far below those of a common one, and say yes all the same where they are least low. A row of
    zeros, for a genre that no tag stands for, stays so.
    """
    mean, std = examples.spread(head.logits(examples.embeddings))
    scale = torch.where(std > 0, START_SPREAD / std, 0.0)
    return Head(head.weight * scale[:, None], (head.bias - mean) * scale)


def solve(examples: Examples, start: Head, penalty: float, label_smoothing: float = 0.0) -> Head:
    """The head with the least loss: the weighted sum of the tracks' cross-entropies, and what holds it to its start.

    That is half of ``penalty`` times the squared distance of the weights from ``start``, for embeddings that are scaled
    to a standard deviation of 1; biases are free.
    """
    mean, std = examples.moments()
    inputs = (examples.embeddings - mean) / std
    first = start.logits(examples.embeddings)
    change = torch.zeros_like(start.weight, requires_grad=True)
    shift = torch.zeros_like(start.bias, requires_grad=True)
    optimizer = torch.optim.LBFGS([change, shift], max_iter=300, tolerance_grad=1e-6, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        logits = first + inputs @ change.T + shift
        each = cross_entropy(logits, examples.targets, reduction="none", label_smoothing=label_smoothing)
        total = (examples.weights * each).sum() + 0.5 * penalty * change.square().sum()
        total.backward()
        return total

    optimizer.step(loss)
    weight = start.weight + change.detach() / std
    return Head(weight, start.bias + shift.detach() - (weight - start.weight) @ mean)


def split_by_group(
    targets: np.ndarray, groups: np.ndarray, count: int, seed: int = 0
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rows to solve on and rows left out, ``count`` times: no group in both, genres in shares as equal as can be."""
    by_group = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")  # which is for the caller to tell
        return list(by_group.split(np.zeros(len(targets)), targets, groups))


def best_penalty(
    examples: Examples, groups: Sequence[int] | np.ndarray, start: Head, label_smoothing: float = 0.0, seed: int = 0
) -> tuple[float, dict[float, float]]:
    """The penalty with the least loss on tracks of other artists, and the loss of each.

    Args:
        groups: [tracks]; those of a number, such as an artist's, are left out together.

    Returns:
        ``DEFAULT_PENALTY`` and nothing, where some genre has tracks of one group alone.
    """
    groups, targets = np.asarray(groups), examples.targets.numpy()
    count = min(FOLDS, *(len(set(groups[targets == genre])) for genre in set(targets.tolist())))
    if count < 2:
        return DEFAULT_PENALTY, {}
    parts = split_by_group(targets, groups, count, seed)
    losses = {
        penalty: sum(_loss_on(examples, train, rest, start, penalty, label_smoothing) for train, rest in parts)
        / float(examples.weights.sum())
        for penalty in PENALTIES
    }
    return min(losses, key=lambda penalty: losses[penalty]), losses


def _loss_on(
    examples: Examples, train: np.ndarray, rest: np.ndarray, start: Head, penalty: float, label_smoothing: float
) -> float:
    """Weighted sum of the cross-entropies of tracks that the head was not solved on."""
    held = examples[rest]
    logits = solve(examples[train], start, penalty, label_smoothing).logits(held.embeddings)
    return float((held.weights * cross_entropy(logits, held.targets, reduction="none")).sum())
