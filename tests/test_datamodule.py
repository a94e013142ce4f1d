from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from genre_lib.data.datamodule import EpochDraws, GenreDataModule, TrackTable, concatenate_tracks, draw_weights
from genre_lib.models.track_logits import parts


class FakeTrack:
    def __init__(self, fitting: int) -> None:
        self.fitting = fitting

    def random(self, rng: np.random.Generator, margin: float = 0.0) -> np.ndarray:
        return rng.random((2, 3), dtype=np.float32)

    def clips(self) -> np.ndarray:
        return np.full((self.fitting, 2, 3), self.fitting, np.float32)


class FakeStore:
    """Tracks named by the number of clips that fit."""

    def track(self, path: str) -> FakeTrack:
        return FakeTrack(int(path.split("-")[0]))


def table_of(rows: list[tuple[str, str, str]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["path", "genre", "source"])


@pytest.fixture
def tracks() -> pd.DataFrame:
    return table_of([("1-a", "jazz", "x"), ("2-b", "jazz", "x"), ("9-c", "rock", "x"), ("4-d", "jazz", "y")])


def make(tracks: pd.DataFrame, **options) -> GenreDataModule:
    return GenreDataModule(tracks, tracks, ["jazz", "rock"], FakeStore(), **options)


def test_an_epoch_is_as_many_clips_as_fit(tracks):
    data = make(tracks, max_clips_per_track=5, batch_size=4)
    assert data.clips_per_epoch == 1 + 2 + 5 + 4
    rows = [row for row, _ in data.train_dataloader().sampler]
    assert np.bincount(rows).tolist() == [1, 2, 5, 4]


def test_epochs_differ_and_repeat():
    draws = EpochDraws(np.array([3, 3]), None, 6, seed=1)
    first = list(draws)
    draws.set_epoch(1)
    second = list(draws)
    draws.set_epoch(0)
    assert first == list(draws) != second


def test_processes_share_an_epoch_evenly():
    parts = [list(EpochDraws(np.array([4, 3]), None, 7, 0, rank, 2)) for rank in (0, 1)]
    whole = list(EpochDraws(np.array([4, 3]), None, 7, 0))
    assert [len(part) for part in parts] == [3, 3]
    assert set(parts[0]) | set(parts[1]) == set(whole[:6])


def test_the_sampler_draws_genres_equally(tracks):
    data = make(tracks, class_balance="sampler", clips_per_epoch=4000)
    assert np.allclose(data.class_shares(), [0.5, 0.5])
    rows = [row for row, _ in data.train_dataloader().sampler]
    assert np.allclose(np.bincount(rows) / len(rows), [1 / 6, 1 / 6, 1 / 2, 1 / 6], atol=0.03)


def test_shares_of_sources(tracks):
    weights = draw_weights(TrackTable.of(tracks, ["jazz", "rock"], FakeStore()), {"x": 0.8, "y": 0.2})
    # x: jazz 0.4 over two tracks, rock 0.4; y: jazz alone
    assert np.allclose(weights, [0.2, 0.2, 0.4, 0.2])


def test_shares_without_balance_follow_the_draws(tracks):
    assert np.allclose(make(tracks, max_clips_per_track=5).class_shares(), [7 / 12, 5 / 12])


def test_batches(tracks):
    data = make(tracks, batch_size=4)
    batch = next(iter(data.train_dataloader()))
    assert batch["inputs"].shape == (4, 2, 3) and batch["targets"].shape == (4,)
    whole = next(iter(data.val_dataloader()))
    assert whole["inputs"].shape == (16, 2, 3)
    assert np.bincount(whole["tracks"]).tolist() == [1, 2, 9, 4]
    assert whole["targets"].tolist() == [0, 0, 1, 0]


def test_clips_of_several_lengths_stay_in_order():
    def item(row: int, count: int, length: int) -> dict[str, torch.Tensor]:
        inputs, rows = torch.full((count, length), float(row)), torch.full((count,), row)
        return {"inputs": inputs, "targets": torch.tensor(row), "tracks": rows}

    items = [item(0, 2, 5), item(1, 1, 5), item(2, 1, 3), item(3, 3, 5)]
    batch = concatenate_tracks(items)
    assert [tuple(inputs.shape) for inputs in batch["inputs"]] == [(3, 5), (1, 3), (3, 5)]
    assert torch.cat([inputs[:, 0] for inputs, _ in parts(batch)]).tolist() == batch["tracks"].tolist()
    assert concatenate_tracks(items[:2])["inputs"].shape == (3, 5)


def test_no_batch_of_one_clip(tracks):
    sizes = [len(batch["targets"]) for batch in make(tracks, batch_size=5).train_dataloader()]  # 16 = 3 * 5 + 1
    assert sizes == [5, 5, 5]
    sizes = [len(batch["targets"]) for batch in make(tracks, batch_size=6).train_dataloader()]
    assert sizes == [6, 6, 4]
