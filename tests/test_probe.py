"""The head of a frozen network, solved for on whole tracks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from test_folder import make_foreign

from genre_lib.models import probe
from genre_lib.models.folder import load
from genre_lib.models.head import last_layer
from genre_lib.models.probe import Examples, Head, best_penalty, embed, solve, started

DIM, GENRES, TRACKS = 6, 3, 60


def zeros(classes: int = GENRES, dim: int = DIM) -> Head:
    return Head(torch.zeros(classes, dim).double(), torch.zeros(classes).double())


@pytest.fixture
def examples() -> Examples:
    """Tracks of three genres that overlap, with numbers of very different size."""
    rng = np.random.default_rng(0)
    targets = np.arange(TRACKS) % GENRES
    embeddings = (rng.normal(size=(GENRES, DIM))[targets] + rng.normal(size=(TRACKS, DIM))) * [1, 10, 0.1, 1, 1, 5] + 3
    return Examples(torch.tensor(embeddings), torch.tensor(targets), torch.ones(TRACKS).double())


@pytest.mark.parametrize("penalty", [1.0, 30.0])
def test_without_a_start_it_is_a_logistic_regression(examples: Examples, penalty: float):
    mean, std = examples.moments()
    scaled = ((examples.embeddings - mean) / std).numpy()
    theirs = LogisticRegression(C=1 / penalty, tol=1e-9, max_iter=1000).fit(scaled, examples.targets.numpy())
    ours = solve(examples, zeros(), penalty).logits(examples.embeddings).softmax(1).numpy()
    assert np.abs(ours - theirs.predict_proba(scaled)).max() < 1e-3


def test_a_track_that_counts_twice_is_as_good_as_two(examples: Examples):
    twice = torch.where(torch.arange(TRACKS) < 20, 2.0, 1.0).double()
    again = torch.cat([torch.arange(TRACKS), torch.arange(20)])
    weighted = solve(Examples(examples.embeddings, examples.targets, twice), zeros(), 3.0)
    repeated = solve(examples[again.numpy()], zeros(), 3.0)
    assert torch.allclose(weighted.weight, repeated.weight, atol=1e-4)


def test_a_strong_penalty_holds_the_weights_to_their_start(examples: Examples):
    start = Head(torch.randn(GENRES, DIM, generator=torch.Generator().manual_seed(0)).double(), torch.zeros(3).double())
    held = solve(examples, start, 1e9)
    assert torch.allclose(held.weight, start.weight, atol=1e-5)
    free = solve(examples, start, 1e-3)
    assert (free.weight - start.weight).abs().max() > 0.1


def test_numbers_that_never_change_get_no_weight(examples: Examples):
    constant = torch.full((TRACKS, 1), 1e-7).double()
    with_one = Examples(torch.cat([examples.embeddings, constant], 1), examples.targets, examples.weights)
    found, without = solve(with_one, zeros(dim=DIM + 1), 3.0), solve(examples, zeros(), 3.0)
    assert torch.equal(found.weight[:, -1], torch.zeros(GENRES).double())
    assert torch.allclose(found.weight[:, :-1], without.weight, atol=1e-5)


def test_tags_start_with_one_spread_each_and_genres_without_with_none(examples: Examples):
    tags = Head(
        torch.tensor([[1.0] + [0] * 5, [0, 0.01] + [0] * 4, [0] * 6]).double(), torch.tensor([-9.0, 2, 0]).double()
    )
    logits = started(tags, examples).logits(examples.embeddings)
    assert torch.allclose(logits.mean(0), torch.zeros(3).double(), atol=1e-9)
    assert logits.std(0, unbiased=False).tolist() == pytest.approx([probe.START_SPREAD, probe.START_SPREAD, 0.0])


def test_the_penalty_is_chosen_on_tracks_of_other_artists():
    """An artist's mark tells the genre of every track of that artist, and of nobody else's: with artists held out, a
    strong penalty is best; with an artist's tracks on both sides, a weak one would seem so."""
    rng = np.random.default_rng(0)
    artists = np.repeat(np.arange(12), 10)
    targets = artists % 2
    marks = np.eye(12)[artists] * 5
    sound = rng.normal(size=(120, 1)) + 0.5 * targets[:, None]
    weights = torch.ones(120).double()
    examples = Examples(torch.tensor(np.hstack([marks, sound])), torch.tensor(targets), weights)
    start = zeros(2, 13)
    apart, losses = best_penalty(examples, artists, start)
    mixed, _ = best_penalty(examples, np.arange(120), start)
    assert set(losses) == set(probe.PENALTIES) and losses[apart] == min(losses.values())
    assert apart > mixed


def test_a_genre_of_one_artist_leaves_nothing_to_choose_by(examples: Examples):
    artists = np.where(examples.targets.numpy() == 0, 0, np.arange(TRACKS))
    assert best_penalty(examples, artists, zeros()) == (probe.DEFAULT_PENALTY, {})


@pytest.mark.parametrize("kind", ["ast", "hubert", "wav2vec2"])
def test_the_head_of_the_mean_is_the_mean_of_the_clips_logits(kind: str, tmp_path):
    make_foreign(kind, tmp_path / kind)
    model = load(tmp_path / kind)
    noise = np.random.default_rng(0).normal(size=(40, 16000)).astype(np.float32)
    inputs = model.extractor(list(noise), sampling_rate=16000, return_tensors="pt")[model.network.main_input_name]
    with torch.no_grad():
        expected = model.network(inputs).logits.mean(0)
    embedding = embed(model.network.eval(), [inputs, inputs[:3]], "cpu")
    assert embedding.shape == (2, last_layer(model.network)[1].in_features)
    assert torch.allclose(Head.of(model.network).logits(embedding)[0].float(), expected, atol=1e-4)


def test_a_head_is_put_back(tmp_path):
    make_foreign("ast", tmp_path / "ast")
    network = load(tmp_path / "ast").network
    head = Head.of(network)
    Head(head.weight + 1, head.bias - 1).put_into(network)
    changed = Head.of(network)
    assert torch.allclose(changed.weight, head.weight + 1, atol=1e-6)
    assert torch.allclose(changed.bias, head.bias - 1, atol=1e-6)
