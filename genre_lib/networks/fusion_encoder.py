"""The small network over a track's features: several that share their weights, and differ in scales."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from genre_lib.networks.fusion_features import FEATURES, KEY, KEYS, MEASURED, MODE, MODES


class MemberLinear(nn.Module):
    """A linear layer with scales and a bias for each member: [..., members or 1, inputs] → [..., members, outputs].

    The weight is shared, after BatchEnsemble (Wen, Tran and Ba 2020, arXiv:2002.06715) as TabM has it for tables
    (Gorishniy, Kotelnikov and Babenko 2024, arXiv:2410.24210).
    """

    def __init__(self, members: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.before = nn.Parameter(torch.empty(members, inputs))
        self.after = nn.Parameter(torch.empty(members, outputs))
        self.bias = nn.Parameter(torch.empty(members, outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x * self.before, self.weight) * self.after + self.bias


class FeatureEncoder(nn.Module):
    """Features [batch, 13], NaN where missing → each member's embeddings [batch, members, width].

    Args:
        edges: bins' edges of each measured feature; one without them is never looked at.
        dropout: share of each layer's outputs dropped in training.
    """

    def __init__(self, edges: Mapping[str, list[float]], width: int, depth: int, members: int, dropout: float) -> None:
        super().__init__()
        self.edges = {name: edges[name] for name in MEASURED if name in edges}  # a file may have them in another order
        bins = sum(len(cuts) - 1 for cuts in self.edges.values())
        inputs = bins + KEYS + MODES + KEYS * MODES + len(FEATURES) + 1
        sizes = [inputs, *[width] * depth]
        self.layers = nn.ModuleList([MemberLinear(members, *pair) for pair in pairwise(sizes)])
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: torch.Tensor, audio_known: torch.Tensor) -> torch.Tensor:
        hidden = torch.cat([self.encode(features), audio_known[:, None].to(features.dtype)], 1)[:, None]
        for layer in self.layers:
            hidden = self.dropout(functional.relu(layer(hidden)))
        return hidden

    def encode(self, features: torch.Tensor) -> torch.Tensor:
        """Features [batch, 13] → numbers from 0 to 1 [batch, inputs - 1]; zeros where one is missing."""
        known = features.isfinite() & torch.tensor(self.looked_at, device=features.device)
        values = features.nan_to_num(0.0, 0.0, 0.0)
        measured = [
            piecewise_linear(values[:, place], cuts) * known[:, place, None]
            for place, cuts in ((FEATURES.index(name), cuts) for name, cuts in self.edges.items())
        ]
        key, mode = (
            functional.one_hot(values[:, place].long().clamp(0, kinds - 1), kinds) * known[:, place, None]
            for place, kinds in ((KEY, KEYS), (MODE, MODES))
        )
        both = (key[:, :, None] * mode[:, None]).flatten(1)
        return torch.cat([*measured, key, mode, both, known], 1)

    @property
    def looked_at(self) -> list[bool]:
        """Which of the features the network has learned from [13]."""
        return [name in self.edges or place in (KEY, MODE) for place, name in enumerate(FEATURES)]


def piecewise_linear(values: torch.Tensor, edges: list[float]) -> torch.Tensor:
    """Values [batch] → how much of each bin lies below them, 0 to 1: [batch, len(edges) - 1].

    The piecewise linear encoding of Gorishniy, Rubachev and Babenko, "On Embeddings for Numerical Features in Tabular
    Deep Learning" (2022, arXiv:2203.05556), without values beyond the outermost edges.
    """
    cuts = torch.tensor(edges, dtype=values.dtype, device=values.device)
    return ((values[:, None] - cuts[:-1]) / cuts.diff()).clamp(0, 1)
