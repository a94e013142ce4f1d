"""What the head of a frozen network is given of whole tracks: each is heard once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch

from genre_lib.data.datamodule import Store, TrackTable, WholeTracks
from genre_lib.data.embeddings import EmbeddingStore
from genre_lib.models.embedding import last_inputs
from genre_lib.models.folder import GenreModel
from genre_lib.models.probe import embed
from genre_lib.networks.folder import in_fast_layout, resolve_device


def track_embeddings(
    model: GenreModel,
    tables: Sequence[TrackTable],
    store: Store,
    accelerator: str = "auto",
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> torch.Tensor:
    """The mean over its clips of what the last layer is given of each track, table after table: [tracks, dim].

    Args:
        store: where the clips come from, or what was heard of them.
        accelerator: as :class:`genre_lib.training_config.TrainingConfig` has it.
        tell: called with the number of tracks heard and their total.
    """
    network = in_fast_layout(model.network).cpu().eval()
    heard = _heard(tables, store, tell)
    if isinstance(store, EmbeddingStore):
        with torch.no_grad():
            return torch.stack([last_inputs(network, clips).double().mean(0) for clips in heard])
    device = resolve_device("cpu" if accelerator == "cpu" else "auto")
    found = embed(network.to(device), heard, device)
    network.cpu()
    return found


def _heard(tables: Sequence[TrackTable], store: Store, tell: Callable[[int, int], None]) -> Iterator[torch.Tensor]:
    """Inputs of all tracks, one after the other."""
    total, done = sum(map(len, tables)), 0
    for tracks in (WholeTracks(table, store) for table in tables):
        for row in range(len(tracks)):
            yield tracks[row]["inputs"]
            done += 1
            tell(done, total)
