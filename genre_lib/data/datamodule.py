"""Clips of a catalogue's tracks for Lightning: random ones to train on, all of a track's to validate on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from genre_lib.data.features import FeatureStore
from genre_lib.data.soundless import SoundlessStore
from genre_lib.imports import uncollected
from genre_lib.networks.fusion_features import FEATURES

with uncollected("lightning"):
    from lightning.pytorch import LightningDataModule

Draw = tuple[int, int]
"""A track's row, and the seed that decides where its clip starts."""

Balance = Literal["none", "sampler", "loss"]

Store = FeatureStore | SoundlessStore
"""Where clips come from."""

VALID_TRACKS, SOUNDLESS_TRACKS = 8, 512
"""Tracks that are validated together, with their clips and without any."""

FeatureRows = Mapping[str, np.ndarray]
"""By path, a track's features as :func:`genre_lib.networks.fusion_features.feature_row` has them."""


@dataclass
class TrackTable:
    """Tracks of one split that have features: paths, genre ids [tracks], sources and clips that fit [tracks].

    ``features`` [tracks, 13] are those of the whole track that stand beside its sound, where the network takes them.
    """

    paths: list[str]
    targets: np.ndarray
    sources: list[str]
    fitting: np.ndarray
    features: np.ndarray | None = None

    @classmethod
    def of(
        cls, tracks: pd.DataFrame, genres: Sequence[str], store: Store, features: FeatureRows | None = None
    ) -> TrackTable:
        paths = tracks["path"].tolist()
        ids = {genre: index for index, genre in enumerate(genres)}
        return cls(
            paths,
            tracks["genre"].map(ids).to_numpy(dtype=np.int64),
            tracks["source"].astype(str).tolist(),
            np.array([store.track(path).fitting for path in paths], dtype=np.int64),
            None if features is None else np.array([features[path] for path in paths]).reshape(-1, len(FEATURES)),
        )

    def __len__(self) -> int:
        return len(self.paths)

    def beside(self, row: int, *shape: int) -> dict[str, torch.Tensor]:
        """The track's features, repeated to [*shape, 13]; nothing where there are none."""
        if self.features is None:
            return {}
        return {"features": torch.from_numpy(self.features[row]).expand(*shape, -1)}


class RandomClips(Dataset):
    """A clip for every draw: {"inputs": [...], "targets": id}, and "features" [13] where the network takes them."""

    def __init__(self, table: TrackTable, store: Store, margin: float) -> None:
        self.table, self.store, self.margin = table, store, margin

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, draw: Draw) -> dict[str, torch.Tensor]:
        row, seed = draw
        clip = self.store.track(self.table.paths[row]).random(np.random.default_rng(seed), self.margin)
        inputs, target = torch.from_numpy(clip), torch.tensor(self.table.targets[row])
        return {"inputs": inputs, "targets": target, **self.table.beside(row)}


class WholeTracks(Dataset):
    """All clips of a track: {"inputs": [clips, ...], "targets": id, "tracks": row}, and "features" [clips, 13]."""

    def __init__(self, table: TrackTable, store: Store) -> None:
        self.table, self.store = table, store

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, row: int) -> dict[str, torch.Tensor]:
        clips = self.store.track(self.table.paths[row]).clips()
        return {
            "inputs": torch.from_numpy(clips),
            "targets": torch.tensor(self.table.targets[row]),
            "tracks": torch.full((len(clips),), row),
            **self.table.beside(row, len(clips)),
        }


class EpochDraws(Sampler[Draw]):
    """The draws of an epoch, decided by the seed and the epoch's number alone, so that a resumed run goes on the same.

    Args:
        weights: expected share of each track among the draws [tracks]; None to draw each as often as ``fitting`` says.
        fitting: draws of each track in an epoch [tracks].
        draws: draws in an epoch.
        rank, world: this process, and how many share an epoch; each gets as many draws as the others.
    """

    def __init__(
        self, fitting: np.ndarray, weights: np.ndarray | None, draws: int, seed: int, rank: int = 0, world: int = 1
    ) -> None:
        self.fitting, self.weights, self.draws = fitting, weights, draws
        self.seed, self.rank, self.world, self.epoch = seed, rank, world, 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning says which epoch comes."""
        self.epoch = epoch

    def __len__(self) -> int:
        return max(self.draws // self.world, 1)

    def __iter__(self) -> Iterator[Draw]:
        rng = np.random.default_rng([self.seed, self.epoch])
        rows = self._rows(rng)
        seeds = rng.integers(2**31, size=len(rows))
        mine = slice(self.rank, len(self) * self.world, self.world)
        yield from zip(rows[mine].tolist(), seeds[mine].tolist(), strict=True)

    def _rows(self, rng: np.random.Generator) -> np.ndarray:
        total = max(self.draws, self.world)
        if self.weights is not None:
            return rng.choice(len(self.weights), size=total, p=self.weights)
        rows = rng.permutation(np.repeat(np.arange(len(self.fitting)), self.fitting))
        return np.resize(rows, total)


class GenreDataModule(LightningDataModule):
    """Clips to train and validate on.

    An epoch draws from every track as many random clips as fit into it, at most ``max_clips_per_track``.

    Args:
        train, valid: rows of a catalogue; ``valid`` may be empty.
        genres: in the order of the logits.
        store: where features come from.
        batch_size: clips in a training batch.
        class_balance: ``"sampler"`` draws each genre equally often.
        source_shares: share of the draws from each of the catalogue's sources; implies the sampler.
        clips_per_epoch: draws in an epoch, instead of as many as fit.
        subclasses: pairs of source and genre that are the training targets in place of genres.
        margin: share by which training clips come longer than a clip, for augmentation to cut.
        features: by path, what stands beside each track's sound, for a network that takes it.
    """

    def __init__(
        self,
        train: pd.DataFrame,
        valid: pd.DataFrame,
        genres: Sequence[str],
        store: Store,
        *,
        batch_size: int = 16,
        max_clips_per_track: int = 20,
        clips_per_epoch: int | None = None,
        class_balance: Balance = "none",
        source_shares: dict[str, float] | None = None,
        margin: float = 0.0,
        subclasses: Sequence[tuple[str, str]] | None = None,
        features: FeatureRows | None = None,
        seed: int = 0,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        self.genres, self.store, self.batch_size = list(genres), store, batch_size
        self.margin, self.seed, self.num_workers = margin, seed, num_workers
        self.train, self.valid = (TrackTable.of(tracks, genres, store, features) for tracks in (train, valid))
        self.subclasses = list(subclasses) if subclasses else None
        if self.subclasses:
            pairs = zip(train["source"].astype(str), train["genre"], strict=True)
            self.train.targets = np.array([self.subclasses.index(pair) for pair in pairs], dtype=np.int64)
        self.fitting = np.minimum(self.train.fitting, max_clips_per_track)
        self.clips_per_epoch = clips_per_epoch or int(self.fitting.sum())
        balanced = class_balance == "sampler" or bool(source_shares)
        self.weights = draw_weights(self.train, source_shares) if balanced else None

    def class_shares(self) -> np.ndarray:
        """Expected share of each genre among the draws [genres]."""
        weights = self.fitting / self.fitting.sum() if self.weights is None else self.weights
        return np.bincount(self.train.targets, weights, minlength=len(self.subclasses or self.genres))

    def train_dataloader(self) -> DataLoader:
        rank, world = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        draws = EpochDraws(self.fitting, self.weights, self.clips_per_epoch, self.seed, rank, world)
        if self.trainer:  # a resumed run may fetch its first clips before Lightning says which epoch it is
            draws.set_epoch(self.trainer.fit_loop.epoch_progress.current.processed)  # type: ignore[attr-defined]
        # A last batch of one clip would leave batch norms without a variance.
        lonely = len(draws) % self.batch_size == 1 and len(draws) > 1
        return DataLoader(
            RandomClips(self.train, self.store, self.margin),
            batch_size=self.batch_size,
            sampler=draws,
            drop_last=lonely,
            num_workers=self.num_workers,
            generator=torch.Generator(),  # so that no number of the augmentation's goes into seeds of workers
            persistent_workers=self.num_workers > 0,
        )

    def val_dataloader(self) -> DataLoader:
        rank, world = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        if len(self.valid) < world:  # a process without tracks would leave the others waiting: all take all of them
            rank, world = 0, 1
        return DataLoader(
            WholeTracks(self.valid, self.store),
            batch_size=SOUNDLESS_TRACKS if isinstance(self.store, SoundlessStore) else VALID_TRACKS,
            sampler=list(range(rank, len(self.valid), world)),
            collate_fn=concatenate_tracks,
            num_workers=0,
        )


def draw_weights(table: TrackTable, source_shares: dict[str, float] | None = None) -> np.ndarray:
    """Probability of each track [tracks]: genres equally likely within a source, sources as their shares say.

    Without shares all tracks are one source.
    """
    groups = pd.DataFrame({"source": table.sources if source_shares else "", "genre": table.targets})
    counts = groups.groupby(["source", "genre"])["genre"].transform("size").to_numpy()
    genres = groups.groupby("source")["genre"].transform("nunique").to_numpy()
    shares = groups["source"].map(source_shares).to_numpy(dtype=float) if source_shares else 1.0
    weights = np.nan_to_num(shares / genres / counts)
    return weights / weights.sum()


def concatenate_tracks(items: list[dict[str, torch.Tensor]]) -> dict[str, Any]:
    """Tracks of different lengths as one batch: inputs and features of each clip, its row, and targets [tracks].

    Where clips are of several lengths, as those of tracks shorter than a clip may be, ``inputs`` is a list, of each
    stretch of tracks whose clips are of one length: [clips, ...].
    """
    beside = [name for name in ("features", "tracks") if name in items[0]]
    joined = {name: torch.cat([item[name] for item in items]) for name in beside}
    alike = groupby((item["inputs"] for item in items), key=lambda inputs: inputs.shape[1:])
    inputs = [torch.cat(list(stretch)) for _, stretch in alike]
    targets = torch.stack([item["targets"] for item in items])
    return joined | {"inputs": inputs[0] if len(inputs) == 1 else inputs, "targets": targets}
